/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every plan, over random VMs and wishes; and that what a plan predicts is what becomes of the VM. */
#include "base/error.h"
#include "base/size.h"
#include "notation.h"
#include "plan/account.h"

#define ROUNDS 30000
#define SEED 20250316

static char *random_devices(GRand *rand, gboolean live) {
  GString *text = g_string_new(NULL);
  for (int i = g_rand_int_range(rand, 0, 6); i > 0; i--) {
    int size = 128 << g_rand_int_range(rand, 0, 4), held = size / 8 * g_rand_int_range(rand, 0, 9);
    if (g_rand_int_range(rand, 0, 3) > 0)
      g_string_append_printf(text, " d%d", size);
    else if (live)
      g_string_append_printf(text, " v%d:%d/%d:%d", size, held, held, size / 8 >> g_rand_int_range(rand, 0, 4));
    else
      g_string_append_printf(text, " v%d:%d:2", size, held);
  }
  return g_string_free(text, FALSE);
}

static char *random_config(GRand *rand, gboolean live) {
  g_autofree char *devices = random_devices(rand, live);
  int maximum = g_rand_int_range(rand, 1, 5) * 4096, guaranteed = g_rand_int_range(rand, 0, 128);
  int boot = g_rand_int_range(rand, 1, 9) * 128;
  if (g_rand_int_range(rand, 0, 12) == 0)
    return g_strdup_printf("~%d g=%d", boot, guaranteed);
  if (g_rand_boolean(rand))
    return g_strdup_printf("%d+%d max=%d/16 g=%d%s", boot, boot / 2, maximum, guaranteed, devices);
  return g_strdup_printf("%d max=%d/%d g=%d%s", boot, maximum, g_rand_int_range(rand, 1, 8), guaranteed, devices);
}

static DmVm *random_vm(GRand *rand, char **text) {
  g_autofree char *live = random_config(rand, TRUE);
  g_autofree char *next = g_rand_int_range(rand, 0, 10) == 0 ? g_strdup("-") : random_config(rand, FALSE);
  *text = g_strdup_printf("running: %s | %s", live, next);
  return vm_from(*text);
}

static DmWish random_wish(GRand *rand, const DmVm *vm) {
  DmWish wish = {
    .action = DM_ACTION_SET, .set = {.has_memory = g_rand_boolean(rand), .has_guaranteed = g_rand_boolean(rand)}};
  uint64_t memory = dm_config_memory(vm->live) / DM_MIB;
  wish.set.has_maximum = g_rand_int_range(rand, 0, 5) == 0;
  wish.set.next_run_only = g_rand_int_range(rand, 0, 5) == 0;
  wish.set.memory = (uint64_t)g_rand_int_range(rand, 1, (int)memory * 2);
  if (g_rand_boolean(rand)) /* else nearly all raises are no multiple */
    wish.set.memory = memory + 128 * (uint64_t)g_rand_int_range(rand, 0, 10) - MIN(memory - 1, 512);
  wish.set.memory *= DM_MIB;
  wish.set.guaranteed =
    (uint64_t)g_rand_int_range(rand, 1, (int)memory) * DM_MIB + (uint64_t)g_rand_int_range(rand, 0, 99);
  wish.set.maximum = (uint64_t)g_rand_int_range(rand, 1, 20000) * DM_MIB;
  return wish;
}

static uint64_t sum_of_steps(const DmPlan *plan, uint64_t memory) {
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    g_assert_cmpint(step->state, ==, DM_STEP_PLANNED);
    g_assert_cmpuint(step->to, <=, step->size);
    memory = memory + step->to - step->from;
  }
  return memory;
}

/* No device twice, each there unless it is new, and no more slots than there are. */
static void check_steps(const DmVm *vm, const DmPlan *plan) {
  g_autoptr(GHashTable) aliases = g_hash_table_new(g_str_hash, g_str_equal);
  guint new_devices = 0;
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    g_assert_true(g_hash_table_add(aliases, step->alias));
    g_assert_true((step->op == DM_OP_PLUG) == (device == NULL));
    if (step->op == DM_OP_PLUG)
      new_devices++;
    else
      g_assert_cmpuint(step->from, ==, dm_memory_device_memory(device));
    if (step->op == DM_OP_RESIZE)
      g_assert_cmpuint(step->to % device->block, ==, 0);
  }
  g_assert_cmpuint(new_devices, <=, dm_config_free_slots(vm->live));
}

