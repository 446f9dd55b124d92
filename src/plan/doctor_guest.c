/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest told of itself. Where nobody in it answers, that is said once, with its remedy, by "ports". */
#include "base/size.h"
#include "change.h"
#include "doctor_private.h"
#include "plan/change.h"

static const char *system_source(const DmVm *vm) {
  return vm->guest != NULL ? dm_source_name(vm->guest->system) : NULL;
}

/* ---- who answers ---- */

/* Preparing a guest begins with the ports that its VM lacks. */
static void add_port_command(GPtrArray *findings, const DmVm *vm) {
  doctor_add_command(findings, "dimmer", "guest", "prepare", vm->name, NULL);
}

static void check_no_agent(GPtrArray *findings, const DmVm *vm) {
  gboolean none = vm->agent_port == DM_PORT_NONE && vm->qemu_agent_port == DM_PORT_NONE;
  gboolean open = vm->agent_port == DM_PORT_OPEN || vm->qemu_agent_port == DM_PORT_OPEN;
  if (open && vm->guest == NULL) /* it was not asked */
    return;
  if (vm->guest != NULL && vm->guest->busy) {
    doctor_add(findings, "ports", NULL, DM_VERDICT_UNKNOWN, HOST,
      g_strdup("another program speaks to dimmer-guest at this moment"), g_strdup("ask again when that is done"));
  } else if (none) {
    doctor_add(findings, "ports", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup("the VM has no port by which an agent in the guest could answer"),
      g_strdup("run dimmer-guest in the guest, once the VM has a port for it"));
    add_port_command(findings, vm);
  } else if (open) {
    doctor_add(findings, "ports", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup("an agent in the guest has opened its port, but does not answer"),
      g_strdup("restart dimmer-guest or qemu-guest-agent in the guest"));
  } else {
    gboolean port = vm->agent_port != DM_PORT_NONE;
    doctor_add(findings, "ports", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup("neither dimmer-guest nor qemu-guest-agent runs in the guest"),
      g_strdup(port ? "install dimmer-guest in the guest, as dimmer-guest(8) tells"
                    : "start qemu-guest-agent in the guest, or dimmer-guest, once the VM has a port for it"));
    if (!port)
      add_port_command(findings, vm);
  }
}

static void check_ports(GPtrArray *findings, const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  if (dm_vm_is_windows(vm)) /* no agent would help */
    return;
  if (guest != NULL && guest->agent != NULL) {
    doctor_add(findings, "ports", NULL, DM_VERDICT_GOOD, dm_source_name(DM_SOURCE_AGENT),
      g_strdup_printf("%s answers%s", guest->agent, guest->qemu_agent ? ", and qemu-guest-agent as well" : ""), NULL);
  } else if (guest == NULL || !guest->qemu_agent) {
    check_no_agent(findings, vm);
  } else if (guest->can_exec || guest->can_file) {
    doctor_add(findings, "ports", NULL, DM_VERDICT_GOOD, dm_source_name(DM_SOURCE_QEMU_AGENT),
      guest->busy ? g_strdup("qemu-guest-agent answers, and another program speaks to dimmer-guest at this moment")
                  : g_strdup("qemu-guest-agent answers; without dimmer-guest an unplug cannot tell what holds it up"),
      NULL);
  } else {
    gboolean port = vm->agent_port != DM_PORT_NONE;
    doctor_add(findings, "ports", NULL, DM_VERDICT_WARNING, dm_source_name(DM_SOURCE_QEMU_AGENT),
      g_strdup("qemu-guest-agent answers, but allows neither files nor programs, so little is known of the guest"),
      g_strdup(port ? "run dimmer-guest in the guest, which tells more"
                    : "run dimmer-guest in the guest, which tells more, once the VM has a port for it"));
    if (!port)
      add_port_command(findings, vm);
  }
}

/* ---- the system ---- */

