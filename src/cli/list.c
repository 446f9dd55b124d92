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

/* What differs in the next run, and what its balloon takes. The caller frees. */
static char *describe_next_run(const DmVm *vm) {
  if (vm->next_run == NULL)
    return g_strdup("none (transient)");
  GString *text = g_string_new(vm->live == NULL || dm_vm_has_next_run(vm) ? "" : "same");
  if (vm->live != NULL) {
    add_difference(text, vm, "", dm_config_memory);
    add_difference(text, vm, "guaranteed ", dm_config_guaranteed);
    add_difference(text, vm, "maximum ", dm_config_maximum);
    add_difference(text, vm, "floor ", dm_config_floor);
    if (vm->live->slots != vm->next_run->slots)
      g_string_append_printf(text, "%s%u slots", text->len > 0 ? ", " : "", vm->next_run->slots);
  }
  uint64_t ballooned = vm->balloon ? dm_config_ballooned(vm->next_run) : 0;
  g_autofree char *size = dm_size_format(dm_size_floor_mib(ballooned));
  if (ballooned > 0)
    g_string_append_printf(text, "%sballooned by %s", text->len > 0 ? ", " : "", size);
  if (text->len == 0)
    g_string_append_c(text, '-');
  return g_string_free(text, FALSE);
}

/* What the balloon of a running VM holds, or is not known to hold. The caller frees. */
static char *describe_ballooned(const DmVm *vm) {
  uint64_t held = 0;
  if (vm->live != NULL && !dm_vm_ballooned(vm, &held))
    return g_strdup("not known");
  return held > 0 ? dm_size_format(dm_size_floor_mib(held)) : g_strdup("-");
}

static gboolean some_are_ballooned(const GPtrArray *vms) {
  for (guint i = 0; i < vms->len; i++) {
    g_autofree char *text = describe_ballooned(vms->pdata[i]);
    if (!g_str_equal(text, "-"))
      return TRUE;
  }
  return FALSE;
}

static void print_text(const GPtrArray *vms, const char *uri) {
  static const char *const plain[] = {"NAME", "STATE", "MEMORY", "GUARANTEED", "MAXIMUM", "DEVICES", "NEXT RUN", NULL};
  static const char *const with_ballooned[] = {
    "NAME", "STATE", "MEMORY", "BALLOONED", "GUARANTEED", "MAXIMUM", "DEVICES", "NEXT RUN", NULL};
  if (vms->len == 0) {
    printf("There are no VMs on %s\n", uri);
    return;
  }
  gboolean ballooned = some_are_ballooned(vms);
  g_autoptr(Table) table = table_new(ballooned ? with_ballooned : plain);
  for (guint i = 0; i < vms->len; i++) {
    const DmVm *vm = vms->pdata[i];
    const DmConfig *config = dm_vm_current(vm);
    table_add(table, g_strdup(vm->name));
    table_add(table,
      g_strdup_printf("%s%s%s", dm_vm_state_name(vm->state), vm->saved ? ", saved" : "",
        vm->request != NULL || vm->saved_request ? ", request open" : ""));
    table_add(table, dm_size_format(dm_config_memory(config)));
    if (ballooned)
      table_add(table, describe_ballooned(vm));
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

int verb_list(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  if (!options_parse(verb,

        "MAXIMUM is '-' for a VM that cannot hot plug memory; see 'dimmer enable'. NEXT\n"
        "RUN shows what the next start of a running VM changes. BALLOONED, where any\n"
        "balloon is inflated, is the part of MEMORY that the guest cannot use.",
        NULL, &common, &argc, &argv, 0, 0, &error))
    return options_fail(&common, error);
  g_autoptr(DmConnection) connection = dm_connection_open(common.uri, DM_CONNECTION_LOOKS, &error);
  g_autoptr(GPtrArray) vms = connection != NULL ? dm_domain_list(connection, &error) : NULL;
  if (vms == NULL)
    return options_fail(&common, error);
  balloons_read(connection, (DmVm **)vms->pdata, vms->len);
  for (guint i = 0; i < vms->len; i++)
    show_refresh(vms->pdata[i]);
  if (common.json)
    print_json(vms, dm_connection_uri(connection));
  else
    print_text(vms, dm_connection_uri(connection));
  return DM_EXIT_DONE;
}
