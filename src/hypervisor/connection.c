/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt calls its event callbacks from its event loop, which is GLib's main loop (libvirt-glib hooks it in), so the
 * list of watches belongs to that thread and needs no lock. Only the end of a connection is told in any thread. libvirt
 * frees a callback's data some time after it was deregistered, perhaps with an event still on its way: each callback
 * holds a reference to the connection.
 *
 * A daemon's connection is two of libvirt's: one that is kept alive and tells of events, and one for the calls.
 * libvirt's client must not find its connection dead while several calls are under way on it: before 10.4
 * (CVE-2024-4418) all but one of them then hang for good, and what they leave behind is a pointer to a stack that is
 * gone. So the first one, which has no calls, finds out that a host hangs; on the second the calls just stay until the
 * host answers or its libvirtd ends.
 */
#include "connection_private.h"

#include <libvirt-glib/libvirt-glib.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/handoff.h"
#include "base/size.h"

/* A host that does not answer for this long is lost; only connections to a libvirtd have a keepalive. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 6

/* So many calls of one connection run at once; they mostly wait for libvirtd. */
#define THREADS 8

/* For the last calls of the process: a host that hangs does not hold it up for longer. */
#define END_SECONDS 5

/*
 * users: whoever may call libvirt through it; the last one closes it. references: libvirt's callbacks besides, which
 * may come after that.
 */
struct DmConnection {
  gatomicrefcount users, references;
  virConnectPtr events, calls; /* perhaps the same */
  char *uri;
  GPtrArray *watches; /* Watch */
  guint last_watch;
  GArray *callbacks; /* int: what libvirt gave for each registered event */
  GThreadPool *pool; /* of Task */
  gboolean abandoned;
};

typedef struct {
  guint number;
  char *uuid; /* NULL: of any VM */
  DmEventFunc func;
  gpointer data;
} Watch;

typedef struct {
  void (*work)(gpointer data);
  void (*done)(gpointer data);
  gpointer data;
  double seconds; /* that work took */
} Task;

/* Belongs to the main loop's thread. */
static DmCallCounts counts;

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
  g_free(connection->uri);
  g_free(connection);
}

/* To each watch of the VM (NULL: to all). A watch may be taken away by the function it calls. */
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

static void deliver_of(DmConnection *connection, virDomainPtr domain, DmEvent event) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString(domain, uuid) != 0)
    return;
  event.uuid = uuid;
  deliver(connection, &event);
}

static void deliver_kind(DmConnection *connection, virDomainPtr domain, DmEventKind kind) {
  deliver_of(connection, domain, (DmEvent){.kind = kind});
}

static void on_device_removed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, (DmEvent){.kind = DM_EVENT_DEVICE_REMOVED, .alias = alias});
}

static void on_removal_failed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, (DmEvent){.kind = DM_EVENT_DEVICE_REFUSED, .alias = alias});
}

static void on_device_added(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, (DmEvent){.kind = DM_EVENT_DEVICE_ADDED, .alias = alias});
}

static void on_resized(virConnectPtr virt, virDomainPtr domain, const char *alias, unsigned long long kib, void *data) {
  deliver_of(data, domain, (DmEvent){.kind = DM_EVENT_DEVICE_RESIZED, .alias = alias, .size = kib * DM_KIB});
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
      deliver_kind(data, domain, DM_EVENT_VM_STARTED);
      break;
    case VIR_DOMAIN_EVENT_STOPPED:
      deliver_of(
        data, domain, (DmEvent){.kind = kind_of_stop(detail), .by_guest = detail == VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN});
      break;
    case VIR_DOMAIN_EVENT_CRASHED:
      deliver_kind(data, domain, DM_EVENT_VM_CRASHED);
      break;
    case VIR_DOMAIN_EVENT_SUSPENDED:
      deliver_kind(data, domain, DM_EVENT_VM_PAUSED);
      break;
    case VIR_DOMAIN_EVENT_RESUMED:
      deliver_kind(data, domain, DM_EVENT_VM_RESUMED);
      break;
    case VIR_DOMAIN_EVENT_UNDEFINED:
      deliver_kind(data, domain, DM_EVENT_VM_UNDEFINED);
      break;
    default:
      deliver_kind(data, domain, DM_EVENT_VM_CHANGED);
  }
  return 0;
}

