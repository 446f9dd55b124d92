/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life cycle of dimmerd.
 *
 * Start: what can fail at once is tested first (certificate, port, database, users), so that errors are reported before
 * waiting for hosts. Then the inventory connects. Only when it is ready does the server listen and systemd get READY=1:
 * an earlier client would see no VMs. So the port is tested early, with a server that is closed again, and opened
 * later.
 *
 * End: no new connections, jobs stop waiting for guests (outstanding steps stay recorded in their VMs), waiting clients
 * are answered, and when nothing is under way any more, or after STOP_SECONDS, the process exits.
 */
#include "service.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/api.h"
#include "base/error.h"
#include "base/shell.h"
#include "engine/inventory.h"
#include "engine/jobs.h"
#include "http/server.h"
#include "hypervisor/connection.h"
#include "log.h"
#include "signals.h"
#include "store/store.h"
#include "store/users.h"

#define STOP_SECONDS 10
#define STOP_LOOK_MS 20
#define FLUSH_MS 2000 /* for pending database writes */
#define PRUNE_SECONDS 3600
#define STEADY_SECONDS ((gint64)3000) /* less than the period, as the timer may fire a little early */
#define CLOCK_SLACK_SECONDS 60        /* tolerance for clock corrections meanwhile */
#define OTHER_FILES 256               /* descriptors beside client connections: hosts, database, log */

typedef struct {
  Settings *settings;
  const char *config; /* from the command line; NULL: the default path */
  GMainLoop *loop;
  DmStore *store;
  DmInventory *inventory;
  DmJobs *jobs;
  DmApi *api;
  DmHttpServer *server; /* NULL: the inventory is not ready */
  GError *failed;       /* why it exits; NULL: a signal */
  gboolean stopping;
  gboolean asking;      /* whether the hosts still answer, so that their connections can be closed */
  gboolean parting;     /* they do */
  gint64 stop_deadline; /* monotonic microseconds */
  guint status_source;  /* a report to systemd is due */
  guint look_source;    /* checks whether it can exit yet */
  gint64 steady_since;  /* monotonic microseconds; 0: clock not checked yet */
  gint64 clock_offset;  /* offset of the wall clock to the monotonic one at that time */
} Service;

/* Limited by file descriptors, with a reserve for hosts, database and log, without which nothing works. */
static guint most_connections(const Settings *settings) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= settings->max_connections + OTHER_FILES)
    return settings->max_connections;
  return (guint)MAX(limit.rlim_cur - MIN(limit.rlim_cur / 2, OTHER_FILES), 1);
}

static DmHttpOptions http_options(const Settings *settings) {
  return (DmHttpOptions){
    .address = settings->address,
    .port = (guint16)settings->port,
    .certificate = settings->certificate_text,
    .key = settings->key_text,
    .max_connections = most_connections(settings),
    .max_per_address = settings->max_per_address,
    .trusted_proxies = (const char *const *)settings->trusted_proxies,
    .idle_seconds = (guint)(settings->idle_timeout + 0.5),
    .request_seconds = settings->request_timeout,
    .max_body = (gsize)settings->max_body,
  };
}

/* ---- early tests ---- */

/* Listens, and stops again. Only the server can check that certificate and key match. */
static gboolean try_server(const Settings *settings, const char *address, guint port, GError **error) {
  DmHttpOptions options = http_options(settings);
  options.address = address;
  options.port = (guint16)port;
  g_autoptr(DmHttpServer) server = dm_http_server_new(&options, dm_api_handle, NULL, error);
  if (server == NULL && settings->file != NULL)
    g_prefix_error(error, "%s, [server]: ", settings->file);
  return server != NULL;
}

/* On a port chosen by the system: a dimmerd may be running. */
gboolean service_check(const Settings *settings, GError **error) {
  g_autoptr(DmUsers) users = dm_users_load_existing(settings->users_file, error);
  return users != NULL && try_server(settings, "127.0.0.1", 0, error);
}

