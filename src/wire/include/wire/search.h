/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oVirt's search language: name=web* and (cluster.name = Default or memory > 1024) sortby name desc page 2.
 * A search is parsed once against a table of the fields that an object has, then asked of each object. No I/O.
 */
#pragma once

#include <glib.h>

typedef enum {
  DM_FIELD_TEXT,   /* = and != with *, any case unless case_sensitive */
  DM_FIELD_NUMBER, /* all operators; whole numbers without a unit */
  DM_FIELD_ENUM,   /* as text; blanks, '_' and case are insignificant: powering_up, PoweringUp */
} DmFieldKind;

typedef struct {
  const char *name; /* "name", "host.name"; several rows may lead to one number */
  DmFieldKind kind;
  int number;                /* what the caller knows the field by */
  gboolean free_text;        /* a condition without a field looks here too */
  const char *const *ranks;  /* of an ENUM whose values have an order: all of them, lowest first, NULL-terminated */
  const char *const *values; /* of another ENUM: all of them, NULL-terminated; NULL: not known, any is taken */
} DmSearchField;

/*
 * The value of a field of @object. Text: return it (borrowed, NULL: none). Number: *number, and any non-NULL return.
 * No text is as an empty one, save that no wildcard fits it; no number is unequal to all, and sorted last.
 */
typedef const char *(*DmSearchGetter)(gconstpointer object, int field, gint64 *number);

typedef struct DmSearch DmSearch;

/*
 * @fields ends with a row without a name, and must outlive the search. "" or NULL matches everything. Text in quotes
 * takes \", \\ and \* for the characters themselves. A condition without a field is found anywhere in a value. NULL
 * with DM_ERROR_BAD_SEARCH, whose message quotes the text, points at the place and names the fields there are.
 */
DmSearch *dm_search_parse(const char *text, const DmSearchField *fields, gboolean case_sensitive, GError **error);
void dm_search_free(DmSearch *search);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmSearch, dm_search_free)

gboolean dm_search_matches(const DmSearch *search, DmSearchGetter get, gconstpointer object);

/* Sorts objects (gpointer) as "sortby" says; as they are where it does not. Stable. */
void dm_search_sort(const DmSearch *search, DmSearchGetter get, GPtrArray *objects);

/* "sortby" is there. */
gboolean dm_search_has_order(const DmSearch *search);

/* "page N": 1 where there is none. */
guint dm_search_page(const DmSearch *search);
