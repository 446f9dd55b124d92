/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/inittab of busybox and of sysvinit: lines of ID:RUNLEVELS:ACTION:PROCESS, and comments. */
#pragma once

#include <stdbool.h>

typedef struct {
  bool sysvinit;  /* its lines have run levels, those of busybox have none */
  bool starts;    /* a line starts dimmer-guest, whenever it ends, and on that port */
  bool otherwise; /* a line names dimmer-guest, but does not do that: it starts it once, never, or on another port */
} Inittab;

/* @text is taken apart. */
Inittab inittab_read(char *text, const char *port);