static void raise_file_limit(const Settings *settings) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    g_warning("cannot raise the limit of open files: %s", g_strerror(errno));
  if (limit.rlim_max < settings->max_connections + OTHER_FILES)
    g_warning("%" G_GUINT64_FORMAT
              " open files are not enough for max-connections = %u, so it is %u; raise LimitNOFILE of the unit",
      (guint64)limit.rlim_max, settings->max_connections, most_connections(settings));
}

static void warn_without_users(const Service *service) {
  g_autoptr(DmUsers) users = dm_users_load(service->settings->users_file, NULL);
  if (users == NULL || dm_users_list(users)->len > 0)
    return;
  const char *file = service->config != NULL ? service->settings->file : "";
  g_autofree char *command = dm_shell_command(
    "dimmerd", "user", "add", "admin@internal", "--role", "admin", *file != '\0' ? "--config" : NULL, file, NULL);
  g_warning(
    "no one can log in, as there is no user in %s; add one, and reload: %s", service->settings->users_file, command);
}

/* ---- reports to systemd ---- */

static void report_status(const Service *service, const char *state) {
  const GPtrArray *hosts = dm_inventory_hosts(service->inventory);
  guint up = 0;
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  sd_notifyf(
    0, "%sSTATUS=%u of %u hosts up, %u VMs", state, up, hosts->len, dm_inventory_entries(service->inventory)->len);
}

static gboolean on_status_due(gpointer data) {
  Service *service = data;
  service->status_source = 0;
  report_status(service, "");
  return G_SOURCE_REMOVE;
}

/* Merges many changes into one report. */
static void status_changed(Service *service) {
  if (service->status_source == 0 && service->server != NULL && !service->stopping)
    service->status_source = g_timeout_add_seconds(1, on_status_due, service);
}

static void on_entry(DmEntry *entry, gpointer data) {
  status_changed(data);
}

static void on_host(DmHost *host, gpointer data) {
  Service *service = data;
  status_changed(service);
  if (host->status == DM_HOST_UP)
    g_log_structured("dimmer", G_LOG_LEVEL_INFO, "HOST", host->name, "MESSAGE", "connected to %s", host->uri);
  else if (host->status == DM_HOST_DOWN)
    g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "HOST", host->name, "MESSAGE", "%s", host->problem);
}

/* ---- start ---- */

static void end(Service *service);

/*
 * A clock that was just set, or is wrong after boot until the network is up, would make all events look old. So it must
 * have run steadily for a while; retention does not need hourly precision.
 */
static gboolean is_clock_steady(Service *service) {
  gint64 monotonic = g_get_monotonic_time(), offset = g_get_real_time() - monotonic;
  if (service->steady_since == 0 || ABS(offset - service->clock_offset) > CLOCK_SLACK_SECONDS * G_TIME_SPAN_SECOND) {
    service->steady_since = monotonic;
    service->clock_offset = offset;
  }
  return monotonic - service->steady_since >= STEADY_SECONDS * G_TIME_SPAN_SECOND;
}

/* Expired tokens are invalid anyway. */
static gboolean prune(gpointer data) {
  Service *service = data;
  gint64 oldest = g_get_real_time() / 1000 - (gint64)(service->settings->event_retention * 1000);
  dm_store_prune(service->store, is_clock_steady(service) ? oldest : 0);
  return G_SOURCE_CONTINUE;
}

static void on_ready(gpointer data) {
  Service *service = data;
  if (service->stopping)
    return;
  DmHttpOptions options = http_options(service->settings);
  service->server = dm_http_server_new(&options, dm_api_handle, service->api, &service->failed);
  if (service->server == NULL) {
    end(service);
    return;
  }
  gboolean v6 = strchr(options.address, ':') != NULL;
  g_info("listening on %s://%s%s%s:%u", options.certificate != NULL ? "https" : "http", v6 ? "[" : "", options.address,
    v6 ? "]" : "", dm_http_server_port(service->server));
  report_status(service, "READY=1\n");
}