static void check_live(const DmVm *vm, const DmWish *wish, const DmPlan *plan) {
  uint64_t before = dm_config_memory(vm->live), wanted = dm_size_floor_mib(wish->set.memory);
  g_assert_cmpuint(plan->memory_before, ==, before);
  g_assert_cmpuint(plan->memory_after, ==, sum_of_steps(plan, before));
  g_assert_cmpuint(plan->guaranteed_after, <=, plan->memory_after);
  check_steps(vm, plan);
  if (!wish->set.has_memory || wish->set.next_run_only) {
    g_assert_cmpuint(plan->memory_after, ==, before);
    g_assert_cmpuint(plan->steps->len, ==, 0);
  } else if (wanted >= before) {
    g_assert_cmpuint(plan->memory_after, ==, wanted);
  } else {
    g_assert_cmpuint(plan->memory_after, >=, wanted);
    g_assert_cmpuint(plan->memory_after, <=, before);
  }
  if (wish->set.has_guaranteed && !wish->set.next_run_only && (!wish->set.has_memory || plan->memory_after != before))
    g_assert_cmpuint(plan->guaranteed_after, ==, dm_size_floor_mib(wish->set.guaranteed));
}

static void check_next_run(const DmVm *vm, const DmWish *wish, const DmPlan *plan) {
  const DmConfig *next = plan->next_run_config, *before = vm->next_run;
  if (before == NULL) {
    g_assert_null(next);
    return;
  }
  /* Exactly as asked; what is not named stays. */
  uint64_t memory = wish->set.has_memory ? dm_size_floor_mib(wish->set.memory) : dm_config_memory(before);
  g_assert_cmpuint(dm_config_memory(next), ==, memory);
  g_assert_cmpuint(
    next->guaranteed, ==, wish->set.has_guaranteed ? dm_size_floor_mib(wish->set.guaranteed) : before->guaranteed);
  if (before->maximum != 0 || wish->set.has_maximum)
    g_assert_cmpuint(dm_config_maximum(next), ==,
      wish->set.has_maximum ? dm_size_floor_mib(wish->set.maximum) : dm_config_maximum(before));
  g_assert_cmpuint(next->guaranteed, <=, dm_config_memory(next));
  g_assert_cmpuint(dm_config_memory(next), <=, dm_config_maximum(next));
  g_assert_cmpint(next->has_numa, ==, before->has_numa);
  g_assert_cmpuint(next->cells->len, ==, before->cells->len);
  for (guint i = 0; i < next->cells->len; i++)
    g_assert_cmpuint(g_array_index(next->cells, uint64_t, i), >=, DM_MIB);
  if (next->maximum != 0 && next->devices->len == 0) /* QEMU does not start with both equal */
    g_assert_cmpuint(dm_config_boot(next), <, next->maximum);
}

/* ---- a plan that is carried out ---- */

static void carry_out_step(DmConfig *live, const DmStep *step) {
  DmMemoryDevice *device = dm_config_find_alias(live, step->alias);
  if (step->op == DM_OP_UNPLUG) {
    g_ptr_array_remove(live->devices, device);
    return;
  }
  if (step->op == DM_OP_PLUG) {
    device = dm_memory_device_new(step->kind);
    device->alias = g_strdup(step->alias);
    device->size = step->size;
    device->block = step->block;
    device->node = step->node;
    g_ptr_array_add(live->devices, device);
  }
  device->requested = device->current = step->to;
}

