/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt calls its event callbacks from its event loop, which is GLib's main loop (libvirt-glib hooks it in), so the
 * list of watches belongs to that thread and needs no lock. Only the close of a connection is reported in any thread.
 * libvirt frees a callback's data some time after it was deregistered, and an event may still come: each callback holds
 * a reference to the connection.
 *
 * A connection to a libvirtd consists of several libvirt connections: one with keepalive, for events, and one for each
 * concurrent call. No libvirt connection ever has two calls under way, as libvirt cannot handle them well:
 *
 * - libvirtd reads nothing of a client that has five calls under way (max_client_requests), not even its answers to
 * keepalive, and 30 s later it closes that connection as dead (keepalive_interval and keepalive_count in libvirtd.conf,
 * virNetServerClientDispatchRead() in src/rpc/virnetserverclient.c, of 9.0). 30 s is also how long libvirt has a call
 * wait for another one of the same VM, so VMs whose QEMU hangs lost the connection for all others now and then.
 * - Of two threads the first waits for both answers, and the second has to wake it up to get its request sent. A wakeup
 * just before the first begins to wait is lost (virNetClientIO() quits a main loop that does not run yet, in
 * src/rpc/virnetclient.c): the request stays queued until the first one's answer comes, which may take as long as its
 * VM hangs. In the main loop, which sends data to guests, that blocks everything.
 * - If the connection breaks meanwhile, before 10.4 (CVE-2024-4418; not mended in Debian 12's 9.0.0-4+deb12u2) all
 * calls but one hang forever and leave a dangling pointer to a stack. A keepalive request leaves one too, if a call
 * begins while the main loop sends it: so the connection with keepalive has no calls where another one can be had.
 *
 * So each call has a lane: a thread and a libvirt connection, opened on first use and exclusive to that call; a channel
 * to a guest keeps it while open. The event connection, which has no calls, detects a host that hangs; on the others
 * calls just block until the host answers or its libvirtd exits. Usually a single VM hangs, and its calls occupy only a
 * few lanes.
 *
 * The first lane starts with the event connection itself where that has no events, or where opening another one may ask
 * for a password: from the command line to another machine. There it is also the only lane, so calls go one by one; a
 * channel takes that libvirt connection along, and then it does open another.
 */
#include "connection_private.h"

#include <errno.h>
#include <libvirt-glib/libvirt-glib.h>
#include <libxml/parser.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/debug.h"
#include "base/error.h"
#include "base/handoff.h"
#include "base/size.h"

/* A host that does not answer for this long is lost; only connections to a libvirtd have a keepalive. */
#define LOST_SECONDS 30
#define KEEPALIVE_SECONDS 5

/* Concurrent calls of one connection. libvirtd runs 20, for all its clients (max_workers). */
#define LANES 16

/* Of these, for one VM: a change, a query, and one to stop it. */
#define LANES_OF_VM 3

/* Limit for the last calls of the process, if a host hangs. */
#define END_SECONDS 5

typedef struct Task Task;

/* Idle ones belong to the main loop, others to their task. */
typedef struct {
  DmConnection *connection;
  virConnectPtr virt; /* NULL: not open, or given to a channel */
  const Task *task;   /* NULL: idle */
} Lane;

/*
 * users: those who may call libvirt through it; the last one closes it. references: also libvirt's callbacks, which may
 * come after that.
 */
struct DmConnection {
  gatomicrefcount users, references;
  virConnectPtr events;
  guint flags;        /* that it was opened with */
  gboolean has_lanes; /* else all calls share the event connection: with the test driver, and with a driver in this
                       * process, which a further connection would not reach */
  Lane lanes[LANES];
  guint lane_count;
  GThreadPool *pool; /* of Task: for each that has a lane */
  GQueue *waiting;   /* Task: those without one yet */
  char *uri;
  gulong version;     /* of its libvirt */
  char *state_folder; /* NULL: not on this machine */
  GPtrArray *watches; /* Watch */
  guint last_watch;
  GArray *callbacks; /* int: libvirt's callback id of each registered event */
  gboolean abandoned;
  gint loss;                      /* virConnectCloseReason and one more, as first reported; 0: not lost */
  pthread_mutex_t abilities_lock; /* not GLib's, which ThreadSanitizer does not see */
  GHashTable *abilities;          /* char → Ability; NULL: none yet */
  gsize host_mib;                 /* connection_host_memory(), in MiB and one more; 0: not read yet */
};

typedef struct {
  guint number;
  char *uuid; /* NULL: of any VM */
  DmEventFunc func;
  gpointer data;
} Watch;

struct Task {
  Lane *lane;
  char *vm; /* NULL: it is of none */
  void (*work)(gpointer data);
  void (*done)(gpointer data);
  gpointer data;
  double seconds;  /* time of work */
  GThread *thread; /* of dm_hypervisor_run() */
};

/* Lane: of a worker thread. */
static GPrivate own_lane;

/* Belong to the main loop's thread. */
static DmCallCounts counts;
static guint running; /* threads of dm_hypervisor_run() */

/* Threads that close connections. */
static gint closing;

static void free_watch(gpointer data) {
  Watch *watch = data;
  g_free(watch->uuid);
  g_free(watch);
}

static void unref(gpointer data) {
  DmConnection *connection = data;
  DM_HAND_OVER(connection);
  if (!g_atomic_ref_count_dec(&connection->references))
    return;
  DM_TAKE_OVER(connection);
  g_ptr_array_unref(connection->watches);
  g_array_unref(connection->callbacks);
  g_queue_free(connection->waiting);
  g_clear_pointer(&connection->abilities, g_hash_table_unref);
  pthread_mutex_destroy(&connection->abilities_lock);
  g_free(connection->uri);
  g_free(connection->state_folder);
  g_free(connection);
}

/* Notifies each watch of the VM (NULL: all). A watch may be removed by its own function. */
static void deliver(DmConnection *connection, const DmEvent *event) {
  g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < connection->watches->len; i++) {
    const Watch *watch = connection->watches->pdata[i];
    if (event->uuid == NULL || watch->uuid == NULL || strcmp(watch->uuid, event->uuid) == 0)
      g_array_append_val(numbers, watch->number);
  }
  for (guint n = 0; n < numbers->len; n++) {
    for (guint i = 0; i < connection->watches->len; i++) {
      const Watch *watch = connection->watches->pdata[i];
      if (watch->number == g_array_index(numbers, guint, n)) {
        watch->func(event, watch->data);
        break;
      }
    }
  }
}

