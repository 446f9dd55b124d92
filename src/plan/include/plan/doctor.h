/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each limitation of memory hot plug and unplug as a check of one VM, with its verdict, what was seen, who told, and
 * what helps. Pure functions over the VM and what its guest told (vm->guest).
 */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "plan/rules.h"

typedef enum {
  DM_VERDICT_GOOD,
  DM_VERDICT_UNKNOWN, /* nobody who could tell answers */
  DM_VERDICT_WARNING, /* works, with a restriction that the evidence tells */
  DM_VERDICT_BAD,     /* does not work, or will be refused */
} DmVerdict;

/* "good", "unknown", "warning", "bad": stable, in JSON and the API. */
const char *dm_verdict_name(DmVerdict verdict);

typedef struct {
  const char *check; /* a stable name: see docs/dimmer.1 */
  DmVerdict verdict;
  char *alias;    /* of the memory device it is about; NULL: the VM */
  char *evidence; /* what was seen, one sentence */
  char *source;   /* who told: "libvirt", "dimmer-guest", ...; NULL where nobody did */
  char *remedy;   /* what helps, one sentence, without commands; NULL: nothing is needed, or nothing helps */
  char *command;  /* does that in a shell on the VM's host, as of dm_error_get_command(); NULL: none does */
} DmFinding;

void dm_finding_free(DmFinding *finding);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmFinding, dm_finding_free)

/*
 * Every check, in the order to read them: of the VM first, then of each device. @memory is a size that the VM is to be
 * lowered to, whole MiB: where a rule forbids it, or no device fits, "spare" says so, else it holds the guest's spare
 * memory against it. 0: against as much as its devices could give. The caller unrefs.
 */
GPtrArray *dm_plan_doctor(const DmVm *vm, uint64_t memory);

/* The worst verdict among them: bad before warning before unknown before good. */
DmVerdict dm_plan_worst(const GPtrArray *findings);

/* Can that device go, and why not: the finding named "movable" of it. The caller frees. */
DmFinding *dm_plan_device_finding(const DmVm *vm, const DmMemoryDevice *device);
