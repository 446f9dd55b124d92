/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search    := [all] ["sortby" FIELD ["asc" | "desc"]] ["page" N]
 * all       := or {or}                  all must match, as in oVirt: binds looser than "or"
 * or        := and {"or" and}
 * and       := primary {"and" primary}
 * primary   := "(" all ")" | FIELD OP VALUE | REFERENCE "." FIELD OP VALUE | REFERENCE OP VALUE | VALUE
 * VALUE     := WORD | QUOTED
 *
 * A recursive descent parser, one function per line, with one token of lookahead. oVirt has no parentheses: outside of
 * a pair, one within a word is part of it, and in a value after an operator, so is everything but blanks and quotes.
 */
#include <string.h>

#include "base/error.h"
#include "cite.h"
#include "search_private.h"

#define MAX_LENGTH 4096 /* bytes; limits the number of conditions too */
#define MAX_DEPTH 32    /* maximum nesting of parentheses */

typedef enum {
  TOKEN_END,
  TOKEN_WORD,
  TOKEN_QUOTED, /* start..end without the quotes */
  TOKEN_OPERATOR,
  TOKEN_OPEN,
  TOKEN_CLOSE,
} TokenKind;

typedef struct {
  TokenKind kind;
  const char *at; /* where it begins */
  const char *start, *end;
  const char *next;  /* behind it */
  gboolean adjoined; /* no blank before it */
  SearchOp op;
} Token;

typedef struct {
  const char *text;
  const DmSearchKind *kind;
  gboolean case_sensitive;
  guint depth;
  Token token;
  GError **error;
} Parser;

static void G_GNUC_PRINTF(3, 4) fail(Parser *parser, const char *at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *why = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *cited = cite(parser->text);
  g_set_error(parser->error, DM_ERROR, DM_ERROR_BAD_SEARCH, "the search '%s' cannot be read at character %ld: %s",
    cited, g_utf8_pointer_to_offset(parser->text, at) + 1, why);
}

static gboolean is_operator_at(const char *p) {
  return *p == '=' || *p == '<' || *p == '>' || (*p == '!' && p[1] == '=');
}

/* The end of a word: @in_value, after an operator. */
static const char *end_of_word(const Parser *parser, const char *start, gboolean in_value) {
  gsize open = 0;
  for (const char *p = start;; p++) {
    if (*p == '\0' || *p == '"' || g_ascii_isspace(*p) || (!in_value && is_operator_at(p)))
      return p;
    gboolean keyword = (p - start == 2 && g_ascii_strncasecmp(start, "or", 2) == 0) ||
      (p - start == 3 && g_ascii_strncasecmp(start, "and", 3) == 0);
    if (*p == '(' && keyword && !in_value)
      return p;
    if (*p == ')' && open == 0 && parser->depth > 0)
      return p;
    open += *p == '(' ? 1 : *p == ')' && open > 0 ? -1 : 0;
  }
}

static SearchOp operator_at(const char *p) {
  gboolean with_equal = p[1] == '=';
  if (*p == '<')
    return with_equal ? OP_LESS_EQUAL : OP_LESS;
  if (*p == '>')
    return with_equal ? OP_GREATER_EQUAL : OP_GREATER;
  return *p == '!' ? OP_NOT_EQUAL : OP_EQUAL;
}

static gboolean read_quoted(Parser *parser, Token *token) {
  token->kind = TOKEN_QUOTED;
  token->start = token->at + 1;
  for (const char *p = token->start; *p != '\0'; p++) {
    if (*p == '\\' && (p[1] == '"' || p[1] == '\\')) {
      p++;
    } else if (*p == '"') {
      token->end = p;
      token->next = p + 1;
      return TRUE;
    }
  }
  fail(parser, token->at, "the quote that begins here has no end; write '\"' behind the value");
  return FALSE;
}

