/* SPDX-License-Identifier: Apache-2.0 */
/* What the host knows of a VM without its guest. */
#include "base/size.h"
#include "change.h"
#include "doctor_private.h"
#include "plan/machine.h"
#include "words/rules.h"

static guint count_devices(const DmVm *vm, DmDeviceKind kind, uint64_t *memory) {
  guint count = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind != kind)
      continue;
    count++;
    *memory = dm_size_plus(*memory, dm_memory_device_memory(device));
  }
  return count;
}

/* The smallest DIMM on any node. */
static uint64_t least_step(const DmVm *vm) {
  uint64_t step = UINT64_MAX;
  for (guint i = 0; i < vm->live->cells->len; i++)
    step = MIN(step, dm_vm_plug_step(vm, (int)i));
  return step;
}

/* A device of some kind could be plugged now. @dimm: a DIMM could. */
static gboolean can_plug(const DmVm *vm, gboolean *dimm) {
  DmLack lack;
  *dimm = !dm_machine_lacks(&vm->live->machine, DM_DEVICE_DIMM, &lack);
  return vm->state == DM_VM_RUNNING && vm->job == NULL && !dm_machine_lacks_all(&vm->live->machine, &lack) &&
    dm_rule_lacks(vm) == NULL && dm_config_free_slots(vm->live) > 0 && dm_config_plug_room(vm->live) >= least_step(vm);
}

/* Whether a floor leaves anything above it, with twice its memory as maximum: small VMs have none to give. */
static gboolean can_have_floor(const DmVm *vm) {
  uint64_t memory = dm_config_memory(vm->next_run);
  return !dm_vm_is_windows(vm) && plan_least_floor(vm, dm_size_plus(memory, memory)) < memory;
}

/* Ready to be typed: the maximum that its next run has, or twice its memory; and the least floor for that. */
static void add_enabling(GPtrArray *findings, const DmVm *vm, gboolean with_floor) {
  const DmConfig *next = vm->next_run;
  uint64_t memory = dm_config_memory(next);
  uint64_t maximum = MAX(MAX(next->maximum, next->hidden_maximum), dm_size_plus(memory, memory));
  g_autofree char *typed = dm_rule_typed(maximum);
  g_autofree char *floor = dm_rule_typed(plan_least_floor(vm, maximum));
  doctor_add_command(findings, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", typed,
    with_floor ? "--floor" : NULL, floor, NULL);
}

/* A VM as most tools make it, with the shortest way to one that shrinks. */
static gboolean check_ordinary(GPtrArray *findings, const DmVm *vm) {
  DmLack lack;
  if (dm_rule_lacks(vm) == NULL || !dm_rule_can_enable(vm) || dm_machine_lacks_all(&vm->live->machine, &lack) ||
    vm->next_run->maximum != 0 || vm->next_run->hidden_maximum != 0 || !can_have_floor(vm))
    return FALSE;
  doctor_add(findings, DM_FINDING_ONLY_BOOT, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_SHRINKABLE);
  add_enabling(findings, vm, TRUE);
  return TRUE;
}

static void check_hot_plugged(GPtrArray *findings, const DmVm *vm) {
  uint64_t memory = 0;
  guint count = count_devices(vm, DM_DEVICE_DIMM, &memory) + count_devices(vm, DM_DEVICE_VIRTIO_MEM, &memory);
  g_autofree char *text = dm_size_format(memory);
  if (count > 0) {
    if (count == 1)
      doctor_add(findings, DM_FINDING_HOT_PLUGGED_ONE, NULL, DM_VERDICT_GOOD, HOST, NULL, text);
    else
      doctor_add(findings, DM_FINDING_HOT_PLUGGED, NULL, DM_VERDICT_GOOD, HOST, NULL, count, text);
    return;
  }
  if (check_ordinary(findings, vm))
    return;
  gboolean dimm = TRUE, can_go = !dm_vm_is_windows(vm) && can_plug(vm, &dimm);
  doctor_add(findings, DM_FINDING_NOTHING_PLUGGED, NULL, DM_VERDICT_WARNING, HOST, can_go ? DM_REMEDY_PLUG_ONE : NULL);
  if (can_go)
    doctor_add_command(
      findings, "dimmer", "plug", "--", dm_vm_handle(vm), "--", "SIZE", dimm ? NULL : "--kind", "virtio-mem", NULL);
}

