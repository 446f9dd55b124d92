/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a persistent configuration becomes so that the next run has given values.
 */
#pragma once

#include <glib.h>

#include "model/config.h"
#include "model/request.h"

/*
 * @persistent with the values of @values (0: that one stays), memory exactly as asked, not rounded to device sizes:
 *
 * - Less memory: the memory devices of the persistent configuration go as dm_plan_unplug() chooses, the rest comes off
 *   boot memory, from the largest NUMA cell first so that cells stay balanced. Where even that leaves something, a DIMM
 *   is traded for boot memory.
 * - More memory becomes boot memory: a DIMM would not be hot unpluggable after a start anyway, for the guest would have
 *   it online as ordinary memory. Each NUMA cell gets its share in proportion. What does not fit below the maximum goes
 * to virtio-mem devices that are there.
 * - @hint (or NULL) is a device that was just plugged or unplugged: its like in the persistent configuration goes
 *   first, then the cell of its node takes the difference; other devices are touched only if neither will do.
 *
 * Where boot memory reaches maximum, the maximum is kept aside (QEMU does not start with both equal), and comes back
 * when memory falls again.
 *
 * The caller owns the result. NULL with an error of the rules, @vm_name in its message.
 */
DmConfig *dm_plan_next_run(
  const DmConfig *persistent, const DmValues *values, const DmMemoryDevice *hint, const char *vm_name, GError **error);
