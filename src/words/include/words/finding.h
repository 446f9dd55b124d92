/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doctor's findings: codes for programs, and the sentences for people, in findings.def: each check's findings and
 * remedies.
 */
#pragma once

#include <glib.h>

typedef enum {
  DM_CHECK_STATE,
  DM_CHECK_PORTS,
  DM_CHECK_GUEST_OS,
  DM_CHECK_ONLINING,
  DM_CHECK_BLOCK_SIZE,
  DM_CHECK_SPARE,
  DM_CHECK_KERNEL_MEMORY,
  DM_CHECK_ROOM,
  DM_CHECK_SLOTS,
  DM_CHECK_HOT_PLUGGED,
  DM_CHECK_HUGE_PAGES,
  DM_CHECK_VFIO,
  DM_CHECK_VHOST,
  DM_CHECK_BALLOON,
  DM_CHECK_FREE_PAGE_REPORTING,
  DM_CHECK_AUTODEFLATE,
  DM_CHECK_MIGRATION,
  DM_CHECK_REQUEST,
  DM_CHECK_MOVABLE,
  DM_CHECK_REFUSED,
  DM_CHECK_TAKEN,
#define DM_CHECKS (DM_CHECK_TAKEN + 1)
} DmCheck;

typedef enum {
#define FINDING(code, check, name, evidence) DM_FINDING_##code,
#define REMEDY(code, sentence)
#define PHRASE(code, words)
#include "words/findings.def"
#undef FINDING
#undef REMEDY
#undef PHRASE
  DM_FINDING_CODES
} DmFindingCode;

/* Format strings, as arrays so that the compiler checks their arguments. */
#define FINDING(code, check, name, evidence) static const char DM_FINDING_##code##_SENTENCE[] = evidence;
#define REMEDY(code, sentence) static const char DM_REMEDY_##code[] = sentence;
#define PHRASE(code, words) static const char DM_PHRASE_##code[] = words;
#include "words/findings.def"
#undef FINDING
#undef REMEDY
#undef PHRASE

/* "state", ...: stable, in JSON and the API, and explained in docs/dimmer.1. */
const char *dm_check_name(DmCheck check);

/* The check it belongs to. */
DmCheck dm_finding_check(DmFindingCode code);

/* "not-running", ...: stable, in JSON and the API. */
const char *dm_finding_name(DmFindingCode code);
