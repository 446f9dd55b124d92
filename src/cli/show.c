/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/shell.h"
#include "base/size.h"
#include "cli.h"
#include "engine/lock.h"
#include "json.h"
#include "picture.h"
#include "plan/account.h"
#include "table.h"

#define WIDEST_PICTURE 100
#define PICTURE_WITHOUT_TERMINAL 72

static guint picture_width(void) {
  struct winsize size = {0};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 30)
    return PICTURE_WITHOUT_TERMINAL;
  return MIN(size.ws_col - 4u, WIDEST_PICTURE);
}

/* One value of the live and of the persistent configuration, as far as the VM has them. */
static void add_row(Table *table, const DmVm *vm, const char *name, char *(*text)(const DmConfig *)) {
  table_add(table, g_strdup(name));
  if (vm->live != NULL)
    table_add(table, text(vm->live));
  table_add(table, vm->next_run != NULL ? text(vm->next_run) : g_strdup("none (transient)"));
}

static char *memory_text(const DmConfig *config) {
  return dm_size_format(dm_config_memory(config));
}

static char *guaranteed_text(const DmConfig *config) {
  return dm_size_format(dm_config_guaranteed(config));
}

static char *maximum_text(const DmConfig *config) {
  return config->maximum != 0 ? dm_size_format(config->maximum) : g_strdup("no hot plug");
}

static char *boot_text(const DmConfig *config) {
  return dm_size_format(dm_config_boot(config));
}

static char *slots_text(const DmConfig *config) {
  return g_strdup_printf("%u of %u", dm_config_free_slots(config), config->slots);
}

static void print_values(const DmVm *vm) {
  static const char *const running[] = {"", "LIVE", "NEXT RUN", NULL};
  static const char *const shut_off[] = {"", "CONFIGURED", NULL};
  g_autoptr(Table) table = table_new(vm->live != NULL ? running : shut_off);
  add_row(table, vm, "memory", memory_text);
  add_row(table, vm, "guaranteed", guaranteed_text);
  add_row(table, vm, "maximum", maximum_text);
  add_row(table, vm, "boot memory", boot_text);
  add_row(table, vm, "free slots", slots_text);
  table_print(table, "  ");
}

static char *describe_state(const DmVm *vm, const DmMemoryDevice *device) {
  const DmStep *step = vm->request != NULL ? dm_request_find_step(vm->request, device->alias) : NULL;
  if (device->kind == DM_DEVICE_VIRTIO_MEM && device->requested != device->current) {
    g_autofree char *requested = dm_size_format(device->requested);
    g_autofree char *current = dm_size_format(device->current);
    return g_strdup_printf("has %s, asked for %s", current, requested);
  }
  if (step == NULL)
    return g_strdup("present");
  if (step->state == DM_STEP_DONE)
    return g_strdup("present");
  return g_strdup_printf("%s to %s", dm_step_state_name(step), step->op == DM_OP_UNPLUG ? "go" : "resize");
}

static void print_devices(const DmVm *vm) {
  static const char *const headings[] = {"DEVICE", "KIND", "SIZE", "NODE", "SLOT", "ADDRESS", "ALIAS", "STATE", NULL};
  const GPtrArray *devices = dm_vm_current(vm)->devices;
  if (devices->len == 0) {
    puts("  no memory devices");
    return;
  }
  g_autoptr(Table) table = table_new(headings);
  guint length = dm_vm_short_id_length(vm);
  for (guint i = 0; i < devices->len; i++) {
    const DmMemoryDevice *device = devices->pdata[i];
    g_autofree char *size = dm_size_format(dm_memory_device_memory(device));
    g_autofree char *full = dm_size_format(device->size);
    table_add(table, device->id != NULL ? g_strndup(device->id, length) : g_strdup("-"));
    table_add(table, g_strdup(dm_memory_device_kind_name(device)));
    table_add(table, device->kind == DM_DEVICE_VIRTIO_MEM ? g_strdup_printf("%s of %s", size, full) : g_strdup(full));
    table_add(table, g_strdup_printf("%d", device->node));
    table_add(table, device->slot >= 0 ? g_strdup_printf("%d", device->slot) : g_strdup("-"));
    if (device->address != 0)
      table_add(table, g_strdup_printf("0x%" G_GINT64_MODIFIER "x", device->address));
    else
      table_add(table, g_strdup(device->bus_address != NULL ? device->bus_address : "-"));
    gboolean says_id =
      device->alias != NULL && g_str_has_prefix(device->alias, "ua-") && g_strcmp0(device->alias + 3, device->id) == 0;
    table_add(table, g_strdup(device->alias == NULL || says_id ? "-" : device->alias));
    table_add(table, vm->live != NULL ? describe_state(vm, device) : g_strdup("configured"));
  }
  table_print(table, "  ");
}

