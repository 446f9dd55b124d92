/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: one request until its answer. Its data, how it is answered, and its only way to wait.
 *
 * The strata of this folder, each using only those before it: the call; parameters; representations (views.h), with the
 * parameter follow; watchers of events (watchers.h); handlers (handlers.h), and api.c, which ties them together.
 * Everything belongs to the main loop's thread.
 */
#pragma once

#include <glib.h>

#include "api/api.h"
#include "store/users.h"
#include "wire/node.h"
#include "wire/search.h"
#include "wire/target.h"

#define API_BASE "/ovirt-engine/api"
#define WEB_BASE "/ovirt-engine/webadmin"

typedef struct Call Call;
typedef struct Route Route;
typedef struct Live Live;
typedef struct Metrics Metrics;
typedef struct Health Health;
typedef struct Repeats Repeats;
typedef struct SignOn SignOn;
typedef struct PasswordCheck PasswordCheck;
typedef struct Page Page;
typedef struct Action Action;
typedef struct GuestCheck GuestCheck;
typedef struct GuestPreparation GuestPreparation;
typedef struct Finding Finding;

struct DmApi {
  DmInventory *inventory;
  DmJobs *jobs;
  DmStore *store;
  char *ca;
  double answer_seconds;
  gboolean vm_metrics;
  char **plug_kinds, **plug_policies; /* as in DmApiOptions; NULL: none */
  SignOn *sign_on;
  Live *live;
  Metrics *metrics;
  Health *health;
  Repeats *repeats;
  Page *page;
  /* Data of the strata above, and the call's own. */
  const Route *routes;                                          /* terminated by one without a path */
  gboolean (*follow)(Call *call, DmNode *node, GError **error); /* of follow.h */
  void (*answered)(Metrics *metrics, const char *method, guint status, gint64 started); /* each answer, as it begins */

  GPtrArray *waiting;       /* Call that waits for a job or a check: borrowed */
  GHashTable *checks;       /* VM's UUID → GuestCheck under way, which owns both */
  GHashTable *preparations; /* VM's UUID → GuestPreparation under way, which owns both */
  guint acting;             /* actions pending in libvirt */
  GQueue findings;          /* Finding, queued: borrowed */
  guint finding_source;
  guint minute; /* counts those that have passed */
  guint minute_timer;
};

struct Route {
  const char *method;
  const char *path; /* below API_BASE; with a leading '/': of the whole server. "{}" is an id */
  void (*handle)(Call *call);
  gboolean open;       /* without authentication, in its own format */
  gboolean stream;     /* in its own format, whatever Accept says */
  gboolean changes;    /* for admins only */
  gboolean action;     /* its faults are wrapped in an <action> */
  gboolean hidden;     /* only explains why it is not served: not listed among the methods */
  gboolean link;       /* a collection linked by its parent object */
  const char *element; /* for handle_empty(): name of the collection */
};

/* One request until its answer; freed with it. */
struct Call {
  DmApi *api;
  DmHttpRequest *http;
  const Route *route; /* NULL: none */
  DmTarget *target;
  char *allow;             /* if route is NULL: the methods that have one */
  const char *ids[2];      /* values of "{}"; owned by the target */
  DmFormat format;         /* of the answer */
  gboolean not_acceptable; /* the client accepts none of our formats */
  char *user;              /* NULL: not signed on */
  DmRole role;
  char *correlation_id;
  DmNote *note;                  /* for the answer of a PUT; NULL: none */
  DmBody *body;                  /* NULL: none was asked for */
  DmJob *job;                    /* that it waits for; once waited is NULL, only while waited() runs */
  GuestCheck *check;             /* that it waits for */
  GuestPreparation *preparation; /* that it waits for */
  PasswordCheck *password;       /* that it waits for */
  Action *action;                /* that it waits for */
  DmStoreTask *task;             /* that it waits for */
  const GPtrArray *events;       /* its result, or error; while waited() runs */
  const GError *failed;
  Finding *finding; /* its search */
  GArray *on_end;   /* void (*)(Call *): holders of references, to release them */
  guint followed;   /* links of the present object */
  guint timer;
  void (*waited)(Call *call); /* job is settled, or timeout; NULL: it does not wait */
};

/* ---- call.c: life cycle and waiting ---- */

Call *call_new(DmApi *api, DmHttpRequest *http) G_GNUC_WARN_UNUSED_RESULT;
/* @func drops its references when the call ends; adding it twice does no harm. */
void call_on_end(Call *call, void (*func)(Call *call));

