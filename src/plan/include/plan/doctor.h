/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each limitation of memory hot plug and unplug as a check of one VM, with verdict, evidence, source and remedy. Pure
 * functions over the VM and its guest's report (vm->guest).
 */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "plan/rules.h"
#include "words/finding.h"

typedef enum {
  DM_VERDICT_GOOD,
  DM_VERDICT_UNKNOWN, /* no source answers */
  DM_VERDICT_WARNING, /* works, with the restriction given in the evidence */
  DM_VERDICT_BAD,     /* does not work, or will be refused */
#define DM_VERDICTS (DM_VERDICT_BAD + 1)
} DmVerdict;

/* "good", "unknown", "warning", "bad": stable, in JSON and the API. */
const char *dm_verdict_name(DmVerdict verdict);

typedef struct {
  DmFindingCode code; /* dm_finding_check(code) is the check that found it */
  DmVerdict verdict;
  char *alias;    /* of the memory device concerned; NULL: the VM */
  char *evidence; /* evidence, one sentence */
  char *source;   /* "libvirt", "dimmer-guest", ...; NULL: none */
  char *remedy;   /* one sentence, without commands; NULL: none needed, or none known */
  char *command;  /* does that in a shell on the VM's host, as in dm_error_get_command(); NULL: none */
} DmFinding;

void dm_finding_free(DmFinding *finding);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmFinding, dm_finding_free)

/*
 * Every check, in reading order: the VM first, then each device. @memory is the size to lower the VM to, whole MiB: if
 * a rule forbids it, or no device fits, "spare" says so, else it compares it with the guest's spare memory. 0: compares
 * with all that its devices could release. The caller unrefs.
 */
GPtrArray *dm_plan_doctor(const DmVm *vm, uint64_t memory) G_GNUC_WARN_UNUSED_RESULT;

/* Directs the commands of @findings to the libvirt connection @uri (NULL: the default), like dm_shell_connected(). */
void dm_findings_connect(GPtrArray *findings, const char *uri);

/* The worst verdict among them: bad, warning, unknown, good. */
DmVerdict dm_plan_worst(const GPtrArray *findings);

/* Whether that device can be unplugged, and why not: its "movable" finding. The caller frees. */
DmFinding *dm_plan_device_finding(const DmVm *vm, const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;