static void check_slots(GPtrArray *findings, const DmVm *vm) {
  guint free_slots = dm_config_free_slots(vm->live);
  if (free_slots > 0) {
    doctor_add(findings, DM_FINDING_SLOTS, NULL, DM_VERDICT_GOOD, HOST, NULL, free_slots, vm->live->slots);
    return;
  }
  uint64_t growth = plan_room_to_grow(vm);
  g_autofree char *more = dm_size_format(growth);
  guint slots = vm->live->slots;
  const char *remedy = growth > 0 ? DM_REMEDY_GROW_OR_SLOTS : DM_REMEDY_UNPLUG_OR_SLOTS;
  if (growth > 0)
    doctor_add(findings, DM_FINDING_NO_SLOT_BUT_GROWTH, NULL, DM_VERDICT_WARNING, HOST, remedy, slots, more);
  else if (vm->live->slotless_virtio)
    doctor_add(findings, DM_FINDING_NO_SLOT_BUT_VIRTIO_MEM, NULL, DM_VERDICT_WARNING, HOST, remedy, slots);
  else
    doctor_add(findings, DM_FINDING_NO_SLOT, NULL, DM_VERDICT_WARNING, HOST, remedy, slots);
  if (growth > 0)
    doctor_add_command(findings, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", "SIZE", NULL);
  else if (vm->next_run != NULL)
    doctor_add_command(findings, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", "SIZE", "--slots", "N", NULL);
}

static void check_room(GPtrArray *findings, const DmVm *vm) {
  const char *lacks = dm_rule_lacks(vm);
  DmLack lack;
  gboolean nothing = dm_machine_lacks_all(&vm->live->machine, &lack);
  if (nothing || (lacks == NULL && dm_machine_lacks(&vm->live->machine, DM_DEVICE_DIMM, &lack))) {
    doctor_add(findings, DM_FINDING_NO_DIMMS, NULL, DM_VERDICT_BAD, HOST, lack.remedy, lack.what);
    return;
  }
  if (lacks != NULL) {
    gboolean can_enable = dm_rule_can_enable(vm), can_shrink = can_enable && can_have_floor(vm);
    doctor_add(findings, DM_FINDING_NOT_ENABLED, NULL, DM_VERDICT_BAD, HOST,
      can_shrink ? DM_CURE_ENABLE_FLOOR : dm_rule_enabling(vm), lacks);
    if (can_enable)
      add_enabling(findings, vm, can_shrink);
    return;
  }
  uint64_t room = dm_config_plug_room(vm->live), step = least_step(vm);
  /* A virtio-mem device occupies all that it can hold, so that it has room where there is none for another device. */
  uint64_t more = dm_size_plus(room >= step ? room : 0, plan_room_to_grow(vm));
  g_autofree char *more_text = dm_size_format(more);
  g_autofree char *room_text = dm_size_format(room);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *maximum = dm_size_format(vm->live->maximum);
  if (more > 0) {
    doctor_add(findings, DM_FINDING_ROOM, NULL, DM_VERDICT_GOOD, HOST, NULL, more_text, maximum);
    return;
  }
  doctor_add(findings, DM_FINDING_NO_ROOM, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_MORE_MAXIMUM, room_text, maximum,
    step_text);
  if (vm->next_run != NULL)
    doctor_add_command(findings, "dimmer", "set", "--", dm_vm_handle(vm), "--maximum", "SIZE", NULL);
}

static gboolean has_devices(const DmVm *vm) {
  uint64_t unused = 0;
  return count_devices(vm, DM_DEVICE_DIMM, &unused) + count_devices(vm, DM_DEVICE_VIRTIO_MEM, &unused) > 0;
}

static void check_inflated(GPtrArray *findings, const DmVm *vm, uint64_t held) {
  DmLack lack;
  uint64_t memory = dm_config_memory(vm->live);
  gboolean devices = has_devices(vm);
  g_autofree char *text = dm_size_format(dm_size_floor_mib(held));
  g_autofree char *left = dm_size_format(dm_size_floor_mib(memory - held));
  g_autofree char *typed = dm_rule_typed(memory);
  g_autofree char *kib = g_strdup_printf("%" G_GUINT64_FORMAT, memory / DM_KIB);
  if (!devices)
    doctor_add(findings, DM_FINDING_BALLOON_HOLDS, NULL, DM_VERDICT_GOOD, HOST, DM_REMEDY_BALLOON_GIVE, text, left);
  else if (vm->live->balloon_use == DM_BALLOON_USE_NEVER)
    doctor_add(findings, DM_FINDING_BALLOON_INFLATED, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_DEFLATE, text);
  else
    doctor_add(findings, DM_FINDING_BALLOON_MIXED, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_DEFLATE, text);
  if (!devices && !plan_lacks_balloon(vm, &lack))
    doctor_add_command(
      findings, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", typed, "--balloon", "--live", NULL);
  else
    doctor_add_command(findings, "virsh", "setmem", "--", dm_vm_virsh_handle(vm), "--", kib, "--live", NULL);
}

/* Ready to be typed, with the number if that is known: down to the guest's reserve, and not below guaranteed memory. */
static void check_take(GPtrArray *findings, const DmVm *vm) {
  uint64_t spare, reserve, memory = dm_config_memory(vm->live), least = MAX(vm->live->guaranteed, DM_MIB);
  gboolean known = plan_balloon_spare(vm, &spare, &reserve);
  uint64_t unit = vm->arch != NULL && g_str_has_prefix(vm->arch, "ppc") ? dm_vm_factor(vm) : DM_MIB;
  uint64_t left = known ? dm_size_round_up(MAX(dm_size_minus(memory, spare), least), unit) : 0;
  g_autofree char *taken_text = dm_size_format(dm_size_minus(memory, left));
  g_autofree char *reserve_text = dm_size_format(known ? dm_size_floor_mib(reserve) : 0);
  g_autofree char *typed = known ? dm_rule_typed(left) : g_strdup("SIZE");
  if (known && left >= memory) {
    doctor_add(findings, DM_FINDING_BALLOON_CAN_TAKE_NOTHING, NULL, DM_VERDICT_GOOD, HOST, NULL, reserve_text);
    return;
  }
  if (known)
    doctor_add(findings, DM_FINDING_BALLOON_CAN_TAKE_SIZE, NULL, DM_VERDICT_GOOD, HOST, DM_REMEDY_BALLOON_TAKE,
      taken_text, reserve_text);
  else
    doctor_add(findings, DM_FINDING_BALLOON_CAN_TAKE, NULL, DM_VERDICT_GOOD, HOST, DM_REMEDY_BALLOON_TAKE);
  doctor_add_command(findings, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", typed, "--balloon", "--live", NULL);
}

/* Of a VM that has nothing else to give. */
static void check_use(GPtrArray *findings, const DmVm *vm) {
  DmLack lack;
  if (vm->live->balloon_use == DM_BALLOON_USE_NEVER) {
    doctor_add(findings, DM_FINDING_BALLOON_NEVER, NULL, DM_VERDICT_GOOD, HOST, NULL);
  } else if (plan_lacks_balloon(vm, &lack)) {
    doctor_add(findings, DM_FINDING_BALLOON_USELESS, NULL, DM_VERDICT_WARNING, HOST, NULL, lack.what);
  } else {
    check_take(findings, vm);
  }
}

static void check_balloon(GPtrArray *findings, const DmVm *vm) {
  uint64_t held = 0;
  if (!vm->balloon)
    doctor_add(findings, DM_FINDING_NO_BALLOON, NULL, DM_VERDICT_GOOD, HOST, NULL);
  else if (!dm_vm_ballooned(vm, &held))
    doctor_add(findings, DM_FINDING_BALLOON_UNKNOWN, NULL, DM_VERDICT_UNKNOWN, HOST, NULL);
  else if (held > 0)
    check_inflated(findings, vm, held);
  else if (has_devices(vm))
    doctor_add(findings, DM_FINDING_BALLOON_DEFLATED, NULL, DM_VERDICT_GOOD, HOST, NULL);
  else
    check_use(findings, vm);
}

/* A balloon option that is off. 'enable' switches it on for the next start, of a VM that can hot plug. */
static void advise_option(GPtrArray *findings, const DmVm *vm, const char *option) {
  DmLack lack;
  uint64_t least = dm_size_plus(dm_config_memory(vm->next_run), dm_vm_factor(vm)); /* as for 'enable' */
  if (dm_rule_lacks(vm) != NULL || vm->next_run->maximum < least || dm_machine_lacks_all(&vm->next_run->machine, &lack))
    return;
  g_autofree char *maximum = dm_rule_typed(vm->next_run->maximum);
  doctor_add_command(findings, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", maximum, option, NULL);
}

static void add_reports(GPtrArray *findings, const DmVm *vm) {
  if (vm->balloon_mute)
    doctor_add(findings, DM_FINDING_REPORTS_NO_DRIVER, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_LOAD_BALLOON);
  else
    doctor_add(findings, DM_FINDING_REPORTS_PAGES, NULL, DM_VERDICT_GOOD, HOST, NULL);
}

/* Linux reports pieces of that size or more (pageblock_order), and QEMU discards whole pages of the host. */
#define REPORTED (2 * DM_MIB)

/* The host can get back nothing, whatever the guest reports: as QEMU's virtio_balloon_handle_report(). */
static gboolean reports_in_vain(const DmVm *vm) {
  gboolean large = TRUE;
  for (guint i = 0; i < vm->live->cells->len; i++)
    large &= dm_config_page(vm->live, (int)i) > REPORTED;
  return vm->vfio || vm->locked || large;
}

static void add_reports_in_vain(GPtrArray *findings, const DmVm *vm) {
  if (vm->vfio)
    doctor_add(findings, DM_FINDING_REPORTS_PINNED, NULL, DM_VERDICT_WARNING, HOST, NULL);
  else if (vm->locked)
    doctor_add(findings, DM_FINDING_REPORTS_LOCKED, NULL, DM_VERDICT_WARNING, HOST, NULL);
  else
    doctor_add(findings, DM_FINDING_REPORTS_LARGE_PAGES, NULL, DM_VERDICT_WARNING, HOST, NULL);
}

/* Linux reports since 5.7. */
static void check_free_page_reporting(GPtrArray *findings, const DmVm *vm) {
  gboolean vain = reports_in_vain(vm);
  gboolean next = vm->next_run != NULL && vm->next_run->free_page_reporting, can = vm->next_run != NULL && !vain;
  if (vm->live->free_page_reporting && vain) {
    add_reports_in_vain(findings, vm);
  } else if (vm->live->free_page_reporting && vm->guest != NULL && dm_guest_is_before(vm->guest, 5, 7)) {
    doctor_add(findings, DM_FINDING_REPORTS_TOO_OLD, NULL, DM_VERDICT_WARNING, dm_source_name(vm->guest->system),
      DM_REMEDY_NEWER_KERNEL, vm->guest->kernel);
  } else if (vm->live->free_page_reporting) {
    add_reports(findings, vm);
  } else if (next) {
    doctor_add(findings, DM_FINDING_REPORTS_PAGES_NEXT, NULL, DM_VERDICT_GOOD, HOST, NULL);
  } else {
    doctor_add(findings, DM_FINDING_REPORTS_NO_PAGES, NULL, DM_VERDICT_GOOD, HOST, can ? DM_REMEDY_REPORT_PAGES : NULL);
    if (can)
      advise_option(findings, vm, "--free-page-reporting");
  }
}

static void check_autodeflate(GPtrArray *findings, const DmVm *vm) {
  if (vm->live->autodeflate) {
    doctor_add(findings, DM_FINDING_DEFLATES, NULL, DM_VERDICT_GOOD, HOST, NULL);
  } else if (vm->next_run != NULL && vm->next_run->autodeflate) {
    doctor_add(findings, DM_FINDING_DEFLATES_NEXT, NULL, DM_VERDICT_GOOD, HOST, NULL);
  } else {
    gboolean can = vm->next_run != NULL;
    doctor_add(findings, DM_FINDING_DOES_NOT_DEFLATE, NULL, DM_VERDICT_GOOD, HOST, can ? DM_REMEDY_AUTODEFLATE : NULL);
    if (can)
      advise_option(findings, vm, "--autodeflate");
  }
}

/*
 * "huge pages of 2 MiB", or, if nodes differ, "huge pages of 1024 MiB on node 0 and ordinary pages on node 1". The
 * caller frees.
 */
static char *describe_pages(const DmConfig *config) {
  GString *text = g_string_new(NULL);
  guint nodes = config->pages->len;
  gboolean differ = FALSE;
  for (guint i = 1; i < nodes; i++)
    differ |= dm_config_page(config, (int)i) != dm_config_page(config, 0);
  for (guint i = 0; i < (differ ? nodes : 1); i++) {
    uint64_t page = dm_config_page(config, (int)i);
    g_autofree char *size = dm_size_format(page);
    g_string_append(text, i == 0 ? "" : i + 1 < nodes ? ", " : DM_PHRASE_AND);
    if (!differ)
      g_string_append_printf(text, DM_PHRASE_HUGE_PAGES, size);
    else if (page != 0)
      g_string_append_printf(text, DM_PHRASE_HUGE_PAGES_ON_NODE, size, i);
    else
      g_string_append_printf(text, DM_PHRASE_ORDINARY_PAGES_ON_NODE, i);
  }
  return g_string_free(text, FALSE);
}

static void check_huge_pages(GPtrArray *findings, const DmVm *vm) {
  uint64_t page = dm_config_largest_page(vm->live);
  g_autofree char *text = describe_pages(vm->live);
  if (page == 0)
    doctor_add(findings, DM_FINDING_ORDINARY_PAGES, NULL, DM_VERDICT_GOOD, HOST, NULL);
  else if (page <= dm_vm_factor(vm))
    doctor_add(findings, DM_FINDING_HUGE_PAGES, NULL, DM_VERDICT_GOOD, HOST, NULL, text);
  else
    doctor_add(findings, DM_FINDING_LARGE_PAGES, NULL, DM_VERDICT_WARNING, HOST, NULL, text);
}

static void check_vfio(GPtrArray *findings, const DmVm *vm) {
  uint64_t unused = 0;
  if (!vm->vfio)
    doctor_add(findings, DM_FINDING_NO_VFIO, NULL, DM_VERDICT_GOOD, HOST, NULL);
  else if (count_devices(vm, DM_DEVICE_VIRTIO_MEM, &unused) > 0)
    doctor_add(findings, DM_FINDING_VFIO_VIRTIO_MEM, NULL, DM_VERDICT_WARNING, HOST, NULL);
  else
    doctor_add(findings, DM_FINDING_VFIO, NULL, DM_VERDICT_WARNING, HOST, NULL);
}

/* Boot memory uses some, one below and one above 4 GiB and the firmware's: each device needs one more. */
#define VHOST_REGIONS_OF_BOOT 4

/* QEMU gets the number each can map, and does not report it (VHOST_MEMORY_BASELINE_NREGIONS if one gives none). */
static void check_vhost_user(GPtrArray *findings, const DmVm *vm) {
  if (vm->vhost_user)
    doctor_add(findings, DM_FINDING_VHOST_USER, NULL, DM_VERDICT_UNKNOWN, NULL, DM_REMEDY_LARGE_DEVICES);
}

static void check_vhost(GPtrArray *findings, const DmVm *vm) {
  guint limit = vm->vhost_regions, devices = vm->live->devices->len;
  guint left = limit > VHOST_REGIONS_OF_BOOT + devices ? limit - VHOST_REGIONS_OF_BOOT - devices : 0;
  if (!vm->vhost)
    return;
  if (limit == 0)
    doctor_add(findings, DM_FINDING_VHOST_UNKNOWN, NULL, DM_VERDICT_UNKNOWN, NULL, NULL);
  else if (left >= dm_config_free_slots(vm->live))
    doctor_add(findings, DM_FINDING_VHOST, NULL, DM_VERDICT_GOOD, HOST, NULL, limit);
  else
    doctor_add(
      findings, DM_FINDING_VHOST_REGIONS, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_VHOST_REGIONS, limit, left);
}

/*
 * libvirt keeps no address of a virtio-mem device, and places it anew in a restored or migrated VM, above the DIMMs
 * that are left: QEMU refuses that where it lay above one that has gone.
 */
static gboolean loses_address(const DmVm *vm) {
  uint64_t unused = 0;
  return !vm->live->keeps_addresses && count_devices(vm, DM_DEVICE_VIRTIO_MEM, &unused) > 0 &&
    count_devices(vm, DM_DEVICE_DIMM, &unused) > 0;
}

static void check_migration(GPtrArray *findings, const DmVm *vm) {
  if (vm->job == NULL && loses_address(vm)) {
    doctor_add(findings, DM_FINDING_ADDRESS_NOT_KEPT, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_KEEP_DIMMS);
    return;
  }
  if (vm->job == NULL) {
    doctor_add(findings, DM_FINDING_NO_MIGRATION, NULL, DM_VERDICT_GOOD, HOST, NULL);
    return;
  }
  gboolean began_here = vm->state == DM_VM_RUNNING;
  doctor_add(findings, DM_FINDING_MIGRATING, NULL, DM_VERDICT_BAD, HOST,
    began_here ? DM_REMEDY_WAIT_OR_ABORT : DM_REMEDY_WAIT, vm->job);
  if (began_here)
    doctor_add_command(findings, "virsh", "domjobabort", "--", dm_vm_virsh_handle(vm), NULL);
}

static void check_request(GPtrArray *findings, const DmVm *vm) {
  guint count = 0;
  uint64_t sum = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = plan_pending_step(vm->request, device);
    if (step == NULL || step->to >= dm_memory_device_memory(device))
      continue;
    count++;
    sum = dm_size_plus(sum, dm_memory_device_memory(device) - step->to);
  }
  g_autofree char *text = dm_size_format(sum);
  if (count == 0) {
    doctor_add(findings, DM_FINDING_NO_REQUEST, NULL, DM_VERDICT_GOOD, HOST, NULL);
    return;
  }
  gboolean again = dm_request_asks_again(vm->request);
  doctor_add(findings, DM_FINDING_UNANSWERED, NULL, DM_VERDICT_WARNING, HOST,
    again ? DM_REMEDY_ASK_AGAIN : DM_REMEDY_WITHDRAWN, text, count);
  if (again)
    doctor_add_command(findings, "dimmer", "settle", "--", dm_vm_handle(vm), NULL);
}

void doctor_check_host(GPtrArray *findings, const DmVm *vm) {
  check_hot_plugged(findings, vm);
  check_room(findings, vm);
  if (dm_rule_lacks(vm) == NULL)
    check_slots(findings, vm);
  check_balloon(findings, vm);
  if (vm->balloon) {
    check_free_page_reporting(findings, vm);
    check_autodeflate(findings, vm);
  }
  check_huge_pages(findings, vm);
  check_vfio(findings, vm);
  check_vhost(findings, vm);
  check_vhost_user(findings, vm);
  check_migration(findings, vm);
  check_request(findings, vm);
}
