/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's report, held against the devices of its VM. */
#include "guest_notation.h"

#include <string.h>

#include "base/size.h"
#include "notation.h"

/* A range, and what of it is movable, kernel, offline, unknown, and going offline, in MiB. */
static const struct {
  const char *name, *guest;
  uint64_t start, size;
  const char *expected;
} ranges[] = {
  {"whole", "agent 0+1024:k 4096+256:m", 4096, 256, "256 0 0 0 0"},
  {"kernel", "agent 4096+128:k 4224+128:m", 4096, 256, "128 128 0 0 0"},
  {"mixed", "agent 4096+128:x 4224+128:m", 4096, 256, "128 128 0 0 0"},
  {"offline", "agent 4096+128:o 4224+128:m", 4096, 256, "128 0 128 0 0"},
  {"going-offline", "agent 4096+128:g 4224+128:m", 4096, 256, "256 0 0 0 128"},
  {"no-zone", "agent 4096+128:u 4224+128:m", 4096, 256, "128 0 0 128 0"},
  {"gap", "agent 4096+64:m 4224+64:m", 4096, 256, "128 0 0 128 0"},
  {"part-of-a-run", "agent 2048+8192:m", 4096, 256, "256 0 0 0 0"},
  {"neighbours", "agent 3840+256:k 4096+256:m 4352+256:k", 4096, 256, "256 0 0 0 0"},
  {"several", "agent 4000+100:k 4100+100:o 4200+300:m", 4096, 256, "152 4 100 0 0"},
  {"beyond", "agent 0+1024:k", 4096, 256, "0 0 0 256 0"},
  {"no-runs", "agent", 4096, 256, "0 0 0 256 0"},
  {"none", "agent runs", 4096, 256, "0 0 0 256 0"},
  {"nothing", "agent 4096+256:m", 4096, 0, "0 0 0 0 0"},
};

static void test_range(gconstpointer data) {
  const typeof(ranges[0]) *c = data;
  g_autoptr(DmGuest) guest = guest_from(c->guest);
  DmRangeState state = dm_guest_range(guest, c->start * DM_MIB, c->size * DM_MIB);
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                          " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
    state.movable / DM_MIB, state.kernel / DM_MIB, state.offline / DM_MIB, state.unknown / DM_MIB,
    state.going / DM_MIB);
  g_assert_cmpstr(text, ==, c->expected);
}

/* Ends above 2^64 are cut off, not wrapped. */
static void test_range_at_the_end(void) {
  g_autoptr(DmGuest) guest = guest_from("agent 0+1:k");
  DmBlockRun last = {.start = UINT64_MAX - 99, .size = UINT64_MAX, .state = DM_BLOCK_ONLINE, .zone = DM_ZONE_MOVABLE};
  g_array_append_val(guest->runs, last);
  DmRangeState state = dm_guest_range(guest, UINT64_MAX - 49, UINT64_MAX);
  g_assert_cmpuint(state.movable, ==, 49);
  g_assert_cmpuint(state.kernel, ==, 0);
  g_assert_cmpuint(state.unknown, ==, UINT64_MAX - 49);
}

/* Whether a change of the guest changes the fingerprint of 4096+256. */
static const struct {
  const char *name, *before, *after;
  gboolean same;
} fingerprints[] = {
  {"equal", "agent boot=a 4096+256:k", "agent boot=a 4096+256:k", TRUE},
  {"cut-otherwise", "agent boot=a 4096+256:k", "agent boot=a 0+4224:k 4224+512:k", TRUE},
  {"elsewhere", "agent boot=a 4096+256:k 4352+256:k", "agent boot=a 4096+256:k 4352+256:o", TRUE},
  {"another-agent", "agent boot=a 4096+256:k", "qga boot=a 4096+256:k", TRUE},
  {"boot", "agent boot=a 4096+256:k", "agent boot=b 4096+256:k", FALSE},
  {"movable", "agent boot=a 4096+256:k", "agent boot=a 4096+256:m", FALSE},
  {"kernel", "agent boot=a 4096+256:m", "agent boot=a 4096+128:m 4224+128:k", FALSE},
  {"offline", "agent boot=a 4096+256:m", "agent boot=a 4096+256:o", FALSE},
  {"kernel-offline", "agent boot=a 4096+256:k", "agent boot=a 4096+256:o", FALSE},
  {"not-known", "agent boot=a 4096+256:m", "qga 4096+256:u", FALSE},
  {"a-gap", "agent boot=a 4096+256:m", "agent boot=a 4096+64:m 4224+128:m", FALSE},
  /* What an attempt that failed leaves behind. */
  {"one-block", "agent boot=a 4096+256:k", "agent boot=a 4096+128:k 4224+128:m", TRUE},
  {"which-block", "agent boot=a 4096+128:m 4224+128:k", "agent boot=a 4096+128:k 4224+128:m", TRUE},
  {"one-not-online-again", "agent boot=a 4096+256:m", "agent boot=a 4096+128:o 4224+128:m", TRUE},
  {"at-it", "agent boot=a 4096+256:m", "agent boot=a 4096+128:g 4224+128:m", TRUE},
};

