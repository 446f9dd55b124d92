/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxml2's parser with callbacks of our own instead of its tree: a DTD is refused before anything in it is read, so
 * that there are no entities to expand and nothing to fetch, and depth is checked while it grows.
 */
#include <libxml/SAX2.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "base/error.h"
#include "body_private.h"
#include "cite.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

typedef struct {
  DmBody *open[BODY_DEPTH]; /* the open elements; [0] is the root */
  guint depth;
  GString *text; /* text of the innermost one, since its last child */
  GError *error; /* the first error; nothing is read after it */
} Reader;

static void G_GNUC_PRINTF(2, 3) refuse(xmlParserCtxt *context, const char *format, ...) {
  Reader *reader = context->_private;
  if (reader->error != NULL)
    return;
  va_list arguments;
  va_start(arguments, format);
  reader->error = g_error_new_valist(DM_ERROR, DM_ERROR_BAD_REQUEST, format, arguments);
  va_end(arguments);
  xmlStopParser(context);
}

static void on_document_type(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
  refuse(data, "the body has a document type (<!DOCTYPE>), which is not accepted; send the element alone");
}

static void read_attributes(DmBody *body, int count, const xmlChar **attributes) {
  for (int i = 0; i < count; i++) {
    const char *const *attribute = (const char *const *)attributes + (gsize)i * 5; /* name, prefix, URI, begin, end */
    if (attribute[1] != NULL)
      continue;
    body_set_text(body_add(body, attribute[0]), attribute[3], (gsize)(attribute[4] - attribute[3]));
  }
}

/* The next child of the innermost open element. One with a prefix is not oVirt's: it is kept under an unused name. */
static DmBody *add_element(Reader *reader, const char *name, const char *prefix) {
  DmBody *parent = reader->open[reader->depth - 1];
  g_autofree char *full = prefix != NULL ? g_strconcat(prefix, ":", name, NULL) : NULL;
  DmBody *child = body_add(parent, full != NULL ? full : name);
  child->text = "";
  parent->text = NULL; /* an element with children has no text */
  g_string_truncate(reader->text, 0);
  return child;
}

static void on_start(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces,
  const xmlChar **namespace_list, int attribute_count, int defaulted, const xmlChar **attributes) {
  xmlParserCtxt *context = data;
  Reader *reader = context->_private;
  if (reader->error != NULL)
    return;
  if (reader->depth == BODY_DEPTH) {
    refuse(context, "the body has elements in elements deeper than %d; send it flatter", BODY_DEPTH);
    return;
  }
  DmBody *body = reader->open[0];
  if (reader->depth > 0) {
    body = add_element(reader, (const char *)name, (const char *)prefix);
  } else if (prefix != NULL || strcmp((const char *)name, body->name) != 0) {
    g_autofree char *full =
      g_strconcat(prefix != NULL ? (const char *)prefix : "", prefix != NULL ? ":" : "", name, NULL);
    g_autofree char *cited = cite(full);
    refuse(context, "the body's element is <%s>, but this request takes <%s>", cited, body->name);
    return;
  }
  reader->open[reader->depth++] = body;
  read_attributes(body, attribute_count, attributes);
}

static void on_end(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  Reader *reader = ((xmlParserCtxt *)data)->_private;
  if (reader->error != NULL || reader->depth == 0)
    return;
  DmBody *body = reader->open[--reader->depth];
  if (body->text != NULL)
    body_set_text(body, reader->text->str, reader->text->len);
  g_string_truncate(reader->text, 0);
}

static void on_text(void *data, const xmlChar *text, int length) {
  Reader *reader = ((xmlParserCtxt *)data)->_private;
  if (reader->error == NULL)
    g_string_append_len(reader->text, (const char *)text, length);
}

static void tell(void *context, const xmlError *problem) {
  g_autofree char *why = cite(problem->message != NULL ? problem->message : "not well-formed");
  refuse(context, "the body cannot be read as XML: line %d: %s; correct it there", problem->line, g_strstrip(why));
}

#if LIBXML_VERSION >= 21200
static void on_error(void *data, const xmlError *problem) {
#else
static void on_error(void *data, xmlError *problem) {
#endif
  if (problem->level >= XML_ERR_FATAL) /* lesser ones include an undeclared prefix */
    tell(data, problem);
}

gboolean body_xml_read(DmBody *body, const char *data, gsize size, GError **error) {
  static const xmlSAXHandler handler = {
    .initialized = XML_SAX2_MAGIC,
    .internalSubset = on_document_type,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .serror = on_error,
  };
  if (memchr(data, '\0', size) != NULL) { /* where libxml2 would stop, and treat the rest as complete */
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the body holds a NUL byte; send the XML as UTF-8");
    return FALSE;
  }
  xmlInitParser();
  g_autoptr(xmlParserCtxt) context = xmlCreateMemoryParserCtxt(data, (int)size);
  if (context == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "no memory to read the body");
    return FALSE;
  }
  g_autoptr(GString) text = g_string_new(NULL);
  Reader reader = {.open = {body}, .text = text};
  /* Without NOENT, an "&amp;" in an attribute would arrive as "&#38;". There are no other entities, see above. NOERROR
   * would keep errors from our handler since libxml2 2.13. */
  xmlCtxtUseOptions(context, XML_PARSE_NOENT | XML_PARSE_NONET | XML_PARSE_NOWARNING);
  *context->sax = handler;
  context->_private = &reader;
  xmlParseDocument(context);
  const xmlError *last = reader.error == NULL && !context->wellFormed ? xmlCtxtGetLastError(context) : NULL;
  if (last != NULL)
    tell(context, last);
  else if (reader.error == NULL && !context->wellFormed)
    refuse(context, "the body cannot be read as XML; correct it");
  if (reader.error != NULL) {
    g_propagate_error(error, reader.error);
    return FALSE;
  }
  return TRUE;
}
