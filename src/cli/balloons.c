/* SPDX-License-Identifier: Apache-2.0 */
/* What balloons hold, for the verbs that show: a QEMU that hangs must not hold them up. */
#include "cli.h"
#include "hypervisor/balloon.h"

#define PATIENCE_MS 2000

typedef struct {
  DmConnection *connection;
  DmVm *copy; /* for the thread */
  DmVm *vm;   /* gets the answer; NULL: it is not waited for any longer */
  guint *missing;
  DmBalloonStats stats;
} Question;

static void ask(gpointer data) {
  Question *question = data;
  if (!dm_balloon_read(question->connection, question->copy, &question->stats, NULL))
    question->stats.actual = 0;
}

static void question_free(Question *question) {
  dm_vm_free(question->copy);
  dm_connection_close(question->connection);
  g_free(question);
}

static void on_asked(gpointer data) {
  Question *question = data;
  if (question->vm == NULL) {
    question_free(question);
    return;
  }
  question->vm->balloon_actual = question->stats.actual;
  question->vm = NULL; /* answered: balloons_read() frees it */
  --*question->missing;
}

static gboolean on_late(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* At most PATIENCE_MS. */
static void wait_for_answers(const guint *missing) {
  gboolean late = FALSE;
  guint timer = g_timeout_add(PATIENCE_MS, on_late, &late);
  while (*missing > 0 && !late)
    g_main_context_iteration(NULL, TRUE);
  if (!late)
    g_source_remove(timer);
}

void balloons_read(DmConnection *connection, DmVm **vms, guint count) {
  g_autoptr(GPtrArray) questions = g_ptr_array_new();
  guint missing = 0;
  for (guint i = 0; i < count; i++) {
    if (vms[i]->state != DM_VM_RUNNING || !dm_vm_may_be_ballooned(vms[i]))
      continue;
    Question *question = g_new0(Question, 1);
    question->connection = dm_connection_ref(connection);
    question->copy = dm_vm_copy(vms[i]);
    question->vm = vms[i];
    question->missing = &missing;
    g_ptr_array_add(questions, question);
    missing++;
    dm_connection_run(connection, vms[i]->uuid, ask, on_asked, question);
  }
  if (questions->len > 0)
    wait_for_answers(&missing);
  for (guint i = 0; i < questions->len; i++) {
    Question *question = questions->pdata[i];
    if (question->vm == NULL)
      question_free(question);
    else
      question->vm = NULL; /* its thread still has it: it is freed with its answer, or the process */
  }
}
