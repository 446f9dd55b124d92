/* SPDX-License-Identifier: Apache-2.0 */
#include "words/finding.h"

static const struct {
  DmCheck check;
  const char *name;
} findings[] = {
#define FINDING(code, check, name, evidence) [DM_FINDING_##code] = {DM_CHECK_##check, name},
#define REMEDY(code, sentence)
#define PHRASE(code, words)
#include "words/findings.def"
};
G_STATIC_ASSERT(G_N_ELEMENTS(findings) == DM_FINDING_CODES);

const char *dm_check_name(DmCheck check) {
  static const char *const names[] = {
    [DM_CHECK_STATE] = "state",
    [DM_CHECK_PORTS] = "ports",
    [DM_CHECK_GUEST_OS] = "guest-os",
    [DM_CHECK_ONLINING] = "onlining",
    [DM_CHECK_BLOCK_SIZE] = "block-size",
    [DM_CHECK_SPARE] = "spare",
    [DM_CHECK_KERNEL_MEMORY] = "kernel-memory",
    [DM_CHECK_ROOM] = "room",
    [DM_CHECK_SLOTS] = "slots",
    [DM_CHECK_HOT_PLUGGED] = "hot-plugged",
    [DM_CHECK_HUGE_PAGES] = "huge-pages",
    [DM_CHECK_VFIO] = "vfio",
    [DM_CHECK_VHOST] = "vhost",
    [DM_CHECK_BALLOON] = "balloon",
    [DM_CHECK_FREE_PAGE_REPORTING] = "free-page-reporting",
    [DM_CHECK_AUTODEFLATE] = "autodeflate",
    [DM_CHECK_MIGRATION] = "migration",
    [DM_CHECK_REQUEST] = "request",
    [DM_CHECK_MOVABLE] = "movable",
    [DM_CHECK_REFUSED] = "refused",
    [DM_CHECK_TAKEN] = "taken",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_CHECKS);
  return names[check];
}

DmCheck dm_finding_check(DmFindingCode code) {
  return findings[code].check;
}

const char *dm_finding_name(DmFindingCode code) {
  return findings[code].name;
}