/* @name: the event's name, as in 'virsh event'. */
static void deliver_of(DmConnection *connection, const char *name, virDomainPtr domain, DmEvent event) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString(domain, uuid) != 0)
    return;
  dm_debug("event", "%s of %s%s%s", name, virDomainGetName(domain), event.alias != NULL ? ": " : "",
    event.alias != NULL ? event.alias : "");
  event.uuid = uuid;
  deliver(connection, &event);
}

static void deliver_kind(DmConnection *connection, const char *name, virDomainPtr domain, DmEventKind kind) {
  deliver_of(connection, name, domain, (DmEvent){.kind = kind});
}

static void on_device_removed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, "device-removed", domain, (DmEvent){.kind = DM_EVENT_DEVICE_REMOVED, .alias = alias});
}

static void on_removal_failed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, "device-removal-failed", domain, (DmEvent){.kind = DM_EVENT_DEVICE_REFUSED, .alias = alias});
}

static void on_device_added(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, "device-added", domain, (DmEvent){.kind = DM_EVENT_DEVICE_ADDED, .alias = alias});
}

static void on_resized(virConnectPtr virt, virDomainPtr domain, const char *alias, unsigned long long kib, void *data) {
  deliver_of(data, "memory-device-size-change", domain,
    (DmEvent){.kind = DM_EVENT_DEVICE_RESIZED, .alias = alias, .size = kib * DM_KIB});
}

static DmEventKind kind_of_stop(int detail) {
  switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
      return DM_EVENT_VM_CRASHED;
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
      return DM_EVENT_VM_MOVED;
    default:
      return DM_EVENT_VM_STOPPED;
  }
}

