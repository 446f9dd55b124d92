/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/size.h"
#include "cli.h"
#include "json.h"
#include "table.h"

static void add_difference(GString *text, const DmVm *vm, const char *name, uint64_t (*value)(const DmConfig *)) {
  if (value(vm->live) == value(vm->next_run))
    return;
  g_autofree char *size = dm_size_format(value(vm->next_run));
  g_string_append_printf(text, "%s%s%s", text->len > 0 ? ", " : "", name, size);
}

/* What the next run has that the running VM has not. The caller frees. */
static char *describe_next_run(const DmVm *vm) {
  if (vm->live == NULL)
    return g_strdup("-");
  if (vm->next_run == NULL)
    return g_strdup("none (transient)");
  if (!dm_vm_has_next_run(vm))
    return g_strdup("same");
  GString *text = g_string_new(NULL);
  add_difference(text, vm, "", dm_config_memory);
  add_difference(text, vm, "guaranteed ", dm_config_guaranteed);
  add_difference(text, vm, "maximum ", dm_config_maximum);
  return g_string_free(text, FALSE);
}

static void print_text(const GPtrArray *vms, const char *uri) {
  static const char *const headings[] = {
    "NAME", "STATE", "MEMORY", "GUARANTEED", "MAXIMUM", "DEVICES", "NEXT RUN", NULL};
  if (vms->len == 0) {
    printf("There are no VMs on %s\n", uri);
    return;
  }
  g_autoptr(Table) table = table_new(headings);
  for (guint i = 0; i < vms->len; i++) {
    const DmVm *vm = vms->pdata[i];
    const DmConfig *config = dm_vm_current(vm);
    table_add(table, g_strdup(vm->name));
    table_add(table, g_strdup_printf("%s%s", dm_vm_state_name(vm->state), vm->request != NULL ? ", request open" : ""));
    table_add(table, dm_size_format(dm_config_memory(config)));
    table_add(table, dm_size_format(dm_config_guaranteed(config)));
    table_add(table, config->maximum != 0 ? dm_size_format(config->maximum) : g_strdup("-"));
    table_add(table, g_strdup_printf("%u", config->devices->len));
    table_add(table, describe_next_run(vm));
  }
  table_print(table, "");
}

static void print_json(const GPtrArray *vms, const char *uri) {
  json_t *array = json_array(), *object = json_object();
  for (guint i = 0; i < vms->len; i++)
    json_array_append_new(array, json_from_vm(vms->pdata[i]));
  json_object_set_new(object, "connection", json_string(uri));
  json_object_set_new(object, "vms", array);
  json_print(object);
}

int verb_list(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  if (!options_parse(verb_find("list"),

        "MAXIMUM is '-' for a VM that cannot hot plug memory; see 'dimmer enable'. NEXT\n"
        "RUN tells what the next start of a running VM will change.",
        NULL, &common, &argc, &argv, 0, 0, &error))
    return options_fail(&common, error);
  g_autoptr(DmConnection) connection = dm_connection_open(common.uri, DM_CONNECTION_LOOKS, &error);
  g_autoptr(GPtrArray) vms = connection != NULL ? dm_domain_list(connection, &error) : NULL;
  if (vms == NULL)
    return options_fail(&common, error);
  for (guint i = 0; i < vms->len; i++)
    show_refresh(vms->pdata[i]);
  if (common.json)
    print_json(vms, dm_connection_uri(connection));
  else
    print_text(vms, dm_connection_uri(connection));
  return DM_EXIT_DONE;
}
