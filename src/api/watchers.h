/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers of events: audit events, live streams, metrics, and the daemon's health. */
#pragma once

#include "call.h"

/* ---- audit.c ---- */

typedef enum {
  AUDIT_USER_UPDATE_VM = 35,
  AUDIT_USER_LOGIN = 30,
  AUDIT_USER_LOGOUT = 31,
  AUDIT_USER_RUN_VM = 32,
  AUDIT_USER_STOP_VM = 33,
  AUDIT_USER_FAILED_RUN_VM = 54,
  AUDIT_USER_FAILED_STOP_VM = 56,
  AUDIT_USER_FAILED_UPDATE_VM = 58,
  AUDIT_VM_DOWN = 61,
  AUDIT_VM_MIGRATION_DONE = 63,
  AUDIT_USER_INITIATED_SHUTDOWN_VM = 73,
  AUDIT_USER_FAILED_SHUTDOWN_VM = 74,
  AUDIT_USER_LOGIN_FAILED = 114,
  AUDIT_VM_DOWN_ERROR = 119,
  AUDIT_VM_POWER_DOWN_FAILED = 147,
  AUDIT_USER_INITIATED_RUN_VM = 150,
  AUDIT_USER_REBOOT_VM = 157,
  AUDIT_USER_FAILED_REBOOT_VM = 158,
  AUDIT_VM_PAUSED = 1025,
  AUDIT_HOT_SET_MEMORY = 2039,
  AUDIT_FAILED_HOT_SET_MEMORY = 2040,
  AUDIT_UNPLUG_REQUESTED = 2046,
  AUDIT_UNPLUG_FAILED = 2047,
  AUDIT_UNPLUG_REQUESTED_DEVICE = 2049,
  AUDIT_NO_DEVICE = 2050,
  AUDIT_NO_SUITABLE_DEVICE = 2051,
  /* dimmer's own; oVirt's end below 20000 (AuditLogType) */
  AUDIT_DEVICE_REMOVED = 20001,
  AUDIT_DEVICE_OVERDUE = 20002,
  AUDIT_DEVICE_RESIZED = 20003,
  AUDIT_DEVICE_ADDED = 20004,
  AUDIT_VM_RESUMED = 20005,
  AUDIT_HOST_UP = 20006,
  AUDIT_HOST_DOWN = 20007,
  AUDIT_EVENTS_LOST = 20008,
  AUDIT_NOT_CHANGED = 20009,
  AUDIT_REBOOT_FELL_BACK = 20010,
  AUDIT_GUEST_PREPARED = 20011,
  AUDIT_PREPARE_FAILED = 20012,
  AUDIT_BALLOON_MOVED = 20013,
  AUDIT_DEVICE_USE = 20014,
} AuditCode;

void audit_start(DmApi *api);
/* @entry may be NULL: no VM. */
void audit(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const char *format, ...) G_GNUC_PRINTF(7, 8);

typedef struct {
  const char *from; /* an address, a VM's or a host's id */
  const char *name; /* name sent from there; NULL: none. Names are arbitrary, so there is a limit for all of them too */
  guint most;       /* events per hour stored singly, of that name from there */
} Source;

/* The same for events that may repeat without end: too frequent ones are counted and reported as one (repeats.c). */
void audit_repeated(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const Source *source, const char *format, ...) G_GNUC_PRINTF(8, 9);

/* Stores the event and notifies listeners. */
void audit_tell(DmApi *api, DmAuditEvent *event);

/* ---- repeats.c ---- */

/* @tell gets the events to report. */
Repeats *repeats_new(void (*tell)(DmApi *api, DmAuditEvent *event), DmApi *api) G_GNUC_WARN_UNUSED_RESULT;
/* Reports the counts first. */
void repeats_free(Repeats *repeats);
/* Whether the event is reported singly; else it is counted. See Source. */
gboolean repeats_admit(Repeats *repeats, const DmAuditEvent *event, const char *source, const char *name, guint most);
/* Reports present counts. */
void repeats_tell(Repeats *repeats);

/* ---- live.c, metrics.c ---- */

Live *live_new(DmApi *api) G_GNUC_WARN_UNUSED_RESULT;
void live_free(Live *live);
void live_end_all(Live *live);
/* Ends streams with an invalid token; if the users have changed, also those with a password. */
void live_check(Live *live, gboolean users_changed);
void live_event(Live *live, const DmAuditEvent *event);
Metrics *metrics_new(DmApi *api) G_GNUC_WARN_UNUSED_RESULT;
void metrics_free(Metrics *metrics);
void metrics_answered(Metrics *metrics, const char *method, guint status, gint64 started);

/* ---- health.c ---- */

Health *health_new(DmApi *api) G_GNUC_WARN_UNUSED_RESULT;
void health_free(Health *health);
