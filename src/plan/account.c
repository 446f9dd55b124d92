/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/account.h"

#include "base/size.h"
#include "change.h"
#include "plan/next_run.h"

static void free_step(gpointer step) {
  dm_step_free(step);
}

void dm_account_free(DmAccount *account) {
  if (account == NULL)
    return;
  g_ptr_array_unref(account->differences);
  g_free(account);
}

/* Whether the VM itself shows that the step is done. */
static gboolean is_done(const DmStep *step, const DmMemoryDevice *device) {
  switch (step->op) {
    case DM_OP_UNPLUG:
      return device == NULL;
    case DM_OP_PLUG:
      return device != NULL && dm_memory_device_memory(device) == step->to;
    case DM_OP_BALLOON: /* not a device */
      return FALSE;
    case DM_OP_RESIZE:
      return device == NULL || device->current == step->to; /* the guest's own answer, also when it grows */
  }
  return FALSE;
}

uint64_t plan_accounted_memory(const DmVm *vm, const DmRequest *request) {
  uint64_t sum = dm_config_boot(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = request != NULL ? dm_request_find_step(request, device->alias) : NULL;
    sum = dm_size_plus(sum, step != NULL ? step->from : dm_memory_device_promised(device));
  }
  return sum;
}

static void account_step(DmAccount *account, DmStep *step, const DmMemoryDevice *device) {
  uint64_t now = device != NULL ? dm_memory_device_memory(device) : 0;
  if (step->state == DM_STEP_PLANNED && is_done(step, device))
    step->state = DM_STEP_ASKED; /* already gone, or present, before our request: count it like the rest */
  if (step->state != DM_STEP_DONE && is_done(step, device))
    dm_step_advance(step, DM_STEP_DONE);
  if (now == step->from)
    return;
  DmStep *difference = dm_step_copy(step);
  difference->to = now;
  g_ptr_array_add(account->differences, difference);
  step->from = now;
}

DmAccount *dm_plan_account(const DmVm *vm, DmRequest *request) {
  DmAccount *account = g_new0(DmAccount, 1);
  account->differences = g_ptr_array_new_with_free_func(free_step);
  account->live = vm->live;
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    account_step(account, step, dm_config_find_alias(vm->live, step->alias));
  }

  uint64_t memory = dm_config_memory(vm->live), now = plan_accounted_memory(vm, request), before = now;
  for (guint i = 0; i < account->differences->len; i++) {
    const DmStep *difference = account->differences->pdata[i];
    before = before - difference->to + difference->from;
  }
  account->follows = request->action != DM_ACTION_SET && request->memory == 0 && before != now &&
    vm->next_run != NULL && dm_config_memory(vm->next_run) == before;
  if (request->guaranteed != 0)
    account->guaranteed = MIN(request->guaranteed, memory);
  else if (vm->live->guaranteed > dm_config_promised(vm->live))
    account->guaranteed = dm_config_promised(vm->live);
  if (account->guaranteed == vm->live->guaranteed)
    account->guaranteed = 0;
  return account;
}

DmConfig *dm_plan_follow(
  const DmConfig *persistent, const DmAccount *account, const char *vm_name, GPtrArray *notes, GError **error) {
  g_autoptr(DmConfig) config = dm_config_copy(persistent);
  for (guint i = 0; i < account->differences->len; i++) {
    const DmStep *difference = account->differences->pdata[i];
    g_autoptr(GPtrArray) one = g_ptr_array_new();
    g_ptr_array_add(one, (gpointer)difference);
    DmTrail trail = {.steps = one, .live = account->live, .follows = TRUE, .notes = notes};
    DmValues values = {.memory = dm_config_memory(config) - difference->from + difference->to};
    DmConfig *next = dm_plan_next_run(config, &values, &trail, vm_name, error);
    if (next == NULL)
      return NULL;
    dm_config_free(config);
    config = next;
  }
  if (config->guaranteed > dm_config_memory(config))
    config->guaranteed = dm_config_memory(config);
  return g_steal_pointer(&config);
}
