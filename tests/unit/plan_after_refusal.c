/* SPDX-License-Identifier: Apache-2.0 */
/* After a refusal: dm_plan_again() as a table, and a guest that refuses at random until nothing is left to try. */
#include "base/size.h"
#include "notation.h"

static const struct {
  const char *name, *vm; /* its request is the one that goes on */
  const char *expected;
} cases[] = {
  {"another-device", "running: 1024 max=4096/16 d256 d256 | - | set=1280 -dimm1(256):refused", "-dimm0(256)"},
  {"smaller-ones", "running: 1024 max=4096/16 d128 d128 d256 | - | set=1280 -dimm2(256):refused",
    "-dimm1(128) -dimm0(128)"},
  {"nothing-left", "running: 1024 max=4096/16 d256 d256 | - | set=1024 -dimm1(256):refused -dimm0(256):refused",
    "nothing"},
  {"only-larger-left", "running: 1024 max=4096/16 d512 d256 | - | set=1536 -dimm1(256):refused", "nothing"},
  {"target-is-reached", "running: 1024 max=4096/16 d256 d128 | - | set=1408 -dimm0(256):refused -dimm9(256):removed",
    "nothing"},
  {"rest-after-one-went",
    "running: 1024 max=4096/16 d256 d128 d256 | - | set=1280 -dimm0(256):refused -dimm9(128):removed",
    "-dimm2(256) -dimm1(128)"},
  {"pending-is-counted",
    "running: 1024 max=4096/16 d256 d256 d256 | - | "
    "set=1280 -dimm2(256):refused -dimm1(256):asked",
    "-dimm0(256)"},
  {"pending-suffices", "running: 1024 max=4096/16 d256 d256 d256 | - | set=1536 -dimm2(256):refused -dimm1(256):asked",
    "nothing"},
  {"overdue-is-counted",
    "running: 1024 max=4096/16 d256 d256 d256 | - | "
    "set=1536 -dimm2(256):refused -dimm1(256):overdue",
    "nothing"},
  {"virtio-mem-makes-up", "running: 1024 max=4096/16 d256 v1024:512/512:2 | - | set=1536 -dimm0(256):refused",
    "virtiomem0(512>256)"},
  {"virtio-mem-further",
    "running: 1024 max=4096/16 d256 v1024:384/384:2 | - | "
    "set=1408 -dimm0(256):refused virtiomem0(512>384):resized",
    "virtiomem0(384>128)"},
  {"virtio-mem-further-while-it-shrinks",
    "running: 1024 max=4096/16 d256 v1024:384/512:2 | - | "
    "set=1408 -dimm0(256):refused virtiomem0(512>384):asked",
    "virtiomem0(512>128)"},
  {"virtio-mem-has-no-more",
    "running: 1024 max=4096/16 d256 v1024:0/512:2 | - | "
    "set=1024 -dimm0(256):refused virtiomem0(512>0):asked",
    "nothing"},
  /* The host refused it: asking the same again and again would never end. */
  {"virtio-mem-refused", "running: 1024 max=4096/16 v1024:512/512:2 | - | set=1280 virtiomem0(512>256):refused",
    "nothing"},
  {"virtio-mem-refused-dimm-left",
    "running: 1024 max=4096/16 d256 v1024:512/512:2 | - | "
    "set=1280 virtiomem0(512>256):refused -dimm9(256):removed",
    "-dimm0(256)"},
  {"new-device-behind-our-back", "running: 1024 max=4096/16 d256 d128 | - | set=1280 -dimm0(256):refused",
    "-dimm1(128)"},
  {"chosen-devices-are-not-replaced", "running: 1024 max=4096/16 d256 d256 | - | unplug -dimm0(256):refused",
    "nothing"},
  {"plug-is-not-replaced", "running: 1024 max=4096/16 d256 | - | plug +dimm7(256):refused", "nothing"},
  {"raise-does-not-shrink", "running: 1024 max=4096/16 d256 | - | set=2048 +dimm7(768):refused", "nothing"},
  {"shut-off", "shut-off: - | 1024 | set=512 -dimm0(256):refused", "nothing"},
};

static void test_case(gconstpointer data) {
  const typeof(cases[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  g_autoptr(GPtrArray) steps = dm_plan_again(vm, vm->request);
  g_autofree char *text = steps_text(steps);
  g_assert_cmpstr(text, ==, c->expected);
  for (guint i = 0; i < steps->len; i++)
    dm_step_free(steps->pdata[i]);
}

/* As the engine does: the new step of a virtio-mem device takes the place of its old one. */
static void adopt(DmRequest *request, DmStep *step) {
  DmStep *old = dm_request_find_step(request, step->alias);
  if (old != NULL)
    g_ptr_array_remove(request->steps, old);
  g_ptr_array_add(request->steps, step);
  g_assert_true(dm_step_advance(step, DM_STEP_ASKED));
}

static void answer(GRand *rand, DmVm *vm, DmStep *step) {
  DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
  gboolean refused = g_rand_boolean(rand);
  if (step->op == DM_OP_RESIZE) {
    device->requested = step->to;
    device->current = step->to;
    g_assert_true(dm_step_advance(step, DM_STEP_DONE));
  } else {
    g_assert_true(dm_step_advance(step, refused ? DM_STEP_REFUSED : DM_STEP_DONE));
    if (!refused)
      g_ptr_array_remove(vm->live->devices, device);
  }
}

/* It ends, never falls below what was asked for, and stops only when no untried device fits. */
static void play(GRand *rand, const char *text, uint64_t wanted) {
  g_autoptr(DmVm) vm = vm_from(text);
  g_autoptr(DmRequest) request = dm_request_new(DM_ACTION_SET);
  request->memory = wanted * DM_MIB;
  for (guint round = 0;; round++) {
    g_autoptr(GPtrArray) steps = dm_plan_again(vm, request);
    if (steps->len == 0)
      break;
    g_assert_cmpuint(round, <, 50);
    for (guint i = 0; i < steps->len; i++)
      adopt(request, steps->pdata[i]);
    for (guint i = 0; i < request->steps->len; i++) {
      DmStep *step = request->steps->pdata[i];
      if (step->state == DM_STEP_ASKED)
        answer(rand, vm, step);
    }
    g_assert_cmpuint(dm_config_memory(vm->live), >=, request->memory);
  }
  uint64_t left = dm_size_minus(dm_config_memory(vm->live), request->memory);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      g_assert_cmpuint(MIN(left, dm_memory_device_memory(device)), <, device->block);
    else if (dm_request_find_step(request, device->alias) == NULL)
      g_assert_cmpuint(device->size, >, left);
  }
}

static void test_until_nothing_is_left(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(1228543);
  for (guint round = 0; round < 5000 && !g_test_failed(); round++) {
    g_autoptr(GString) text = g_string_new("running: 1024 max=65536/32");
    for (int i = g_rand_int_range(rand, 1, 9); i > 0; i--)
      g_string_append_printf(text, " d%d", 128 * g_rand_int_range(rand, 1, 6));
    if (g_rand_boolean(rand))
      g_string_append(text, " v1024:512/512:128");
    g_string_append(text, " | -");
    uint64_t wanted = (uint64_t)g_rand_int_range(rand, 900, 4000);
    play(rand, text->str, wanted);
    if (g_test_failed())
      g_test_message("%s to %" G_GUINT64_FORMAT " MiB", text->str, wanted);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/again/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/again/until-nothing-is-left", test_until_nothing_is_left);
  return g_test_run();
}
