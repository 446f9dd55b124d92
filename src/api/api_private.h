/* SPDX-License-Identifier: Apache-2.0 */
/* The API's inside. Not for other layers. */
#pragma once

#include <glib.h>

#include "api/api.h"
#include "store/users.h"
#include "wire/node.h"
#include "wire/search.h"
#include "wire/target.h"

#define API_BASE "/ovirt-engine/api"
#define WEB_BASE "/ovirt-engine/webadmin"

/* oVirt's own fixed ids: what it calls Default and Blank. */
#define CLUSTER_ID "00000000-0000-0000-0001-000000000000"
#define DATACENTER_ID "00000000-0000-0000-0002-000000000000"
#define TEMPLATE_ID "00000000-0000-0000-0000-000000000000"
#define USER_ID_SPACE "dimmer user "

typedef struct Call Call;
typedef struct Route Route;
typedef struct Live Live;
typedef struct Metrics Metrics;
typedef struct SignOn SignOn;
typedef struct Page Page;
typedef struct Action Action;
typedef struct GuestCheck GuestCheck;

struct DmApi {
  DmInventory *inventory;
  DmJobs *jobs;
  DmStore *store;
  char *ca;
  double answer_seconds;
  SignOn *sign_on;
  Live *live;
  Metrics *metrics;
  Page *page;
  GPtrArray *waiting; /* Call that waits for a job or a check: borrowed */
  GHashTable *checks; /* VM's UUID → GuestCheck that is under way; both belong to it */
  guint acting;       /* actions that libvirt has not answered for */
  guint minute;       /* counts those that have passed */
  guint minute_timer;
};

struct Route {
  const char *method;
  const char *path; /* below API_BASE; with '/' in front: of the whole server. "{}" stands for an id */
  void (*handle)(Call *call);
  gboolean open;    /* for anybody, in a format of its own */
  gboolean stream;  /* in a format of its own */
  gboolean changes; /* for admins only */
};

/* One request on its way to its answer; freed with it. */
struct Call {
  DmApi *api;
  DmHttpRequest *http;
  const Route *route; /* NULL: there is none */
  DmTarget *target;
  char *allow;             /* route is NULL, but for these methods there is one */
  const char *ids[2];      /* what stood for "{}"; of the target */
  DmFormat format;         /* of the answer */
  gboolean not_acceptable; /* the client takes no format of ours */
  char *user;              /* NULL: not signed on */
  DmRole role;
  char *correlation_id;
  DmBody *body;      /* NULL: none was asked for */
  DmJob *job;        /* that it waits for; once waited is NULL, only while waited() runs */
  GuestCheck *check; /* that it waits for */
  Action *action;    /* that it waits for */
  guint timer;
  void (*waited)(Call *call); /* job is settled, or the time is up; NULL: it does not wait */
};

/* ---- routes.c ---- */

/* The routes, ending with one without a path. */
const Route *routes_all(void);

/* The route of @method for the path; fills ids. NULL: *allow (caller frees) has the methods there are, or is NULL: 404.
 */
const Route *routes_find(const char *method, const char *const *segments, const char *ids[2], char **allow);

/* The path is one of the API, whether there is such a route or not. */
gboolean routes_is_api(const char *const *segments);

/* ---- reply.c ---- */

