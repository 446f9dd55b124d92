/* SPDX-License-Identifier: Apache-2.0 */
#include "model/request.h"

#include <string.h>

/*
 * The life of a step. An overdue device can still go, or be refused, at any time; a refused one can be requested again
 * later, and can be removed by another tool.
 */
static const gboolean transitions[DM_STEP_STATES][DM_STEP_STATES] = {
  /*  from                 planned  asked  done  refused  overdue */
  [DM_STEP_PLANNED] = {FALSE, TRUE, FALSE, TRUE, TRUE},
  [DM_STEP_ASKED] = {FALSE, FALSE, TRUE, TRUE, TRUE},
  [DM_STEP_DONE] = {FALSE, FALSE, FALSE, FALSE, FALSE},
  [DM_STEP_REFUSED] = {FALSE, TRUE, TRUE, FALSE, FALSE},
  [DM_STEP_OVERDUE] = {FALSE, TRUE, TRUE, TRUE, FALSE},
};

static const char *const op_names[] = {
  [DM_OP_UNPLUG] = "unplug",
  [DM_OP_RESIZE] = "resize",
  [DM_OP_PLUG] = "plug",
  [DM_OP_BALLOON] = "balloon",
};
G_STATIC_ASSERT(G_N_ELEMENTS(op_names) == DM_OPS);

static const char *const done_names[] = {
  [DM_OP_UNPLUG] = "removed",
  [DM_OP_RESIZE] = "resized",
  [DM_OP_PLUG] = "added",
  [DM_OP_BALLOON] = "ballooned",
};
G_STATIC_ASSERT(G_N_ELEMENTS(done_names) == DM_OPS);

static const char *const action_names[] = {
  [DM_ACTION_SET] = "set",
  [DM_ACTION_UNPLUG] = "unplug",
  [DM_ACTION_PLUG] = "plug",
  [DM_ACTION_ENABLE] = "enable",
  [DM_ACTION_SETTLE] = "settle",
};
G_STATIC_ASSERT(G_N_ELEMENTS(action_names) == DM_ACTIONS);

static const char *const state_names[] = {
  [DM_STEP_PLANNED] = "planned",
  [DM_STEP_ASKED] = "asked",
  [DM_STEP_DONE] = "done",
  [DM_STEP_REFUSED] = "refused",
  [DM_STEP_OVERDUE] = "overdue",
};
G_STATIC_ASSERT(G_N_ELEMENTS(state_names) == DM_STEP_STATES);

static gboolean find_name(const char *const *names, gsize count, const char *name, int *found) {
  for (gsize i = 0; i < count; i++) {
    if (g_strcmp0(names[i], name) == 0) {
      *found = (int)i;
      return TRUE;
    }
  }
  return FALSE;
}

DmStep *dm_step_new(DmOp op, const DmMemoryDevice *device) {
  DmStep *step = g_new0(DmStep, 1);
  step->op = op;
  step->alias = g_strdup(device->alias);
  step->id = g_strdup(device->id);
  step->kind = device->kind;
  step->size = device->size;
  step->block = device->block;
  step->node = device->node;
  step->from = op == DM_OP_PLUG ? 0 : dm_memory_device_memory(device);
  step->to = op == DM_OP_PLUG ? dm_memory_device_memory(device) : 0;
  step->place = op == DM_OP_PLUG ? NULL : dm_memory_device_place(device);
  step->backing = g_strdup(device->backing);
  step->run.size_before = step->run.reached = step->from;
  step->run.answer_s = -1;
  return step;
}

/* libvirt's alias of the one balloon that a VM can have (qemuAssignDeviceMemballoonAlias). */
#define BALLOON_ALIAS "balloon0"

DmStep *dm_step_new_balloon(uint64_t size, uint64_t from, uint64_t to) {
  DmStep *step = g_new0(DmStep, 1);
  step->op = DM_OP_BALLOON;
  step->alias = g_strdup(BALLOON_ALIAS);
  step->kind = DM_DEVICE_OTHER;
  step->size = size;
  step->from = step->run.size_before = step->run.reached = from;
  step->to = to;
  step->run.answer_s = -1;
  return step;
}

DmOrigin *dm_origin_copy(const DmOrigin *origin) {
  if (origin == NULL)
    return NULL;
  DmOrigin *copy = g_memdup2(origin, sizeof *origin);
  copy->id = g_strdup(origin->id);
  copy->user = g_strdup(origin->user);
  return copy;
}

void dm_origin_free(DmOrigin *origin) {
  if (origin == NULL)
    return;
  g_free(origin->id);
  g_free(origin->user);
  g_free(origin);
}

