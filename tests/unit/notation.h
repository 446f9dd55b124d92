/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs, wishes and plans in one line of text each, so that a test of the rules is a table that can be read. Sizes are
 * MiB.
 *
 *   VM       STATE [ARCH]: LIVE | NEXT RUN [| REQUEST]    "running: 1024 max=4096/16 d256 d128 | 1408 max=4096/16"
 *   config   CELL{+CELL} TOKEN...                         "-" is none; "~1024": without a NUMA topology
 *   tokens   max=4096/16 (slots)  aside=4096/16 (the maximum kept aside)  g=900 (guaranteed)  page=2, page=1024+2 (of
 *            each cell)  step=256 (of boot memory)  balloon=512 (libvirt's currentMemory; live: there is a balloon)
 *            held=256 (since dimmer let it take some)  others=56 (of which by other programs)  use=never (what the
 * balloon may do) renumbers (the guest's nodes may have other numbers) slotless (virtio-mem takes no slot)  keeps (its
 * address is known)  divides (dynamic memslots) floor=512+512 (of each cell, virtio-mem above), floor=512/dimm devices
 * [ALIAS=]d256[@NODE][!|+] (DIMM; "!" is not movable, "+" is movable)  [ALIAS=]n256 (an NVDIMM) [ALIAS=]v1024:512/256:2
 * (virtio-mem: size, requested/current, block) behind them #SLOT~BACKING, for another slot than the next, as
 * "d256#3~shared" request  ACTION[=MEMORY] [g=GUARANTEED] STEP...       "set=1400 -dimm0(256):overdue
 * virtiomem0(512>256):asked" steps    -ALIAS(FROM)  ALIAS(FROM>TO)  +ALIAS(TO)     each with :STATE, "planned" where
 * there is none
 *
 * Live devices without an alias get libvirt's: virtiomem0, ... in their order, and dimm0 or nvdimm0, ... by their slot.
 * Slots are taken in order, and the devices lie one above the other.
 */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "plan/change.h"

DmVm *vm_from(const char *text);
DmConfig *config_from(const char *text, gboolean live);
DmWish wish_from(
  const char *text); /* "memory=1400 guaranteed=900 max=4096 node=1 next-run live try force balloon"; 7B is bytes */

/* dm_plan() of a wish of each action. */
DmPlan *plug_plan(const DmVm *vm, const DmPlugWish *plug, GError **error);
DmPlan *unplug_plan(const DmVm *vm, const char *const *devices, DmPlanFlags flags, GError **error);
DmPlan *enable_plan(const DmVm *vm, uint64_t maximum, guint slots, GError **error);
DmPlan *settle_plan(const DmVm *vm, DmPlanFlags flags);

/* In the same notation. The caller frees. */
char *config_text(const DmConfig *config); /* NULL: "-" */
char *steps_text(const GPtrArray *steps);  /* none: "nothing"; new devices without their alias: "+d256@0[^ADDRESS]" */

/* "STEPS => MEMORY/GUARANTEED | NEXT RUN", or "error NAME". Takes both: frees them. */
char *plan_text_take(DmPlan *plan, GError *error);

/* "error NAME" where there is one, else @text. Takes both. */
char *text_or_error_take(char *text, GError *error);