static int on_lifecycle(virConnectPtr virt, virDomainPtr domain, int event, int detail, void *data) {
  switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
      deliver_of(data, "lifecycle, started", domain,
        (DmEvent){.kind = DM_EVENT_VM_STARTED, .boots = detail == VIR_DOMAIN_EVENT_STARTED_BOOTED});
      break;
    case VIR_DOMAIN_EVENT_STOPPED:
      deliver_of(data, "lifecycle, stopped", domain,
        (DmEvent){.kind = kind_of_stop(detail), .by_guest = detail == VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN});
      break;
    case VIR_DOMAIN_EVENT_CRASHED:
      deliver_kind(data, "lifecycle, crashed", domain, DM_EVENT_VM_CRASHED);
      break;
    case VIR_DOMAIN_EVENT_SUSPENDED:
      deliver_kind(data, "lifecycle, suspended", domain, DM_EVENT_VM_PAUSED);
      break;
    case VIR_DOMAIN_EVENT_RESUMED:
      deliver_kind(data, "lifecycle, resumed", domain, DM_EVENT_VM_RESUMED);
      break;
    case VIR_DOMAIN_EVENT_UNDEFINED:
      deliver_kind(data, "lifecycle, undefined", domain, DM_EVENT_VM_UNDEFINED);
      break;
    default:
      deliver_kind(data, event == VIR_DOMAIN_EVENT_DEFINED ? "lifecycle, defined" : "lifecycle, other", domain,
        DM_EVENT_VM_CHANGED);
  }
  return 0;
}

static void on_reboot(virConnectPtr virt, virDomainPtr domain, void *data) {
  deliver_kind(data, "reboot", domain, DM_EVENT_VM_REBOOTED);
}

static void on_balloon(virConnectPtr virt, virDomainPtr domain, unsigned long long kib, void *data) {
  deliver_of(data, "balloon-change", domain, (DmEvent){.kind = DM_EVENT_VM_BALLOONED, .size = kib * DM_KIB});
}

static void on_metadata(virConnectPtr virt, virDomainPtr domain, int type, const char *uri, void *data) {
  deliver_kind(data, "metadata-change", domain, DM_EVENT_VM_CHANGED);
}

static void on_agent(virConnectPtr virt, virDomainPtr domain, int state, int reason, void *data) {
  deliver_kind(data, "agent-lifecycle", domain, DM_EVENT_VM_CHANGED);
}

const char *dm_connection_loss(DmConnection *connection) {
  switch (g_atomic_int_get(&connection->loss) - 1) {
    case VIR_CONNECT_CLOSE_REASON_EOF:
      return "libvirt closed it";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
      return "libvirt did not answer for " G_STRINGIFY(LOST_SECONDS) " s";
    default:
      return "an input or output error";
  }
}

static gboolean deliver_loss(gpointer data) {
  dm_debug("event", "the connection to %s is lost: %s", ((const DmConnection *)data)->uri, dm_connection_loss(data));
  deliver(data, &(DmEvent){.kind = DM_EVENT_CONNECTION_LOST});
  unref(data);
  return G_SOURCE_REMOVE;
}

/* Unlike events, this is called in the thread that notices, even a worker inside a call, before the call returns. */
static void on_close(virConnectPtr virt, int reason, void *data) {
  DmConnection *connection = data;
  g_atomic_int_compare_and_exchange(&connection->loss, 0, reason + 1);
  g_atomic_ref_count_inc(&connection->references);
  g_idle_add_full(G_PRIORITY_DEFAULT, deliver_loss, connection, NULL);
}

