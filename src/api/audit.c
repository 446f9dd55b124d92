/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, as events with oVirt's codes where it has one (AuditLogType), and our own from 20001 on: above all
 * that a device is really gone, of which oVirt says nothing.
 */
#include <stdarg.h>

#include "api_private.h"
#include "base/error.h"
#include "base/size.h"

#define MIB_FORMAT G_GUINT64_FORMAT

static guint64 mib(uint64_t bytes) {
  return bytes / DM_MIB;
}

/* Only the fields that there are. Hosts are logged where they are watched over, by the daemon. */
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

void audit(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const char *format, ...) {
  g_autoptr(DmAuditEvent) event = g_new0(DmAuditEvent, 1);
  g_autoptr(GError) error = NULL;
  va_list arguments;
  va_start(arguments, format);
  event->text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  event->code = code;
  event->severity = severity;
  if (entry != NULL) {
    event->vm_id = g_strdup(entry->vm->uuid);
    event->vm_name = g_strdup(entry->vm->name);
    event->host_id = g_strdup(entry->host->id);
    event->host_name = g_strdup(entry->host->name);
  }
  event->user = g_strdup(user);
  event->correlation_id = g_strdup(correlation_id);
  log_event(event);
  event->time = g_get_real_time() / 1000;
  if (!dm_store_add_event(api->store, event, &error))
    g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "MESSAGE", "the event above was not kept: %s", error->message);
  live_event(api->live, event); /* who listens hears of it all the same, without an id */
}

/* ---- jobs ---- */

typedef struct {
  DmApi *api;
  const DmJob *job;
  const DmEntry *entry; /* NULL: the VM is gone */
} Subject;

#define TELL(subject, code, severity, ...)                                                                      \
  audit((subject)->api, code, severity, (subject)->entry, (subject)->job->user, (subject)->job->correlation_id, \
    __VA_ARGS__)

static void tell_asked(const Subject *subject, const DmStep *step) {
  const DmJob *job = subject->job;
  if (step->op != DM_OP_UNPLUG)
    return;
  gboolean one = job->action != DM_ACTION_SET;
  g_autofree char *memory = one
    ? g_strdup_printf(" Defined memory is to fall from %" MIB_FORMAT "MB by %" MIB_FORMAT "MB.",
        mib(job->memory_before), mib(step->size))
    : g_strdup("");
  TELL(subject, one ? AUDIT_UNPLUG_REQUESTED_DEVICE : AUDIT_UNPLUG_REQUESTED, DM_SEVERITY_NORMAL,
    "Hotunplug of memory device (%s) of size %" MIB_FORMAT
    "MB was successfully requested on VM '%s'. Physical memory "
    "guaranteed is %" MIB_FORMAT "MB.%s",
    step->id, mib(step->size), job->vm_name, mib(job->guaranteed_before), memory);
}

static void tell_refused(const Subject *subject, const DmStep *step) {
  const char *reason = step->reason != NULL ? step->reason : "the guest refused";
  if (step->op == DM_OP_PLUG)
    TELL(subject, AUDIT_FAILED_HOT_SET_MEMORY, DM_SEVERITY_ERROR,
      "Failed to hot set memory to VM %s. Underlying error message: %s", subject->job->vm_name, reason);
  else
    TELL(subject, AUDIT_UNPLUG_FAILED, DM_SEVERITY_ERROR,
      "Failed to hot unplug memory device (%s) of size %" MIB_FORMAT "MiB out of VM '%s': %s", step->id,
      mib(step->size), subject->job->vm_name, reason);
}

static void tell_done(const Subject *subject, const DmStep *step) {
  const char *name = subject->job->vm_name;
  if (step->op == DM_OP_UNPLUG)
    TELL(subject, AUDIT_DEVICE_REMOVED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of size %" MIB_FORMAT "MiB has been released by VM '%s'", step->id, mib(step->size), name);
  else if (step->op == DM_OP_RESIZE)
    TELL(subject, AUDIT_DEVICE_RESIZED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of VM '%s' has gone from %" MIB_FORMAT "MiB to %" MIB_FORMAT "MiB", step->id, name,
      mib(step->size_before), mib(step->to));
  else
    TELL(subject, AUDIT_DEVICE_ADDED, DM_SEVERITY_NORMAL,
      "Memory device (%s) of size %" MIB_FORMAT "MiB has been added to VM '%s'", step->id, mib(step->to), name);
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
      TELL(subject, AUDIT_DEVICE_OVERDUE, DM_SEVERITY_WARNING,
        "VM '%s' has not answered yet for memory device (%s) of size %" MIB_FORMAT "MiB; it can still release it",
        subject->job->vm_name, step->id, mib(step->size));
      break;
    default:
      break;
  }
}