static void check_windows(GPtrArray *findings, const DmVm *vm) {
  gboolean told = vm->guest != NULL && vm->guest->windows == DM_FACT_YES;
  const char *os = told ? vm->guest->os : NULL;
  g_autofree char *named =
    os != NULL ? g_strdup_printf("Windows (%s)", os) : g_strdup(told ? "Windows" : "Windows by its definition");
  doctor_add(findings, "guest-os", NULL, DM_VERDICT_BAD, told ? system_source(vm) : HOST,
    g_strdup_printf("the guest is %s, which cannot release memory devices while it runs", named),
    vm->next_run != NULL ? g_strdup("change its memory for the next start") : NULL);
  if (vm->next_run != NULL)
    doctor_add_command(findings, "dimmer", "set", vm->name, "--next-run", "--memory", "SIZE", NULL);
}

static void check_guest_os(GPtrArray *findings, const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  if (dm_vm_is_windows(vm)) {
    check_windows(findings, vm);
    return;
  }
  const char *kernel = guest != NULL && guest->kernel != NULL ? guest->kernel : NULL;
  g_autofree char *named = g_strdup_printf("%s%s%s%s%s", kernel != NULL ? "kernel " : "the guest's kernel",
    kernel != NULL ? kernel : "", guest != NULL && guest->os != NULL ? " (" : "",
    guest != NULL && guest->os != NULL ? guest->os : "", guest != NULL && guest->os != NULL ? ")" : "");
  DmFact remove = guest != NULL ? guest->hot_remove : DM_FACT_UNKNOWN;
  if (remove == DM_FACT_NO)
    doctor_add(findings, "guest-os", NULL, DM_VERDICT_BAD, system_source(vm),
      g_strdup_printf("%s was built without memory hot remove (CONFIG_MEMORY_HOTREMOVE)", named),
      g_strdup("boot the guest with a kernel that has it"));
  else if (remove == DM_FACT_YES)
    doctor_add(findings, "guest-os", NULL, DM_VERDICT_GOOD, system_source(vm),
      g_strdup_printf("%s can take memory out", named), NULL);
  else if (kernel != NULL)
    doctor_add(findings, "guest-os", NULL, DM_VERDICT_GOOD, system_source(vm),
      g_strdup_printf("%s can take memory out, unless it was built without memory hot remove", named), NULL);
  else
    doctor_add(findings, "guest-os", NULL, DM_VERDICT_UNKNOWN, NULL,
      g_strdup("nobody told which system runs in the guest, and whether it can release memory"), NULL);
}

/* ---- what becomes of the next plug ---- */

typedef struct {
  DmVerdict verdict;
  const char *evidence;
} Onlining;

/*
 * The kernel's own policy comes before any rule or program of user space. Before 4.13 movable_node is about memory that
 * is there when the kernel starts, and what is plugged becomes movable in one order only: see guest/online.c.
 */