/* As the engine does it when the guest grants everything. */
static void carry_out(DmVm *vm, const DmPlan *plan) {
  g_autoptr(DmRequest) request = dm_request_new(plan->action);
  request->memory = plan->memory;
  request->guaranteed = plan->guaranteed;
  if (plan->action == DM_ACTION_SET && plan->next_run_config != NULL) {
    dm_config_free(vm->next_run);
    vm->next_run = dm_config_copy(plan->next_run_config);
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    DmStep *step = dm_step_copy(plan->steps->pdata[i]);
    g_assert_true(dm_step_advance(step, DM_STEP_ASKED));
    g_ptr_array_add(request->steps, step);
    carry_out_step(vm->live, step);
  }
  g_autoptr(DmAccount) account = dm_plan_account(vm, request);
  if (account->guaranteed != 0)
    vm->live->guaranteed = account->guaranteed;
  DmConfig *next = account->follows ? dm_plan_follow(vm->next_run, account, vm->name, NULL, NULL) : NULL;
  if (next != NULL) {
    dm_config_free(vm->next_run);
    vm->next_run = next;
  }
  for (guint i = 0; i < request->steps->len; i++)
    g_assert_cmpint(((DmStep *)request->steps->pdata[i])->state, ==, DM_STEP_DONE);
}

/* What the plan predicts is what becomes. */
static void check_carried_out(const DmVm *vm, const DmPlan *plan) {
  g_autoptr(DmVm) after = dm_vm_copy(vm);
  carry_out(after, plan);
  g_assert_cmpuint(dm_config_memory(after->live), ==, plan->memory_after);
  g_assert_cmpuint(dm_config_guaranteed(after->live), ==, plan->guaranteed_after);
  g_assert_cmpuint(dm_config_memory(after->live), <=, MAX(dm_config_maximum(after->live), dm_config_memory(vm->live)));
  g_autofree char *predicted = config_text(plan->next_run_config != NULL ? plan->next_run_config : vm->next_run);
  g_autofree char *next = config_text(after->next_run);
  g_assert_cmpstr(next, ==, predicted);
}

/* ---- set ---- */

/* Whether the virtio-mem devices from number @from on can take some of @added so that the rest is whole DIMMs. */
static gboolean can_grow_by(const DmVm *vm, guint from, uint64_t added) {
  if (added % dm_vm_factor(vm) == 0)
    return TRUE;
  for (guint i = from; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    uint64_t left = dm_size_minus(device->size, dm_memory_device_memory(device));
    if (device->kind != DM_DEVICE_VIRTIO_MEM)
      continue;
    for (uint64_t grow = device->block; grow <= MIN(left, added); grow += device->block) {
      if (can_grow_by(vm, i + 1, added - grow))
        return TRUE;
    }
  }
  return FALSE;
}

/* A rule that forbids: never an unexpected error, and no step refused that there is a way to take. */
static void check_error(const DmVm *vm, const DmWish *wish, const GError *error) {
  g_assert_cmpuint(error->domain, ==, DM_ERROR);
  g_assert_cmpint(dm_error_info_of(error)->exit_status, !=, DM_EXIT_FAILED);
  uint64_t wanted = dm_size_floor_mib(wish->set.memory), before = dm_config_memory(vm->live);
  if (error->code == DM_ERROR_NOT_A_MULTIPLE)
    g_assert_false(can_grow_by(vm, 0, wanted - before));
  if (error->code == DM_ERROR_SIZE_ZERO)
    g_assert_cmpuint(wanted, <, vm->next_run->cells->len * DM_MIB);
}

static void print_case(const char *vm, const DmWish *wish) {
  g_test_message("%s: memory %d %" G_GUINT64_FORMAT ", guaranteed %d %" G_GUINT64_FORMAT
                 ", maximum %d %" G_GUINT64_FORMAT ", next run only %d",
    vm, wish->set.has_memory, wish->set.memory / DM_MIB, wish->set.has_guaranteed, wish->set.guaranteed / DM_MIB,
    wish->set.has_maximum, wish->set.maximum / DM_MIB, wish->set.next_run_only);
}

