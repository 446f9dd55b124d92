/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit events, with oVirt's codes if there is one (AuditLogType), and our own from 20001 on: above all the actual
 * removal of a device, which oVirt does not report.
 */
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "watchers.h"

/* The store creates that one itself. */
G_STATIC_ASSERT((int)AUDIT_EVENTS_LOST == DM_STORE_EVENTS_LOST);

/* Events per hour stored singly for one guest, host or authenticated user. */
#define MOST_OF_ONE 30

#define MIB_FORMAT G_GUINT64_FORMAT

static guint64 mib(uint64_t bytes) {
  return bytes / DM_MIB;
}

/* Only the fields that are set. The daemon logs hosts where it monitors them. */
static void log_event(const DmAuditEvent *event) {
  GLogField fields[8] = {{"MESSAGE", event->text, -1}, {"GLIB_DOMAIN", "dimmer", -1}};
  gsize count = 2;
  const struct {
    const char *key, *value;
  } given[] = {{"VM", event->vm_id}, {"VM_NAME", event->vm_name}, {"HOST", event->host_name}, {"USER", event->user},
    {"REQUEST", event->correlation_id}};
  if (event->code == AUDIT_HOST_UP || event->code == AUDIT_HOST_DOWN)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS(given); i++) {
    if (given[i].value != NULL)
      fields[count++] = (GLogField){given[i].key, given[i].value, -1};
  }
  g_log_structured_array(
    event->severity >= DM_SEVERITY_ERROR ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE, fields, count);
}

void audit_tell(DmApi *api, DmAuditEvent *event) {
  dm_store_add_event(api->store, event);
  live_event(api->live, event); /* listeners get it even if it was not stored: without an id */
}

G_GNUC_PRINTF(6, 0)
static DmAuditEvent make_event(AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const char *format, va_list arguments) {
  return (DmAuditEvent){
    .code = code,
    .severity = severity,
    .text = g_strdup_vprintf(format, arguments),
    .vm_id = entry != NULL ? g_strdup(entry->vm->uuid) : NULL,
    .vm_name = entry != NULL ? g_strdup(entry->vm->name) : NULL,
    .host_id = entry != NULL ? g_strdup(entry->host->id) : NULL,
    .host_name = entry != NULL ? g_strdup(entry->host->name) : NULL,
    .user = g_strdup(user),
    .correlation_id = g_strdup(correlation_id),
  };
}

void audit(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_auto(DmAuditEvent) event = make_event(code, severity, entry, user, correlation_id, format, arguments);
  va_end(arguments);
  log_event(&event);
  audit_tell(api, &event);
}

void audit_repeated(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const Source *source, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_auto(DmAuditEvent) event = make_event(code, severity, entry, user, correlation_id, format, arguments);
  va_end(arguments);
  log_event(&event);
  if (repeats_admit(api->repeats, &event, source->from, source->name, source->most))
    audit_tell(api, &event);
}

/* ---- jobs ---- */

typedef struct {
  DmApi *api;
  const DmJob *job;
  const DmEntry *entry; /* NULL: the VM is gone */
} Subject;

/* In a format: the text after it may differ each time for the same event. Does not occur in texts. */
#define OR_SO "\001"

static void take_mark(DmAuditEvent *event) {
  char *mark = strstr(event->text, OR_SO);
  if (mark == NULL)
    return;
  memmove(mark, mark + strlen(OR_SO), strlen(mark + strlen(OR_SO)) + 1);
  event->once_bytes = (gsize)(mark - event->text);
}

/* For a resumed job, the earlier process may have reported the same, and been killed before accounting.
 */
G_GNUC_PRINTF(4, 5)
static void tell(const Subject *subject, AuditCode code, DmSeverity severity, const char *format, ...) {
  const DmJob *job = subject->job;
  va_list arguments;
  va_start(arguments, format);
  g_auto(DmAuditEvent) event =
    make_event(code, severity, subject->entry, job->user, job->correlation_id, format, arguments);
  va_end(arguments);
  event.once_since = job->recovered ? MAX(job->started_ms, 1) : 0;
  take_mark(&event);
  log_event(&event);
  audit_tell(subject->api, &event);
}

