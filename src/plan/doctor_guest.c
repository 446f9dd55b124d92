/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest reported. If no agent answers, only "ports" says so, with the remedy. */
#include "base/size.h"
#include "change.h"
#include "doctor_private.h"
#include "plan/change.h"

static const char *system_source(const DmVm *vm) {
  return vm->guest != NULL ? dm_source_name(vm->guest->system) : NULL;
}

/* ---- agents ---- */

/* Preparing a guest starts with the missing ports. */
static void add_port_command(GPtrArray *findings, const DmVm *vm) {
  doctor_add_command(findings, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
}

static void check_no_agent(GPtrArray *findings, const DmVm *vm) {
  gboolean none = vm->agent_port == DM_PORT_NONE && vm->qemu_agent_port == DM_PORT_NONE;
  gboolean open = vm->agent_port == DM_PORT_OPEN || vm->qemu_agent_port == DM_PORT_OPEN;
  if (open && vm->guest == NULL) /* not queried */
    return;
  if (vm->guest != NULL && vm->guest->busy) {
    doctor_add(findings, DM_FINDING_AGENT_BUSY, NULL, DM_VERDICT_UNKNOWN, HOST, DM_REMEDY_AGENT_BUSY);
  } else if (none) {
    doctor_add(findings, DM_FINDING_NO_PORT, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_PORT_AND_AGENT);
    add_port_command(findings, vm);
  } else if (open) {
    doctor_add(findings, DM_FINDING_AGENT_SILENT, NULL, DM_VERDICT_WARNING, HOST, DM_REMEDY_RESTART_AGENT);
  } else {
    gboolean port = vm->agent_port != DM_PORT_NONE;
    doctor_add(findings, DM_FINDING_NO_AGENT, NULL, DM_VERDICT_WARNING, HOST,
      port ? DM_REMEDY_INSTALL_AGENT : DM_REMEDY_START_AGENT);
    if (!port)
      add_port_command(findings, vm);
  }
}

static void check_ports(GPtrArray *findings, const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  if (dm_vm_is_windows(vm)) /* an agent would not help */
    return;
  if (guest != NULL && guest->agent != NULL) {
    if (guest->qemu_agent)
      doctor_add(
        findings, DM_FINDING_BOTH_AGENTS, NULL, DM_VERDICT_GOOD, dm_source_name(DM_SOURCE_AGENT), NULL, guest->agent);
    else
      doctor_add(
        findings, DM_FINDING_AGENT, NULL, DM_VERDICT_GOOD, dm_source_name(DM_SOURCE_AGENT), NULL, guest->agent);
  } else if (guest == NULL || !guest->qemu_agent) {
    check_no_agent(findings, vm);
  } else if (guest->can_exec || guest->can_file) {
    const char *source = dm_source_name(DM_SOURCE_QEMU_AGENT);
    if (guest->busy)
      doctor_add(findings, DM_FINDING_QEMU_AGENT_AND_BUSY, NULL, DM_VERDICT_GOOD, source, NULL);
    else
      doctor_add(findings, DM_FINDING_QEMU_AGENT, NULL, DM_VERDICT_GOOD, source, NULL);
  } else {
    gboolean port = vm->agent_port != DM_PORT_NONE;
    doctor_add(findings, DM_FINDING_QEMU_AGENT_BARRED, NULL, DM_VERDICT_WARNING, dm_source_name(DM_SOURCE_QEMU_AGENT),
      port ? DM_REMEDY_AGENT_TELLS_MORE : DM_REMEDY_PORT_AND_AGENT);
    if (!port)
      add_port_command(findings, vm);
  }
}

/* ---- the system ---- */

static void check_windows(GPtrArray *findings, const DmVm *vm) {
  gboolean reported = vm->guest != NULL && vm->guest->windows == DM_FACT_YES;
  const char *os = reported ? vm->guest->os : NULL, *source = reported ? system_source(vm) : HOST;
  const char *remedy = vm->next_run != NULL ? DM_REMEDY_NEXT_RUN : NULL;
  if (!reported)
    doctor_add(findings, DM_FINDING_WINDOWS_BY_DEFINITION, NULL, DM_VERDICT_BAD, source, remedy);
  else
    doctor_add(findings, DM_FINDING_WINDOWS, NULL, DM_VERDICT_BAD, source, remedy, os != NULL ? os : "Windows");
  if (vm->next_run != NULL)
    doctor_add_command(findings, "dimmer", "set", "--", dm_vm_handle(vm), "--next-run", "--memory", "SIZE", NULL);
}

/* The caller frees. */
static char *describe_kernel(const char *kernel, const char *os) {
  if (kernel == NULL)
    return g_strdup(DM_PHRASE_GUEST_KERNEL);
  return os != NULL ? g_strdup_printf(DM_PHRASE_KERNEL_OF, kernel, os) : g_strdup_printf(DM_PHRASE_KERNEL, kernel);
}

static void check_guest_os(GPtrArray *findings, const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  if (dm_vm_is_windows(vm)) {
    check_windows(findings, vm);
    return;
  }
  const char *kernel = guest != NULL ? guest->kernel : NULL, *os = guest != NULL ? guest->os : NULL;
  g_autofree char *named = describe_kernel(kernel, os);
  DmFact remove = guest != NULL ? guest->hot_remove : DM_FACT_UNKNOWN;
  if (remove == DM_FACT_NO)
    doctor_add(
      findings, DM_FINDING_NO_HOT_REMOVE, NULL, DM_VERDICT_BAD, system_source(vm), DM_REMEDY_OTHER_KERNEL, named);
  else if (remove == DM_FACT_YES)
    doctor_add(findings, DM_FINDING_HOT_REMOVE, NULL, DM_VERDICT_GOOD, system_source(vm), NULL, named);
  else if (kernel != NULL)
    doctor_add(findings, DM_FINDING_HOT_REMOVE_LIKELY, NULL, DM_VERDICT_GOOD, system_source(vm), NULL, named);
  else
    doctor_add(findings, DM_FINDING_SYSTEM_UNKNOWN, NULL, DM_VERDICT_UNKNOWN, NULL, NULL);
}

/* ---- the next plug ---- */

static void check_onlining(GPtrArray *findings, const DmVm *vm) {
  Onlining onlining = plan_foresee_onlining(vm->guest);
  gboolean wrong = onlining.verdict == DM_VERDICT_BAD || onlining.verdict == DM_VERDICT_WARNING;
  if (dm_vm_is_windows(vm))
    return;
  doctor_add_finding(findings, onlining.code, NULL, onlining.verdict,
    onlining.verdict != DM_VERDICT_UNKNOWN ? system_source(vm) : NULL, wrong ? plan_onlining_remedy(vm->guest) : NULL,
    "%s", onlining.evidence);
  if (wrong)
    doctor_add_command(findings, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
}

static void check_block_size(GPtrArray *findings, const DmVm *vm) {
  uint64_t block = vm->guest != NULL ? vm->guest->block : 0, step = dm_vm_plug_step(vm, 0);
  if (block == 0) {
    doctor_add(findings, DM_FINDING_BLOCK_SIZE_UNKNOWN, NULL, DM_VERDICT_UNKNOWN, NULL, NULL);
    return;
  }
  g_autofree char *block_text = dm_size_format(block);
  g_autofree char *step_text = dm_size_format(step);
  const char *source = dm_source_name(vm->guest->block_source);
  if (block == step && block > dm_vm_factor(vm))
    doctor_add(findings, DM_FINDING_BLOCK_SIZE_LARGE, NULL, DM_VERDICT_WARNING, source, NULL, block_text);
  else
    doctor_add(findings, DM_FINDING_BLOCK_SIZE, NULL, DM_VERDICT_GOOD, source, NULL, block_text, step_text);
}

/* ---- what it can spare ---- */

/* What @plan releases; if NULL, the most that could be released. */
static PlanNeeds find_needs(const DmVm *vm, const DmPlan *plan) {
  PlanNeeds needs = {0};
  if (plan != NULL)
    return plan->memory_after < plan->memory_before ? plan_needs(vm, plan->steps, vm->request) : needs;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (!plan_leaves_out(device, 0))
      needs.asked = dm_size_plus(needs.asked, plan_needs_of(vm, device, dm_memory_device_memory(device)));
  }
  return needs;
}

/* Why the running VM cannot be lowered to @memory, in words; NULL: it can, or as near as its device sizes allow. */
static char *why_not(const DmVm *vm, uint64_t memory, const DmPlan *plan, const GError *error) {
  if (error != NULL)
    return g_strdup(error->message);
  if (memory >= dm_config_memory(vm->live) || plan->memory_after <= memory || plan->notes->len == 0)
    return NULL;
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < plan->notes->len; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", ((const DmNote *)plan->notes->pdata[i])->text);
  return g_string_free(text, FALSE);
}

static char *describe_spare(const DmVm *vm, uint64_t spare, uint64_t reserve) {
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  g_autofree char *available = dm_size_format(dm_size_floor_mib(vm->guest->available));
  g_autofree char *reserve_text = dm_size_format(dm_size_floor_mib(reserve));
  return g_strdup_printf(vm->guest->memory_source == DM_SOURCE_HYPERVISOR ? DM_PHRASE_SPARE_AT_MOST : DM_PHRASE_SPARE,
    spare_text, available, reserve_text);
}

static void advise_least(GPtrArray *findings, const DmVm *vm, uint64_t least) {
  g_autofree char *text = dm_size_format(dm_size_floor_mib(dm_size_plus(least, DM_MIB - 1)));
  if (least >= dm_config_memory(vm->live))
    doctor_advise(findings, DM_REMEDY_END_PROGRAMS_OR_FORCE);
  else
    doctor_advise(findings, DM_REMEDY_LEAST, text);
}

/* @plan lowers it to @memory; NULL: no size given. */
static void check_needs(GPtrArray *findings, const DmVm *vm, uint64_t memory, const DmPlan *plan) {
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve)) {
    gboolean silent = vm->balloon && vm->balloon_period_s == 0;
    doctor_add(
      findings, DM_FINDING_SPARE_UNKNOWN, NULL, DM_VERDICT_UNKNOWN, NULL, silent ? DM_REMEDY_STATISTICS : NULL);
    if (silent)
      doctor_add_command(
        findings, "virsh", "dommemstat", "--period", "5", "--live", "--", dm_vm_virsh_handle(vm), NULL);
    return;
  }
  PlanNeeds needs = find_needs(vm, plan);
  uint64_t sum = dm_size_plus(needs.asked, needs.out), least = plan_least_memory(vm, 0, 0, spare);
  g_autofree char *text = describe_spare(vm, spare, reserve);
  g_autofree char *sum_text = dm_size_format(sum);
  g_autofree char *memory_text = dm_size_format(memory);
  const char *source = dm_source_name(vm->guest->memory_source);
  /* The balloon only gives an upper bound. */
  DmVerdict verdict = vm->guest->memory_source == DM_SOURCE_HYPERVISOR ? DM_VERDICT_UNKNOWN : DM_VERDICT_GOOD;
  if (sum > spare)
    verdict = memory != 0 || least >= dm_config_memory(vm->live) ? DM_VERDICT_BAD : DM_VERDICT_WARNING;
  if (sum == 0)
    doctor_add(findings, DM_FINDING_SPARE, NULL, verdict, source, NULL, text);
  else if (memory > 0)
    doctor_add(findings, DM_FINDING_SPARE_FOR, NULL, verdict, source, NULL, text, memory_text, sum_text);
  else
    doctor_add(findings, DM_FINDING_SPARE_FOR_ALL, NULL, verdict, source, NULL, text, sum_text);
  if (sum > spare)
    advise_least(findings, vm, least);
}

