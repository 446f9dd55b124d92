/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/inittab of busybox and of sysvinit: lines of ID:RUNLEVELS:ACTION:PROCESS, and comments. */
#pragma once

#include <stdbool.h>

typedef struct {
  bool sysvinit;  /* its lines have run levels, unlike busybox */
  bool starts;    /* a line respawns dimmer-guest on that port */
  bool otherwise; /* a line names dimmer-guest, but starts it once, never, or on another port */
} Inittab;

/* @text is modified. */
Inittab inittab_read(char *text, const char *port);
