/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt writes domain XML, but names, metadata and aliases in it are anybody's. */
#include "domain_xml.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *xml = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmRequest) request = NULL;
  g_autoptr(DmConfig) config = domain_xml_read(xml, vm, &request, &error);
  g_assert((config == NULL) == (error != NULL));
  if (config == NULL) {
    g_assert(request == NULL);
    return 0;
  }
  g_assert(dm_config_guaranteed(config) <= dm_config_memory(config));
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    g_assert((device->id == NULL) == (device->alias == NULL));
  }
  /* What was read asks for no edit, unless its units are not libvirt's; then the edited one can be read in its turn. */
  g_autofree char *edited = domain_xml_edit(xml, config, &error);
  g_assert_no_error(error);
  if (edited != NULL) {
    g_autoptr(DmVm) again = dm_vm_new();
    g_autoptr(DmConfig) reread = domain_xml_read(edited, again, NULL, &error);
    g_assert_no_error(error);
    g_assert(reread->devices->len == config->devices->len);
  }
  return 0;
}
