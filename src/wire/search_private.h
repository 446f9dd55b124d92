/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed search, from search_parse.c, matched by search.c. Not for other layers. */
#pragma once

#include "wire/search.h"

typedef enum {
  OP_EQUAL,
  OP_NOT_EQUAL,
  OP_LESS,
  OP_LESS_EQUAL,
  OP_GREATER,
  OP_GREATER_EQUAL,
} SearchOp;

/*
 * A text with wildcards, cut at them: "web*1" is "web" and "1", and a single piece must equal the whole text. The
 * pieces are folded like the texts.
 */
typedef char **Pattern;

typedef enum {
  FOLD_NONE, /* case counts */
  FOLD_CASE,
  FOLD_ENUM, /* case, blanks and '_' do not count */
} Fold;

/* @text folded for comparison. The caller frees. */
char *fold_text(const char *text, Fold fold) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The pattern at @start..@end; @quoted: \" is a quote, \* a star and \\ a backslash. @anywhere: it may match anywhere
 * in the text. g_strfreev().
 */
Pattern pattern_new(const char *start, const char *end, gboolean quoted, gboolean anywhere, Fold fold);

/* @text: folded; NULL is as an empty text, except that no wildcard fits it. */
gboolean pattern_matches(Pattern pattern, const char *text);

/*
 * search_value.c: parses a DATE or SPAN into milliseconds. @end: the end of a date's day, or for a moment
 * (milliseconds), just after it. FALSE: invalid.
 */
gboolean value_of_date(const char *text, gint64 *start, gint64 *end);
gboolean value_of_span(const char *text, gint64 *milliseconds);

typedef enum {
  EXPRESSION_CONDITION,
  EXPRESSION_AND,
  EXPRESSION_OR,
  EXPRESSION_RELATED,
} ExpressionKind;

typedef struct Expression Expression;

struct Expression {
  ExpressionKind kind;
  GPtrArray *parts; /* of AND and OR: Expression */

  /* Of a condition. */
  const DmSearchReference *reference; /* of related objects; NULL: of the searched one */
  const DmSearchField *field;         /* NULL: every field with free_text */
  SearchOp op;
  gint64 number;     /* to compare with: of an ENUM, a rank */
  gint64 end;        /* values equal to the number lie below this */
  Pattern text;      /* for DM_FIELD_TEXT and numbers in free text */
  Pattern enum_text; /* for DM_FIELD_ENUM */

  DmSearchGroup *group; /* of RELATED; the search's */
};

/* Cached values of the present object. */
typedef struct {
  gboolean known;
  gboolean there;
  gint64 number;
  char *text, *other; /* folded; NULL: none */
} Known;

/* Conditions on one object, and its cached values. */
typedef struct {
  const DmSearchKind *kind;
  Expression *expression; /* NULL: everything matches */
  gboolean case_sensitive;
  Known *known;  /* by the rows of the kind's fields */
  guint *looked; /* the cached rows, */
  guint count;   /* their number */
} Question;

struct DmSearchGroup {
  const DmSearchReference *reference;
  Question question;
};

/* The index of @text in @ranks; -1: none. */
int rank_of(const char *const *ranks, const char *text);

void expression_free(Expression *expression);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Expression, expression_free)

/* Takes ownership of @expression. */
void question_init(Question *question, const DmSearchKind *kind, Expression *expression, gboolean case_sensitive);

struct DmSearch {
  Question question;
  GPtrArray *groups;          /* DmSearchGroup, owned */
  const DmSearchField *order; /* NULL: none */
  gboolean descending;
  guint page;
};

/* search_group.c: @expression (takes ownership), with its conditions on related objects as groups of @search. */
Expression *gather_groups(DmSearch *search, Expression *expression) G_GNUC_WARN_UNUSED_RESULT;
