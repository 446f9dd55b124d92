/* SPDX-License-Identifier: Apache-2.0 */
/* Which NUMA node new devices go to. */
#include "base/size.h"
#include "change.h"

int plan_choose_node(DmPlan *plan, const DmVm *vm, guint one_node, PlanTakes takes, gconstpointer wanted) {
  if (one_node != 0)
    return (int)one_node - 1;
  int node = 0, finest = 0, nodes = (int)vm->live->cells->len;
  for (; node < nodes && !takes(vm, node, wanted); node++) {
    if (dm_vm_plug_step(vm, node) < dm_vm_plug_step(vm, finest))
      finest = node;
  }
  if (node == nodes)
    return finest;
  g_autofree char *page = dm_size_format(dm_config_page(vm->live, 0));
  if (node != 0)
    plan_note(plan, DM_NOTE_OTHER_NODE, node, vm->name, page);
  return node;
}
