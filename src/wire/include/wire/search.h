/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oVirt's search language: name=web* and (host.name = node1 or memory > 1024) sortby name desc page 2. A search is
 * parsed once for a kind of object, then matched against each object. No I/O except the clock and time zone, for
 * "today".
 *
 * A search caches values of the current object, so it belongs to one thread.
 */
#pragma once

#include <glib.h>

typedef enum {
  DM_FIELD_TEXT,    /* = and != with *, any case unless case_sensitive */
  DM_FIELD_NUMBER,  /* all operators; whole numbers without a unit */
  DM_FIELD_DECIMAL, /* the same, with decimals; its number is in thousandths */
  DM_FIELD_ENUM,    /* as text; blanks, '_' and case are insignificant: powering_up, PoweringUp */
  DM_FIELD_DATE,    /* all operators; today, yesterday, monday, "2026-11-29 14:30", "Nov 29, 2026", milliseconds; the
                       number is milliseconds since 1970. = means within that day, > since its beginning */
  DM_FIELD_SPAN,    /* all operators; days, or [days.]hours:minutes[:seconds]; the number is in milliseconds */
#define DM_FIELD_KINDS (DM_FIELD_SPAN + 1)
} DmFieldKind;

typedef struct {
  const char *name;
  DmFieldKind kind;
  int number;                /* the field's number within its kind; rows may share one */
  gboolean free_text;        /* conditions without a field search it too */
  const char *const *ranks;  /* of an ordered ENUM: all values, lowest first, NULL-terminated */
  const char *const *values; /* of another ENUM: all values, NULL-terminated; NULL: not known, any is accepted */
  gboolean nullable;         /* of TEXT: null equals "" */
  gboolean sort_only;        /* only for sortby: elsewhere the name means another field */
} DmSearchField;

/* The value of a field. */
typedef struct {
  const char *text;  /* of TEXT and ENUM; borrowed from the object, or in buffer */
  const char *other; /* alias; NULL: none */
  gint64 number;     /* of other types */
  char made[64];     /* buffer for a text that the object does not have as such */
} DmSearchValue;

typedef struct DmSearch DmSearch;
typedef struct DmSearchGroup DmSearchGroup;
typedef struct DmSearchKind DmSearchKind;

/* Related objects of another kind: "host", singular or plural, prefixes a field of theirs. */
typedef struct {
  const char *name;         /* singular */
  int number;               /* the reference's number within its kind */
  const DmSearchKind *kind; /* of the objects referred to */
} DmSearchReference;

/*
 * What can be searched of one kind of object. A missing text is as an empty one, except that no wildcard matches it; a
 * missing number is unequal to all, and sorted last.
 */
struct DmSearchKind {
  const DmSearchField *fields;         /* terminated by a row without a name */
  const DmSearchReference *references; /* the same; NULL: none */
  /* FALSE: the object has no value there. NULL: no object has. @data is that of dm_search_matches(). */
  gboolean (*get)(gconstpointer object, int field, DmSearchValue *value, gpointer data);
  /*
   * Whether dm_search_group_matches() one of the objects that the group's reference leads to from @object; if there is
   * none, whether it matches NULL. NULL: there are never any.
   */
  gboolean (*related)(gconstpointer object, DmSearchGroup *group, gpointer data);
};

/*
 * @kind must outlive the search. "" or NULL matches everything. In quoted text, \", \\ and \* are the characters
 * themselves. A condition without a field matches anywhere in a value, as does one with a reference alone. Conditions
 * without an operator between them must all match; "or" binds tighter than that. NULL with DM_ERROR_BAD_SEARCH, whose
 * message quotes the text, marks the position and lists the fields.
 */
DmSearch *dm_search_parse(
  const char *text, const DmSearchKind *kind, gboolean case_sensitive, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_search_free(DmSearch *search);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmSearch, dm_search_free)

/* Only the first 4096 bytes of a text are matched. */
gboolean dm_search_matches(DmSearch *search, gconstpointer object, gpointer data);

/*
 * The conditions on related objects, which a single object must all match: a group for each reference, more if they are
 * joined by "or". Valid as long as the search.
 */
const GPtrArray *dm_search_groups(const DmSearch *search);
const DmSearchReference *dm_search_group_reference(const DmSearchGroup *group);
/* @related NULL: an object without any values. */
gboolean dm_search_group_matches(DmSearchGroup *group, gconstpointer related, gpointer data);

/* Sorts objects (gpointer) as "sortby" says; unchanged without it. Stable. */
void dm_search_sort(const DmSearch *search, GPtrArray *objects, gpointer data);

/* The search is empty: everything matches. */
gboolean dm_search_is_empty(const DmSearch *search);

/* The number of the "sortby" field; -1: none. */
int dm_search_order(const DmSearch *search);
gboolean dm_search_is_descending(const DmSearch *search);

/* "page N"; 1 without it. */
guint dm_search_page(const DmSearch *search);