/* Takes the node. */
void reply_node(Call *call, guint status, DmNode *node);
void reply_empty(Call *call, guint status);
void reply_text(Call *call, guint status, const char *content_type, const char *text);
void reply_bytes(Call *call, guint status, const char *content_type, GBytes *body);
/* As oVirt's <fault>; the status by the table of errors. */
void reply_error(Call *call, const GError *error);
void reply_fault(Call *call, guint status, const char *reason, const char *detail);
/* The members of a fault, under @parent. */
void add_fault(DmNode *parent, const GError *error);
/* Reads the body as what Content-Type says. FALSE: it was answered. */
gboolean read_body(Call *call, const char *root);
/* The VM of the first id; NULL: 404 was answered. */
DmEntry *find_entry(Call *call);
char *api_href(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* "vms", id → /ovirt-engine/api/vms/ID; sets href and id of the node. */
void set_link(DmNode *node, const char *collection, const char *id);
DmNode *add_link(DmNode *parent, const char *name, const char *collection, const char *id);
/* A UUID made of a name, as RFC 4122's version 3 with @space in front. The caller frees. */
char *uuid_of(const char *space, const char *name);

/* Waits, holding no thread, until stop_waiting(), at most the API's answer_seconds; then @waited. */
void wait_for(Call *call, void (*waited)(Call *call));
void stop_waiting(Call *call);
/* Waits, holding no thread, until @job is settled, at most the API's answer_seconds; then @waited. */
void wait_for_job(Call *call, DmJob *job, void (*waited)(Call *call));
/* The DmJobFunc for it. */
void job_moved(DmJob *job, DmJobEvent event, const DmStep *step, gpointer call);

/* ---- actions.c ---- */

/* Waits for no action any more, if it did. */
void action_abandon(Call *call);

/* ---- check.c ---- */

/* Waits for no check any more, if it did. */
void check_abandon(Call *call);

/* ---- devices.c ---- */

/* A size in a parameter; *size stays where it is not *present. */
gboolean read_size_parameter(Call *call, const char *name, gboolean *present, uint64_t *size, GError **error);

/* The parameter if_memory: what whoever asks knows the VM's memory to be; *seen is 0 where it is not given. */
gboolean read_seen(Call *call, uint64_t *seen, GError **error);
/* The parameters try_unmovable and force. */
DmPlanFlags read_plan_flags(Call *call);
/* The parameter policy; *policy stays where it is not given. */
gboolean read_plug_policy(Call *call, DmPlugPolicy *policy, GError **error);

/* ---- sign_on.c ---- */

SignOn *sign_on_new(DmStore *store, const char *users_file, guint idle_seconds, GError **error);
void sign_on_free(SignOn *sign_on);
gboolean sign_on_reload(SignOn *sign_on, GError **error);
/* Finds out who asks; then @then, with call->user set, or 401 is answered. */
void sign_on_check(Call *call, void (*then)(Call *call));
guint sign_on_count(const SignOn *sign_on);

/* ---- oauth.c ---- */

void handle_token(Call *call);
void handle_logout(Call *call);

/* ---- static.c ---- */

/* WebAdmin's files; @folder NULL: there are none. */
Page *page_new(const char *folder, GError **error);
void page_free(Page *page);
void handle_web_root(Call *call);
void handle_web_index(Call *call);
void handle_web_file(Call *call);
void handle_web_icon(Call *call);

/* ---- views ---- */

const char *vm_status(const DmEntry *entry);
/* The VM as clients see it; next_run: with the values of its next start. The caller frees. */
DmNode *vm_node(DmApi *api, DmEntry *entry, gboolean next_run);
/* The same as text, of the cache; borrowed until the entry changes. */
GBytes *vm_text(DmApi *api, DmEntry *entry, DmFormat format);
void drop_vm_text(gpointer cached);
/* Each minute: what nobody has asked for in a while is not kept. */
void drop_old_vm_texts(DmApi *api);
DmNode *device_node(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device);
DmNode *devices_node(const DmApi *api, const DmEntry *entry);
DmNode *job_node(const DmJob *job);
DmNode *step_node(const DmJob *job, const DmStep *step, guint number);
/* All its steps, under @node. */
void add_steps(DmNode *node, const DmJob *job);
DmNode *event_node(const DmAuditEvent *event);
DmNode *host_node(const DmHost *host);
void add_statistics(DmNode *parent, const DmEntry *entry);
const char *device_state(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device);

/* ---- handlers ---- */

void handle_root(Call *call);
void handle_vms(Call *call);
void handle_vm(Call *call);
void handle_vm_update(Call *call);
void handle_vm_action(Call *call);
void handle_vm_statistics(Call *call);
void handle_vm_statistic(Call *call);
void handle_vm_numa(Call *call);
void handle_vm_empty(Call *call);
void handle_devices(Call *call);
void handle_device(Call *call);
void handle_device_plug(Call *call);
void handle_device_unplug(Call *call);
void handle_memory_plan(Call *call);
void handle_memory_check(Call *call);
void handle_hosts(Call *call);
void handle_host(Call *call);
void handle_places(Call *call);
void handle_place(Call *call);
void handle_templates(Call *call);
void handle_operating_systems(Call *call);
void handle_users(Call *call);
void handle_events(Call *call);
void handle_event(Call *call);
void handle_jobs(Call *call);
void handle_job(Call *call);
void handle_steps(Call *call);
void handle_step(Call *call);
void handle_live(Call *call);
void handle_health(Call *call);
void handle_metrics(Call *call);
void handle_ca(Call *call);

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
} AuditCode;

void audit_start(DmApi *api);
/* @entry may be NULL: about no VM. */
void audit(DmApi *api, AuditCode code, DmSeverity severity, const DmEntry *entry, const char *user,
  const char *correlation_id, const char *format, ...) G_GNUC_PRINTF(7, 8);

/* ---- live.c, metrics.c ---- */

Live *live_new(DmApi *api);
void live_free(Live *live);
void live_end_all(Live *live);
/* Ends the streams whose token holds no longer; where the users have changed, those with a password too. */
void live_check(Live *live, gboolean users_changed);
void live_event(Live *live, const DmAuditEvent *event);
Metrics *metrics_new(DmApi *api);
void metrics_free(Metrics *metrics);
void metrics_answered(Metrics *metrics, const char *method, guint status, gint64 started);
