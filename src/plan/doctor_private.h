/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor's files share. Not for other layers. */
#pragma once

#include "plan/doctor.h"

#define HOST "libvirt"

/*
 * Appends a finding; @source is copied, "" or NULL: nobody told. @evidence and @remedy (or NULL) are taken. @device:
 * NULL: of the VM.
 */
void doctor_add(GPtrArray *findings, const char *check, const DmMemoryDevice *device, DmVerdict verdict,
  const char *source, char *evidence, char *remedy);

/* The command that is the remedy of the finding that was added last; words as of dm_error_add_command(). */
void doctor_add_command(GPtrArray *findings, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* The checks of what the host knows. The VM runs, or has at least its live configuration. */
void doctor_check_host(GPtrArray *findings, const DmVm *vm);

/* The checks of what its guest told. */
void doctor_check_guest(GPtrArray *findings, const DmVm *vm, uint64_t memory);

/* The checks of one live device. */
void doctor_check_device(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device);
