/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the doctor's files. Not for other layers. */
#pragma once

#include "plan/doctor.h"

#define HOST "libvirt"

/* An empty list, which owns its findings. */
GPtrArray *doctor_findings_new(void) G_GNUC_WARN_UNUSED_RESULT;

/*
 * doctor_add(findings, DM_FINDING_..., device, verdict, source, remedy, arguments of its sentence) appends a finding.
 * @device: NULL: of the VM. @source: "" or NULL: none. @remedy: NULL: none. All is copied.
 */
#define doctor_add(findings, code, device, verdict, source, remedy, ...) \
  doctor_add_finding(findings, code, device, verdict, source, remedy, code##_SENTENCE, ##__VA_ARGS__)
void doctor_add_finding(GPtrArray *findings, DmFindingCode code, const DmMemoryDevice *device, DmVerdict verdict,
  const char *source, const char *remedy, const char *sentence, ...) G_GNUC_PRINTF(7, 8);

/* The remedy of the finding that was added last: DM_REMEDY_..., with its arguments. */
void doctor_advise(GPtrArray *findings, const char *remedy, ...) G_GNUC_PRINTF(2, 3);

/* The command that is the remedy of the finding that was added last; words as for dm_error_add_command(). */
void doctor_add_command(GPtrArray *findings, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* The checks of what the host knows. The VM runs, or at least has a live configuration. */
void doctor_check_host(GPtrArray *findings, const DmVm *vm);

/* The checks of its guest's report. */
void doctor_check_guest(GPtrArray *findings, const DmVm *vm, uint64_t memory);

/* The checks of one live device. */
void doctor_check_device(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device);
