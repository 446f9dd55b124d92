/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search    := [or] ["sortby" FIELD ["asc" | "desc"]] ["page" N]
 * or        := and {"or" and}
 * and       := primary {"and" primary}
 * primary   := "(" or ")" | FIELD OP VALUE | VALUE
 * VALUE     := WORD | QUOTED
 *
 * A parser by descent, one function for each line, with one token in hand.
 */
#include <string.h>

#include "base/error.h"
#include "cite.h"
#include "search_private.h"

#define MAX_LENGTH 4096 /* bytes; it bounds the number of conditions too */
#define MAX_DEPTH 32    /* parentheses in parentheses */

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
  const DmSearchField *fields;
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

static gboolean ends_word(const char *p) {
  return *p == '\0' || g_ascii_isspace(*p) || strchr("()\"", *p) != NULL || is_operator_at(p);
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

/* Takes the next token in hand. */
static gboolean advance(Parser *parser) {
  const char *from = parser->token.next, *p = from;
  while (g_ascii_isspace(*p))
    p++;
  Token token = {.at = p, .start = p, .end = p + 1, .adjoined = p == from};
  if (*p == '\0') {
    token.kind = TOKEN_END;
    token.end = p;
  } else if (*p == '(' || *p == ')') {
    token.kind = *p == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
  } else if (is_operator_at(p)) {
    token.kind = TOKEN_OPERATOR;
    token.op = operator_at(p);
    token.end = p + (token.op == OP_EQUAL || token.op == OP_LESS || token.op == OP_GREATER ? 1 : 2);
  } else if (*p == '"') {
    if (!read_quoted(parser, &token))
      return FALSE;
    parser->token = token;
    return TRUE;
  } else {
    token.kind = TOKEN_WORD;
    while (!ends_word(token.end))
      token.end++;
  }
  token.next = token.end;
  parser->token = token;
  return TRUE;
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

static const DmSearchField *find_field(Parser *parser, const Token *token) {
  for (const DmSearchField *field = parser->fields; field->name != NULL; field++) {
    if (is_word(token, field->name))
      return field;
  }
  g_autoptr(GString) known = g_string_new(NULL);
  for (const DmSearchField *field = parser->fields; field->name != NULL; field++)
    g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", field->name);
  g_autofree char *words = words_of(token);
  fail(parser, token->at, "there is no field '%s'; there are %s", words, known->str);
  return NULL;
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

static Expression *free_text(Parser *parser, const Token *value) {
  Expression *condition = g_new0(Expression, 1);
  gboolean quoted = value->kind == TOKEN_QUOTED;
  condition->text = pattern_new(value->start, value->end, quoted, TRUE, parser->case_sensitive ? FOLD_NONE : FOLD_CASE);
  condition->enum_text = pattern_new(value->start, value->end, quoted, TRUE, FOLD_ENUM);
  return condition;
}

/*
 * The rank of a value among those there are. One that there is not would never be found, which looks like an answer;
 * only a pattern is not held against them.
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

static Expression *comparison(Parser *parser, const DmSearchField *field, SearchOp op, const Token *value) {
  gint64 number = 0;
  if (field->kind == DM_FIELD_NUMBER && !read_number(parser, value, field, &number))
    return NULL;
  if (field->kind == DM_FIELD_ENUM && !read_rank(parser, value, field, op, &number))
    return NULL;
  Expression *condition = g_new0(Expression, 1);
  gboolean quoted = value->kind == TOKEN_QUOTED;
  condition->field = field;
  condition->op = op;
  condition->number = number;
  if (field->kind == DM_FIELD_TEXT)
    condition->text =
      pattern_new(value->start, value->end, quoted, FALSE, parser->case_sensitive ? FOLD_NONE : FOLD_CASE);
  else if (field->kind == DM_FIELD_ENUM)
    condition->enum_text = pattern_new(value->start, value->end, quoted, FALSE, FOLD_ENUM);
  return condition;
}

static Expression *parse_condition(Parser *parser) {
  Token first = parser->token;
  if (!advance(parser))
    return NULL;
  Token op = parser->token;
  if (op.kind != TOKEN_OPERATOR)
    return free_text(parser, &first);
  if (first.kind == TOKEN_QUOTED) {
    fail(parser, first.at, "a field stands before an operator, without quotes");
    return NULL;
  }
  const DmSearchField *field = find_field(parser, &first);
  if (field == NULL || !advance(parser))
    return NULL;
  g_autofree char *words = words_of(&op);
  if (field->kind != DM_FIELD_NUMBER && field->ranks == NULL && op.op != OP_EQUAL && op.op != OP_NOT_EQUAL) {
    fail(parser, op.at, "%s is not a number, so '%s' cannot compare it; use = or !=", field->name, words);
    return NULL;
  }
  Token value = parser->token;
  /* A value right behind the operator may be a keyword: clients write vm.name=NAME for any name. */
  if ((value.kind != TOKEN_WORD && value.kind != TOKEN_QUOTED) || (is_keyword(&value) && !value.adjoined)) {
    fail(parser, value.at, "a value is missing after '%s %s'; one that is a keyword or holds blanks needs quotes",
      field->name, words);
    return NULL;
  }
  g_autoptr(Expression) condition = comparison(parser, field, op.op, &value);
  return condition != NULL && advance(parser) ? g_steal_pointer(&condition) : NULL;
}

static Expression *parse_or(Parser *parser);

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
  g_autoptr(Expression) inner = parse_or(parser);
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

/* Operands of one kind, joined by @word. */
static Expression *parse_joined(
  Parser *parser, Expression *(*parse_operand)(Parser *parser), const char *word, ExpressionKind kind) {
  g_autoptr(Expression) first = parse_operand(parser);
  if (first == NULL || !is_word(&parser->token, word))
    return g_steal_pointer(&first);
  g_autoptr(Expression) joined = g_new0(Expression, 1);
  joined->kind = kind;
  joined->parts = g_ptr_array_new_with_free_func((GDestroyNotify)expression_free);
  g_ptr_array_add(joined->parts, g_steal_pointer(&first));
  while (is_word(&parser->token, word)) {
    Expression *next = advance(parser) ? parse_operand(parser) : NULL;
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

static gboolean parse_order(Parser *parser, DmSearch *search) {
  if (!is_word(&parser->token, "sortby"))
    return TRUE;
  if (!advance(parser))
    return FALSE;
  if (parser->token.kind != TOKEN_WORD) {
    fail(parser, parser->token.at, "a field is missing after 'sortby'; write it like sortby %s", parser->fields->name);
    return FALSE;
  }
  search->order = find_field(parser, &parser->token);
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
    search->expression = parse_or(parser);
    if (search->expression == NULL)
      return FALSE;
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

DmSearch *dm_search_parse(const char *text, const DmSearchField *fields, gboolean case_sensitive, GError **error) {
  g_autoptr(DmSearch) search = g_new0(DmSearch, 1);
  search->fields = fields;
  search->case_sensitive = case_sensitive;
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
    .text = text, .fields = fields, .case_sensitive = case_sensitive, .token = {.next = text}, .error = error};
  return parse_search(&parser, search) ? g_steal_pointer(&search) : NULL;
}
