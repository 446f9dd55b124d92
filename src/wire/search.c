/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matches objects against a search. A text is folded once per object, not per condition, as a search can have hundreds
 * of conditions on one field.
 */
#include "wire/search.h"

#include <string.h>

#include "search_private.h"

#define LOOKED_AT 4096 /* bytes of a text */

void expression_free(Expression *expression) {
  if (expression == NULL)
    return;
  if (expression->parts != NULL)
    g_ptr_array_unref(expression->parts);
  g_strfreev(expression->text);
  g_strfreev(expression->enum_text);
  g_free(expression);
}

void question_init(Question *question, const DmSearchKind *kind, Expression *expression, gboolean case_sensitive) {
  question->kind = kind;
  question->expression = expression;
  question->case_sensitive = case_sensitive;
  guint rows = 0;
  while (kind->fields[rows].name != NULL)
    rows++;
  question->known = g_new0(Known, rows);
  question->looked = g_new(guint, rows);
}

static void forget(Question *question) {
  while (question->count > 0) {
    Known *known = &question->known[question->looked[--question->count]];
    g_free(known->text);
    g_free(known->other);
    memset(known, 0, sizeof *known);
  }
}

static void question_clear(Question *question) {
  forget(question);
  expression_free(question->expression);
  g_free(question->known);
  g_free(question->looked);
}

void dm_search_free(DmSearch *search) {
  if (search == NULL)
    return;
  for (guint i = 0; i < search->groups->len; i++) {
    DmSearchGroup *group = search->groups->pdata[i];
    question_clear(&group->question);
    g_free(group);
  }
  g_ptr_array_unref(search->groups);
  question_clear(&search->question);
  g_free(search);
}

/* ---- values ---- */

static gboolean is_text(const DmSearchField *field) {
  return field->kind == DM_FIELD_TEXT || field->kind == DM_FIELD_ENUM;
}

static char *fold_value(const char *text, Fold fold) {
  if (text == NULL || strlen(text) <= LOOKED_AT)
    return text != NULL ? fold_text(text, fold) : NULL;
  g_autofree char *start = g_strndup(text, LOOKED_AT);
  g_autofree char *valid = g_utf8_make_valid(start, -1);
  return fold_text(valid, fold);
}

/* The value of a row; @object NULL: it has none. */
static const Known *look_at(Question *question, gconstpointer object, const DmSearchField *field, gpointer data) {
  guint row = (guint)(field - question->kind->fields);
  Known *known = &question->known[row];
  if (known->known)
    return known;
  DmSearchValue value = {0};
  known->known = TRUE;
  question->looked[question->count++] = row;
  known->there =
    object != NULL && question->kind->get != NULL && question->kind->get(object, field->number, &value, data);
  if (!known->there)
    return known;
  Fold fold = field->kind == DM_FIELD_ENUM ? FOLD_ENUM : question->case_sensitive ? FOLD_NONE : FOLD_CASE;
  known->number = value.number;
  if (is_text(field)) {
    known->text = fold_value(value.text, fold);
    known->other = fold_value(value.other, fold);
    known->number = field->ranks != NULL && value.text != NULL ? rank_of(field->ranks, value.text) : 0;
    known->there = value.text != NULL;
  } else if (field->kind == DM_FIELD_NUMBER) { /* as matched by free text */
    known->text = g_strdup_printf("%" G_GINT64_FORMAT, value.number);
  }
  return known;
}

int rank_of(const char *const *ranks, const char *text) {
  g_autofree char *folded = fold_text(text, FOLD_ENUM);
  for (int rank = 0; ranks[rank] != NULL; rank++) {
    g_autofree char *name = fold_text(ranks[rank], FOLD_ENUM);
    if (strcmp(name, folded) == 0)
      return rank;
  }
  return -1;
}

/* ---- conditions ---- */

static gboolean text_matches(
  Question *question, gconstpointer object, const Expression *condition, const DmSearchField *field, gpointer data) {
  const Known *known = look_at(question, object, field, data);
  Pattern pattern = field->kind == DM_FIELD_ENUM ? condition->enum_text : condition->text;
  return pattern_matches(pattern, known->text) || (known->other != NULL && pattern_matches(pattern, known->other));
}

static gboolean number_matches(Question *question, gconstpointer object, const Expression *condition, gpointer data) {
  const Known *known = look_at(question, object, condition->field, data);
  gint64 number = known->number;
  if (!known->there)
    return condition->op == OP_NOT_EQUAL;
  switch (condition->op) {
    case OP_EQUAL:
      return number >= condition->number && number < condition->end;
    case OP_NOT_EQUAL:
      return number < condition->number || number >= condition->end;
    case OP_LESS:
      return number < condition->number;
    case OP_LESS_EQUAL:
      return number < condition->end;
    case OP_GREATER: /* oVirt: time>today is since midnight */
      return number > condition->number;
    case OP_GREATER_EQUAL:
      return number >= condition->number;
  }
  return FALSE;
}

