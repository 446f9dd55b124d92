/* SPDX-License-Identifier: Apache-2.0 */
#include "set_table.h"

static void test_case(gconstpointer data) {
  const SetCase *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmWish wish = wish_from(c->wish);
  g_autofree char *live = config_text(vm->live), *next = config_text(vm->next_run);
  DmPlan *plan = dm_plan(vm, &wish, &error);
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);

  /* Pure: the VM is as it was. */
  g_autofree char *live_after = config_text(vm->live), *next_after = config_text(vm->next_run);
  g_assert_cmpstr(live_after, ==, live);
  g_assert_cmpstr(next_after, ==, next);
}

void set_table_add(const char *group, const SetCase *cases, gsize count) {
  for (gsize i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf("/set/%s/%s", group, cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
}
