/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A representation of the REST API as a tree, serialized as oVirt's XML or oVirt's JSON (version 4). No I/O, no
 * threads.
 *
 * | in the tree        | XML                        | JSON                                                   |
 * | attribute          | attribute                  | string member                                          |
 * | text               | element                    | string                                                 |
 * | number, boolean    | element                    | string: "2147483648", "true" (oVirt's adapters)        |
 * | decimal            | element                    | number                                                 |
 * | date               | 2026-07-13T11:28:07.123Z   | number: milliseconds since 1970                        |
 * | object             | element                    | object                                                 |
 * | item               | element                    | member of the array of that name: {"vm":[...]}         |
 *
 * The root's name is the XML root; JSON omits it. Names are not copied: pass string literals.
 */
#pragma once

#include <glib.h>

typedef struct DmNode DmNode;

typedef enum {
  DM_FORMAT_XML,
  DM_FORMAT_JSON,
} DmFormat;

DmNode *dm_node_new(const char *name) G_GNUC_WARN_UNUSED_RESULT;
void dm_node_free(DmNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmNode, dm_node_free)

/* Replaces an attribute of that name; a NULL value does nothing. */
void dm_node_set_attribute(DmNode *node, const char *name, const char *value);

/* Children; the parent owns them. A NULL text adds nothing (an empty element breaks clients). */
void dm_node_add_text(DmNode *parent, const char *name, const char *text);
void dm_node_add_number(DmNode *parent, const char *name, gint64 number);
void dm_node_add_boolean(DmNode *parent, const char *name, gboolean value);
/* Six places at most, never an exponent; a non-finite number adds nothing. */
void dm_node_add_decimal(DmNode *parent, const char *name, double value);
void dm_node_add_date(DmNode *parent, const char *name, gint64 milliseconds);
DmNode *dm_node_add_object(DmNode *parent, const char *name);                   /* borrowed */
DmNode *dm_node_add_item(DmNode *parent, const char *name);                     /* borrowed: one of an array */
void dm_node_add_item_text(DmNode *parent, const char *name, const char *text); /* "devices":{"device":["hd"]} */
/* A whole number that is a number in JSON too: a statistic's datum. */
void dm_node_add_plain_number(DmNode *parent, const char *name, gint64 number);

/* true or false, for JSON clients other than oVirt's. */
void dm_node_add_plain_boolean(DmNode *parent, const char *name, gboolean value);

/* Adds the root @node, with its name, under @parent; takes ownership. */
void dm_node_adopt(DmNode *parent, DmNode *node, gboolean as_item);

/* Reads the tree. @after NULL: the first child; NULL: no more. All is borrowed. */
DmNode *dm_node_next(const DmNode *parent, const DmNode *after);
const char *dm_node_name(const DmNode *node);
gboolean dm_node_is_item(const DmNode *node);
const char *dm_node_attribute(const DmNode *node, const char *name); /* NULL: none of that name */

/* Replaces the attributes and children of @node by those of @from, a root, of which it takes ownership. */
void dm_node_fill(DmNode *node, DmNode *from);

/* Appends the text of the tree to @out: no declaration, no white space. Bytes not allowed in XML become U+FFFD. */
void dm_node_write(const DmNode *node, DmFormat format, GString *out);

/* "application/xml" or "application/json", with the charset. */
const char *dm_format_content_type(DmFormat format);

/* The format of a body with this Content-Type; *FALSE, with *format unchanged: neither. */
gboolean dm_format_of_type(const char *content_type, DmFormat *format);

/*
 * The format that an Accept header prefers; among equals one that is named, then the first named, then XML. FALSE: it
 * accepts neither.
 */
gboolean dm_format_negotiate(const char *accept, DmFormat *format);

/* The prolog before the root element in XML; "" in JSON. */
const char *dm_format_declaration(DmFormat format);

/* ---- a body that a client sent ---- */

typedef struct DmBody DmBody;

/*
 * Reads a body in XML or JSON. XML: the root element must be @root; DTDs and custom entities are refused, nothing is
 * fetched. JSON: an object, without a root. Unknown members are kept and ignored. An empty body is an empty root. Depth
 * is limited. NULL with DM_ERROR_BAD_REQUEST, or DM_ERROR_BAD_VALUE for a JSON number beyond 64 bits. JSON null is as
 * absent; an array becomes several children of its name, marked as such.
 */
DmBody *dm_body_parse(GBytes *bytes, DmFormat format, const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_body_free(DmBody *body);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmBody, dm_body_free)

/* The child object of that name, owned by the body; NULL: not there, or @body is NULL. */
const DmBody *dm_body_child(const DmBody *body, const char *name);

/* The next one of the same name beside @child: the members of a list, from the first child on; NULL: there is none. */
const DmBody *dm_body_next(const DmBody *child);

/*
 * The only child of that name, an object or empty; NULL in @object: none. FALSE with DM_ERROR_BAD_REQUEST: there are
 * two, or it is a value or a JSON array. @body may be NULL.
 */
gboolean dm_body_object(
  const DmBody *body, const char *name, const DmBody **object, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Each child occurs once and is no JSON array, except for @lists (NULL-terminated). Else DM_ERROR_BAD_REQUEST: oVirt
 * uses the last of two, and the client may have meant the other. @body may be NULL.
 */
gboolean dm_body_check_once(const DmBody *body, const char *const *lists, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether a child of that name is there (even an empty one). @body may be NULL. */
gboolean dm_body_has(const DmBody *body, const char *name);

/* The text of the first child, or attribute, of that name; NULL: not there, or it has children. Owned by the body. */
const char *dm_body_text(const DmBody *body, const char *name);

/*
 * The name of the first non-empty child or attribute not among @known (NULL-terminated); NULL: none. @body may be NULL.
 */
const char *dm_body_other(const DmBody *body, const char *const *known);

/*
 * The paths (char, owned), such as "os.boot.devices", at which @body differs from @node, the object's representation:
 * another value, or a path the object does not have. In the order sent, each once, 32 at most. Numbers and booleans are
 * compared as such; empty values are ignored, as are href and the paths of @skipped (NULL-terminated) with everything
 * below. The caller unrefs.
 */
GPtrArray *dm_body_differences(
  const DmBody *body, const DmNode *node, const char *const *skipped) G_GNUC_WARN_UNUSED_RESULT;

/*
 * A plain text, "" if empty. Absent or twice: as for a number below. Line breaks and tabs are allowed; other control
 * characters and those not allowed in XML are DM_ERROR_BAD_VALUE. In JSON it may also be a whole number, which has one
 * spelling; true and 1.50 do not: DM_ERROR_BAD_REQUEST. *text is owned by the body.
 */
gboolean dm_body_plain_text(
  const DmBody *body, const char *name, gboolean *present, const char **text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * A whole number of a child (JSON: a number or a decimal string). TRUE with *present and *value; an absent one is TRUE
 * with *present FALSE. FALSE with DM_ERROR_BAD_REQUEST for text, DM_ERROR_BAD_VALUE beyond 64 bits. An empty text is 0,
 * as in oVirt. Duplicates, members of a JSON array, and values with attributes or elements inside are ambiguous and
 * refused (DM_ERROR_BAD_REQUEST).
 */
gboolean dm_body_number(
  const DmBody *body, const char *name, gboolean *present, gint64 *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* true/false in any case, 1/0; else DM_ERROR_BAD_VALUE. Absent or twice: as above. */
gboolean dm_body_boolean(
  const DmBody *body, const char *name, gboolean *present, gboolean *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