static void test_fingerprint(gconstpointer data) {
  const typeof(fingerprints[0]) *c = data;
  g_autoptr(DmGuest) before = guest_from(c->before), after = guest_from(c->after);
  g_autofree char *first = dm_guest_fingerprint(before, 4096 * DM_MIB, 256 * DM_MIB);
  g_autofree char *second = dm_guest_fingerprint(after, 4096 * DM_MIB, 256 * DM_MIB);
  g_assert_cmpuint(strlen(first), ==, 32);
  g_assert_cmpint(g_strcmp0(first, second) == 0, ==, c->same);
}

static void test_fingerprint_unknown(void) {
  static const char *const guests[] = {"agent boot=a", "qga 4096+256:u", "agent boot=a 4096+128:k"};
  for (gsize i = 0; i < G_N_ELEMENTS(guests); i++) {
    g_autoptr(DmGuest) guest = guest_from(guests[i]);
    g_assert_null(dm_guest_fingerprint(guest, 4096 * DM_MIB, 256 * DM_MIB));
  }
}

/* What each live device is afterwards: + movable, ! not, ? not known. dimm0 lies at 4096, dimm1 above it. */
static const struct {
  const char *name, *vm, *guest, *expected;
} takes[] = {
  {"yes-and-no", "running: 1024 d256 d256 | -", "agent 4096+256:m 4352+256:k", "+!"},
  {"offline-can-go", "running: 1024 d256 d256 | -", "agent 4096+256:o 4352+128:o 4480+128:m", "++"},
  {"one-block-is-enough", "running: 1024 d256 d256 | -", "agent 4096+128:m 4224+128:k 4352+256:m", "!+"},
  {"no-beats-unknown", "running: 1024 d256 | -", "agent 4096+64:k 4160+64:u", "!"},
  {"unknown", "running: 1024 d256 d256 | -", "agent 4096+256:m 4352+255:m", "+?"},
  {"no-runs", "running: 1024 d256! d256+ | -", "agent", "??"},
  {"no-agent", "running: 1024 d256! d256+ | -", NULL, "??"},
  {"other-kinds", "running: 1024 n256 | -", "agent 4096+256:m", "?"},
  {"virtio-mem", "running: 1024 v1024:256/256:2 d256 | -", "agent 4096+256:mv 5120+256:k", "+!"},
  {"virtio-mem-kernel", "running: 1024 v1024:256/256:2 | -", "agent 0+1024:k 4096+128:mv 4224+128:kv", "!"},
  {"virtio-mem-not-flagged", "running: 1024 v1024:256/256:2 | -", "agent 0+1024:k 4096+256:m", "?"},
  {"two-virtio-mem", "running: 1024 v1024:256/256:2 v1024:256/256:2 | -", "agent 4096+256:mv 5120+256:mv", "??"},
  {"two-virtio-mem-with-addresses", "running: 1024 keeps v1024:256/256:2 v1024:256/256:2 | -",
    "agent 4096+256:mv 5120+256:kv", "+!"},
  {"virtio-mem-half-reported", "running: 1024 keeps v1024:256/256:2 | -", "agent 4096+128:mv", "?"},
};

