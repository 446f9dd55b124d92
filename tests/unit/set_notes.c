/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan tells the user besides its steps, and what a rule says when it forbids. */
#include <string.h>

#include "base/error.h"
#include "notation.h"

typedef struct {
  const char *name, *vm, *wish;
  const char *words[5]; /* each stands in a note, or in the error */
} Case;

static const Case notes[] = {
  {"below-boot", "running: 1024 max=4096/16 d256 | 1280 max=4096/16", "memory=768",
    {"boot memory (1024 MiB)", "next start"}},
  {"no-devices", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=768", {"no hot plugged memory device"}},
  /* The specification's event lists each device with the memory that would remain without it. */
  {"nothing-fits", "running: 1024 max=4096/16 d512 d640 | 2176 max=4096/16", "memory=2000",
    {"(512 MiB) would leave 1664 MiB", "(640 MiB) would leave 1536 MiB", "2000 MiB"}},
  {"device-sizes", "running: 1024 max=4096/16 d256 d256 | 1536 max=4096/16", "memory=1100", {"1100 MiB", "1280 MiB"}},
  {"other-node", "running: 1024+1024 max=8192/16 page=1024+2 | -", "memory=2176",
    {"node 1 of web1", "huge pages (1024 MiB) of node 0"}},
  {"transient", "running: 1024 max=4096/16 d256 | -", "memory=1024", {"transient"}},
  {"maximum", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=8192", {"next start"}},
  {"maximum-kept-aside", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=4096 next-run", {"4096 MiB"}},
  {"balloon", "running: 1024 max=4096/16 balloon=1024 d256 | 1280 max=4096/16", "memory=1024", {"balloon", "256 MiB"}},
  {"guaranteed-ballooned", "running: ~1024 balloon=512 | ~1024", "guaranteed=900", {"can use 512 MiB of 900 MiB"}},
  {"a-dimm-goes-beside-virtio-mem", "running: 1024 max=4096/16 d256 v1024:0:2 | -", "memory=1024",
    {"neither migrate nor be restored"}},
  {"pending-and-raise", "running: 1024 max=4096/16 d128 | 1024 max=4096/16 | set=1024 -dimm0(128):overdue",
    "memory=1280", {"128 MiB", "unanswered"}},
  {"pending", "running: 1024 max=4096/16 d256 d128 | 1152 max=4096/16 | set=1152 -dimm0(256):overdue", "memory=1280",
    {"256 MiB", "unanswered", "1152 MiB"}},
};

static const Case errors[] = {
  {"not-a-multiple", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1224",
    {"web1", "128 MiB", "200 MiB", "add 128 MiB or 256 MiB"}},
  {"not-a-block", "running: 1024 max=4096/16 v1024:0:2 | 1024 max=4096/16", "memory=1125", {"2 MiB", "101 MiB"}},
  {"maximum", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=3072",
    {"web1", "3072 MiB", "2048 MiB", "raise the maximum"}},
  {"guaranteed", "running: 1024 max=2048/16 d256 g=1200 | 1280 max=2048/16", "memory=1024",
    {"web1", "1200 MiB", "1024 MiB", "lower it to that or less"}},
  {"not-enabled", "running: ~1024 | ~1024", "memory=2048", {"web1", "maxMemory", "next run"}},
  {"no-numa", "running: ~1024 max=4096/16 | ~1024 max=4096/16", "memory=2048", {"NUMA cell", "next run"}},
  {"started-with-its-maximum", "running: 2048 aside=2048/16 | 2048 max=4096/16", "memory=2176",
    {"web1", "its maximum as boot memory"}},
  {"room-kept-for-devices", "shut-off: - | 1024 max=2048/16 n512", "memory=1600", {"1600 MiB", "512 MiB", "2048 MiB"}},
  {"slots", "running: 1024 max=4096/1 d128 | 1152 max=4096/1", "memory=1280", {"all 1 memory slots", "add slots"}},
  {"paused", "paused: 1024 max=4096/1 d128 | 1152 max=4096/1", "memory=1024", {"web1", "paused", "resume", "next run"}},
  {"transient", "running: 1024 max=4096/1 | -", "memory=512 next-run", {"web1", "transient"}},
  {"too-small", "shut-off: - | 512+512 max=4096/16", "memory=1", {"web1", "2 NUMA cells", "at least 2 MiB"}},
  {"unit-forgotten", "running: 1024 max=4096/1 | -", "memory=1400B", {"1400 bytes", "without a unit", "1048576"}},
};

/* Those who have no command line read it as well. */
static void check_language(const char *text) {
  g_assert_null(strstr(text, "dimmer "));
  g_assert_null(strstr(text, "virsh"));
  g_assert_null(strstr(text, "--"));
}

static void test_notes(gconstpointer data) {
  const Case *c = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmWish wish = wish_from(c->wish);
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
  g_assert_no_error(error);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < plan->notes->len; i++)
    g_string_append_printf(text, "%s\n", ((const DmNote *)plan->notes->pdata[i])->text);
  const char *all = text->str;
  g_test_message("%s", all);
  for (gsize i = 0; i < G_N_ELEMENTS(c->words) && c->words[i] != NULL; i++)
    g_assert_nonnull(strstr(all, c->words[i]));
  check_language(all);
}

static void test_errors(gconstpointer data) {
  const Case *c = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmWish wish = wish_from(c->wish);
  g_assert_null(dm_plan(vm, &wish, &error));
  g_assert_nonnull(error);
  if (error == NULL)
    return;
  g_test_message("%s", error->message);
  for (gsize i = 0; i < G_N_ELEMENTS(c->words) && c->words[i] != NULL; i++)
    g_assert_nonnull(strstr(error->message, c->words[i]));
  check_language(error->message);
}

/* The command that goes on from here, with the name as a shell takes it. */
static void test_commands(void) {
  static const struct {
    const char *vm, *wish, *command;
  } cases[] = {
    {"running: 1024 max=2048/16 | 1024 max=2048/16", "memory=3072",
      "dimmer set 'my web' --next-run --memory 3072MiB --maximum SIZE"},
    {"running: 1024 max=4096/1 d128 | 1152 max=4096/1", "memory=1280",
      "dimmer enable 'my web' --maximum SIZE --slots N"},
    {"running: 1024 max=4096/1 | -", "memory=512 next-run", "virsh define FILE"},
    {"running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1224", "dimmer set 'my web' --memory 1152MiB"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    DmWish wish = wish_from(cases[i].wish);
    g_free(vm->name);
    vm->name = g_strdup("my web");
    g_assert_null(dm_plan(vm, &wish, &error));
    g_assert_cmpstr(dm_error_get_command(error), ==, cases[i].command);
  }
}

static void test_saved_image(void) {
  g_autoptr(DmVm) vm = vm_from("shut-off: - | 1024 max=4096/16");
  DmWish wish = wish_from("memory=2048");
  vm->saved = TRUE;
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(plan->notes->len, ==, 1);
  const char *note = ((const DmNote *)plan->notes->pdata[0])->text;
  g_assert_nonnull(strstr(note, "saved image"));
  check_language(note);
}

/* A plan without anything to tell tells nothing. */
static void test_quiet(void) {
  static const char *const vms[] = {
    "running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16",
    "running: 1024 max=4096/16 d256 | 1280 max=4096/16 | set=1024 -dimm0(256):overdue",
    "running: 1024 max=4096/16 balloon=1280 v1024:512/256:2 | 1536 max=4096/16",
    "running: 1024 max=4096/16 floor=1024/dimm ua-a=d256 | 1024 max=4096/16 floor=1024/dimm ua-a=d256",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(vms); i++) {
    g_autoptr(DmVm) vm = vm_from(vms[i]);
    DmWish wish = wish_from("memory=1024");
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
    g_assert_cmpuint(plan->steps->len, ==, 1);
    g_assert_cmpuint(plan->notes->len, ==, 0);
  }
}

/* A maximum takes effect later only if it is another one: clients send what they read. */
static void test_maximum_later(void) {
  static const struct {
    const char *wish;
    guint notes;
  } cases[] = {{"memory=1024 max=4096", 0}, {"memory=1024 max=8192", 1}};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16");
    DmWish wish = wish_from(cases[i].wish);
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
    g_assert_cmpuint(plan->notes->len, ==, cases[i].notes);
  }
}

/* What the request will carry: the values asked for, and none for the running VM where nothing fits. */
static void test_values(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 | 1280 max=4096/16");
  DmWish wish = wish_from("memory=1024 guaranteed=512");
  g_autoptr(DmPlan) fits = dm_plan(vm, &wish, NULL);
  g_assert_cmpint(fits->action, ==, DM_ACTION_SET);
  g_assert_cmpuint(fits->memory >> 20, ==, 1024);
  g_assert_cmpuint(fits->guaranteed >> 20, ==, 512);
  g_assert_cmpuint(fits->next_run.memory >> 20, ==, 1024);
  g_assert_cmpuint(fits->next_run.guaranteed >> 20, ==, 512);
  g_assert_cmpuint(fits->next_run.maximum, ==, 0);
  g_assert_cmpuint(fits->memory_before >> 20, ==, 1280);

  wish = wish_from("memory=1200 guaranteed=512");
  g_autoptr(DmPlan) does_not_fit = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(does_not_fit->guaranteed, ==, 0);
  g_assert_cmpuint(does_not_fit->next_run.guaranteed >> 20, ==, 512);

  wish = wish_from("memory=1024 guaranteed=512 next-run");
  g_autoptr(DmPlan) later = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(later->memory, ==, 0);
  g_assert_cmpuint(later->guaranteed, ==, 0);
  g_assert_cmpuint(later->next_run.memory >> 20, ==, 1024);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(notes); i++) {
    g_autofree char *path = g_strconcat("/set-notes/notes/", notes[i].name, NULL);
    g_test_add_data_func(path, &notes[i], test_notes);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(errors); i++) {
    g_autofree char *path = g_strconcat("/set-notes/errors/", errors[i].name, NULL);
    g_test_add_data_func(path, &errors[i], test_errors);
  }
  g_test_add_func("/set-notes/commands", test_commands);
  g_test_add_func("/set-notes/saved-image", test_saved_image);
  g_test_add_func("/set-notes/quiet", test_quiet);
  g_test_add_func("/set-notes/maximum-later", test_maximum_later);
  g_test_add_func("/set-notes/values", test_values);
  return g_test_run();
}