static Onlining foresee(const DmGuest *guest) {
  const char *policy = guest->policy;
  gboolean ordered = dm_guest_is_before(guest, 4, 13);
  gboolean node = guest->movable_node == DM_FACT_YES && !ordered;
  if (g_strcmp0(policy, "online_movable") == 0)
    return (Onlining){DM_VERDICT_GOOD, "the kernel brings plugged memory online as movable (online_movable)"};
  if (g_strcmp0(policy, "online_kernel") == 0)
    return (Onlining){
      DM_VERDICT_BAD, "the kernel takes plugged memory for itself (online_kernel), and does not let it go"};
  if (g_strcmp0(policy, "online") == 0)
    return node
      ? (Onlining){DM_VERDICT_GOOD, "the kernel brings plugged memory online as movable (movable_node)"}
      : (Onlining){DM_VERDICT_BAD,
          "the kernel brings plugged memory online at once, mostly not as movable (auto_online_blocks is online)"};
  if (guest->onlines == DM_FACT_YES)
    return (Onlining){DM_VERDICT_GOOD, "dimmer-guest brings plugged memory online as movable"};
  if (guest->udev_rule == DM_FACT_YES)
    return ordered ? (Onlining){DM_VERDICT_WARNING,
                       "a udev rule brings plugged memory online as movable, but this kernel wants the highest block "
                       "first, and udev begins with the lowest"}
                   : (Onlining){DM_VERDICT_GOOD, "a udev rule brings plugged memory online as movable"};
  if (policy == NULL)
    return node ? (Onlining){DM_VERDICT_GOOD, "memory that comes online is movable (movable_node)"}
                : (Onlining){DM_VERDICT_UNKNOWN, "nobody told how plugged memory comes online"};
  if (node)
    return (Onlining){
      DM_VERDICT_WARNING, "memory that comes online is movable (movable_node), but nobody is known to bring it online"};
  return guest->udev_rule == DM_FACT_NO
    ? (Onlining){DM_VERDICT_BAD,
        "nobody brings plugged memory online as movable: it stays offline, or becomes the kernel's by "
        "a rule of the distribution"}
    : (Onlining){DM_VERDICT_WARNING,
        "the kernel leaves plugged memory offline, and nobody is known to bring it online as movable"};
}

/* Before 4.13, what the kernel has brought online by itself seldom becomes movable after it. */
static const char *onlining_remedy(const DmGuest *guest) {
  if (!dm_guest_is_before(guest, 4, 13) || guest->onlines == DM_FACT_YES)
    return "prepare the guest: from the next plug on, memory then comes online as movable";
  if (g_strcmp0(guest->policy, "online") == 0)
    return "run dimmer-guest in the guest, which keeps the order that this kernel needs, or start the guest with "
           "memhp_default_state=offline on the kernel command line and prepare it after each plug";
  return "run dimmer-guest in the guest, which keeps the order that this kernel needs, or prepare it after each plug";
}

static void check_onlining(GPtrArray *findings, const DmVm *vm) {
  static const Onlining unknown = {DM_VERDICT_UNKNOWN, "nobody told how plugged memory comes online"};
  Onlining onlining = vm->guest != NULL ? foresee(vm->guest) : unknown;
  gboolean wrong = onlining.verdict == DM_VERDICT_BAD || onlining.verdict == DM_VERDICT_WARNING;
  if (dm_vm_is_windows(vm))
    return;
  doctor_add(findings, "onlining", NULL, onlining.verdict,
    onlining.verdict != DM_VERDICT_UNKNOWN ? system_source(vm) : NULL, g_strdup(onlining.evidence),
    wrong ? g_strdup(onlining_remedy(vm->guest)) : NULL);
  if (wrong)
    doctor_add_command(findings, "dimmer", "guest", "prepare", vm->name, NULL);
}

static void check_block_size(GPtrArray *findings, const DmVm *vm) {
  uint64_t block = vm->guest != NULL ? vm->guest->block : 0, step = dm_vm_plug_step(vm);
  if (block == 0) {
    doctor_add(findings, "block-size", NULL, DM_VERDICT_UNKNOWN, NULL,
      g_strdup("nobody told how large the guest's memory blocks are"), NULL);
    return;
  }
  g_autofree char *block_text = dm_size_format(block);
  g_autofree char *step_text = dm_size_format(step);
  const char *source = dm_source_name(vm->guest->block_source);
  if (block == step && block > dm_vm_factor(vm))
    doctor_add(findings, "block-size", NULL, DM_VERDICT_WARNING, source,
      g_strdup_printf("the guest's memory blocks are %s, and it cannot use smaller DIMMs: they are plugged in steps of "
                      "that",
        block_text),
      NULL);
  else
    doctor_add(findings, "block-size", NULL, DM_VERDICT_GOOD, source,
      g_strdup_printf("the guest's memory blocks are %s, and DIMMs are plugged in steps of %s", block_text, step_text),
      NULL);
}