static gboolean free_text_matches(
  Question *question, gconstpointer object, const Expression *condition, gpointer data) {
  for (const DmSearchField *field = question->kind->fields; field->name != NULL; field++) {
    if (field->free_text && text_matches(question, object, condition, field, data))
      return TRUE;
  }
  return FALSE;
}

static gboolean condition_matches(
  Question *question, gconstpointer object, const Expression *condition, gpointer data) {
  gboolean ordered = condition->op != OP_EQUAL && condition->op != OP_NOT_EQUAL;
  if (condition->field != NULL && (ordered || !is_text(condition->field)))
    return number_matches(question, object, condition, data);
  gboolean found = condition->field != NULL ? text_matches(question, object, condition, condition->field, data)
                                            : free_text_matches(question, object, condition, data);
  return found == (condition->op == OP_EQUAL);
}

static gboolean matches(Question *question, const Expression *expression, gconstpointer object, gpointer data) {
  if (expression->kind == EXPRESSION_CONDITION)
    return condition_matches(question, object, expression, data);
  if (expression->kind == EXPRESSION_RELATED)
    return question->kind->related != NULL ? question->kind->related(object, expression->group, data)
                                           : dm_search_group_matches(expression->group, NULL, data);
  gboolean decides = expression->kind == EXPRESSION_OR; /* one part with this result decides */
  for (guint i = 0; i < expression->parts->len; i++) {
    if (matches(question, expression->parts->pdata[i], object, data) == decides)
      return decides;
  }
  return !decides;
}

static gboolean ask(Question *question, gconstpointer object, gpointer data) {
  if (question->expression == NULL)
    return TRUE;
  gboolean found = matches(question, question->expression, object, data);
  forget(question);
  return found;
}

gboolean dm_search_matches(DmSearch *search, gconstpointer object, gpointer data) {
  return ask(&search->question, object, data);
}

gboolean dm_search_group_matches(DmSearchGroup *group, gconstpointer related, gpointer data) {
  return ask(&group->question, related, data);
}

const GPtrArray *dm_search_groups(const DmSearch *search) {
  return search->groups;
}

const DmSearchReference *dm_search_group_reference(const DmSearchGroup *group) {
  return group->reference;
}

/* ---- order ---- */

/* The sort key of an object. */
typedef struct {
  gpointer object;
  char *text; /* folded; NULL: a number */
  gint64 number;
  gboolean is_there; /* an object without the value comes last, as in SQL */
} Key;

static void clear_key(gpointer data) {
  g_free(((Key *)data)->text);
}

static int compare_keys(gconstpointer left, gconstpointer right, gpointer data) {
  const DmSearch *search = data;
  const Key *a = search->descending ? right : left, *b = search->descending ? left : right;
  if (!a->is_there || !b->is_there)
    return b->is_there - a->is_there;
  if (a->text != NULL)
    return strcmp(a->text, b->text);
  return a->number < b->number ? -1 : a->number > b->number;
}

void dm_search_sort(const DmSearch *search, GPtrArray *objects, gpointer data) {
  const DmSearchKind *kind = search->question.kind;
  if (search->order == NULL || kind->get == NULL)
    return;
  Fold fold = search->order->kind == DM_FIELD_ENUM ? FOLD_ENUM : FOLD_CASE;
  g_autoptr(GArray) keys = g_array_sized_new(FALSE, TRUE, sizeof(Key), objects->len);
  g_array_set_clear_func(keys, clear_key);
  for (guint i = 0; i < objects->len; i++) {
    DmSearchValue value = {0};
    Key key = {.object = objects->pdata[i]};
    key.is_there = kind->get(key.object, search->order->number, &value, data);
    key.number = value.number;
    if (is_text(search->order)) {
      key.text = fold_value(value.text, fold);
      key.is_there = key.text != NULL;
    }
    g_array_append_val(keys, key);
  }
  g_array_sort_with_data(keys, compare_keys, (gpointer)search); /* a merge sort: stable */
  for (guint i = 0; i < keys->len; i++)
    objects->pdata[i] = g_array_index(keys, Key, i).object;
}

gboolean dm_search_is_empty(const DmSearch *search) {
  return search->question.expression == NULL;
}

int dm_search_order(const DmSearch *search) {
  return search->order != NULL ? search->order->number : -1;
}

gboolean dm_search_is_descending(const DmSearch *search) {
  return search->descending;
}

guint dm_search_page(const DmSearch *search) {
  return search->page;
}