/* Lowering as a number, and not one device fits. */
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
    TELL(subject, AUDIT_NO_DEVICE, DM_SEVERITY_NORMAL,
      "Memory hot unplug from %" MIB_FORMAT "MB to %" MIB_FORMAT
      "MB failed as the running VM '%s' has no hot plugged memory device",
      mib(job->memory_before), mib(job->wanted), job->vm_name);
  else
    TELL(subject, AUDIT_NO_SUITABLE_DEVICE, DM_SEVERITY_NORMAL,
      "Memory hot unplug from %" MIB_FORMAT "MB to %" MIB_FORMAT
      "MB failed: no memory device of VM '%s' fits. The options are: %s",
      mib(job->memory_before), mib(job->wanted), job->vm_name, options->str);
}

/* The next run is written before the guest is asked, so it has what was asked for whatever the guest says. */
static void tell_updated(const Subject *subject) {
  const DmJob *job = subject->job;
  const char *by = job->user != NULL ? job->user : "SYSTEM";
  gboolean next_run = subject->entry != NULL && subject->entry->vm->next_run != NULL;
  g_autofree char *has = g_strdup_printf("the running VM has %" MIB_FORMAT "MB, and %" MIB_FORMAT "MB were asked for%s",
    mib(job->memory_after), mib(job->wanted), next_run ? "; its next run has that" : "");
  switch (job->outcome) {
    case DM_OUTCOME_PARTLY:
      TELL(subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_WARNING,
        "VM %s configuration was updated by %s. It was done in part: %s", job->vm_name, by, has);
      break;
    case DM_OUTCOME_OVERDUE:
      TELL(subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_WARNING,
        "VM %s configuration was updated by %s. Its guest has not answered yet: %s", job->vm_name, by, has);
      break;
    case DM_OUTCOME_REFUSED:
      TELL(subject, AUDIT_USER_FAILED_UPDATE_VM, DM_SEVERITY_ERROR,
        "Failed to update VM %s (User: %s): it was refused: %s", job->vm_name, by, has);
      break;
    default:
      TELL(
        subject, AUDIT_USER_UPDATE_VM, DM_SEVERITY_NORMAL, "VM %s configuration was updated by %s.", job->vm_name, by);
  }
}

static void tell_settled(const Subject *subject) {
  const DmJob *job = subject->job;
  const char *by = job->user != NULL ? job->user : "SYSTEM";
  if (job->error != NULL) {
    if (job->unheard || (job->steps->len > 0 && job->steps->pdata[0] != NULL && job->memory_before != 0))
      TELL(subject, AUDIT_USER_FAILED_UPDATE_VM, DM_SEVERITY_ERROR, "Failed to update VM %s (User: %s): %s",
        job->vm_name, by, job->error->message);
    return; /* a rule forbade it: nothing has happened, and who asked has the answer */
  }
  if (job->steps->len > 0 && job->memory_after > job->memory_before)
    TELL(subject, AUDIT_HOT_SET_MEMORY, DM_SEVERITY_NORMAL,
      "Hotset memory: changed the amount of memory on VM %s from %" MIB_FORMAT " to %" MIB_FORMAT, job->vm_name,
      mib(job->memory_before), mib(job->memory_after));
  if (job->action == DM_ACTION_SET && job->wanted != 0 && job->wanted < job->memory_before && job->steps->len == 0 &&
    subject->entry != NULL && subject->entry->vm->live != NULL)
    tell_nothing_fits(subject);
  if (job->action == DM_ACTION_SET)
    tell_updated(subject);
}

static void on_job(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data) {
  DmApi *api = data;
  const Subject subject = {api, job, dm_inventory_find(api->inventory, job->vm_id)};
  if (event == DM_JOB_EVENT_STEP)
    tell_step(&subject, step);
  else if (event == DM_JOB_EVENT_SETTLED)
    tell_settled(&subject);
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
  };
  audit(data, table[life].code, table[life].severity, entry, NULL, NULL, "VM %s %s Host %s", entry->vm->name,
    table[life].text, entry->host->name);
}

static void on_host(DmHost *host, gpointer data) {
  if (host->status == DM_HOST_UP)
    audit(
      data, AUDIT_HOST_UP, DM_SEVERITY_NORMAL, NULL, NULL, NULL, "Host %s (%s) is connected", host->name, host->uri);
  else if (host->status == DM_HOST_DOWN)
    audit(data, AUDIT_HOST_DOWN, DM_SEVERITY_ERROR, NULL, NULL, NULL, "Host %s cannot be reached: %s", host->name,
      host->problem);
}

void audit_start(DmApi *api) {
  static const DmInventoryListener listener = {.life = on_life, .host_changed = on_host};
  dm_inventory_listen(api->inventory, &listener, api);
  dm_jobs_listen(api->jobs, on_job, api);
}
