/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics for Prometheus (text format 0.0.4), and /health. */
#include "api_private.h"

/* Upper bounds in seconds; a last one without bound. */
static const double release_bounds[] = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
static const double answer_bounds[] = {0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10};

typedef struct {
  const double *bounds;
  guint count;
  guint64 counts[16];
  double sum;
} Histogram;

#define CLASSES 6 /* of HTTP statuses: 1xx to 5xx */

struct Metrics {
  DmApi *api;
  gboolean database_up;
  gint64 database_asked; /* monotonic microseconds; 0: not yet */
  Histogram release, answers;
  guint64 outcomes[DM_OUTCOME_FAILED + 1];
  guint64 http[CLASSES];
};

static void observe(Histogram *histogram, double value) {
  guint i = 0;
  while (i < histogram->count && value > histogram->bounds[i])
    i++;
  histogram->counts[i]++;
  histogram->sum += value;
}

void metrics_answered(Metrics *metrics, const char *method, guint status, gint64 started) {
  if (metrics == NULL)
    return;
  metrics->http[MIN(status / 100, CLASSES - 1)]++;
  observe(&metrics->answers, (double)(g_get_monotonic_time() - started) / G_USEC_PER_SEC);
}

static void on_job(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data) {
  Metrics *metrics = data;
  if (event == DM_JOB_EVENT_STEP && step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE && step->seconds >= 0)
    observe(&metrics->release, step->seconds);
  if (event == DM_JOB_EVENT_SETTLED)
    metrics->outcomes[job->outcome]++;
}

static void add_number(GString *text, const char *name, const char *labels, double value) {
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  g_ascii_dtostr(digits, sizeof digits, value);
  g_string_append_printf(text, "%s%s %s\n", name, labels, digits);
}