static gboolean subscribe(DmConnection *connection, GError **error) {
  const struct {
    int event;
    virConnectDomainEventGenericCallback callback;
  } events[] = {
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device_removed)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, VIR_DOMAIN_EVENT_CALLBACK(on_removal_failed)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device_added)},
    {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_resized)},
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
    g_atomic_ref_count_inc(&connection->references);
    int callback = virConnectDomainEventRegisterAny(
      connection->events, NULL, events[i].event, events[i].callback, connection, unref);
    if (callback < 0) {
      unref(connection);
      if (virt_error_last() == VIR_ERR_NO_SUPPORT) /* the test driver lacks some */
        continue;
      virt_error_set(error, "no events from %s", connection->uri);
      return FALSE;
    }
    g_array_append_val(connection->callbacks, callback);
  }
  /* Without a reference, as not every driver releases it: dm_connection_close() removes the callback first. */
  virConnectRegisterCloseCallback(connection->events, on_close, connection, NULL);
  return TRUE;
}

static void ignore_error(void *data, virErrorPtr error) {
}

void dm_hypervisor_start(void) {
  xmlInitParser(); /* before any thread parses: libxml2 (2.9) initializes shared data without a lock */
  gvir_event_register();
  virSetErrorFunc(NULL, ignore_error); /* else libvirt prints each error on stderr */
  signal(SIGPIPE, SIG_IGN);            /* else writing to a dead daemon kills this process */
}

/*
 * Right after opening, the embedded driver still reconnects to its running VMs: their data is outdated, and closing it
 * then makes it kill a VM that lost a device meanwhile. A call that needs a job on the VM waits for that; this one
 * changes nothing. With a daemon, this was done long ago.
 */