DmStep *dm_step_copy(const DmStep *step) {
  DmStep *copy = g_memdup2(step, sizeof *step);
  copy->alias = g_strdup(step->alias);
  copy->id = g_strdup(step->id);
  copy->place = g_strdup(step->place);
  copy->backing = g_strdup(step->backing);
  copy->run.reason = step->run.reason != NULL ? dm_note_copy(step->run.reason) : NULL;
  copy->origin = dm_origin_copy(step->origin);
  return copy;
}

void dm_step_free(DmStep *step) {
  if (step == NULL)
    return;
  g_free(step->alias);
  g_free(step->id);
  g_free(step->place);
  g_free(step->backing);
  dm_note_free(step->run.reason);
  dm_origin_free(step->origin);
  g_free(step);
}

void dm_step_take_reason(DmStep *step, DmNote *reason) {
  dm_note_free(step->run.reason);
  step->run.reason = reason;
}

gboolean dm_step_advance(DmStep *step, DmStepState to) {
  if (!transitions[step->state][to])
    return FALSE;
  step->state = to;
  return TRUE;
}

const char *dm_step_state_name(const DmStep *step) {
  return step->state == DM_STEP_DONE ? done_names[step->op] : state_names[step->state];
}

const char *dm_op_name(DmOp op) {
  return op_names[op];
}

const char *dm_action_name(DmAction action) {
  return action_names[action];
}

gboolean dm_op_from_name(const char *name, DmOp *op) {
  int found;
  if (!find_name(op_names, G_N_ELEMENTS(op_names), name, &found))
    return FALSE;
  *op = (DmOp)found;
  return TRUE;
}

gboolean dm_action_from_name(const char *name, DmAction *action) {
  int found;
  if (!find_name(action_names, G_N_ELEMENTS(action_names), name, &found))
    return FALSE;
  *action = (DmAction)found;
  return TRUE;
}

gboolean dm_step_state_from_name(const char *name, DmStepState *state) {
  int found;
  if (find_name(done_names, G_N_ELEMENTS(done_names), name, &found))
    *state = DM_STEP_DONE;
  else if (find_name(state_names, G_N_ELEMENTS(state_names), name, &found))
    *state = (DmStepState)found;
  else
    return FALSE;
  return TRUE;
}

static void free_step(gpointer step) {
  dm_step_free(step);
}

static gpointer copy_step(gconstpointer step, gpointer unused) {
  return dm_step_copy(step);
}

DmRequest *dm_request_new(DmAction action) {
  DmRequest *request = g_new0(DmRequest, 1);
  request->id = g_uuid_string_random();
  request->action = action;
  request->steps = g_ptr_array_new_with_free_func(free_step);
  return request;
}

DmRequest *dm_request_copy(const DmRequest *request) {
  DmRequest *copy = g_memdup2(request, sizeof *request);
  copy->id = g_strdup(request->id);
  copy->user = g_strdup(request->user);
  copy->correlation_id = g_strdup(request->correlation_id);
  copy->host = g_strdup(request->host);
  copy->next_run = dm_values_copy(&request->next_run);
  copy->steps = g_ptr_array_copy(request->steps, copy_step, NULL);
  copy->balloon = request->balloon != NULL ? dm_step_copy(request->balloon) : NULL;
  return copy;
}

DmValues dm_values_copy(const DmValues *values) {
  DmValues copy = *values;
  if (copy.floors != NULL)
    g_array_ref(copy.floors);
  return copy;
}

void dm_values_clear(DmValues *values) {
  if (values->floors != NULL)
    g_array_unref(values->floors);
  *values = (DmValues){0};
}

void dm_request_free(DmRequest *request) {
  if (request == NULL)
    return;
  dm_values_clear(&request->next_run);
  g_free(request->id);
  g_free(request->user);
  g_free(request->correlation_id);
  g_free(request->host);
  g_ptr_array_unref(request->steps);
  dm_step_free(request->balloon);
  g_free(request);
}

DmStep *dm_request_find_step(const DmRequest *request, const char *alias) {
  for (guint i = request->steps->len; i > 0; i--) {
    DmStep *step = request->steps->pdata[i - 1];
    if (g_strcmp0(step->alias, alias) == 0)
      return step;
  }
  return NULL;
}

gboolean dm_request_asks_again(const DmRequest *request) {
  if (request->balloon != NULL && dm_step_is_pending(request->balloon) && !request->balloon->withdrawn)
    return TRUE;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (dm_step_is_pending(step) && !step->withdrawn)
      return TRUE;
  }
  return FALSE;
}