static void describe(GString *text, const char *name, const char *type, const char *help) {
  g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_histogram(GString *text, const char *name, const char *help, const Histogram *histogram) {
  guint64 sum = 0;
  g_autofree char *bucket = g_strconcat(name, "_bucket", NULL), *total = g_strconcat(name, "_sum", NULL);
  g_autofree char *count = g_strconcat(name, "_count", NULL);
  describe(text, name, "histogram", help);
  for (guint i = 0; i <= histogram->count; i++) {
    char digits[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
    if (i < histogram->count)
      g_ascii_formatd(digits, sizeof digits, "%g", histogram->bounds[i]);
    g_autofree char *labels = g_strdup_printf("{le=\"%s\"}", digits);
    sum += histogram->counts[i];
    add_number(text, bucket, labels, (double)sum);
  }
  add_number(text, total, "", histogram->sum);
  add_number(text, count, "", (double)sum);
}

static void add_vms(GString *text, DmApi *api) {
  const GPtrArray *entries = dm_inventory_entries(api->inventory);
  guint running = 0, unknown = 0, next_run = 0;
  uint64_t boot = 0, dimms = 0, virtio = 0, guaranteed = 0;
  for (guint i = 0; i < entries->len; i++) {
    const DmEntry *entry = entries->pdata[i];
    const DmConfig *live = entry->vm->live;
    if (entry->host->status != DM_HOST_UP) { /* what it was is known, what it is not */
      unknown++;
      continue;
    }
    next_run += dm_vm_has_next_run(entry->vm);
    if (live == NULL)
      continue;
    running++;
    boot += dm_config_boot(live);
    guaranteed += dm_config_guaranteed(live);
    for (guint d = 0; d < live->devices->len; d++) {
      const DmMemoryDevice *device = live->devices->pdata[d];
      *(device->kind == DM_DEVICE_VIRTIO_MEM ? &virtio : &dimms) += dm_memory_device_memory(device);
    }
  }
  describe(text, "dimmer_vms", "gauge", "Virtual machines by state; unknown: the host cannot be reached.");
  add_number(text, "dimmer_vms", "{state=\"running\"}", running);
  add_number(text, "dimmer_vms", "{state=\"not_running\"}", entries->len - running - unknown);
  add_number(text, "dimmer_vms", "{state=\"unknown\"}", unknown);
  describe(text, "dimmer_vms_next_run", "gauge", "Running virtual machines whose next run has other values.");
  add_number(text, "dimmer_vms_next_run", "", next_run);
  describe(text, "dimmer_memory_bytes", "gauge", "Memory of running virtual machines by kind.");
  add_number(text, "dimmer_memory_bytes", "{kind=\"boot\"}", (double)boot);
  add_number(text, "dimmer_memory_bytes", "{kind=\"dimm\"}", (double)dimms);
  add_number(text, "dimmer_memory_bytes", "{kind=\"virtio-mem\"}", (double)virtio);
  describe(text, "dimmer_memory_guaranteed_bytes", "gauge", "Guaranteed memory of running virtual machines.");
  add_number(text, "dimmer_memory_guaranteed_bytes", "", (double)guaranteed);
}

static void add_hosts(GString *text, DmApi *api) {
  const GPtrArray *hosts = dm_inventory_hosts(api->inventory);
  guint up = 0;
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  describe(text, "dimmer_hosts", "gauge", "Libvirt connections by state.");
  add_number(text, "dimmer_hosts", "{state=\"up\"}", up);
  add_number(text, "dimmer_hosts", "{state=\"down\"}", hosts->len - up);
}

static void add_calls(GString *text) {
  DmCallCounts counts = dm_connection_counts();
  describe(text, "dimmer_libvirt_tasks_total", "counter", "Pieces of work handed to libvirt in worker threads.");
  add_number(text, "dimmer_libvirt_tasks_total", "", (double)counts.done);
  describe(text, "dimmer_libvirt_seconds_total", "counter", "Seconds that they took.");
  add_number(text, "dimmer_libvirt_seconds_total", "", counts.seconds);
  describe(text, "dimmer_libvirt_tasks_pending", "gauge", "Pieces of work that libvirt has not finished.");
  add_number(text, "dimmer_libvirt_tasks_pending", "", (double)(counts.started - counts.done));
}

void handle_metrics(Call *call) {
  const Metrics *metrics = call->api->metrics;
  g_autoptr(GString) text = g_string_new(NULL);
  add_vms(text, call->api);
  add_hosts(text, call->api);
  describe(text, "dimmer_requests_total", "counter", "Requests to change memory by outcome.");
  for (guint i = 0; i < G_N_ELEMENTS(metrics->outcomes); i++) {
    g_autofree char *labels = g_strdup_printf("{outcome=\"%s\"}", dm_outcome_name((DmOutcome)i));
    add_number(text, "dimmer_requests_total", labels, (double)metrics->outcomes[i]);
  }
  describe(text, "dimmer_requests_in_flight", "gauge", "Virtual machines with a request that is driven or waits.");
  add_number(text, "dimmer_requests_in_flight", "", dm_jobs_busy(call->api->jobs));
  add_histogram(
    text, "dimmer_release_seconds", "Time from asking a guest for a device until it was gone.", &metrics->release);
  describe(text, "dimmer_http_responses_total", "counter", "HTTP responses by class of status.");
  for (guint i = 1; i < CLASSES; i++) {
    g_autofree char *labels = g_strdup_printf("{class=\"%uxx\"}", i);
    add_number(text, "dimmer_http_responses_total", labels, (double)metrics->http[i]);
  }
  add_histogram(
    text, "dimmer_http_seconds", "Time from a request's head until its answer was handed over.", &metrics->answers);
  add_calls(text);
  reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", text->str);
}

/* Anybody may ask, so the database is written to only once a second, and its path and trouble go to the log. */
static gboolean is_database_up(Metrics *metrics) {
  gint64 now = g_get_monotonic_time();
  g_autoptr(GError) error = NULL;
  if (metrics->database_asked != 0 && now - metrics->database_asked < G_USEC_PER_SEC)
    return metrics->database_up;
  metrics->database_asked = now;
  gboolean was_up = metrics->database_up;
  metrics->database_up = dm_store_check(metrics->api->store, &error);
  if (error != NULL && was_up)
    g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "MESSAGE", "not healthy: %s", error->message);
  return metrics->database_up;
}

/*
 * 200 while it serves; 503 where not one host can be reached, or events and tokens are not kept. oVirt's has the same
 * first words.
 */
void handle_health(Call *call) {
  const GPtrArray *hosts = dm_inventory_hosts(call->api->inventory);
  gboolean database = is_database_up(call->api->metrics);
  guint up = 0;
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  gboolean well = database && up > 0;
  const char *state = well ? "DB Up!Welcome to Health Status!"
    : database             ? "Down:"
                           : "DB Down! Events and logins are not kept, see dimmerd's log;";
  g_autofree char *text = g_strdup_printf("%s %u of %u hosts connected\n", state, up, hosts->len);
  reply_text(call, well ? 200 : 503, "text/plain; charset=utf-8", text);
}

Metrics *metrics_new(DmApi *api) {
  Metrics *metrics = g_new0(Metrics, 1);
  metrics->api = api;
  metrics->database_up = TRUE;
  metrics->release = (Histogram){.bounds = release_bounds, .count = G_N_ELEMENTS(release_bounds)};
  metrics->answers = (Histogram){.bounds = answer_bounds, .count = G_N_ELEMENTS(answer_bounds)};
  dm_jobs_listen(api->jobs, on_job, metrics);
  return metrics;
}

void metrics_free(Metrics *metrics) {
  g_free(metrics);
}
