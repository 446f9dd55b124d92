/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dimmer keeps in a VM's metadata, which anybody may edit who may define the VM: read, written, and read again, it
 * is the same. The input is the element's own text.
 */
#include <string.h>

#include "fuzz.h"
#include "metadata.h"

typedef struct {
  DmConfig *config;
  DmRequest *request;
  GPtrArray *refusals;
} Record;

static void record_clear(Record *record) {
  dm_config_free(record->config);
  dm_request_free(record->request);
  if (record->refusals != NULL)
    g_ptr_array_unref(record->refusals);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Record, record_clear)

/* @element begins with "<memory"; libvirt gives it its namespace. FALSE: it is no XML. */
static gboolean read_record(const char *element, gboolean has_namespace, Record *record) {
  g_autofree char *named = has_namespace
    ? g_strdup(element)
    : g_strdup_printf("<memory xmlns='" METADATA_NAMESPACE "'%s", element + strlen("<memory"));
  g_autofree char *whole = g_strdup_printf("<metadata>%s</metadata>", named);
  g_autoptr(xmlDoc) doc = xml_parse(whole, NULL);
  record->config = dm_config_new();
  record->refusals = g_ptr_array_new_with_free_func((GDestroyNotify)dm_refusal_free);
  if (doc == NULL)
    return FALSE;
  record->request = metadata_read(xmlDocGetRootElement(doc), record->config);
  metadata_read_refusals(xmlDocGetRootElement(doc), record->refusals);
  return TRUE;
}

static char *write_record(const Record *record) {
  return metadata_format(record->config->guaranteed, record->config, record->request, record->refusals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autofree char *element = g_strdup_printf("<memory xmlns='" METADATA_NAMESPACE "' %s</memory>", text);
  g_auto(Record) record = {0}, again = {0};
  if (!read_record(element, TRUE, &record))
    return 0;
  g_autofree char *written = write_record(&record);
  if (written == NULL)
    return 0;
  g_assert(g_utf8_validate(written, -1, NULL));
  g_assert(read_record(written, FALSE, &again));
  g_autofree char *rewritten = write_record(&again);
  g_assert_cmpstr(rewritten, ==, written);
  return 0;
}
