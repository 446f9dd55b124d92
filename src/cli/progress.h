/* SPDX-License-Identifier: Apache-2.0 */
/* Live progress of a change: a line for each device when it has answered, and on a terminal a bar below them. */
#pragma once

#include "engine/change.h"

typedef struct Progress Progress;

Progress *progress_new(void) G_GNUC_WARN_UNUSED_RESULT;
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/* "dimm 3f2a91c0, 256 MiB, node 0". The caller frees. */
char *progress_describe(const DmStep *step) G_GNUC_WARN_UNUSED_RESULT;

/* It was requested, and refused without a reason. */
gboolean progress_guest_refused(const DmStep *step);

void progress_asked(Progress *progress, const DmChange *change, const DmStep *step);

/* On a terminal only: @done of @of memory blocks are offline in the guest. */
void progress_ballooned(Progress *progress, const DmChange *change, const DmStep *step);
void progress_freeing(Progress *progress, const DmChange *change, const DmStep *step, uint64_t done, uint64_t of);
void progress_moved(Progress *progress, const DmChange *change, const DmStep *step);

/* Erases the bar. */
void progress_end(Progress *progress);
