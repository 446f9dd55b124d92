/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest has made of a device that was plugged: whether more of it comes online, and what is said of the rest. */
#include "guest_notation.h"
#include "notation.h"
#include "plan/change.h"

typedef struct {
  const char *name, *guest; /* of a DIMM of 256 MiB at 4 GiB, in two blocks */
  gboolean coming;
  const char *notes; /* their codes, in order */
} Case;

static const Case cases[] = {
  {"no-agent", NULL, FALSE, ""},
  {"movable", "agent block=128 policy=online_movable 4096+256:m", FALSE, ""},
  {"kernel", "agent block=128 policy=online 4096+128:m 4224+128:k", FALSE, "kernel-uses"},
  {"absent", "agent block=128 policy=online_movable 4096+128:m", TRUE, "absent"},
  {"offline-by-policy", "agent block=128 policy=online_movable 4096+256:o", TRUE, "offline"},
  {"offline-by-agent", "agent block=128 policy=offline onlines 4096+256:o", TRUE, "offline"},
  {"offline-for-good", "agent block=128 policy=offline no-onlines no-udev-rule 4096+256:o", FALSE, "offline"},
};

static void test_device(gconstpointer data) {
  const Case *c = data;
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 | -");
  if (c->guest != NULL)
    dm_vm_take_guest(vm, guest_from(c->guest));
  const DmMemoryDevice *device = vm->live->devices->pdata[0];
  g_assert_cmpint(dm_plan_is_coming(vm, device), ==, c->coming);
  g_autoptr(DmPlan) plan = settle_plan(vm, 0);
  g_ptr_array_set_size(plan->notes, 0);
  dm_plan_note_made(plan, vm, device);
  g_autoptr(GString) notes = g_string_new(NULL);
  for (guint i = 0; i < plan->notes->len; i++)
    g_string_append_printf(notes, "%s%s", i > 0 ? " " : "", dm_note_name(plan->notes->pdata[i]));
  g_assert_cmpstr(notes->str, ==, c->notes);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/onlining/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_device);
  }
  return g_test_run();
}