static void check_spare(GPtrArray *findings, const DmVm *vm, uint64_t memory) {
  DmWish wish = {.action = DM_ACTION_SET, .flags = DM_PLAN_FORCE, .set = {.has_memory = TRUE, .memory = memory}};
  g_autoptr(GError) error = NULL;
  g_autoptr(DmPlan) plan = memory != 0 ? dm_plan(vm, &wish, &error) : NULL;
  g_autofree char *why = memory != 0 ? why_not(vm, memory, plan, error) : NULL;
  if (why != NULL)
    doctor_add(findings, DM_FINDING_CANNOT_LOWER, NULL, DM_VERDICT_BAD, HOST, NULL, why);
  else
    check_needs(findings, vm, memory, plan);
}

/* Page descriptors, page tables, kernel data: all must be outside of movable memory. */
static void check_kernel_memory(GPtrArray *findings, const DmVm *vm) {
  PlanShare share = plan_share(vm);
  g_autofree char *kernel = dm_size_format(dm_size_floor_mib(share.kernel));
  g_autofree char *movable = dm_size_format(dm_size_floor_mib(share.movable));
  if (dm_vm_is_windows(vm))
    return;
  if (!plan_is_lopsided(&share, share.movable)) {
    doctor_add(findings, DM_FINDING_KERNEL_MEMORY, NULL, DM_VERDICT_GOOD, share.source, NULL, kernel, movable);
    return;
  }
  doctor_add(findings, DM_FINDING_LOPSIDED, NULL, DM_VERDICT_WARNING, share.source, DM_REMEDY_LOPSIDED, kernel, movable,
    PLAN_LOPSIDED);
  if (vm->next_run != NULL)
    doctor_add_command(findings, "dimmer", "set", "--", dm_vm_handle(vm), "--next-run", "--memory", "SIZE", NULL);
}

void doctor_check_guest(GPtrArray *findings, const DmVm *vm, uint64_t memory) {
  check_ports(findings, vm);
  check_guest_os(findings, vm);
  check_onlining(findings, vm);
  check_block_size(findings, vm);
  check_spare(findings, vm, memory);
  check_kernel_memory(findings, vm);
}