/* Reads the next token; @as_value: one after an operator, which may contain parentheses and operators. */
static gboolean take(Parser *parser, gboolean as_value) {
  const char *from = parser->token.next, *p = from;
  gboolean behind_word = parser->token.kind == TOKEN_WORD;
  while (g_ascii_isspace(*p))
    p++;
  Token token = {.at = p, .start = p, .end = p + 1, .adjoined = p == from};
  if (*p == '\0') {
    token.kind = TOKEN_END;
    token.end = p;
  } else if ((*p == '(' || *p == ')') && !as_value) {
    token.kind = *p == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
  } else if (is_operator_at(p)) {
    token.kind = TOKEN_OPERATOR;
    token.op = operator_at(p);
    token.end = p + (token.op == OP_EQUAL || token.op == OP_LESS || token.op == OP_GREATER ? 1 : 2);
  } else if (*p == '"') {
    if (token.adjoined && behind_word) {
      fail(
        parser, p, "a quote stands before a value or not at all; put the whole value in quotes, with '\\\"' for one");
      return FALSE;
    }
    if (!read_quoted(parser, &token))
      return FALSE;
    parser->token = token;
    return TRUE;
  } else {
    token.end = end_of_word(parser, p, as_value);
    token.kind = token.end > p ? TOKEN_WORD : TOKEN_CLOSE;
    token.end = MAX(token.end, p + 1);
  }
  token.next = token.end;
  parser->token = token;
  return TRUE;
}

static gboolean advance(Parser *parser) {
  return take(parser, FALSE);
}

static gboolean is_word(const Token *token, const char *word) {
  gsize length = strlen(word);
  return token->kind == TOKEN_WORD && (gsize)(token->end - token->start) == length &&
    g_ascii_strncasecmp(token->start, word, length) == 0;
}

static gboolean is_keyword(const Token *token) {
  return is_word(token, "and") || is_word(token, "or") || is_word(token, "sortby") || is_word(token, "page");
}

static char *words_of(const Token *token) {
  return token->kind == TOKEN_END ? g_strdup("the end") : cite_length(token->at, (gsize)(token->next - token->at));
}

static gboolean is_named(const char *start, gsize length, const char *name) {
  return strlen(name) == length && g_ascii_strncasecmp(start, name, length) == 0;
}

static const DmSearchField *field_named(
  const DmSearchKind *kind, const char *start, const char *end, gboolean for_sorting) {
  for (const DmSearchField *field = kind->fields; field->name != NULL; field++) {
    if ((for_sorting || !field->sort_only) && is_named(start, (gsize)(end - start), field->name))
      return field;
  }
  return NULL;
}

/* In the singular or the plural. */
static const DmSearchReference *reference_named(const DmSearchKind *kind, const char *start, const char *end) {
  gsize length = (gsize)(end - start);
  for (const DmSearchReference *to = kind->references; to != NULL && to->name != NULL; to++) {
    gboolean plural = length > 1 && (end[-1] == 's' || end[-1] == 'S');
    if (is_named(start, length, to->name) || (plural && is_named(start, length - 1, to->name)))
      return to;
  }
  return NULL;
}

static void fail_field(Parser *parser, const DmSearchKind *kind, const char *start, const char *end) {
  g_autoptr(GString) known = g_string_new(NULL);
  for (const DmSearchField *field = kind->fields; field->name != NULL; field++) {
    if (!field->sort_only)
      g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", field->name);
  }
  gboolean own = kind == parser->kind;
  for (const DmSearchReference *to = own ? kind->references : NULL; to != NULL && to->name != NULL; to++)
    g_string_append_printf(known, "%s%ss.FIELD", to == kind->references ? ", and of others: " : ", ", to->name);
  g_autofree char *words = cite_length(start, (gsize)(end - start));
  fail(parser, start, "there is no field '%s'; there are %s", words, known->str);
}

/* The left side of an operator: a field (NULL: free text) of objects of @reference (NULL: of the searched ones). */
static gboolean find_subject(
  Parser *parser, const Token *token, const DmSearchReference **reference, const DmSearchField **field) {
  *reference = NULL;
  *field = field_named(parser->kind, token->start, token->end, FALSE);
  if (*field != NULL)
    return TRUE;
  const char *dot = memchr(token->start, '.', (gsize)(token->end - token->start));
  *reference = reference_named(parser->kind, token->start, dot != NULL ? dot : token->end);
  if (*reference != NULL && dot == NULL)
    return TRUE;
  if (*reference != NULL)
    *field = field_named((*reference)->kind, dot + 1, token->end, FALSE);
  if (*field == NULL && *reference != NULL)
    fail_field(parser, (*reference)->kind, dot + 1, token->end);
  else if (*field == NULL)
    fail_field(parser, parser->kind, token->start, token->end);
  return *field != NULL;
}

