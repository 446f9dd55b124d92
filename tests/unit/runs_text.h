/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/guest.h"

/*
 * START+SIZE:STATE ZONE of each run, in MiB: o online, f offline, g going; m movable, k kernel, x mixed; v
 * virtio-mem's. The caller g_frees.
 */
char *runs_text(const GArray *runs);

/* "NODE:TOTAL/FREE/AVAILABLE", in MiB; "": not known. The caller frees. */
char *nodes_text(const DmGuest *guest);
