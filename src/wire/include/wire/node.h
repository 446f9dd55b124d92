/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the REST API says, as one tree that is written as oVirt's XML or as oVirt's JSON (version 4). No I/O, no
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
 * The root's name is the XML root; in JSON it is not written. Names are not copied: they are string literals.
 */
#pragma once

#include <glib.h>

typedef struct DmNode DmNode;

typedef enum {
  DM_FORMAT_XML,
  DM_FORMAT_JSON,
} DmFormat;

DmNode *dm_node_new(const char *name);
void dm_node_free(DmNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmNode, dm_node_free)

/* Replaces one of that name; a NULL value sets nothing. */
void dm_node_set_attribute(DmNode *node, const char *name, const char *value);

/* Children; the parent owns them. A NULL text adds nothing (an empty element breaks clients). */
void dm_node_add_text(DmNode *parent, const char *name, const char *text);
void dm_node_add_number(DmNode *parent, const char *name, gint64 number);
void dm_node_add_boolean(DmNode *parent, const char *name, gboolean value);
/* Six places at most, never an exponent; what is not finite adds nothing. */
void dm_node_add_decimal(DmNode *parent, const char *name, double value);
void dm_node_add_date(DmNode *parent, const char *name, gint64 milliseconds);
DmNode *dm_node_add_object(DmNode *parent, const char *name);                   /* borrowed */
DmNode *dm_node_add_item(DmNode *parent, const char *name);                     /* borrowed: one of an array */
void dm_node_add_item_text(DmNode *parent, const char *name, const char *text); /* "devices":{"device":["hd"]} */
/* A whole number that JSON writes as a number too: a statistic's datum. */
void dm_node_add_plain_number(DmNode *parent, const char *name, gint64 number);

/* Puts @node, a root whose name it keeps, under @parent; takes ownership. */
void dm_node_adopt(DmNode *parent, DmNode *node, gboolean as_item);

/* Appends the text of the tree to @out: no declaration, no white space. Bytes that XML cannot hold become U+FFFD. */
void dm_node_write(const DmNode *node, DmFormat format, GString *out);

/* "application/xml" or "application/json", with the charset. */
const char *dm_format_content_type(DmFormat format);

/*
 * The one that an Accept header would rather have; of equals the one that is named, then named first, then XML. FALSE:
 * it takes neither.
 */
gboolean dm_format_negotiate(const char *accept, DmFormat *format);

/* What stands before a root element in XML; "" in JSON. */
const char *dm_format_declaration(DmFormat format);

/* ---- a body that a client sent ---- */

typedef struct DmBody DmBody;

/*
 * Reads a body in XML or JSON. XML: the root element must be @root; DTDs and entities of one's own are refused, nothing
 * is fetched. JSON: an object, without a root. Unknown members are kept and ignored. An empty body counts as an empty
 * root. Depth is bounded. NULL with DM_ERROR_BAD_REQUEST, or DM_ERROR_BAD_VALUE for a JSON number beyond 64 bits.
 * null in JSON is as if it were not there, an array as so many children of its name.
 */
DmBody *dm_body_parse(GBytes *bytes, DmFormat format, const char *root, GError **error);
void dm_body_free(DmBody *body);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmBody, dm_body_free)

/* The child object of that name, the body's own; NULL: not there, or @body is NULL. */
const DmBody *dm_body_child(const DmBody *body, const char *name);

/* Whether a child of that name is there (even an empty one). @body may be NULL. */
gboolean dm_body_has(const DmBody *body, const char *name);

/* The text of the first child, or attribute, of that name; NULL: not there, or it holds others. The body keeps it. */
const char *dm_body_text(const DmBody *body, const char *name);

/*
 * The name of the first child or attribute that is none of @known (NULL-terminated) and not empty; NULL: none. @body
 * may be NULL.
 */
const char *dm_body_other(const DmBody *body, const char *const *known);

/*
 * A whole number of a child (JSON: a number or a decimal string). TRUE with *present and *value; an absent one is
 * TRUE with *present FALSE. FALSE with DM_ERROR_BAD_REQUEST for text, DM_ERROR_BAD_VALUE for what does not fit 64 bits.
 * An empty text is 0, as for oVirt. A value that is there twice is refused (DM_ERROR_BAD_REQUEST): which one was meant?
 */
gboolean dm_body_number(const DmBody *body, const char *name, gboolean *present, gint64 *value, GError **error);

/* true/false in any case, 1/0; else DM_ERROR_BAD_VALUE. Absent or twice: as above. */
gboolean dm_body_boolean(const DmBody *body, const char *name, gboolean *present, gboolean *value, GError **error);
