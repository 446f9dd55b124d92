/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/search.h"

#include <string.h>

#include "search_private.h"

void expression_free(Expression *expression) {
  if (expression == NULL)
    return;
  if (expression->parts != NULL)
    g_ptr_array_unref(expression->parts);
  g_strfreev(expression->text);
  g_strfreev(expression->enum_text);
  g_free(expression);
}

void dm_search_free(DmSearch *search) {
  if (search == NULL)
    return;
  expression_free(search->expression);
  g_free(search);
}

typedef struct {
  const DmSearch *search;
  DmSearchGetter get;
  gconstpointer object;
} Question;

static Fold fold_of(const DmSearch *search, const DmSearchField *field) {
  if (field->kind == DM_FIELD_ENUM)
    return FOLD_ENUM;
  return search->case_sensitive ? FOLD_NONE : FOLD_CASE;
}

static gboolean text_matches(const Question *question, const Expression *condition, const DmSearchField *field) {
  gint64 number = 0;
  const char *text = question->get(question->object, field->number, &number);
  char digits[24];
  if (field->kind == DM_FIELD_NUMBER && text != NULL) { /* found by free text */
    g_snprintf(digits, sizeof digits, "%" G_GINT64_FORMAT, number);
    text = digits;
  }
  g_autofree char *folded = text != NULL ? fold_text(text, fold_of(question->search, field)) : NULL;
  return pattern_matches(field->kind == DM_FIELD_ENUM ? condition->enum_text : condition->text, folded);
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

static gboolean number_matches(const Question *question, const Expression *condition) {
  const DmSearchField *field = condition->field;
  gint64 number = 0;
  const char *text = question->get(question->object, field->number, &number);
  if (text == NULL)
    return condition->op == OP_NOT_EQUAL;
  if (field->kind == DM_FIELD_ENUM)
    number = rank_of(field->ranks, text);
  switch (condition->op) {
    case OP_EQUAL:
      return number == condition->number;
    case OP_NOT_EQUAL:
      return number != condition->number;
    case OP_LESS:
      return number < condition->number;
    case OP_LESS_EQUAL:
      return number <= condition->number;
    case OP_GREATER:
      return number > condition->number;
    case OP_GREATER_EQUAL:
      return number >= condition->number;
  }
  return FALSE;
}

static gboolean condition_matches(const Question *question, const Expression *condition) {
  if (condition->field == NULL) {
    for (const DmSearchField *field = question->search->fields; field->name != NULL; field++) {
      if (field->free_text && text_matches(question, condition, field))
        return TRUE;
    }
    return FALSE;
  }
  gboolean ordered = condition->op != OP_EQUAL && condition->op != OP_NOT_EQUAL;
  if (condition->field->kind == DM_FIELD_NUMBER || ordered)
    return number_matches(question, condition);
  return text_matches(question, condition, condition->field) == (condition->op == OP_EQUAL);
}

static gboolean matches(const Question *question, const Expression *expression) {
  if (expression->kind == EXPRESSION_CONDITION)
    return condition_matches(question, expression);
  gboolean decides = expression->kind == EXPRESSION_OR; /* one part of this outcome settles it */
  for (guint i = 0; i < expression->parts->len; i++) {
    if (matches(question, expression->parts->pdata[i]) == decides)
      return decides;
  }
  return !decides;
}

gboolean dm_search_matches(const DmSearch *search, DmSearchGetter get, gconstpointer object) {
  const Question question = {search, get, object};
  return search->expression == NULL || matches(&question, search->expression);
}

/* What one object is sorted by. */
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

void dm_search_sort(const DmSearch *search, DmSearchGetter get, GPtrArray *objects) {
  if (search->order == NULL)
    return;
  gboolean is_number = search->order->kind == DM_FIELD_NUMBER;
  Fold fold = search->order->kind == DM_FIELD_ENUM ? FOLD_ENUM : FOLD_CASE;
  g_autoptr(GArray) keys = g_array_sized_new(FALSE, TRUE, sizeof(Key), objects->len);
  g_array_set_clear_func(keys, clear_key);
  for (guint i = 0; i < objects->len; i++) {
    Key key = {.object = objects->pdata[i]};
    const char *text = get(key.object, search->order->number, &key.number);
    key.is_there = text != NULL;
    key.text = text != NULL && !is_number ? fold_text(text, fold) : NULL;
    g_array_append_val(keys, key);
  }
  g_array_sort_with_data(keys, compare_keys, (gpointer)search); /* a merge sort: stable */
  for (guint i = 0; i < keys->len; i++)
    objects->pdata[i] = g_array_index(keys, Key, i).object;
}

gboolean dm_search_has_order(const DmSearch *search) {
  return search->order != NULL;
}

guint dm_search_page(const DmSearch *search) {
  return search->page;
}