static void test_take(gconstpointer data) {
  const typeof(takes[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  dm_vm_take_guest(vm, c->guest != NULL ? guest_from(c->guest) : NULL);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < vm->live->devices->len; i++)
    g_string_append_c(text, "?+!"[((DmMemoryDevice *)vm->live->devices->pdata[i])->movable]);
  g_assert_cmpstr(text->str, ==, c->expected);
}

/* How the guest uses each live device. */
static void test_use(void) {
  static const struct {
    const char *vm, *guest, *expected;
  } rows[] = {
    {"running: 1024 d256 d256 | -", "agent 4096+256:m 4352+256:k", "online-movable online-kernel"},
    {"running: 1024 d256 d256 | -", "agent 4096+256:o 4352+128:o 4480+128:m", "offline partly"},
    {"running: 1024 d256 d256 | -", "agent 4096+128:k 4224+128:m", "online-kernel not-taken"},
    {"running: 1024 d256 d256 | -", "agent 4096+128:m 4352+256:u", "partly unknown"},
    {"running: 1024 d256 n256 | -", NULL, "unknown unknown"},
    {"running: 1024 v1024:256/256:2 | -", "agent 4096+256:mv", "online-movable"},
    {"running: 1024 v1024:256/0:2 v1024:0/0:2 | -", NULL, "not-taken unknown"},
    {"running: 1024 keeps v1024:256/256:2 v512:128/128:2 | -", "agent 4096+256:mv 5120+128:ov",
      "online-movable offline"},
    {"running: 1024 keeps v1024:256/256:2 | -", "agent 4096+128:mv", "partly"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(DmVm) vm = vm_from(rows[i].vm);
    dm_vm_take_guest(vm, rows[i].guest != NULL ? guest_from(rows[i].guest) : NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint d = 0; d < vm->live->devices->len; d++)
      g_string_append_printf(
        text, "%s%s", d > 0 ? " " : "", dm_use_name(dm_vm_device_use(vm, vm->live->devices->pdata[d])));
    g_assert_cmpstr(text->str, ==, rows[i].expected);
  }
}

static void test_no_address(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 d256 | -");
  DmMemoryDevice *device = vm->live->devices->pdata[0];
  device->address = 0;
  dm_vm_take_guest(vm, guest_from("agent boot=a 0+1024:m"));
  g_assert_cmpint(device->movable, ==, DM_MOVABLE_UNKNOWN);
  g_assert_null(dm_vm_fingerprint(vm, device));
}

static void refuse(DmVm *vm, const char *alias, char *fingerprint) {
  DmRefusal *refusal = g_new0(DmRefusal, 1);
  refusal->alias = g_strdup(alias);
  refusal->at_s = 1000 + vm->refusals->len;
  refusal->guest = fingerprint;
  g_ptr_array_add(vm->refusals, refusal);
}

static void test_refusals(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 d256 d256 d256 d256 | -");
  DmMemoryDevice **devices = (DmMemoryDevice **)vm->live->devices->pdata;
  dm_vm_take_guest(vm, guest_from("agent boot=a 4096+1024:m"));
  refuse(vm, "dimm0", NULL);
  refuse(vm, "dimm1", dm_vm_fingerprint(vm, devices[1]));
  refuse(vm, "dimm2", dm_vm_fingerprint(vm, devices[2]));
  refuse(vm, "dimm9", NULL);
  g_assert_true(dm_vm_was_refused(vm, devices[0]) && dm_vm_was_refused(vm, devices[1]));
  g_assert_true(dm_vm_was_refused(vm, devices[2]) && !dm_vm_was_refused(vm, devices[3]));

  g_autoptr(DmVm) copy = dm_vm_copy(vm);
  dm_vm_take_guest(vm, NULL); /* no newer report */
  g_assert_cmpuint(vm->refusals->len, ==, 3);
  dm_vm_take_guest(vm, guest_from("qga 4096+1024:u"));
  g_assert_cmpuint(vm->refusals->len, ==, 3);
  g_assert_true(dm_vm_was_refused(vm, devices[1]));

  dm_vm_take_guest(vm, guest_from("agent boot=a 4096+512:m 4608+256:o 4864+256:m"));
  g_assert_cmpuint(vm->refusals->len, ==, 2);
  g_assert_true(dm_vm_was_refused(vm, devices[0]) && dm_vm_was_refused(vm, devices[1]));
  g_assert_false(dm_vm_was_refused(vm, devices[2]));
  g_assert_cmpint(dm_vm_find_refusal(vm, devices[1])->at_s, ==, 1001);

  refuse(vm, "dimm3", g_strdup("of another time"));
  g_assert_false(dm_vm_was_refused(vm, devices[3]));

  g_assert_cmpuint(copy->refusals->len, ==, 4);
  g_assert_true(dm_vm_was_refused(copy, copy->live->devices->pdata[2]));
}

static void test_plug_step(void) {
  static const struct {
    const char *vm, *guest;
    uint64_t mib;
  } steps[] = {
    {"running: 1024 | -", NULL, 128},
    {"running: 1024 | -", "no-agent", 128},
    {"running: 1024 | -", "agent block=128", 128},
    {"running: 1024 | -", "agent block=2048", 2048},
    {"running: 1024 | -", "agent block=16", 128},
    {"running: 1024 | -", "agent block=3000", 128}, /* no kernel has such blocks */
    {"running: 1024 page=1024 | -", "agent block=256", 1024},
    {"running ppc64le: 1024 | -", "agent block=128", 256},
    {"shut-off: - | 1024 page=1024", NULL, 1024},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
    g_autoptr(DmVm) vm = vm_from(steps[i].vm);
    dm_vm_take_guest(vm, steps[i].guest != NULL ? guest_from(steps[i].guest) : NULL);
    g_assert_cmpuint(dm_vm_plug_step(vm, 0), ==, steps[i].mib * DM_MIB);
  }
}

static const struct {
  const char *name, *kernel;
  gboolean before; /* 4.13 */
} kernels[] = {
  {"older", "3.10.0-1160.el7.x86_64", TRUE},
  {"just-older", "4.12.14-122-default", TRUE},
  {"just-not", "4.13.0", FALSE},
  {"newer", "4.18.0-553.el8", FALSE},
  {"much-newer", "10.0-rc1", FALSE},
  {"not-known", NULL, FALSE},
  {"no-number", "Linux", FALSE},
  {"no-minor", "3", FALSE},
};

static void test_kernel(gconstpointer data) {
  const typeof(kernels[0]) *c = data;
  g_autoptr(DmGuest) guest = dm_guest_new();
  guest->kernel = g_strdup(c->kernel);
  g_assert_cmpint(dm_guest_is_before(guest, 4, 13), ==, c->before);
}

static void test_copy(void) {
  DmGuest *guest = guest_from("both os=Some_OS kernel=6.1 boot=a policy=online block=128 onlines 4096+256:m");
  dm_notes_add(guest->notes, DM_NOTE_QEMU_AGENT_SLOW);
  g_autoptr(DmGuest) copy = dm_guest_copy(guest);
  guest->agent[0] = guest->os[0] = guest->kernel[0] = guest->boot[0] = guest->policy[0] = 'X';
  g_array_index(guest->runs, DmBlockRun, 0).start = 0;
  dm_guest_free(guest);
  g_assert_cmpstr(copy->os, ==, "Some OS");
  g_assert_cmpstr(copy->kernel, ==, "6.1");
  g_assert_cmpstr(copy->boot, ==, "a");
  g_assert_cmpstr(copy->policy, ==, "online");
  g_assert_cmpstr(copy->agent, ==, "dimmer-guest 0.1");
  g_assert_cmpint(((const DmNote *)copy->notes->pdata[0])->code, ==, DM_NOTE_QEMU_AGENT_SLOW);
  g_assert_cmpuint(g_array_index(copy->runs, DmBlockRun, 0).start, ==, 4096 * DM_MIB);
  dm_guest_free(NULL);
  dm_refusal_free(NULL);
}

#define ADD_TABLE(path, table, function)                                                \
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {                                     \
    g_autofree char *name = g_strconcat("/model-guest/" path "/", table[i].name, NULL); \
    g_test_add_data_func(name, &table[i], function);                                    \
  }

/* What moved is on other nodes now: it is not known on which. */
static void test_lose(void) {
  g_autoptr(DmGuest) guest = guest_from("agent avail=1000 total=1408 node0=640/100/200 node1=768/0/768");
  dm_guest_lose(guest, 0);
  g_assert_cmpuint(guest->nodes->len, ==, 2);
  dm_guest_lose(guest, 256 * DM_MIB);
  g_assert_cmpuint(guest->total, ==, 1152 * DM_MIB);
  g_assert_cmpuint(guest->available, ==, 744 * DM_MIB);
  g_assert_null(guest->nodes);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  ADD_TABLE("range", ranges, test_range)
  ADD_TABLE("fingerprint", fingerprints, test_fingerprint)
  ADD_TABLE("take", takes, test_take)
  ADD_TABLE("kernel", kernels, test_kernel)
  g_test_add_func("/model-guest/range-at-the-end", test_range_at_the_end);
  g_test_add_func("/model-guest/fingerprint-unknown", test_fingerprint_unknown);
  g_test_add_func("/model-guest/use", test_use);
  g_test_add_func("/model-guest/no-address", test_no_address);
  g_test_add_func("/model-guest/refusals", test_refusals);
  g_test_add_func("/model-guest/plug-step", test_plug_step);
  g_test_add_func("/model-guest/copy", test_copy);
  g_test_add_func("/model-guest/lose", test_lose);
  return g_test_run();
}