static void wait_for_reconnect(virConnectPtr virt, const char *uri) {
  virDomainPtr *domains = NULL;
  if (strstr(uri, ":///embed") == NULL)
    return;
  int count = virConnectListAllDomains(virt, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  for (int i = 0; i < count; i++) {
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    virDomainMemoryStats(domains[i], stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
    virDomainFree(domains[i]);
  }
  free(domains);
}

/* ---- lanes ---- */

/* The remedy for the last open error, to follow its message; "" if none is known. */
static const char *advise_opening(void) {
  const virError *last = virGetLastError();
  int failed = last != NULL && last->code == VIR_ERR_SYSTEM_ERROR ? last->int1 : 0; /* an errno */
  int code = last != NULL ? last->code : VIR_ERR_OK;
  if (failed == ENOENT || failed == ECONNREFUSED)
    return "; start libvirt's service there (libvirtd, or virtqemud), or name another connection";
  if (failed == EACCES || code == VIR_ERR_AUTH_FAILED || code == VIR_ERR_AUTH_UNAVAILABLE ||
    code == VIR_ERR_AUTH_CANCELLED || code == VIR_ERR_OPERATION_DENIED || code == VIR_ERR_ACCESS_DENIED)
    return "; join the group libvirt and log in again, or do it as root";
  return "";
}

static virConnectPtr open_virt(const char *uri, guint flags, GError **error) {
  virConnectPtr virt = virConnectOpenAuth(uri, virConnectAuthPtrDefault, flags);
  if (virt != NULL)
    return virt;
  const char *advice = advise_opening();
  virt_error_set(error, "cannot connect to %s", uri != NULL && *uri != '\0' ? uri : "the default hypervisor");
  if (error != NULL) {
    g_autofree char *advised = g_strconcat((*error)->message, advice, NULL);
    g_free((*error)->message);
    (*error)->message = g_steal_pointer(&advised);
  }
  if (error != NULL)
    (*error)->code = DM_ERROR_CONNECTION;
  return NULL;
}

/* A caller outside of a lane, before the connection is shared, has the first one to itself. */
static Lane *lane_of(DmConnection *connection) {
  Lane *lane = g_private_get(&own_lane);
  return lane != NULL && lane->connection == connection ? lane : &connection->lanes[0];
}

/* @virt: a lane's. */
static void close_lane(DmConnection *connection, virConnectPtr virt) {
  if (virt != connection->events)
    virConnectUnregisterCloseCallback(virt, on_close); /* which calls libvirtd, as does closing */
  virConnectClose(virt);
}

virConnectPtr connection_get_virt(DmConnection *connection, GError **error) {
  if (!connection->has_lanes)
    return connection->events;
  Lane *lane = lane_of(connection);
  if (lane->virt != NULL)
    return lane->virt;
  lane->virt = open_virt(connection->uri, connection->flags, error);
  if (lane->virt != NULL)
    virConnectRegisterCloseCallback(lane->virt, on_close, connection, NULL);
  return lane->virt;
}

virConnectPtr connection_open_another(DmConnection *connection) {
  gboolean cheap = connection->has_lanes && connection->lane_count > 1;
  return cheap ? open_virt(connection->uri, connection->flags, NULL) : NULL;
}

virConnectPtr connection_take_virt(DmConnection *connection) {
  if (connection->has_lanes)
    return g_steal_pointer(&lane_of(connection)->virt);
  virConnectRef(connection->events);
  return connection->events;
}

void connection_give_virt(DmConnection *connection, virConnectPtr virt) {
  Lane *lane = connection->has_lanes ? lane_of(connection) : NULL;
  if (lane == NULL)
    virConnectClose(virt);
  else if (lane->virt != NULL)
    close_lane(connection, virt);
  else
    lane->virt = virt;
}

/* ---- worker threads ---- */

/* An idle lane, preferably an open one; NULL: none. */
static Lane *find_lane(DmConnection *connection) {
  Lane *closed = NULL;
  for (guint i = 0; i < connection->lane_count; i++) {
    Lane *lane = &connection->lanes[i];
    if (lane->task == NULL && lane->virt != NULL)
      return lane;
    if (lane->task == NULL && closed == NULL)
      closed = lane;
  }
  return closed;
}

static gboolean has_its_lanes(const DmConnection *connection, const char *vm) {
  guint count = 0;
  for (guint i = 0; vm != NULL && i < LANES; i++) {
    const Task *task = connection->lanes[i].task;
    count += task != NULL && g_strcmp0(task->vm, vm) == 0;
  }
  return count >= LANES_OF_VM;
}

/* Runs as many queued tasks as there are lanes. */
static void dispatch(DmConnection *connection) {
  GList *next;
  for (GList *link = connection->waiting->head; link != NULL; link = next) {
    Task *task = link->data;
    next = link->next;
    if (has_its_lanes(connection, task->vm))
      continue;
    task->lane = find_lane(connection);
    if (task->lane == NULL)
      return;
    task->lane->task = task;
    g_queue_delete_link(connection->waiting, link);
    DM_HAND_OVER(task);
    g_thread_pool_push(connection->pool, task, NULL);
  }
}

static gboolean finish_task(gpointer data) {
  g_autofree Task *task = data;
  DM_TAKE_OVER(task);
  counts.done++;
  counts.seconds += task->seconds;
  task->lane->task = NULL;
  dispatch(task->lane->connection);
  g_free(task->vm);
  task->done(task->data);
  return G_SOURCE_REMOVE;
}

static void run_task(gpointer data, gpointer unused) {
  Task *task = data;
  DM_TAKE_OVER(task);
  gint64 started = g_get_monotonic_time();
  g_private_set(&own_lane, task->lane);
  task->work(task->data);
  g_private_set(&own_lane, NULL);
  task->seconds = (double)(g_get_monotonic_time() - started) / G_USEC_PER_SEC;
  DM_HAND_OVER(task);
  g_idle_add_full(G_PRIORITY_DEFAULT, finish_task, task, NULL);
}

void dm_connection_run(
  DmConnection *connection, const char *vm, void (*work)(gpointer), void (*done)(gpointer), gpointer data) {
  Task *task = g_new(Task, 1);
  *task = (Task){.vm = g_strdup(vm), .work = work, .done = done, .data = data};
  counts.started++;
  g_queue_push_tail(connection->waiting, task);
  dispatch(connection);
}

static gboolean finish_run(gpointer data) {
  g_autofree Task *task = data;
  DM_TAKE_OVER(task);
  running--;
  g_thread_join(task->thread); /* it is exiting */
  task->done(task->data);
  return G_SOURCE_REMOVE;
}

static gpointer run(gpointer data) {
  Task *task = data;
  task->work(task->data);
  DM_HAND_OVER(task);
  g_idle_add_full(G_PRIORITY_DEFAULT, finish_run, task, NULL);
  return NULL;
}

void dm_hypervisor_run(void (*work)(gpointer), void (*done)(gpointer), gpointer data) {
  Task *task = g_new0(Task, 1);
  *task = (Task){.work = work, .done = done, .data = data};
  running++;
  task->thread = g_thread_new("libvirt", run, task);
}

DmCallCounts dm_connection_counts(void) {
  return counts;
}

static gboolean on_end_due(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

gboolean dm_hypervisor_end(void) {
  gboolean due = FALSE;
  guint timer = g_timeout_add_seconds(END_SECONDS, on_end_due, &due);
  while ((counts.done < counts.started || running > 0) && !due)
    g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  if (!due)
    g_source_remove(timer);
  return !due && g_atomic_int_get(&closing) == 0;
}

/* ---- open and close ---- */

gboolean dm_connection_can_open(const char *uri) {
  virSetErrorFunc(NULL, ignore_error);
  virConnectPtr virt = virConnectOpen(uri);
  if (virt != NULL)
    virConnectClose(virt);
  return virt != NULL;
}

static guint flags_of(DmConnectionUse use) {
  return use == DM_CONNECTION_LOOKS ? VIR_CONNECT_RO : 0;
}

static void add_lanes(DmConnection *connection, DmConnectionUse use) {
  virConnectPtr events = connection->events;
  gboolean cheap = use == DM_CONNECTION_SERVES || strstr(connection->uri, ":///") != NULL;
  connection->has_lanes = virConnectSetKeepAlive(events, KEEPALIVE_SECONDS, LOST_SECONDS / KEEPALIVE_SECONDS) == 0 &&
    g_strcmp0(virConnectGetType(events), "TEST") != 0;
  connection->lane_count = cheap || !connection->has_lanes ? LANES : 1;
  for (guint i = 0; i < LANES; i++)
    connection->lanes[i].connection = connection;
  if (connection->has_lanes && (!cheap || use == DM_CONNECTION_LOOKS)) {
    virConnectRef(events);
    connection->lanes[0].virt = events;
  }
}

static DmConnection *connection_new(virConnectPtr events, const char *uri, DmConnectionUse use) {
  DmConnection *connection = g_new0(DmConnection, 1);
  pthread_mutex_init(&connection->abilities_lock, NULL);
  g_atomic_ref_count_init(&connection->users);
  g_atomic_ref_count_init(&connection->references);
  connection->events = events;
  connection->flags = flags_of(use);
  connection->pool = g_thread_pool_new(run_task, NULL, LANES, FALSE, NULL);
  connection->waiting = g_queue_new();
  connection->watches = g_ptr_array_new_with_free_func(free_watch);
  connection->callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  char *spelled = virConnectGetURI(events);
  connection->uri = g_strdup(spelled != NULL ? spelled : "unknown");
  connection->state_folder = uri_state_folder(uri);
  free(spelled);
  add_lanes(connection, use);
  if (virConnectGetLibVersion(events, &connection->version) < 0)
    connection->version = 0;
  return connection;
}

DmConnection *dm_connection_open(const char *uri, DmConnectionUse use, GError **error) {
  virConnectPtr events = open_virt(uri, flags_of(use), error);
  if (events == NULL)
    return NULL;
  DmConnection *connection = connection_new(events, uri, use);
  wait_for_reconnect(events, connection->uri);
  if (connection_get_virt(connection, error) == NULL || (use != DM_CONNECTION_LOOKS && !subscribe(connection, error))) {
    dm_connection_close(connection);
    return NULL;
  }
  return connection;
}

DmConnection *dm_connection_ref(DmConnection *connection) {
  g_atomic_ref_count_inc(&connection->users);
  return connection;
}

/* The first of these calls goes to libvirtd and waits for its answer. */
static void close_last(DmConnection *connection) {
  for (guint i = 0; i < connection->callbacks->len; i++)
    virConnectDomainEventDeregisterAny(connection->events, g_array_index(connection->callbacks, int, i));
  g_ptr_array_set_size(connection->watches, 0);
  g_thread_pool_free(connection->pool, FALSE, FALSE); /* each task counts as a user, so none is left */
  for (guint i = 0; i < LANES; i++) {
    if (connection->lanes[i].virt != NULL)
      close_lane(connection, connection->lanes[i].virt);
  }
  virConnectUnregisterCloseCallback(connection->events, on_close);
  virConnectClose(connection->events);
  unref(connection);
}

static gpointer close_in_thread(gpointer connection) {
  close_last(connection);
  g_atomic_int_dec_and_test(&closing);
  return NULL;
}

void dm_connection_close(DmConnection *connection) {
  if (connection == NULL)
    return;
  DM_HAND_OVER(connection);
  if (!g_atomic_ref_count_dec(&connection->users))
    return;
  DM_TAKE_OVER(connection);
  if (!connection->abandoned) {
    close_last(connection);
    return;
  }
  g_atomic_int_inc(&closing);
  g_thread_unref(g_thread_new("close", close_in_thread, connection));
}

void dm_connection_abandon(DmConnection *connection) {
  connection->abandoned = TRUE;
  dm_connection_close(connection);
}

const char *dm_connection_uri(const DmConnection *connection) {
  return connection->uri;
}

gboolean dm_connection_is_alive(DmConnection *connection) {
  const Lane *lane = lane_of(connection);
  return virConnectIsAlive(connection->events) == 1 && (lane->virt == NULL || virConnectIsAlive(lane->virt) == 1);
}

gulong connection_version(const DmConnection *connection) {
  return connection->version;
}

gboolean connection_may_change(const DmConnection *connection) {
  return (connection->flags & VIR_CONNECT_RO) == 0;
}

typedef struct {
  guint found;
  gint64 until_us; /* monotonic */
} Ability;

gboolean connection_knows(DmConnection *connection, const char *key, guint *found) {
  pthread_mutex_lock(&connection->abilities_lock);
  const Ability *known = connection->abilities != NULL ? g_hash_table_lookup(connection->abilities, key) : NULL;
  gboolean holds = known != NULL && g_get_monotonic_time() < known->until_us;
  if (holds)
    *found = known->found;
  pthread_mutex_unlock(&connection->abilities_lock);
  return holds;
}

void connection_learn(DmConnection *connection, const char *key, guint found, guint for_s) {
  Ability *ability = g_new(Ability, 1);
  ability->found = found;
  ability->until_us = for_s == 0 ? G_MAXINT64 : g_get_monotonic_time() + for_s * G_TIME_SPAN_SECOND;
  pthread_mutex_lock(&connection->abilities_lock);
  if (connection->abilities == NULL)
    connection->abilities = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert(connection->abilities, g_strdup(key), ability);
  pthread_mutex_unlock(&connection->abilities_lock);
}

const char *connection_state_folder(const DmConnection *connection) {
  return connection->state_folder;
}

uint64_t connection_host_memory(DmConnection *connection) {
  if (g_once_init_enter(&connection->host_mib)) {
    virNodeInfo info = {0};
    virConnectPtr virt = connection_get_virt(connection, NULL);
    gboolean known = virt != NULL && virNodeGetInfo(virt, &info) == 0;
    g_once_init_leave(&connection->host_mib, known ? info.memory * DM_KIB / DM_MIB + 1 : 1);
  }
  return (connection->host_mib - 1) * DM_MIB;
}

guint dm_connection_watch(DmConnection *connection, const char *uuid, DmEventFunc func, gpointer data) {
  Watch *watch = g_new0(Watch, 1);
  watch->number = ++connection->last_watch;
  watch->uuid = g_strdup(uuid);
  watch->func = func;
  watch->data = data;
  g_ptr_array_add(connection->watches, watch);
  return watch->number;
}

void dm_connection_unwatch(DmConnection *connection, guint number) {
  for (guint i = 0; i < connection->watches->len; i++) {
    if (((Watch *)connection->watches->pdata[i])->number == number) {
      g_ptr_array_remove_index(connection->watches, i);
      return;
    }
  }
}