static gboolean read_number(Parser *parser, const Token *value, const DmSearchField *field, gint64 *number) {
  g_autofree char *text = g_strndup(value->start, (gsize)(value->end - value->start));
  g_autoptr(GError) why = NULL;
  if (g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, number, &why))
    return TRUE;
  g_autofree char *words = words_of(value);
  fail(parser, value->at,
    g_error_matches(why, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS)
      ? "%s is compared with a number, and %s does not fit 64 bits; write a smaller one"
      : "%s is compared with a whole number, and '%s' is none; write digits alone, without a unit or wildcard",
    field->name, words);
  return FALSE;
}

static gboolean read_decimal(const char *text, gint64 *thousandths) {
  char *rest = NULL;
  double decimal = g_ascii_strtod(text, &rest);
  if (rest == text || *rest != '\0' || !(ABS(decimal) < 1e15))
    return FALSE;
  *thousandths = (gint64)(decimal * 1000);
  return TRUE;
}

/* The value a condition on a non-text field compares with: *number; from *end on, values are greater. */
static gboolean read_amount(
  Parser *parser, const Token *value, const DmSearchField *field, gint64 *number, gint64 *end) {
  static const char *const forms[][2] = {
    [DM_FIELD_DECIMAL] = {"a number", "digits, with a point where it needs one"},
    [DM_FIELD_DATE] = {"a day", "today, yesterday, monday, \"2026-11-29\" or \"2026-11-29 14:30\""},
    [DM_FIELD_SPAN] = {"a span of time", "days, or [days.]hours:minutes[:seconds]"},
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(forms) == DM_FIELD_KINDS);
  if (field->kind == DM_FIELD_NUMBER) {
    gboolean well = read_number(parser, value, field, number);
    *end = well && *number < G_MAXINT64 ? *number + 1 : G_MAXINT64;
    return well;
  }
  g_autofree char *text = g_strndup(value->start, (gsize)(value->end - value->start));
  gboolean well = field->kind == DM_FIELD_DATE ? value_of_date(text, number, end)
    : field->kind == DM_FIELD_SPAN             ? value_of_span(text, number)
                                               : read_decimal(text, number);
  if (field->kind != DM_FIELD_DATE)
    *end = *number + 1;
  if (well)
    return TRUE;
  g_autofree char *words = words_of(value);
  fail(parser, value->at, "%s is compared with %s, and '%s' is none; write %s", field->name, forms[field->kind][0],
    words, forms[field->kind][1]);
  return FALSE;
}

static Fold fold_of(const Parser *parser) {
  return parser->case_sensitive ? FOLD_NONE : FOLD_CASE;
}

static Expression *free_text(Parser *parser, const DmSearchReference *reference, SearchOp op, const Token *value) {
  Expression *condition = g_new0(Expression, 1);
  gboolean quoted = value->kind == TOKEN_QUOTED;
  condition->reference = reference;
  condition->op = op;
  condition->text = pattern_new(value->start, value->end, quoted, TRUE, fold_of(parser));
  condition->enum_text = pattern_new(value->start, value->end, quoted, TRUE, FOLD_ENUM);
  return condition;
}

/*
 * The rank of a value among the known ones. An unknown value would never match, which looks like a result, so it is an
 * error; patterns are not checked.
 */
static gboolean read_rank(Parser *parser, const Token *value, const DmSearchField *field, SearchOp op, gint64 *number) {
  const char *const *names = field->ranks != NULL ? field->ranks : field->values;
  g_autofree char *text = g_strndup(value->start, (gsize)(value->end - value->start));
  gboolean pattern = (op == OP_EQUAL || op == OP_NOT_EQUAL) && strchr(text, '*') != NULL;
  if (names == NULL || pattern)
    return TRUE;
  int rank = rank_of(names, text);
  if (rank < 0) {
    g_autofree char *known = g_strjoinv(", ", (char **)names);
    g_autofree char *words = words_of(value);
    fail(parser, value->at, "'%s' is no %s; it is one of %s", words, field->name, known);
    return FALSE;
  }
  *number = rank;
  return TRUE;
}

static gboolean is_null(const DmSearchField *field, const Token *value) {
  return field->nullable && is_word(value, "null");
}

