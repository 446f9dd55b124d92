/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs, wishes and plans in one line of text each, so that a test of the rules is a table that can be read. Sizes are
 * MiB.
 *
 *   VM       STATE [ARCH]: LIVE | NEXT RUN [| REQUEST]    "running: 1024 max=4096/16 d256 d128 | 1408 max=4096/16"
 *   config   CELL{+CELL} TOKEN...                         "-" is none; "~1024": without a NUMA topology
 *   tokens   max=4096/16 (slots)  aside=4096/16 (the maximum kept aside)  g=900 (guaranteed)  page=2  balloon=512
 *   devices  [ALIAS=]d256[@NODE][!|+] (DIMM; "!" is not movable, "+" is movable)  [ALIAS=]n256 (an NVDIMM)
 *            [ALIAS=]v1024:512/256:2 (virtio-mem: size, requested/current, block)
 *   request  ACTION[=MEMORY] [g=GUARANTEED] STEP...       "set=1400 -dimm0(256):overdue virtiomem0(512>256):asked"
 *   steps    -ALIAS(FROM)  ALIAS(FROM>TO)  +ALIAS(TO)     each with :STATE, "planned" where there is none
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
DmWish wish_from(const char *text); /* "memory=1400 guaranteed=900 max=4096 next-run try force"; 7B is bytes */

/* In the same notation. The caller frees. */
char *config_text(const DmConfig *config); /* NULL: "-" */
char *steps_text(const GPtrArray *steps);  /* none: "nothing"; new devices without their alias: "+d256@0[^ADDRESS]" */

/* "STEPS => MEMORY/GUARANTEED | NEXT RUN", or "error NAME". Takes both: frees them. */
char *plan_text_take(DmPlan *plan, GError *error);

/* "error NAME" where there is one, else @text. Takes both. */
char *text_or_error_take(char *text, GError *error);
