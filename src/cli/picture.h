/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of a VM's memory, drawn to scale in text. */
#pragma once

#include <glib.h>

#include "model/vm.h"

/*
 * Three lines of at most @width columns: labels, the bar (boot memory, each device, room up to the maximum), marks
 * below it. @unicode: block elements, else ASCII. The caller frees.
 */
char *picture_draw(const DmVm *vm, guint width, gboolean unicode);
