/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.severity=error and events.message=x* means one event that is both: oVirt joins the tables. So conditions
 * joined by "and" on one reference become a group, which each object must match as a whole.
 */
#include "search_private.h"

/* Marks an expression on more than one object. */
static const DmSearchReference mixed;

static const DmSearchReference *asked_by(const Expression *expression) {
  if (expression->kind == EXPRESSION_CONDITION)
    return expression->reference;
  const DmSearchReference *first = asked_by(expression->parts->pdata[0]);
  for (guint i = 1; i < expression->parts->len; i++) {
    if (asked_by(expression->parts->pdata[i]) != first)
      return &mixed;
  }
  return first;
}

static Expression *group_new(DmSearch *search, const DmSearchReference *reference, Expression *expression) {
  DmSearchGroup *group = g_new0(DmSearchGroup, 1);
  Expression *related = g_new0(Expression, 1);
  group->reference = reference;
  question_init(&group->question, reference->kind, expression, search->question.case_sensitive);
  g_ptr_array_add(search->groups, group);
  related->kind = EXPRESSION_RELATED;
  related->group = group;
  return related;
}

/* Removes from @parts, from @at on, those on the reference of the first, as one expression. */
static Expression *take_alike(GPtrArray *parts, guint at, const DmSearchReference *reference, ExpressionKind kind) {
  Expression *joined = g_new0(Expression, 1);
  joined->kind = kind;
  joined->parts = g_ptr_array_new_with_free_func((GDestroyNotify)expression_free);
  for (guint i = at; i < parts->len;) {
    if (asked_by(parts->pdata[i]) == reference)
      g_ptr_array_add(joined->parts, g_ptr_array_steal_index(parts, i));
    else
      i++;
  }
  return joined;
}

Expression *gather_groups(DmSearch *search, Expression *expression) {
  const DmSearchReference *reference = asked_by(expression);
  if (reference == NULL)
    return expression;
  if (reference != &mixed)
    return group_new(search, reference, expression);
  GPtrArray *parts = expression->parts;
  for (guint i = 0; i < parts->len; i++) {
    const DmSearchReference *of_part = asked_by(parts->pdata[i]);
    if (of_part == NULL)
      continue;
    if (of_part == &mixed)
      parts->pdata[i] = gather_groups(search, parts->pdata[i]);
    else
      g_ptr_array_insert(parts, (gint)i, group_new(search, of_part, take_alike(parts, i, of_part, expression->kind)));
  }
  return expression;
}
