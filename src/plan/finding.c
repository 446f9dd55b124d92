/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's findings: verdicts, names of checks, lists of findings. */
#include "plan/doctor.h"

#include "base/shell.h"
#include "doctor_private.h"

const char *dm_verdict_name(DmVerdict verdict) {
  static const char *const names[] = {
    [DM_VERDICT_GOOD] = "good",
    [DM_VERDICT_UNKNOWN] = "unknown",
    [DM_VERDICT_WARNING] = "warning",
    [DM_VERDICT_BAD] = "bad",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_VERDICTS);
  return names[verdict];
}

void dm_finding_free(DmFinding *finding) {
  if (finding == NULL)
    return;
  g_free(finding->alias);
  g_free(finding->evidence);
  g_free(finding->source);
  g_free(finding->remedy);
  g_free(finding->command);
  g_free(finding);
}

static void free_finding(gpointer finding) {
  dm_finding_free(finding);
}

GPtrArray *doctor_findings_new(void) {
  return g_ptr_array_new_with_free_func(free_finding);
}

void doctor_add_finding(GPtrArray *findings, DmFindingCode code, const DmMemoryDevice *device, DmVerdict verdict,
  const char *source, const char *remedy, const char *sentence, ...) {
  DmFinding *finding = g_new0(DmFinding, 1);
  va_list arguments;
  va_start(arguments, sentence);
  finding->code = code;
  finding->verdict = verdict;
  finding->alias = device != NULL ? g_strdup(device->alias) : NULL;
  finding->source = source != NULL && *source != '\0' ? g_strdup(source) : NULL;
  finding->evidence = g_strdup_vprintf(sentence, arguments);
  finding->remedy = g_strdup(remedy);
  va_end(arguments);
  g_ptr_array_add(findings, finding);
}

void doctor_advise(GPtrArray *findings, const char *remedy, ...) {
  DmFinding *finding = findings->pdata[findings->len - 1];
  va_list arguments;
  va_start(arguments, remedy);
  g_free(finding->remedy);
  finding->remedy = g_strdup_vprintf(remedy, arguments);
  va_end(arguments);
}

void doctor_add_command(GPtrArray *findings, const char *first, ...) {
  DmFinding *finding = findings->pdata[findings->len - 1];
  va_list words;
  va_start(words, first);
  g_free(finding->command);
  finding->command = dm_shell_command_va(first, words);
  va_end(words);
}

DmVerdict dm_plan_worst(const GPtrArray *findings) {
  DmVerdict worst = DM_VERDICT_GOOD;
  for (guint i = 0; i < findings->len; i++)
    worst = MAX(worst, ((const DmFinding *)findings->pdata[i])->verdict);
  return worst;
}