static void test_set(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);
  guint plans = 0, lowered = 0, raised = 0, forbidden = 0;
  g_test_message("seed %u", SEED);
  for (guint round = 0; round < ROUNDS && !g_test_failed(); round++) {
    g_autofree char *text = NULL;
    g_autoptr(DmVm) vm = random_vm(rand, &text);
    DmWish wish = random_wish(rand, vm);
    g_autoptr(GError) error = NULL;
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
    if (plan == NULL) {
      check_error(vm, &wish, error);
      forbidden++;
    } else {
      g_assert_no_error(error);
      check_live(vm, &wish, plan);
      check_next_run(vm, &wish, plan);
      check_carried_out(vm, plan);
      plans++;
      lowered += plan->memory_after < plan->memory_before;
      raised += plan->memory_after > plan->memory_before;
    }
    if (g_test_failed())
      print_case(text, &wish);
  }
  g_test_message("%u plans, of which %u lower and %u raise; %u forbidden", plans, lowered, raised, forbidden);
  g_assert_cmpuint(lowered, >, ROUNDS / 20);
  g_assert_cmpuint(raised, >, ROUNDS / 50);
}

/* ---- devices by name, and new ones ---- */

static void test_unplug(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(SEED + 1);
  guint followed = 0;
  for (guint round = 0; round < ROUNDS / 3 && !g_test_failed(); round++) {
    g_autofree char *text = NULL;
    g_autoptr(DmVm) vm = random_vm(rand, &text);
    const char *names[4] = {NULL};
    guint count = MIN(vm->live->devices->len, 3);
    for (guint i = 0; i < count; i++)
      names[i] = ((DmMemoryDevice *)vm->live->devices->pdata[g_rand_int_range(rand, 0, (int)count)])->alias;
    if (vm->next_run != NULL && g_rand_boolean(rand)) { /* the same memory, so that it follows */
      g_array_index(vm->next_run->cells, uint64_t, 0) += dm_config_memory(vm->live);
      g_array_index(vm->live->cells, uint64_t, 0) += dm_config_memory(vm->next_run) - dm_config_memory(vm->live);
    }
    vm->live->guaranteed = (uint64_t)g_rand_int_range(rand, 0, (int)(dm_config_memory(vm->live) / DM_MIB)) * DM_MIB;
    g_autoptr(GError) error = NULL;
    g_autoptr(DmPlan) plan = unplug_plan(vm, names, 0, &error);
    g_assert_no_error(error);
    check_carried_out(vm, plan);
    followed += plan->next_run_config != NULL;
    if (g_test_failed())
      g_test_message("%s: %s %s %s", text, names[0], names[1], names[2]);
  }
  g_assert_cmpuint(followed, >, ROUNDS / 20);
}

static void test_plug(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(SEED + 2);
  guint plugged = 0;
  for (guint round = 0; round < ROUNDS / 3 && !g_test_failed(); round++) {
    g_autofree char *text = NULL;
    g_autoptr(DmVm) vm = random_vm(rand, &text);
    DmPlugWish wish = {.kind = g_rand_boolean(rand) ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM,
      .size = (uint64_t)g_rand_int_range(rand, 1, 12) * 128 * DM_MIB,
      .one_node = (guint)g_rand_int_range(rand, 0, 3),
      .policy = (DmPlugPolicy)g_rand_int_range(rand, 0, 3)};
    g_autoptr(GError) error = NULL;
    g_autoptr(DmPlan) plan = plug_plan(vm, &wish, &error);
    if (plan != NULL) {
      g_assert_cmpuint(plan->memory_after, ==, plan->memory_before + wish.size);
      check_carried_out(vm, plan);
      plugged++;
    } else {
      g_assert_cmpint(dm_error_info_of(error)->exit_status, ==, DM_EXIT_RULE);
    }
    if (g_test_failed())
      g_test_message("%s: %" G_GUINT64_FORMAT " on node %u - 1", text, wish.size / DM_MIB, wish.one_node);
  }
  g_assert_cmpuint(plugged, >, ROUNDS / 20);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/plan-random/set", test_set);
  g_test_add_func("/plan-random/unplug", test_unplug);
  g_test_add_func("/plan-random/plug", test_plug);
  return g_test_run();
}
