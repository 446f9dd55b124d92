/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that no plan can break, as they are asked before there is one: see set_notes.c for what plans say. */
#include "plan/rules.h"

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

/* A job of libvirt's is aborted where it runs, which is not here if the VM only waits for it. */
static void test_idle(void) {
  static const struct {
    const char *vm, *job, *command;
  } table[] = {
    {"running: 1024 | -", NULL, NULL},
    {"running: 1024 | -", "migrated", "virsh domjobabort web1"},
    {"paused: 1024 | -", "migrated", NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from(table[i].vm);
    vm->job = table[i].job;
    gboolean idle = dm_rule_idle(vm, &error);
    g_assert_cmpint(idle, ==, table[i].job == NULL);
    if (!idle) {
      g_assert_error(error, DM_ERROR, DM_ERROR_BUSY);
      g_assert_cmpstr(dm_error_get_command(error), ==, table[i].command);
    }
  }
}

/* A change that was made for another memory than the VM has by now is not carried out. */
static void test_seen(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 | 1024 max=4096/16");
  DmWish wish = wish_from("memory=1152");
  static const uint64_t changes_nothing[] = {0, 1024 * DM_MIB};
  for (gsize i = 0; i < G_N_ELEMENTS(changes_nothing); i++) {
    g_autoptr(GError) error = NULL;
    wish.seen = changes_nothing[i];
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
    g_assert_no_error(error);
    g_assert_nonnull(plan);
  }
  g_autoptr(GError) error = NULL;
  wish.seen = 1025 * DM_MIB;
  g_assert_null(dm_plan(vm, &wish, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_CHANGED);
  g_assert_true(dm_rule_seen(vm, NULL, 1025 * DM_MIB, NULL));
}

/* A title and a description become others, or stay, and alone they have no business with memory. */
static void test_title(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 | 1024 max=4096/16");
  vm->title = g_strdup("web");
  DmWish wish = {.action = DM_ACTION_SET, .set = {.title = (char *)"web", .description = (char *)"the first"}};
  g_autoptr(DmPlan) same = dm_plan(vm, &wish, NULL);
  g_assert_null(same->title);
  g_assert_cmpstr(same->description, ==, "the first");
  g_assert_null(same->next_run_config);
  wish.set.title = (char *)"";
  wish.set.description = (char *)"";
  wish.set.left_out = (char *)"cpu";
  g_autoptr(DmPlan) none = dm_plan(vm, &wish, NULL);
  g_assert_cmpstr(none->title, ==, "");
  g_assert_null(none->description);
  g_assert_cmpuint(none->notes->len, ==, 1);
  g_assert_cmpint(((const DmNote *)none->notes->pdata[0])->code, ==, DM_NOTE_UNSUPPORTED);
}

/* Only a running guest can be prepared, and none that never releases anything. */
static void test_preparable(void) {
  static const struct {
    const char *vm, *guest;
    int error; /* -1: none */
  } table[] = {
    {"running: 1024 | -", "agent", -1},
    {"shut-off: - | 1024", NULL, DM_ERROR_NOT_RUNNING},
    {"paused: 1024 | -", NULL, DM_ERROR_NOT_RUNNING},
    {"running: 1024 | -", "agent windows", DM_ERROR_NOT_REMOVABLE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from(table[i].vm);
    if (table[i].guest != NULL)
      dm_vm_take_guest(vm, guest_from(table[i].guest));
    g_assert_cmpint(dm_rule_preparable(vm, &error), ==, table[i].error < 0);
    g_assert_cmpint(error != NULL ? error->code : -1, ==, table[i].error);
  }
}

static void test_agent_free(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = vm_from("running: 1024 | -");
  g_assert_true(dm_rule_agent_free(vm, NULL));
  dm_vm_take_guest(vm, guest_from("agent"));
  g_assert_true(dm_rule_agent_free(vm, NULL));
  dm_vm_take_guest(vm, guest_from("qga busy"));
  g_assert_false(dm_rule_agent_free(vm, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_BUSY);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rules/idle", test_idle);
  g_test_add_func("/rules/seen", test_seen);
  g_test_add_func("/rules/title", test_title);
  g_test_add_func("/rules/preparable", test_preparable);
  g_test_add_func("/rules/agent-free", test_agent_free);
  return g_test_run();
}