/* ---- what it can spare ---- */

/* What @plan releases, or, where that is NULL, what could be released at most. */
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

/* Why the running VM does not come down to @memory, in words; NULL: it does, or as near as its devices' sizes let it.
 */
static char *why_not(const DmVm *vm, uint64_t memory, const DmPlan *plan, const GError *error) {
  if (error != NULL)
    return g_strdup(error->message);
  if (memory >= dm_config_memory(vm->live) || plan->memory_after <= memory || plan->notes->len == 0)
    return NULL;
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < plan->notes->len; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", (const char *)plan->notes->pdata[i]);
  return g_string_free(text, FALSE);
}

static char *describe_spare(const DmVm *vm, uint64_t spare, uint64_t reserve) {
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  g_autofree char *available = dm_size_format(dm_size_floor_mib(vm->guest->available));
  g_autofree char *reserve_text = dm_size_format(dm_size_floor_mib(reserve));
  return g_strdup_printf(
    "the guest can spare %s (%s available, less a reserve of %s)", spare_text, available, reserve_text);
}

static char *advise_least(const DmVm *vm, uint64_t least) {
  g_autofree char *text = dm_size_format(dm_size_floor_mib(dm_size_plus(least, DM_MIB - 1)));
  if (least >= dm_config_memory(vm->live))
    return g_strdup("end programs in the guest first, or force it");
  return g_strdup_printf("the least memory to set now is %s, unless it is forced", text);
}

/* @plan lowers it to @memory; NULL: no size was named. */
static void check_needs(GPtrArray *findings, const DmVm *vm, uint64_t memory, const DmPlan *plan) {
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve)) {
    doctor_add(findings, "spare", NULL, DM_VERDICT_UNKNOWN, NULL,
      g_strdup("nobody told how much memory the guest can spare"), NULL);
    return;
  }
  PlanNeeds needs = find_needs(vm, plan);
  uint64_t sum = dm_size_plus(needs.asked, needs.out), least = plan_least_memory(vm, 0, spare);
  g_autofree char *text = describe_spare(vm, spare, reserve);
  g_autofree char *sum_text = dm_size_format(sum);
  g_autofree char *memory_text = dm_size_format(memory);
  const char *source = dm_source_name(vm->guest->memory_source);
  DmVerdict verdict = DM_VERDICT_GOOD;
  if (sum > spare)
    verdict = memory != 0 || least >= dm_config_memory(vm->live) ? DM_VERDICT_BAD : DM_VERDICT_WARNING;
  doctor_add(findings, "spare", NULL, verdict, source,
    sum == 0       ? g_strdup(text)
      : memory > 0 ? g_strdup_printf("%s, and lowering to %s takes %s", text, memory_text, sum_text)
                   : g_strdup_printf("%s, and its memory devices could release %s", text, sum_text),
    sum > spare ? advise_least(vm, least) : NULL);
}

static void check_spare(GPtrArray *findings, const DmVm *vm, uint64_t memory) {
  DmWish wish = {.has_memory = TRUE, .memory = memory, .flags = DM_PLAN_FORCE};
  g_autoptr(GError) error = NULL;
  g_autoptr(DmPlan) plan = memory != 0 ? dm_plan_set(vm, &wish, &error) : NULL;
  char *why = memory != 0 ? why_not(vm, memory, plan, error) : NULL;
  if (why != NULL)
    doctor_add(findings, "spare", NULL, DM_VERDICT_BAD, HOST, why, NULL);
  else
    check_needs(findings, vm, memory, plan);
}

void doctor_check_guest(GPtrArray *findings, const DmVm *vm, uint64_t memory) {
  check_ports(findings, vm);
  check_guest_os(findings, vm);
  check_onlining(findings, vm);
  check_block_size(findings, vm);
  check_spare(findings, vm, memory);
}