static gboolean is_answered(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (((DmStep *)request->steps->pdata[i])->state != DM_STEP_DONE)
      return FALSE;
  }
  return TRUE;
}

static void print_request(const DmVm *vm) {
  const DmRequest *request = vm->request;
  pid_t owner = dm_lock_owner(vm->uuid);
  if (request == NULL && owner != 0) /* looking, planning, or dimmer-guest frees memory: nothing is recorded yet */
    printf("\n  process %d is changing it at this moment; no device is asked for\n", (int)owner);
  if (request == NULL)
    return;
  g_autoptr(GDateTime) started = g_date_time_new_from_unix_local(request->started);
  g_autofree char *when = started != NULL ? g_date_time_format(started, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
  g_autofree char *memory = dm_size_format(request->memory);
  printf("\n  request %.8s: %s", request->id != NULL ? request->id : "?", dm_action_name(request->action));
  if (request->memory != 0)
    printf(" to %s", memory);
  printf(", started %s; ", when);
  g_autofree char *settle = dm_shell_command("dimmer", "settle", vm->name, NULL);
  if (is_answered(request))
    printf("answered since: '%s' accounts for it\n", settle);
  else if (owner != 0)
    printf("process %d is at it\n", (int)owner);
  else if (request->pid != 0 && g_strcmp0(request->host, g_get_host_name()) != 0)
    printf("by process %d on host %s\n", (int)request->pid, request->host);
  else if (request->pid != 0)
    printf("it was interrupted: '%s' finishes it\n", settle);
  else if (dm_request_asks_again(request))
    printf("the guest has not answered for all devices; it still can: '%s' asks again\n", settle);
  else
    puts("the guest has not answered for all devices; it still can, though a later request wants them kept");
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    g_autofree char *size = dm_size_format(step->size);
    printf("    %s %s (%s): %s\n", dm_op_name(step->op), step->alias, size, dm_step_state_name(step));
  }
}

static void print_text(const DmVm *vm) {
  const char *charset;
  printf("%s  %s  %s\n\n", vm->name, dm_vm_state_name(vm->state), vm->uuid);
  print_values(vm);
  g_autofree char *picture = picture_draw(vm, picture_width(), g_get_charset(&charset));
  g_auto(GStrv) lines = g_strsplit(picture, "\n", -1);
  g_autofree char *indented = g_strjoinv("\n  ", lines);
  printf("\n  %s\n\n", indented);
  print_devices(vm);
  print_request(vm);
}

void show_refresh(DmVm *vm) {
  if (vm->request == NULL || vm->live == NULL)
    return;
  g_autoptr(DmRequest) request = dm_request_copy(vm->request);
  dm_account_free(dm_plan_account(vm, request));
  for (guint i = 0; i < request->steps->len; i++)
    ((DmStep *)vm->request->steps->pdata[i])->state = ((DmStep *)request->steps->pdata[i])->state;
}

int verb_show(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  if (!options_parse(verb_find("show"),

        "VM is a name or a UUID. The bar is to scale: boot memory, each memory device\n"
        "(lighter: asked to go), and room up to the maximum. Sizes in it are MiB.",
        NULL, &common, &argc, &argv, 1, 1, &error))
    return options_fail(&common, error);
  g_autoptr(DmConnection) connection = dm_connection_open(common.uri, DM_CONNECTION_LOOKS, &error);
  g_autoptr(DmVm) vm = connection != NULL ? dm_domain_read(connection, argv[1], &error) : NULL;
  if (vm == NULL)
    return options_fail(&common, error);
  show_refresh(vm);
  if (common.json)
    json_print(json_from_vm(vm));
  else
    print_text(vm);
  return DM_EXIT_DONE;
}