static void on_reboot(virConnectPtr virt, virDomainPtr domain, void *data) {
  deliver_kind(data, domain, DM_EVENT_VM_REBOOTED);
}

static void on_balloon(virConnectPtr virt, virDomainPtr domain, unsigned long long actual, void *data) {
  deliver_kind(data, domain, DM_EVENT_VM_CHANGED);
}

static void on_metadata(virConnectPtr virt, virDomainPtr domain, int type, const char *uri, void *data) {
  deliver_kind(data, domain, DM_EVENT_VM_CHANGED);
}

static void on_agent(virConnectPtr virt, virDomainPtr domain, int state, int reason, void *data) {
  deliver_kind(data, domain, DM_EVENT_VM_CHANGED);
}

static gboolean deliver_loss(gpointer data) {
  deliver(data, &(DmEvent){.kind = DM_EVENT_CONNECTION_LOST});
  unref(data);
  return G_SOURCE_REMOVE;
}

/* Unlike events, this comes in whatever thread has noticed, be it a worker in the middle of a call. */
static void on_close(virConnectPtr virt, int reason, void *data) {
  DmConnection *connection = data;
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
  /* Without a reference, which not every driver gives back: dm_connection_close() takes the callback away first. */
  virConnectRegisterCloseCallback(connection->events, on_close, connection, NULL);
  if (connection->calls != connection->events)
    virConnectRegisterCloseCallback(connection->calls, on_close, connection, NULL);
  return TRUE;
}

static void ignore_error(void *data, virErrorPtr error) {
}

void dm_hypervisor_start(void) {
  gvir_event_register();
  virSetErrorFunc(NULL, ignore_error); /* else libvirt prints each error on stderr */
  signal(SIGPIPE, SIG_IGN);            /* else writing to a daemon that died ends this process */
}

/*
 * The embedded driver is still reconnecting to its running VMs right after it was opened: what it tells of them is old,
 * and closing it in that time makes it kill a VM that lost a device meanwhile. A call that needs a job of the VM waits
 * for the end; this one changes nothing. Elsewhere the daemon has done it long ago.
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

/* ---- worker threads ---- */

static gboolean finish_task(gpointer data) {
  g_autofree Task *task = data;
  DM_TAKE_OVER(task);
  counts.done++;
  counts.seconds += task->seconds;
  task->done(task->data);
  return G_SOURCE_REMOVE;
}

static void run_task(gpointer data, gpointer unused) {
  Task *task = data;
  DM_TAKE_OVER(task);
  gint64 started = g_get_monotonic_time();
  task->work(task->data);
  task->seconds = (double)(g_get_monotonic_time() - started) / G_USEC_PER_SEC;
  DM_HAND_OVER(task);
  g_idle_add_full(G_PRIORITY_DEFAULT, finish_task, task, NULL);
}

void dm_connection_run(DmConnection *connection, void (*work)(gpointer), void (*done)(gpointer), gpointer data) {
  Task *task = g_new(Task, 1);
  *task = (Task){.work = work, .done = done, .data = data};
  counts.started++;
  DM_HAND_OVER(task);
  g_thread_pool_push(connection->pool, task, NULL);
}

DmCallCounts dm_connection_counts(void) {
  return counts;
}