static void tell_asked(const Subject *subject, const DmStep *step) {
  const DmJob *job = subject->job;
  if (step->op != DM_OP_UNPLUG)
    return;
  gboolean one = job->action != DM_ACTION_SET;
  g_autofree char *memory = one
    ? g_strdup_printf(" Defined memory is to fall from %" MIB_FORMAT "MB by %" MIB_FORMAT "MB.",
        mib(job->memory_before), mib(step->size))
    : g_strdup("");
  tell(subject, one ? AUDIT_UNPLUG_REQUESTED_DEVICE : AUDIT_UNPLUG_REQUESTED, DM_SEVERITY_NORMAL,
    "Hotunplug of memory device (%s) of size %" MIB_FORMAT "MB was successfully requested on VM '%s'." OR_SO
    " Physical memory "
    "guaranteed is %" MIB_FORMAT "MB.%s",
    step->id, mib(step->size), job->vm_name, mib(job->guaranteed_before), memory);
}

static void tell_refused(const Subject *subject, const DmStep *step) {
  const char *reason = step->run.reason != NULL ? dm_step_reason(step) : DM_NOTE_GUEST_REFUSED_SENTENCE;
  if (step->op == DM_OP_PLUG)
    tell(subject, AUDIT_FAILED_HOT_SET_MEMORY, DM_SEVERITY_ERROR,
      "Failed to hot set memory to VM %s. Underlying error message: %s", subject->job->vm_name, reason);
  else
    tell(subject, AUDIT_UNPLUG_FAILED, DM_SEVERITY_ERROR,
      "Failed to hot unplug memory device (%s) of size %" MIB_FORMAT "MiB out of VM '%s':" OR_SO " %s", step->id,
      mib(step->size), subject->job->vm_name, reason);
}

