/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

/* A value of the live and the persistent configuration, if the VM has them. */
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

static char *floor_text(const DmConfig *config) {
  return config->floors->len > 0 ? dm_size_format(dm_config_floor(config)) : g_strdup("-");
}

/* Options of its balloon, and what dimmer may do with it, where that is not the default. */
static char *balloon_text(const DmConfig *config) {
  static const char *const uses[DM_BALLOON_USES] = {
    [DM_BALLOON_USE_NEVER] = "never used", [DM_BALLOON_USE_ALLOW] = "used whenever memory is lowered"};
  const char *words[] = {config->free_page_reporting ? "reports free pages" : NULL,
    config->autodeflate ? "autodeflate" : NULL, uses[config->balloon_use]};
  GString *text = g_string_new(NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
    if (words[i] != NULL)
      g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", words[i]);
  }
  return g_string_free(g_string_append(text, text->len > 0 ? "" : "-"), FALSE);
}

static char *slots_text(const DmConfig *config) {
  return g_strdup_printf("%u of %u", dm_config_free_slots(config), config->slots);
}

static char *ballooned_text(const DmConfig *config) {
  return dm_size_format(dm_size_floor_mib(dm_config_ballooned(config)));
}

/* What the balloon holds, and what the guest can use: now, and from the next start on. */
static void add_ballooned(Table *table, const DmVm *vm) {
  uint64_t held = 0, later = vm->balloon && vm->next_run != NULL ? dm_config_ballooned(vm->next_run) : 0;
  gboolean known = vm->live == NULL || dm_vm_ballooned(vm, &held);
  if (later == 0 && held == 0 && known)
    return;
  table_add(table, g_strdup("ballooned"));
  if (vm->live != NULL)
    table_add(table, known ? dm_size_format(dm_size_floor_mib(held)) : g_strdup("not known"));
  table_add(table, vm->next_run != NULL ? ballooned_text(vm->next_run) : g_strdup("none (transient)"));
  table_add(table, g_strdup("guest can use"));
  if (vm->live != NULL)
    table_add(
      table, known ? dm_size_format(dm_size_floor_mib(dm_config_memory(vm->live) - held)) : g_strdup("not known"));
  table_add(table,
    vm->next_run != NULL ? dm_size_format(dm_size_floor_mib(dm_config_memory(vm->next_run) - later)) : g_strdup("-"));
}

static void print_values(const DmVm *vm) {
  static const char *const running[] = {"", "LIVE", "NEXT RUN", NULL};
  static const char *const shut_off[] = {"", "CONFIGURED", NULL};
  g_autoptr(Table) table = table_new(vm->live != NULL ? running : shut_off);
  add_row(table, vm, "memory", memory_text);
  add_ballooned(table, vm);
  add_row(table, vm, "guaranteed", guaranteed_text);
  add_row(table, vm, "maximum", maximum_text);
  add_row(table, vm, "boot memory", boot_text);
  if ((vm->live != NULL && vm->live->floors->len > 0) || (vm->next_run != NULL && vm->next_run->floors->len > 0))
    add_row(table, vm, "floor", floor_text);
  if (vm->balloon)
    add_row(table, vm, "balloon", balloon_text);
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
  if (step == NULL || step->state == DM_STEP_DONE)
    return g_strdup(dm_memory_device_state_name(device));
  return g_strdup_printf("%s to %s", dm_step_state_name(step), step->op == DM_OP_UNPLUG ? "go" : "resize");
}

static void print_devices(const DmVm *vm) {
  static const char *const plain[] = {"DEVICE", "KIND", "SIZE", "NODE", "SLOT", "ADDRESS", "ALIAS", "STATE", NULL};
  static const char *const asked[] = {
    "DEVICE", "KIND", "SIZE", "NODE", "SLOT", "ADDRESS", "ALIAS", "STATE", "IN USE", NULL};
  const GPtrArray *devices = dm_vm_current(vm)->devices;
  if (devices->len == 0) {
    puts("  no memory devices");
    return;
  }
  g_autoptr(Table) table = table_new(vm->guest != NULL ? asked : plain);
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
    if (vm->guest != NULL)
      table_add(table, g_strdup(dm_use_text(dm_vm_device_use(vm, device))));
  }
  table_print(table, "  ");
}

static gboolean is_answered(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (((DmStep *)request->steps->pdata[i])->state != DM_STEP_DONE)
      return FALSE;
  }
  return request->balloon == NULL || !dm_step_is_pending(request->balloon);
}

/* The guest owes no answer: its balloon stopped on its way. */
static gboolean is_for_balloon(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (dm_step_is_pending(request->steps->pdata[i]))
      return FALSE;
  }
  return TRUE;
}