static gboolean on_end_due(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

void dm_hypervisor_end(void) {
  gboolean due = FALSE;
  guint timer = g_timeout_add_seconds(END_SECONDS, on_end_due, &due);
  while (counts.done < counts.started && !due)
    g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  if (!due)
    g_source_remove(timer);
}

/* ---- open and close ---- */

static virConnectPtr open_virt(const char *uri, guint flags, GError **error) {
  virConnectPtr virt = virConnectOpenAuth(uri, virConnectAuthPtrDefault, flags);
  if (virt != NULL)
    return virt;
  virt_error_set(error, "cannot connect to %s", uri != NULL ? uri : "the default hypervisor");
  if (error != NULL)
    (*error)->code = DM_ERROR_CONNECTION;
  return NULL;
}

/* Each connection to the test driver may have VMs of its own; the embedded driver needs no keepalive. */
static virConnectPtr open_calls(virConnectPtr events, const char *uri, DmConnectionUse use, GError **error) {
  gboolean kept_alive = virConnectSetKeepAlive(events, KEEPALIVE_SECONDS, KEEPALIVE_COUNT) == 0;
  if (use == DM_CONNECTION_SERVES && kept_alive && g_strcmp0(virConnectGetType(events), "TEST") != 0)
    return open_virt(uri, 0, error);
  virConnectRef(events);
  return events;
}

DmConnection *dm_connection_open(const char *uri, DmConnectionUse use, GError **error) {
  virConnectPtr events = open_virt(uri, use == DM_CONNECTION_LOOKS ? VIR_CONNECT_RO : 0, error);
  virConnectPtr calls = events != NULL ? open_calls(events, uri, use, error) : NULL;
  if (calls == NULL) {
    if (events != NULL)
      virConnectClose(events);
    return NULL;
  }
  DmConnection *connection = g_new0(DmConnection, 1);
  g_atomic_ref_count_init(&connection->users);
  g_atomic_ref_count_init(&connection->references);
  connection->pool = g_thread_pool_new(run_task, NULL, THREADS, FALSE, NULL);
  connection->events = events;
  connection->calls = calls;
  connection->watches = g_ptr_array_new_with_free_func(free_watch);
  connection->callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  char *spelled = virConnectGetURI(events);
  connection->uri = g_strdup(spelled != NULL ? spelled : "unknown");
  free(spelled);
  wait_for_reconnect(calls, connection->uri);
  if (use != DM_CONNECTION_LOOKS && !subscribe(connection, error)) {
    dm_connection_close(connection);
    return NULL;
  }
  return connection;
}

DmConnection *dm_connection_ref(DmConnection *connection) {
  g_atomic_ref_count_inc(&connection->users);
  return connection;
}

/* The first of these calls asks libvirtd, and waits for its answer. */
static gpointer close_last(gpointer data) {
  DmConnection *connection = data;
  for (guint i = 0; i < connection->callbacks->len; i++)
    virConnectDomainEventDeregisterAny(connection->events, g_array_index(connection->callbacks, int, i));
  virConnectUnregisterCloseCallback(connection->events, on_close);
  if (connection->calls != connection->events)
    virConnectUnregisterCloseCallback(connection->calls, on_close);
  g_ptr_array_set_size(connection->watches, 0);
  g_thread_pool_free(connection->pool, FALSE, FALSE); /* each task has a user of its own, so none is left */
  virConnectClose(connection->calls);
  virConnectClose(connection->events);
  unref(connection);
  return NULL;
}

void dm_connection_close(DmConnection *connection) {
  if (connection == NULL)
    return;
  DM_HAND_OVER(connection);
  if (!g_atomic_ref_count_dec(&connection->users))
    return;
  DM_TAKE_OVER(connection);
  if (connection->abandoned)
    g_thread_unref(g_thread_new("close", close_last, connection));
  else
    close_last(connection);
}

void dm_connection_abandon(DmConnection *connection) {
  connection->abandoned = TRUE;
  dm_connection_close(connection);
}

const char *dm_connection_uri(const DmConnection *connection) {
  return connection->uri;
}

gboolean dm_connection_is_alive(DmConnection *connection) {
  return virConnectIsAlive(connection->events) == 1 && virConnectIsAlive(connection->calls) == 1;
}

virConnectPtr connection_get_virt(DmConnection *connection) {
  return connection->calls;
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
