/* SPDX-License-Identifier: Apache-2.0 */
/* What search_parse.c makes of a search and search.c asks of objects. Not for other layers. */
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
 * A text with wildcards, cut at them: "web*1" is "web" and "1", and one piece alone must be the whole text. The pieces
 * are folded as the texts are that they meet.
 */
typedef char **Pattern;

typedef enum {
  FOLD_NONE, /* case counts */
  FOLD_CASE,
  FOLD_ENUM, /* case, blanks and '_' do not count */
} Fold;

/* @text as it is compared. The caller frees. */
char *fold_text(const char *text, Fold fold);

/*
 * The pattern of what stands at @start..@end; @quoted: \" is a quote, \* a star and \\ a backslash. @anywhere: it may
 * stand anywhere in the text. g_strfreev().
 */
Pattern pattern_new(const char *start, const char *end, gboolean quoted, gboolean anywhere, Fold fold);

/* @text: folded; NULL is as an empty text, except that no wildcard fits it. */
gboolean pattern_matches(Pattern pattern, const char *text);

typedef enum {
  EXPRESSION_CONDITION,
  EXPRESSION_AND,
  EXPRESSION_OR,
} ExpressionKind;

typedef struct Expression Expression;

struct Expression {
  ExpressionKind kind;
  GPtrArray *parts; /* of AND and OR: Expression */

  /* Of a condition. */
  const DmSearchField *field; /* NULL: every field with free_text */
  SearchOp op;
  gint64 number;     /* to compare with: of an ENUM, a rank */
  Pattern text;      /* for DM_FIELD_TEXT and numbers in free text */
  Pattern enum_text; /* for DM_FIELD_ENUM */
};

/* Where @text stands in @ranks; -1: nowhere. */
int rank_of(const char *const *ranks, const char *text);

void expression_free(Expression *expression);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Expression, expression_free)

struct DmSearch {
  const DmSearchField *fields;
  gboolean case_sensitive;
  Expression *expression;     /* NULL: everything matches */
  const DmSearchField *order; /* NULL: none */
  gboolean descending;
  guint page;
};