static Expression *comparison(
  Parser *parser, const DmSearchReference *reference, const DmSearchField *field, SearchOp op, const Token *value) {
  gint64 number = 0, end = 0;
  gboolean is_text = field->kind == DM_FIELD_TEXT || field->kind == DM_FIELD_ENUM;
  if (!is_text && !read_amount(parser, value, field, &number, &end))
    return NULL;
  if (field->kind == DM_FIELD_ENUM && !read_rank(parser, value, field, op, &number))
    return NULL;
  Expression *condition = g_new0(Expression, 1);
  gboolean quoted = value->kind == TOKEN_QUOTED;
  condition->reference = reference;
  condition->field = field;
  condition->op = op;
  condition->number = number;
  condition->end = is_text ? number + 1 : end;
  if (field->kind == DM_FIELD_TEXT)
    condition->text =
      pattern_new(value->start, is_null(field, value) ? value->start : value->end, quoted, FALSE, fold_of(parser));
  else if (field->kind == DM_FIELD_ENUM)
    condition->enum_text = pattern_new(value->start, value->end, quoted, FALSE, FOLD_ENUM);
  return condition;
}

/* Whether @op is allowed for the field, or a reference alone. */
static gboolean check_operator(Parser *parser, const Token *op, const DmSearchField *field, const char *name) {
  gboolean ordered =
    field != NULL && (field->ranks != NULL || (field->kind != DM_FIELD_TEXT && field->kind != DM_FIELD_ENUM));
  if (ordered || op->op == OP_EQUAL || op->op == OP_NOT_EQUAL)
    return TRUE;
  g_autofree char *words = words_of(op);
  fail(parser, op->at, "%s is not a number, so '%s' cannot compare it; use = or !=", name, words);
  return FALSE;
}

static Expression *parse_condition(Parser *parser) {
  Token first = parser->token;
  if (!advance(parser))
    return NULL;
  Token op = parser->token;
  if (op.kind != TOKEN_OPERATOR)
    return free_text(parser, NULL, OP_EQUAL, &first);
  if (first.kind == TOKEN_QUOTED) {
    fail(parser, first.at, "a field stands before an operator, without quotes");
    return NULL;
  }
  const DmSearchReference *reference;
  const DmSearchField *field;
  if (!find_subject(parser, &first, &reference, &field))
    return NULL;
  const char *name = field != NULL ? field->name : reference->name;
  if (!check_operator(parser, &op, field, name) || !take(parser, TRUE))
    return NULL;
  Token value = parser->token;
  /* A value directly after the operator may be a keyword: clients write vm.name=NAME for any name. */
  if ((value.kind != TOKEN_WORD && value.kind != TOKEN_QUOTED) || (is_keyword(&value) && !value.adjoined)) {
    g_autofree char *words = words_of(&op);
    fail(parser, value.at, "a value is missing after '%s %s'; one that is a keyword or holds blanks needs quotes", name,
      words);
    return NULL;
  }
  g_autoptr(Expression) condition =
    field != NULL ? comparison(parser, reference, field, op.op, &value) : free_text(parser, reference, op.op, &value);
  return condition != NULL && advance(parser) ? g_steal_pointer(&condition) : NULL;
}

static Expression *parse_all(Parser *parser);

static Expression *parse_primary(Parser *parser) {
  Token token = parser->token;
  if (token.kind != TOKEN_OPEN) {
    if ((token.kind == TOKEN_WORD && !is_keyword(&token)) || token.kind == TOKEN_QUOTED)
      return parse_condition(parser);
    g_autofree char *words = words_of(&token);
    fail(parser, token.at, "a condition like name=web* is missing before '%s'; text that looks so needs quotes", words);
    return NULL;
  }
  if (++parser->depth > MAX_DEPTH) {
    fail(parser, token.at, "parentheses are deeper than %d; write it flatter", MAX_DEPTH);
    return NULL;
  }
  if (!advance(parser))
    return NULL;
  g_autoptr(Expression) inner = parse_all(parser);
  if (inner == NULL)
    return NULL;
  if (parser->token.kind != TOKEN_CLOSE) {
    fail(parser, parser->token.at, "the '(' at character %ld is still open; write ')' or join conditions by and, or",
      g_utf8_pointer_to_offset(parser->text, token.at) + 1);
    return NULL;
  }
  parser->depth--;
  return advance(parser) ? g_steal_pointer(&inner) : NULL;
}

/* Another operand follows, joined by @word; NULL: by nothing. */
static gboolean goes_on(const Parser *parser, const char *word) {
  const Token *token = &parser->token;
  if (word != NULL)
    return is_word(token, word);
  return token->kind == TOKEN_OPEN || token->kind == TOKEN_QUOTED || (token->kind == TOKEN_WORD && !is_keyword(token));
}