static gboolean open_store(Service *service, GError **error) {
  const char *file = service->settings->database_file;
  g_autofree char *folder = g_path_get_dirname(file);
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_FAILED, "cannot make the folder of [database] file %s: %s", file, g_strerror(errno));
    return FALSE;
  }
  service->store = dm_store_open(file, error);
  return service->store != NULL;
}

/* Beside the database. */
static char *make_folder(const Service *service, const char *name, GError **error) {
  g_autofree char *beside = g_path_get_dirname(service->settings->database_file);
  g_autofree char *folder = g_build_filename(beside, name, NULL);
  if (g_mkdir(folder, 0700) == 0 || errno == EEXIST)
    return g_steal_pointer(&folder);
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot make the folder %s: %s", folder, g_strerror(errno));
  return NULL;
}

static gboolean keep_definitions(Service *service, GError **error) {
  g_autofree char *reboots = make_folder(service, "reboots", error);
  g_autofree char *passings = reboots != NULL ? make_folder(service, "passing", error) : NULL;
  if (passings == NULL)
    return FALSE;
  dm_inventory_keep_in(service->inventory, reboots, passings);
  return TRUE;
}

/* Without the page in the build, the API is still served. */
static gboolean has_page(const Settings *settings) {
  if (g_file_test(settings->web, G_FILE_TEST_IS_DIR))
    return TRUE;
  g_warning("there is no WebAdmin page, as [server] web = %s is not a folder", settings->web);
  return FALSE;
}

static gboolean build(Service *service, GError **error) {
  const Settings *settings = service->settings;
  if (!try_server(settings, settings->address, settings->port, error) || !open_store(service, error))
    return FALSE;
  const DmInventoryListener listener = {.changed = on_entry, .removed = on_entry, .host_changed = on_host};
  service->inventory = dm_inventory_new(
    (const char *const *)settings->connections, settings->shutdown_timeout, (guint)ceil(settings->balloon_statistics));
  dm_inventory_listen(service->inventory, &listener, service);
  if (!keep_definitions(service, error))
    return FALSE;
  service->jobs = dm_jobs_new(service->inventory, settings->guest_timeout);
  gboolean page = has_page(settings);
  const DmApiOptions options = {
    .inventory = service->inventory,
    .jobs = service->jobs,
    .store = service->store,
    .users_file = settings->users_file,
    .ca = settings->ca_text,
    .web_folder = page ? settings->web : NULL,
    .answer_seconds = settings->answer_timeout,
    .token_idle_seconds = (guint)(settings->token_idle + 0.5),
    .token_life_seconds = (guint)(settings->token_life + 0.5),
    .plug_kinds = (const char *const *)settings->plug_kinds,
    .plug_policies = (const char *const *)settings->plug_policies,
    .vm_metrics = g_str_equal(settings->vm_metrics, "yes"),
  };
  service->api = dm_api_new(&options, error);
  return service->api != NULL;
}

/* ---- reload ---- */

static gboolean take_settings(Service *service) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Settings) newer = settings_load(service->config, &error);
  if (newer == NULL) {
    g_warning("the configuration stays as it was: %s", error->message);
    return FALSE;
  }
  g_autoptr(GPtrArray) others = settings_take(service->settings, newer);
  for (guint i = 0; i < others->len; i++)
    g_warning("%s changed; restart dimmerd to apply it", (const char *)others->pdata[i]);
  log_set(service->settings->log_level, service->settings->log_target);
  prune(service);
  return TRUE;
}

static void reload(Service *service) {
  g_autoptr(GError) error = NULL;
  if (service->stopping)
    return;
  gboolean tell = service->server != NULL; /* before READY=1 there is nothing to reload, for systemd */
  if (tell)
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
  if (take_settings(service))
    g_info("the configuration was reloaded");
  if (dm_api_reload(service->api, &error)) {
    g_info("the users were reloaded");
    warn_without_users(service);
  } else {
    g_warning("the users stay as they were: %s", error->message);
  }
  if (tell)
    report_status(service, "READY=1\n");
}