static void tell_done(const Subject *subject, const DmStep *step) {
  const char *name = subject->job->vm_name;
  if (step->op == DM_OP_UNPLUG)
    tell(subject, AUDIT_DEVICE_REMOVED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of size %" MIB_FORMAT "MiB has been released by VM '%s'", step->id, mib(step->size), name);
  else if (step->op == DM_OP_RESIZE)
    tell(subject, AUDIT_DEVICE_RESIZED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of VM '%s' has gone from %" MIB_FORMAT "MiB to %" MIB_FORMAT "MiB", step->id, name,
      mib(step->run.size_before), mib(step->to));
  else
    tell(subject, AUDIT_DEVICE_ADDED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of size %" MIB_FORMAT "MiB has been added to VM '%s'", step->id, mib(step->to), name);
}

static void tell_overdue(const Subject *subject, const DmStep *step) {
  const char *name = subject->job->vm_name;
  if (step->to > step->run.size_before)
    tell(subject, AUDIT_DEVICE_OVERDUE, DM_SEVERITY_WARNING,
      "VM '%s' has taken %" MIB_FORMAT "MiB of memory device (%s) so far, of %" MIB_FORMAT
      "MiB; it can still take more",
      name, mib(step->run.reached), step->id, mib(step->to));
  else
    tell(subject, AUDIT_DEVICE_OVERDUE, DM_SEVERITY_WARNING,
      "VM '%s' has not answered yet for memory device (%s) of size %" MIB_FORMAT "MiB; it can still release it", name,
      step->id, mib(step->size));
}

static void tell_step(const Subject *subject, const DmStep *step) {
  switch (step->state) {
    case DM_STEP_ASKED:
      tell_asked(subject, step);
      break;
    case DM_STEP_REFUSED:
      tell_refused(subject, step);
      break;
    case DM_STEP_DONE:
      tell_done(subject, step);
      break;
    case DM_STEP_OVERDUE:
      tell_overdue(subject, step);
      break;
    case DM_STEP_PLANNED:
      break;
  }
}

/* A lowering by size for which no device fits. */
static void tell_nothing_fits(const Subject *subject) {
  const DmJob *job = subject->job;
  const DmConfig *live = subject->entry->vm->live;
  g_autoptr(GString) options = g_string_new(NULL);
  for (guint i = 0; live != NULL && i < live->devices->len; i++) {
    const DmMemoryDevice *device = live->devices->pdata[i];
    uint64_t size = dm_memory_device_memory(device);
    g_string_append_printf(options, "%s%" MIB_FORMAT "MB (%" MIB_FORMAT "MB)", options->len > 0 ? ", " : "", mib(size),
      mib(dm_size_minus(job->memory_before, size)));
  }
  if (options->len == 0)
    tell(subject, AUDIT_NO_DEVICE, DM_SEVERITY_NORMAL,
      "Memory hot unplug from %" MIB_FORMAT "MB to %" MIB_FORMAT
      "MB failed as the running VM '%s' has no hot plugged memory device",
      mib(job->memory_before), mib(job->wanted), job->vm_name);
  else
    tell(subject, AUDIT_NO_SUITABLE_DEVICE, DM_SEVERITY_NORMAL,
      "Memory hot unplug from %" MIB_FORMAT "MB to %" MIB_FORMAT
      "MB failed: no memory device of VM '%s' fits. The options are: %s",
      mib(job->memory_before), mib(job->wanted), job->vm_name, options->str);
}

/* The next run is written before the devices are requested, so it has the requested values whatever the guest does. */
static void tell_updated(const Subject *subject) {
  const DmJob *job = subject->job;
  const char *by = job->user != NULL ? job->user : "SYSTEM";
  gboolean next_run = subject->entry != NULL && subject->entry->vm->next_run != NULL;
  g_autofree char *has = g_strdup_printf("the running VM has %" MIB_FORMAT "MB, and %" MIB_FORMAT "MB were asked for%s",
    mib(job->memory_after), mib(job->wanted), next_run ? "; its next run has that" : "");
  switch (job->outcome) {
    case DM_OUTCOME_PARTLY:
      tell(subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_WARNING,
        "VM %s configuration was updated by %s." OR_SO " It was done in part: %s", job->vm_name, by, has);
      break;
    case DM_OUTCOME_OVERDUE:
      tell(subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_WARNING,
        "VM %s configuration was updated by %s." OR_SO " Its guest has not answered yet: %s", job->vm_name, by, has);
      break;
    case DM_OUTCOME_REFUSED:
      tell(subject, AUDIT_USER_FAILED_UPDATE_VM, DM_SEVERITY_ERROR,
        "Failed to update VM %s (User: %s):" OR_SO " %s: %s", job->vm_name, by,
        dm_job_failed_by_host(job) ? "the host could not do it" : "it was refused", has);
      break;
    case DM_OUTCOME_DONE:
    case DM_OUTCOME_KEPT:
    case DM_OUTCOME_CALLED_OFF:
    case DM_OUTCOME_FAILED:
      tell(subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_NORMAL, "VM %s configuration was updated by %s." OR_SO,
        job->vm_name, by);
  }
}

/* If a rule forbade it, nothing has happened, and the client got the answer. */
static void tell_error(const Subject *subject) {
  const DmJob *job = subject->job;
  const char *by = job->user != NULL ? job->user : "SYSTEM";
  if (job->unheard || (job->steps->len > 0 && job->steps->pdata[0] != NULL && job->memory_before != 0))
    tell(subject, AUDIT_USER_FAILED_UPDATE_VM, DM_SEVERITY_ERROR, "Failed to update VM %s (User: %s): %s", job->vm_name,
      by, job->error->message);
}

static void tell_balloon(const Subject *subject) {
  const DmStep *step = subject->job->balloon;
  gboolean done = step->state == DM_STEP_DONE;
  const char *reason = dm_step_reason(step);
  tell(subject, AUDIT_BALLOON_MOVED, done ? DM_SEVERITY_NORMAL : DM_SEVERITY_WARNING,
    "The balloon of VM %s leaves its guest %" MIB_FORMAT "MB, and left %" MIB_FORMAT "MB before%s%s",
    subject->job->vm_name, mib(done ? step->to : step->run.reached), mib(step->run.size_before),
    done || reason == NULL ? "" : ": ", done || reason == NULL ? "" : reason);
}

/* How the guest uses what was plugged, if an agent reported it. */
static void tell_use(const Subject *subject) {
  const DmJob *job = subject->job;
  for (guint i = 0; i < job->steps->len; i++) {
    const DmStep *step = job->steps->pdata[i];
    if (step->run.use == DM_USE_UNKNOWN)
      continue;
    tell(subject, AUDIT_DEVICE_USE, step->run.use == DM_USE_MOVABLE ? DM_SEVERITY_NORMAL : DM_SEVERITY_WARNING,
      "Memory device (%s) of size %" MIB_FORMAT "MiB of VM '%s' is %s", step->id, mib(step->size), job->vm_name,
      dm_use_text(step->run.use));
  }
}

/* The outcome, but not yet whether the cleanup of the VM succeeded. */
static void tell_closing(const Subject *subject) {
  const DmJob *job = subject->job;
  tell_use(subject);
  if (job->steps->len > 0 && job->memory_after > job->memory_before)
    tell(subject, AUDIT_HOT_SET_MEMORY, DM_SEVERITY_NORMAL,
      "Hotset memory: changed the amount of memory on VM %s from %" MIB_FORMAT " to %" MIB_FORMAT, job->vm_name,
      mib(job->memory_before), mib(job->memory_after));
  if (job->action == DM_ACTION_SET && job->wanted != 0 && job->wanted < job->memory_before && job->steps->len == 0 &&
    job->balloon == NULL && subject->entry != NULL && subject->entry->vm->live != NULL)
    tell_nothing_fits(subject);
  if (job->balloon != NULL && job->balloon->state != DM_STEP_PLANNED)
    tell_balloon(subject);
  if (job->action == DM_ACTION_SET || job->action == DM_ACTION_ENABLE)
    tell_updated(subject);
}

/* Only if the rules allow the rest is the rest done. */
static void tell_planned(const Subject *subject) {
  const DmJob *job = subject->job;
  const char *left_out = job->wish != NULL && job->action == DM_ACTION_SET ? job->wish->set.left_out : NULL;
  if (left_out != NULL)
    tell(subject, AUDIT_NOT_CHANGED, DM_SEVERITY_WARNING,
      "VM %s was not changed in %s as %s asked: dimmer does not change that", job->vm_name, left_out, job->user);
}

static void on_job(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data) {
  DmApi *api = data;
  const Subject subject = {api, job, dm_inventory_find(api->inventory, job->vm_id)};
  if (event == DM_JOB_EVENT_PLANNED)
    tell_planned(&subject);
  else if (event == DM_JOB_EVENT_STEP)
    tell_step(&subject, step);
  else if (event == DM_JOB_EVENT_CLOSING && job->error == NULL)
    tell_closing(&subject);
  else if (event == DM_JOB_EVENT_CLOSING || (event == DM_JOB_EVENT_SETTLED && job->error != NULL && !job->failing))
    tell_error(&subject);
}

/* Enough in normal operation; a locked or full file delays no job for longer. */
#define KEEP_MS 2000

static void on_keep(DmJobsKeptFunc kept, gpointer kept_data, gpointer data) {
  const DmApi *api = data;
  dm_store_when_written(api->store, KEEP_MS, kept, kept_data);
}

/* ---- VMs and hosts ---- */

static void on_life(DmEntry *entry, DmLife life, gpointer data) {
  static const struct {
    AuditCode code;
    DmSeverity severity;
    const char *text;
  } table[] = {
    [DM_LIFE_STARTED] = {AUDIT_USER_RUN_VM, DM_SEVERITY_NORMAL, "started on"},
    [DM_LIFE_STOPPED] = {AUDIT_VM_DOWN, DM_SEVERITY_NORMAL, "is down. It ran on"},
    [DM_LIFE_CRASHED] = {AUDIT_VM_DOWN_ERROR, DM_SEVERITY_ERROR, "is down with error. It ran on"},
    [DM_LIFE_MOVED] = {AUDIT_VM_MIGRATION_DONE, DM_SEVERITY_NORMAL, "has moved away from"},
    [DM_LIFE_PAUSED] = {AUDIT_VM_PAUSED, DM_SEVERITY_NORMAL, "has been paused on"},
    [DM_LIFE_RESUMED] = {AUDIT_VM_RESUMED, DM_SEVERITY_NORMAL, "has been resumed on"},
    [DM_LIFE_REBOOTED] = {AUDIT_USER_REBOOT_VM, DM_SEVERITY_NORMAL, "was rebooted on"},
    [DM_LIFE_REBOOT_IGNORED] = {AUDIT_USER_FAILED_REBOOT_VM, DM_SEVERITY_ERROR,
      "was asked to shut down for a reboot, but its guest has not done so; it runs on, without its next-run "
      "configuration, on"},
    [DM_LIFE_SHUTDOWN_IGNORED] = {AUDIT_VM_POWER_DOWN_FAILED, DM_SEVERITY_WARNING,
      "was asked to shut down and still runs: its guest did not hear it, ignores it, or takes longer, on"},
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(table) == DM_LIVES);
  const Source source = {.from = entry->vm->uuid, .most = MOST_OF_ONE};
  audit_repeated(data, table[life].code, table[life].severity, entry, NULL, NULL, &source, "VM %s %s Host %s",
    entry->vm->name, table[life].text, entry->host->name);
}

static void on_reboot(DmEntry *entry, const DmReboot *end, gpointer data) {
  const char *name = entry->vm->name;
  if (!end->runs)
    audit(data, AUDIT_USER_FAILED_RUN_VM, DM_SEVERITY_ERROR, entry, NULL, NULL,
      "VM %s went down for its reboot and could not be started again, so it is down: %s", name, end->reason);
  else
    audit(data, AUDIT_REBOOT_FELL_BACK, DM_SEVERITY_ERROR, entry, NULL, NULL,
      "VM %s could not start with its next-run configuration, and runs as it did before its reboot: %s%s%s", name,
      end->reason, end->failed_file != NULL ? ". The definition that did not start is kept in " : "",
      end->failed_file != NULL ? end->failed_file : "");
}

static void on_host(DmHost *host, gpointer data) {
  const Source source = {.from = host->id, .most = MOST_OF_ONE};
  if (host->status == DM_HOST_UP)
    audit_repeated(data, AUDIT_HOST_UP, DM_SEVERITY_NORMAL, NULL, NULL, NULL, &source, "Host %s (%s) is connected",
      host->name, host->uri);
  else if (host->status == DM_HOST_DOWN)
    audit_repeated(data, AUDIT_HOST_DOWN, DM_SEVERITY_ERROR, NULL, NULL, NULL, &source, "Host %s cannot be reached: %s",
      host->name, host->problem);
}

/* Events are queued in memory meanwhile: the administrator can fix it before that is full. */
static void on_trouble(const GError *trouble, gpointer data) {
  if (trouble != NULL)
    g_log_structured(
      "dimmer", G_LOG_LEVEL_WARNING, "MESSAGE", "events and logins are kept in memory only: %s", trouble->message);
  else
    g_log_structured("dimmer", G_LOG_LEVEL_MESSAGE, "MESSAGE", "the database is written to again");
}

void audit_start(DmApi *api) {
  static const DmInventoryListener listener = {.life = on_life, .reboot = on_reboot, .host_changed = on_host};
  dm_inventory_listen(api->inventory, &listener, api);
  dm_jobs_listen(api->jobs, on_job, api);
  dm_jobs_keep_reported(api->jobs, on_keep, api);
  dm_store_watch(api->store, on_trouble, api);
}