static void print_request(const CommonOptions *common, const DmVm *vm) {
  const DmRequest *request = vm->request;
  pid_t owner = dm_lock_owner(vm->uuid);
  if (request == NULL && owner != 0) /* in LOOK, planning or FREE: nothing is recorded yet */
    printf("\n  process %d is changing it now; no device has been requested yet\n", (int)owner);
  if (request == NULL)
    return;
  g_autoptr(GDateTime) started = g_date_time_new_from_unix_local(request->started_s);
  g_autofree char *when = started != NULL ? g_date_time_format(started, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
  g_autofree char *memory = dm_size_format(request->memory);
  printf("\n  request %.8s: %s", request->id != NULL ? request->id : "?", dm_action_name(request->action));
  if (request->memory != 0)
    printf(" to %s", memory);
  printf(", started %s; ", when);
  g_autofree char *settle = options_command(common, "dimmer", "settle", "--", dm_vm_handle(vm), NULL);
  if (is_answered(request))
    printf("answered since; account for it: %s\n", settle);
  else if (owner != 0)
    printf("process %d is working on it\n", (int)owner);
  else if (request->pid != 0 && g_strcmp0(request->host, g_get_host_name()) != 0)
    printf("by process %d on host %s\n", (int)request->pid, request->host);
  else if (request->pid != 0)
    printf("it was interrupted; finish it: %s\n", settle);
  else if (is_for_balloon(request))
    printf("its balloon is not where it was to go; go on with it: %s\n", settle);
  else if (dm_request_asks_again(request))
    printf("the guest has not answered for all devices; it still can; ask again: %s\n", settle);
  else
    puts("the guest has not answered for all devices; it still can, though a later request wants them kept");
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    g_autofree char *size = dm_size_format(step->size);
    printf("    %s %s (%s): %s\n", dm_op_name(step->op), step->alias, size, dm_step_state_name(step));
  }
  if (request->balloon != NULL) {
    g_autofree char *to = dm_size_format(dm_size_floor_mib(request->balloon->to));
    printf("    balloon to %s: %s\n", to, dm_step_state_name(request->balloon));
  }
}

static void print_picture(const DmVm *vm, const DmConfig *config) {
  const char *charset;
  g_autofree char *picture = picture_draw(vm, config, picture_width(), g_get_charset(&charset));
  g_auto(GStrv) lines = g_strsplit(picture, "\n", -1);
  g_autofree char *indented = g_strjoinv("\n  ", lines);
  printf("\n  %s\n\n", indented);
}

/* What comes back at the next start, if it is more than boot memory that the guest can use. */
static void print_next_start(const DmVm *vm) {
  if (vm->live == NULL || vm->next_run == NULL ||
    (vm->next_run->devices->len == 0 && !(vm->balloon && dm_config_ballooned(vm->next_run) > 0)))
    return;
  fputs("  at the next start:\n", stdout);
  print_picture(vm, vm->next_run);
}

static void print_text(const CommonOptions *common, const DmVm *vm) {
  printf("%s  %s%s%s  %s\n\n", vm->name, dm_vm_state_name(vm->state), vm->saved ? ", saved" : "",
    vm->saved_request ? ", request open" : "", vm->uuid);
  print_values(vm);
  print_picture(vm, dm_vm_current(vm));
  print_next_start(vm);
  print_devices(vm);
  print_request(common, vm);
}

void show_refresh(DmVm *vm) {
  if (vm->request == NULL || vm->live == NULL)
    return;
  g_autoptr(DmRequest) request = dm_request_copy(vm->request);
  dm_account_free(dm_plan_account(vm, request));
  for (guint i = 0; i < request->steps->len; i++)
    ((DmStep *)vm->request->steps->pdata[i])->state = ((DmStep *)request->steps->pdata[i])->state;
}

/* @ask: with its guest's report. */
static DmVm *read_vm(const CommonOptions *common, const char *name, gboolean ask, GError **error) {
  g_autoptr(DmConnection) connection =
    ask ? options_connect(common, TRUE, error) : dm_connection_open(common->uri, DM_CONNECTION_LOOKS, error);
  if (connection == NULL)
    return NULL;
  DmVm *vm = ask ? checkup_vm(connection, name, DM_LOOK_BRIEF, error) : dm_domain_read(connection, name, error);
  if (vm != NULL)
    balloons_read(connection, &vm, 1);
  return vm;
}

int verb_show(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  gboolean ask = FALSE;
  const GOptionEntry entries[] = {
    {"guest", 0, 0, G_OPTION_ARG_NONE, &ask, "ask its guest how it uses each device", NULL},
    {NULL},
  };
  if (!options_parse(verb,

        "VM is a name or a UUID. The bar is to scale: boot memory, each memory device\n"
        "(lighter: asked to go), and room up to the maximum. Sizes in it are MiB. A row\n"
        "of circles below it is what the balloon holds: the guest can use what is left\n"
        "of it. A VM that starts with memory devices has a second bar, of its next start.",
        entries, &common, &argc, &argv, 1, 1, &error))
    return options_fail(&common, error);
  g_autoptr(DmVm) vm = read_vm(&common, argv[1], ask, &error);
  if (vm == NULL)
    return options_fail(&common, error);
  show_refresh(vm);
  if (common.json)
    json_print(json_from_vm(vm));
  else
    print_text(&common, vm);
  return DM_EXIT_DONE;
}
