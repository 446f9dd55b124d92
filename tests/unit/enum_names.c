/* SPDX-License-Identifier: Apache-2.0 */
/* Every value of an enum has a word: what the tables' static assertions cannot see is a gap in the middle. */
#include "engine/change.h"
#include "hypervisor/domain.h"
#include "model/request.h"
#include "plan/doctor.h"
#include "plan/plug.h"

#define EACH(count, name)                       \
  for (int value = 0; value < (count); value++) \
  g_assert_nonnull(name(value))

static void test_every_value(void) {
  EACH(DM_ACTIONS, dm_action_name);
  EACH(DM_OPS, dm_op_name);
  EACH(DM_VM_STATES, dm_vm_state_name);
  EACH(DM_SOURCES, dm_source_name);
  EACH(DM_VERDICTS, dm_verdict_name);
  EACH(DM_POLICIES, dm_plug_policy_name);
  EACH(DM_POWERS, dm_power_name);
  EACH(DM_OUTCOMES, dm_outcome_name);
}

/* Of every step: what is read back is what was written. */
static void test_steps(void) {
  DmStep step = {0};
  for (step.op = 0; step.op < DM_OPS; step.op++) {
    for (step.state = 0; step.state < DM_STEP_STATES; step.state++) {
      DmStepState read = DM_STEP_STATES;
      g_assert_true(dm_step_state_from_name(dm_step_state_name(&step), &read));
      g_assert_cmpint(read, ==, step.state);
    }
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/enum-names/every-value", test_every_value);
  g_test_add_func("/enum-names/steps", test_steps);
  return g_test_run();
}