/* Operands of one kind, joined by @word. */
static Expression *parse_joined(
  Parser *parser, Expression *(*parse_operand)(Parser *parser), const char *word, ExpressionKind kind) {
  g_autoptr(Expression) first = parse_operand(parser);
  if (first == NULL || !goes_on(parser, word))
    return g_steal_pointer(&first);
  g_autoptr(Expression) joined = g_new0(Expression, 1);
  joined->kind = kind;
  joined->parts = g_ptr_array_new_with_free_func((GDestroyNotify)expression_free);
  g_ptr_array_add(joined->parts, g_steal_pointer(&first));
  while (goes_on(parser, word)) {
    Expression *next = word == NULL || advance(parser) ? parse_operand(parser) : NULL;
    if (next == NULL)
      return NULL;
    g_ptr_array_add(joined->parts, next);
  }
  return g_steal_pointer(&joined);
}

static Expression *parse_and(Parser *parser) {
  return parse_joined(parser, parse_primary, "and", EXPRESSION_AND);
}

static Expression *parse_or(Parser *parser) {
  return parse_joined(parser, parse_and, "or", EXPRESSION_OR);
}

static Expression *parse_all(Parser *parser) {
  return parse_joined(parser, parse_or, NULL, EXPRESSION_AND);
}

static gboolean parse_order(Parser *parser, DmSearch *search) {
  if (!is_word(&parser->token, "sortby"))
    return TRUE;
  if (!advance(parser))
    return FALSE;
  if (parser->token.kind != TOKEN_WORD) {
    fail(parser, parser->token.at, "a field is missing after 'sortby'; write it like sortby %s",
      parser->kind->fields->name);
    return FALSE;
  }
  const Token *token = &parser->token;
  search->order = field_named(parser->kind, token->start, token->end, TRUE);
  if (search->order == NULL)
    fail_field(parser, parser->kind, token->start, token->end);
  if (search->order == NULL || !advance(parser))
    return FALSE;
  search->descending = is_word(&parser->token, "desc");
  return search->descending || is_word(&parser->token, "asc") ? advance(parser) : TRUE;
}

static gboolean parse_page(Parser *parser, DmSearch *search) {
  if (!is_word(&parser->token, "page"))
    return TRUE;
  if (!advance(parser))
    return FALSE;
  const Token *token = &parser->token;
  if (token->kind == TOKEN_END) /* oVirt: the first */
    return TRUE;
  g_autofree char *text = g_strndup(token->start, (gsize)(token->end - token->start));
  guint64 page = 0;
  if (token->kind != TOKEN_WORD || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT, &page, NULL)) {
    fail(parser, token->at, "after 'page' stands a number from 1 to %d", G_MAXINT);
    return FALSE;
  }
  search->page = (guint)page;
  return advance(parser);
}

static gboolean parse_search(Parser *parser, DmSearch *search) {
  const Token *token = &parser->token;
  if (!advance(parser))
    return FALSE;
  if (token->kind != TOKEN_END && !is_word(token, "sortby") && !is_word(token, "page")) {
    Expression *expression = parse_all(parser);
    if (expression == NULL)
      return FALSE;
    search->question.expression = gather_groups(search, expression);
  }
  if (!parse_order(parser, search) || !parse_page(parser, search))
    return FALSE;
  if (token->kind == TOKEN_END)
    return TRUE;
  g_autofree char *words = words_of(token);
  fail(parser, token->at,
    "'%s' is not expected here; join conditions by and, or, put quotes around text with blanks, and end with "
    "[sortby FIELD [asc|desc]] [page N]",
    words);
  return FALSE;
}

DmSearch *dm_search_parse(const char *text, const DmSearchKind *kind, gboolean case_sensitive, GError **error) {
  g_autoptr(DmSearch) search = g_new0(DmSearch, 1);
  search->groups = g_ptr_array_new();
  question_init(&search->question, kind, NULL, case_sensitive);
  search->page = 1;
  text = text != NULL ? text : "";
  gsize length = strlen(text);
  if (length > MAX_LENGTH || !g_utf8_validate(text, (gssize)length, NULL)) {
    g_autofree char *cited = cite(text);
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH, "the search '%s' %s", cited,
      length > MAX_LENGTH ? "is longer than 4096 bytes; shorten it" : "is not UTF-8; encode it as UTF-8");
    return NULL;
  }
  Parser parser = {
    .text = text, .kind = kind, .case_sensitive = case_sensitive, .token = {.next = text}, .error = error};
  return parse_search(&parser, search) ? g_steal_pointer(&search) : NULL;
}