/* ---- end ---- */

static void on_hosts_answered(gpointer data) {
  ((Service *)data)->parting = TRUE;
}

/*
 * Neither the server nor the jobs signal completion, so poll. Closing a host's connection takes calls to it, so check
 * first that it answers.
 */
static gboolean on_look(gpointer data) {
  Service *service = data;
  guint requests = service->server != NULL ? dm_http_server_pending(service->server) : 0;
  guint jobs = dm_jobs_busy(service->jobs);
  gboolean idle = requests + jobs + dm_api_busy(service->api) == 0;
  if (idle && !service->asking) {
    service->asking = TRUE;
    dm_inventory_ask_hosts(service->inventory, on_hosts_answered, service);
  }
  gboolean ready = idle && service->parting;
  if (!ready && g_get_monotonic_time() < service->stop_deadline)
    return G_SOURCE_CONTINUE;
  service->look_source = 0;
  if (!ready) {
    if (requests + jobs > 0)
      g_warning("exiting with %u requests and %u jobs in progress; what was asked of guests is recorded in their VMs",
        requests, jobs);
    else
      g_warning("exiting without waiting for a host that does not answer");
    dm_store_flush(service->store, FLUSH_MS);
    /* A worker thread may be inside libvirt: it cannot be joined, and nothing it uses may be freed. */
    if (service->failed != NULL)
      g_critical("%s", service->failed->message);
    _exit(service->failed != NULL ? DM_EXIT_FAILED : DM_EXIT_DONE);
  }
  g_main_loop_quit(service->loop);
  return G_SOURCE_REMOVE;
}

static void end(Service *service) {
  service->stopping = TRUE;
  service->stop_deadline = g_get_monotonic_time() + STOP_SECONDS * G_TIME_SPAN_SECOND;
  sd_notify(0, "STOPPING=1\nSTATUS=Ending");
  if (service->server != NULL)
    dm_http_server_stop_listening(service->server);
  dm_jobs_stop_waiting(service->jobs);
  dm_api_drain(service->api);
  service->look_source = g_timeout_add(STOP_LOOK_MS, on_look, service);
}

static void on_signal(int number, gpointer data) {
  if (number == SIGHUP)
    reload(data);
  else if (!((Service *)data)->stopping) {
    g_info("stopping on SIG%s", number == SIGINT ? "INT" : "TERM");
    end(data);
  }
}

static void service_clear(Service *service) {
  signals_end();
  g_clear_handle_id(&service->status_source, g_source_remove);
  g_clear_handle_id(&service->look_source, g_source_remove);
  /* Users before what they use. */
  dm_http_server_free(service->server);
  g_clear_pointer(&service->api, dm_api_free);
  g_clear_pointer(&service->jobs, dm_jobs_free);
  g_clear_pointer(&service->inventory, dm_inventory_free);
  g_clear_pointer(&service->store, dm_store_free);
  g_clear_pointer(&service->loop, g_main_loop_unref);
  g_clear_pointer(&service->settings, settings_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Service, service_clear)

gboolean service_run(Settings *settings, const char *config, GError **error) {
  g_auto(Service) service = {
    .settings = settings,
    .config = config,
    .loop = g_main_loop_new(NULL, FALSE),
  };
  log_set(settings->log_level, settings->log_target);
  dm_hypervisor_start();
  raise_file_limit(settings);
  if (!build(&service, error) || !signals_start(on_signal, &service, error))
    return FALSE;
  warn_without_users(&service);
  guint pruning = g_timeout_add_seconds(PRUNE_SECONDS, prune, &service);
  prune(&service);
  sd_notifyf(0, "STATUS=Connecting to %u hosts", dm_inventory_hosts(service.inventory)->len);
  dm_inventory_start(service.inventory, on_ready, &service);
  g_main_loop_run(service.loop);
  g_source_remove(pruning);
  if (service.failed == NULL)
    return TRUE;
  g_propagate_error(error, service.failed);
  return FALSE;
}
