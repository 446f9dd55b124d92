/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include "base/size.h"
#include "notation.h"

/* What the plan promised, what became of its steps, and what that comes to: the exit status says it. */
static const struct {
  const char *name;
  guint before, after; /* MiB */
  const char *steps;
  guint reached; /* MiB, of the last step; 0: as it was made */
  DmOutcome outcome;
} cases[] = {
  {"nothing-to-do", 1024, 1024, "set=1024", 0, DM_OUTCOME_DONE},
  {"done", 1280, 1024, "set=1024 -a(256):removed", 0, DM_OUTCOME_DONE},
  {"refused", 1280, 1024, "set=1024 -a(256):refused", 0, DM_OUTCOME_REFUSED},
  {"overdue", 1280, 1024, "set=1024 -a(256):overdue", 0, DM_OUTCOME_OVERDUE},
  {"still-asked", 1280, 1024, "set=1024 -a(256):asked", 0, DM_OUTCOME_OVERDUE},
  {"never-asked", 1280, 1024, "set=1024 -a(256):planned", 0, DM_OUTCOME_OVERDUE},
  {"refused-and-overdue", 1280, 1024, "set=1024 -a(128):refused -b(128):overdue", 0, DM_OUTCOME_OVERDUE},
  {"one-of-two-refused", 1280, 1024, "set=1024 -a(128):removed -b(128):refused", 0, DM_OUTCOME_PARTLY},
  {"one-of-two-overdue", 1280, 1024, "set=1024 -a(128):overdue -b(128):removed", 0, DM_OUTCOME_PARTLY},
  {"others-made-up", 1280, 1024, "set=1024 -a(256):refused -b(128):removed -c(128):removed", 0, DM_OUTCOME_DONE},
  {"others-made-up-in-part", 1280, 1024, "set=1024 -a(256):refused -b(128):removed", 0, DM_OUTCOME_PARTLY},
  {"chosen-devices", 1280, 1024, "unplug -a(128):removed -b(128):refused", 0, DM_OUTCOME_PARTLY},
  {"shrunk", 1280, 1024, "set=1024 a(512>256):resized", 256, DM_OUTCOME_DONE},
  {"shrunk-in-part", 1280, 1024, "set=1024 a(512>256):overdue", 400, DM_OUTCOME_PARTLY},
  {"not-shrunk", 1280, 1024, "set=1024 a(512>256):overdue", 512, DM_OUTCOME_OVERDUE},
  {"grown-instead-of-shrunk", 1280, 1024, "set=1024 a(512>256):overdue", 600, DM_OUTCOME_OVERDUE},
  {"grown-in-part", 1280, 1536, "set=1536 a(256>512):overdue", 400, DM_OUTCOME_PARTLY},
  {"not-grown", 1280, 1536, "set=1536 a(256>512):overdue", 256, DM_OUTCOME_OVERDUE},
  {"plugged", 1024, 1280, "plug +a(256):added", 0, DM_OUTCOME_DONE},
  {"plugged-and-not-taken", 1024, 1280, "plug +a(256):overdue", 0, DM_OUTCOME_OVERDUE},
  {"plugged-and-taken-in-part", 1024, 1280, "plug +a(256):overdue", 100, DM_OUTCOME_PARTLY},
  {"plug-failed", 1024, 1280, "plug +a(256):refused", 0, DM_OUTCOME_REFUSED},
  {"plugged-in-part", 1024, 1280, "plug +a(128):added +b(128):refused", 0, DM_OUTCOME_PARTLY},
};

static void test_case(gconstpointer data) {
  const typeof(cases[0]) *c = data;
  g_autofree char *text = g_strdup_printf("running: 1024 | - | %s", c->steps);
  g_autoptr(DmVm) vm = vm_from(text);
  DmPlan plan = {.memory_before = c->before * DM_MIB, .memory_after = c->after * DM_MIB};
  const GPtrArray *steps = vm->request->steps;
  if (c->reached != 0)
    ((DmStep *)steps->pdata[steps->len - 1])->run.reached = c->reached * DM_MIB;
  g_assert_cmpstr(dm_outcome_name(outcome_of(&plan, vm->request)), ==, dm_outcome_name(c->outcome));
}

/* The balloon of a lowering to 768 MiB, with a device or without; sizes in MiB. */
static const struct {
  const char *name;
  DmStepState state;
  guint reached; /* what the balloon left the guest */
  const char *steps;
  guint after; /* what the devices were to leave */
  DmOutcome outcome;
} balloons[] = {
  {"taken", DM_STEP_DONE, 768, "set=768", 1024, DM_OUTCOME_DONE},
  {"stopped-short", DM_STEP_REFUSED, 900, "set=768", 1024, DM_OUTCOME_PARTLY},
  {"took-nothing", DM_STEP_REFUSED, 1024, "set=768", 1024, DM_OUTCOME_REFUSED},
  {"silent", DM_STEP_OVERDUE, 1024, "set=768", 1024, DM_OUTCOME_OVERDUE},
  {"silent-on-its-way", DM_STEP_OVERDUE, 900, "set=768", 1024, DM_OUTCOME_PARTLY},
  {"not-begun", DM_STEP_PLANNED, 1024, "set=768", 1024, DM_OUTCOME_OVERDUE},
  {"waits-for-a-device", DM_STEP_PLANNED, 1024, "set=768 -a(128):overdue", 896, DM_OUTCOME_OVERDUE},
  {"waits-for-one-of-two", DM_STEP_PLANNED, 1024, "set=768 -a(128):removed -b(64):overdue", 832, DM_OUTCOME_PARTLY},
  {"made-up-for-a-device", DM_STEP_DONE, 768, "set=768 -a(128):refused", 1024, DM_OUTCOME_DONE},
};

static void test_balloon(gconstpointer data) {
  const typeof(balloons[0]) *c = data;
  g_autofree char *text = g_strdup_printf("running: 1024 | - | %s", c->steps);
  g_autoptr(DmVm) vm = vm_from(text);
  DmStep *step = dm_step_new_balloon(1024 * DM_MIB, 1024 * DM_MIB, 768 * DM_MIB);
  DmPlan plan = {.action = DM_ACTION_SET,
    .memory = 768 * DM_MIB,
    .memory_before = 1024 * DM_MIB,
    .memory_after = c->after * DM_MIB,
    .balloon = step};
  step->state = c->state;
  step->run.reached = c->reached * DM_MIB;
  vm->request->balloon = step;
  g_assert_cmpstr(dm_outcome_name(outcome_of(&plan, vm->request)), ==, dm_outcome_name(c->outcome));
}

/* Steps of an earlier request that are still out do not spoil this one. */
static void test_carried(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 | - | plug +a(256):added -old(128):overdue");
  DmPlan plan = {.memory_before = 1024 * DM_MIB, .memory_after = 1280 * DM_MIB};
  ((DmStep *)vm->request->steps->pdata[1])->origin = g_new0(DmOrigin, 1);
  g_assert_cmpint(outcome_of(&plan, vm->request), ==, DM_OUTCOME_DONE);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/outcome/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(balloons); i++) {
    g_autofree char *path = g_strconcat("/outcome/balloon/", balloons[i].name, NULL);
    g_test_add_data_func(path, &balloons[i], test_balloon);
  }
  g_test_add_func("/outcome/carried", test_carried);
  return g_test_run();
}