/* Waits, without occupying a thread, until stop_waiting(), at most the API's answer_seconds; then @waited. */
void wait_for(Call *call, void (*waited)(Call *call));
/* The same for the store's @task; its callback sets call->task to NULL. */
void wait_for_store(Call *call, DmStoreTask *task, void (*waited)(Call *call));
void stop_waiting(Call *call);
/* Waits, without occupying a thread, until @job is settled, at most the API's answer_seconds; then @waited. */
void wait_for_job(Call *call, DmJob *job, void (*waited)(Call *call));
/* The DmJobFunc for it. */
void job_moved(DmJob *job, DmJobEvent event, const DmStep *step, gpointer call);

/* The DmEventsFunc of a call that waits for the store. */
void take_events(GPtrArray *events, const GError *error, gpointer call);
/* Whether there is call->events. On timeout, or when the daemon stops, it was answered. */
gboolean were_events_read(Call *call);

/* ---- reply.c ---- */

/* Call it for each answer not sent by the functions below, when it begins. */
static inline void call_answered(const Call *call, guint status) {
  call->api->answered(
    call->api->metrics, dm_http_request_method(call->http), status, dm_http_request_started(call->http));
}

/*
 * The client is libgovirt, the only one to send Filter as a header. It treats an empty description as a bug of its own
 * (ovirt_resource_set_description_from_xml()), and warns on virt-viewer's standard error.
 */
gboolean is_libgovirt(Call *call);
/* Appends it in the answer's format, without empty descriptions for libgovirt. */
void write_node(Call *call, const DmNode *node, GString *text);
/* Takes ownership of the node. */
void reply_node(Call *call, guint status, DmNode *node);
void reply_empty(Call *call, guint status);
void reply_text(Call *call, guint status, const char *content_type, const char *text);
void reply_bytes(Call *call, guint status, const char *content_type, GBytes *body);
/* As oVirt's <fault>; the status by the table of errors. */
void reply_error(Call *call, const GError *error);
void reply_fault(Call *call, guint status, const char *code, const char *reason, const char *detail);

/*
 * Codes of faults that only the API has, beside the names of base/error.h: stable, and explained in docs/api.md.
 * oVirt's fault has none: its clients ignore it.
 */
#define FAULT_BAD_VALUE "bad-value"
#define FAULT_FORBIDDEN "forbidden"
#define FAULT_LOGIN "login-failed"
#define FAULT_MEDIA_TYPE "unsupported-media-type"
#define FAULT_METHOD "method-not-allowed"
#define FAULT_NOT_CHANGED "not-changed"
#define FAULT_NOT_SUPPORTED "not-supported"
#define FAULT_TOO_LARGE "too-large"

/* The members of a fault, under @parent. */
void add_fault(DmNode *parent, const GError *error);
/* Reads the body by its Content-Type. FALSE: it was answered. */
gboolean read_body(Call *call, const char *root);
/* The VM of the first id; NULL: 404 was answered. */
DmEntry *find_entry(Call *call);
char *api_href(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_WARN_UNUSED_RESULT;
/* "vms", id → /ovirt-engine/api/vms/ID; sets href and id of the node. */
void set_link(DmNode *node, const char *collection, const char *id);
DmNode *add_link(DmNode *parent, const char *name, const char *collection, const char *id);
/* The same for an object that may be gone: if not @there, it has an id and no href. */
DmNode *add_link_if(DmNode *parent, const char *name, gboolean there, const char *collection, const char *id);
/* A link to each collection that objects of @collection have by the routes. */
void add_links(const DmApi *api, DmNode *node, const char *collection, const char *id);
/* A UUID derived from a name, as RFC 4122's version 3 with namespace @space. The caller frees. */
char *uuid_of(const char *space, const char *name);

/* ---- list.c ---- */

/* An item of a list as text, owned by the caller; NULL: it is gone, or with @error the answer fails. */
typedef GBytes *(*TextFunc)(Call *call, gpointer item, GError **error);
/* Answers with all @items (takes ownership), under @root; in JSON as the array @item. */
void reply_list(Call *call, const char *root, const char *item, GPtrArray *items, TextFunc text_of);
/* Answers with one (takes ownership). */
void reply_one(Call *call, GBytes *text);
/* The text of a node (takes ownership), with the request's follow applied; NULL with an error. */
GBytes *text_of_node(Call *call, DmNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- site.c ---- */

/* The change is requested by a page of another site (CSRF). */
gboolean is_from_other_site(const Call *call);
