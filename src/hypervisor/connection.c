/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt calls its event callbacks from its event loop, which is GLib's main loop (libvirt-glib hooks it in), so the
 * list of watches belongs to that thread and needs no lock. libvirt frees a callback's data some time after it was
 * deregistered, perhaps with an event still on its way: each callback holds a reference to the connection.
 */
#include "connection_private.h"

#include <libvirt-glib/libvirt-glib.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

/* A host that does not answer for this long is lost; only remote connections have a keepalive. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 6

struct DmConnection {
  gatomicrefcount references;
  virConnectPtr virt;
  char *uri;
  GPtrArray *watches; /* Watch */
  guint last_watch;
  GArray *callbacks; /* int: what libvirt gave for each registered event */
};

typedef struct {
  guint number;
  char *uuid;
  DmEventFunc func;
  gpointer data;
} Watch;

static void free_watch(gpointer data) {
  Watch *watch = data;
  g_free(watch->uuid);
  g_free(watch);
}

static void unref(gpointer data) {
  DmConnection *connection = data;
  if (!g_atomic_ref_count_dec(&connection->references))
    return;
  g_ptr_array_unref(connection->watches);
  g_array_unref(connection->callbacks);
  g_free(connection->uri);
  g_free(connection);
}

/* To each watch of the VM (NULL: of any). A watch may be taken away by the function it calls. */
static void deliver(DmConnection *connection, const char *uuid, const DmEvent *event) {
  g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < connection->watches->len; i++) {
    const Watch *watch = connection->watches->pdata[i];
    if (uuid == NULL || g_strcmp0(watch->uuid, uuid) == 0)
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

static void deliver_of(DmConnection *connection, virDomainPtr domain, const DmEvent *event) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString(domain, uuid) == 0)
    deliver(connection, uuid, event);
}

static void on_device_removed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_DEVICE_REMOVED, .alias = alias});
}

static void on_removal_failed(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_DEVICE_REFUSED, .alias = alias});
}

static void on_device_added(virConnectPtr virt, virDomainPtr domain, const char *alias, void *data) {
  deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_DEVICE_ADDED, .alias = alias});
}

static void on_resized(virConnectPtr virt, virDomainPtr domain, const char *alias, unsigned long long kib, void *data) {
  deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_DEVICE_RESIZED, .alias = alias, .size = kib * DM_KIB});
}

static int on_lifecycle(virConnectPtr virt, virDomainPtr domain, int event, int detail, void *data) {
  if (event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED)
    deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_VM_STOPPED});
  else if (event == VIR_DOMAIN_EVENT_SUSPENDED)
    deliver_of(data, domain, &(DmEvent){.kind = DM_EVENT_VM_PAUSED});
  return 0;
}

static void on_close(virConnectPtr virt, int reason, void *data) {
  deliver(data, NULL, &(DmEvent){.kind = DM_EVENT_CONNECTION_LOST});
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
  };
  for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
    g_atomic_ref_count_inc(&connection->references);
    int callback =
      virConnectDomainEventRegisterAny(connection->virt, NULL, events[i].event, events[i].callback, connection, unref);
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
  virConnectRegisterCloseCallback(connection->virt, on_close, connection, NULL);
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

DmConnection *dm_connection_open(const char *uri, gboolean read_only, GError **error) {
  virConnectPtr virt = virConnectOpenAuth(uri, virConnectAuthPtrDefault, read_only ? VIR_CONNECT_RO : 0);
  if (virt == NULL) {
    virt_error_set(error, "cannot connect to %s", uri != NULL ? uri : "the default hypervisor");
    if (error != NULL)
      (*error)->code = DM_ERROR_CONNECTION;
    return NULL;
  }
  DmConnection *connection = g_new0(DmConnection, 1);
  g_atomic_ref_count_init(&connection->references);
  connection->virt = virt;
  connection->watches = g_ptr_array_new_with_free_func(free_watch);
  connection->callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  char *spelled = virConnectGetURI(virt);
  connection->uri = g_strdup(spelled != NULL ? spelled : "unknown");
  free(spelled);
  wait_for_reconnect(virt, connection->uri);
  virConnectSetKeepAlive(virt, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
  if (!read_only && !subscribe(connection, error)) {
    dm_connection_close(connection);
    return NULL;
  }
  return connection;
}

void dm_connection_close(DmConnection *connection) {
  if (connection == NULL)
    return;
  for (guint i = 0; i < connection->callbacks->len; i++)
    virConnectDomainEventDeregisterAny(connection->virt, g_array_index(connection->callbacks, int, i));
  virConnectUnregisterCloseCallback(connection->virt, on_close);
  g_ptr_array_set_size(connection->watches, 0);
  virConnectClose(connection->virt);
  unref(connection);
}

const char *dm_connection_uri(const DmConnection *connection) {
  return connection->uri;
}

gboolean dm_connection_is_alive(DmConnection *connection) {
  return virConnectIsAlive(connection->virt) == 1;
}

virConnectPtr connection_get_virt(DmConnection *connection) {
  return connection->virt;
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
