/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics for Prometheus (text format 0.0.4). */
#include "config.h"
#include "exposition.h"
#include "handlers.h"
#include "watchers.h"

/* Upper bounds in seconds; plus one without bound. */
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
  Histogram release, answers;
  guint64 changes[DM_ACTIONS][DM_OUTCOMES];
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
  if (event == DM_JOB_EVENT_STEP && step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE && step->run.answer_s >= 0)
    observe(&metrics->release, step->run.answer_s);
  if (event == DM_JOB_EVENT_SETTLED)
    metrics->changes[job->action][job->outcome]++;
}

static void add(GString *text, const char *name, const char *type, const char *help, double value) {
  expose_metric(text, name, type, help);
  expose_sample(text, name, NULL, value);
}

static void add_histogram(GString *text, const char *name, const char *help, const Histogram *histogram) {
  guint64 sum = 0;
  g_autofree char *bucket = g_strconcat(name, "_bucket", NULL), *total = g_strconcat(name, "_sum", NULL);
  g_autofree char *count = g_strconcat(name, "_count", NULL);
  expose_metric(text, name, "histogram", help);
  for (guint i = 0; i <= histogram->count; i++) {
    char digits[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
    if (i < histogram->count)
      g_ascii_formatd(digits, sizeof digits, "%g", histogram->bounds[i]);
    g_autofree char *labels = expose_labels("le", digits, NULL);
    sum += histogram->counts[i];
    expose_sample(text, bucket, labels, (double)sum);
  }
  expose_sample(text, total, NULL, histogram->sum);
  expose_sample(text, count, NULL, (double)sum);
}

/* ---- VMs, of all hosts or of one ---- */

typedef enum {
  VMS_RUNNING,
  VMS_NOT_RUNNING,
  VMS_UNKNOWN,
  VM_STATES
} VmState;
typedef enum {
  KIND_BOOT,
  KIND_DIMM,
  KIND_VIRTIO_MEM,
  KINDS
} Kind;

static const char *const vm_states[] = {
  [VMS_RUNNING] = "running",
  [VMS_NOT_RUNNING] = "not_running",
  [VMS_UNKNOWN] = "unknown",
};
G_STATIC_ASSERT(G_N_ELEMENTS(vm_states) == VM_STATES);

static const char *const kinds[] = {
  [KIND_BOOT] = "boot",
  [KIND_DIMM] = "dimm",
  [KIND_VIRTIO_MEM] = "virtio-mem",
};
G_STATIC_ASSERT(G_N_ELEMENTS(kinds) == KINDS);

typedef struct {
  guint vms[VM_STATES];
  guint next_run;
  uint64_t memory[KINDS];
  uint64_t guaranteed;
} Sums;

static void add_config(Sums *sums, const DmConfig *live) {
  sums->memory[KIND_BOOT] += dm_config_boot(live);
  sums->guaranteed += dm_config_guaranteed(live);
  for (guint i = 0; i < live->devices->len; i++) {
    const DmMemoryDevice *device = live->devices->pdata[i];
    sums->memory[device->kind == DM_DEVICE_VIRTIO_MEM ? KIND_VIRTIO_MEM : KIND_DIMM] += dm_memory_device_memory(device);
  }
}

static void add_entry(Sums *sums, const DmEntry *entry) {
  const DmConfig *live = entry->vm->live;
  if (entry->host->status != DM_HOST_UP) { /* the old value is known, the present one is not */
    sums->vms[VMS_UNKNOWN]++;
    return;
  }
  sums->vms[live != NULL ? VMS_RUNNING : VMS_NOT_RUNNING]++;
  sums->next_run += dm_vm_has_next_run(entry->vm);
  if (live != NULL)
    add_config(sums, live);
}

/* DmHost → Sums (owned), for each host; NULL → those of all. The caller unrefs. */
static GHashTable *sum_up(const DmApi *api) {
  const GPtrArray *hosts = dm_inventory_hosts(api->inventory), *entries = dm_inventory_entries(api->inventory);
  GHashTable *sums = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  Sums *all = g_new0(Sums, 1);
  g_hash_table_insert(sums, NULL, all);
  for (guint i = 0; i < hosts->len; i++)
    g_hash_table_insert(sums, hosts->pdata[i], g_new0(Sums, 1));
  for (guint i = 0; i < entries->len; i++) {
    const DmEntry *entry = entries->pdata[i];
    add_entry(all, entry);
    add_entry(g_hash_table_lookup(sums, entry->host), entry);
  }
  return sums;
}

static void add_vms(GString *text, GHashTable *all_sums) {
  const Sums *all = g_hash_table_lookup(all_sums, NULL);
  expose_metric(text, "dimmer_vms", "gauge", "VMs by state; unknown: the host cannot be reached.");
  for (VmState i = 0; i < VM_STATES; i++) {
    g_autofree char *labels = expose_labels("state", vm_states[i], NULL);
    expose_sample(text, "dimmer_vms", labels, all->vms[i]);
  }
  add(text, "dimmer_vms_next_run", "gauge", "Running VMs whose next run has other values.", all->next_run);
  expose_metric(text, "dimmer_memory_bytes", "gauge", "Memory of running VMs by kind.");
  for (Kind i = 0; i < KINDS; i++) {
    g_autofree char *labels = expose_labels("kind", kinds[i], NULL);
    expose_sample(text, "dimmer_memory_bytes", labels, (double)all->memory[i]);
  }
  add(text, "dimmer_memory_guaranteed_bytes", "gauge", "Guaranteed memory of running VMs.", (double)all->guaranteed);
}

/* ---- each host ---- */

/* Two hosts may have one name. Until it is known, it is the URI, which may contain confidential parts. */
static char *host_labels(const DmHost *host, const char *name, const char *value) {
  return expose_labels(
    "host", g_str_equal(host->name, host->uri) ? "" : host->name, "host_id", host->id, name, value, NULL);
}

static void add_hosts(GString *text, const DmApi *api) {
  const GPtrArray *hosts = dm_inventory_hosts(api->inventory);
  guint up = 0;
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  expose_metric(text, "dimmer_hosts", "gauge", "Hosts by state.");
  expose_sample(text, "dimmer_hosts", "{state=\"up\"}", up);
  expose_sample(text, "dimmer_hosts", "{state=\"down\"}", hosts->len - up);
  expose_metric(text, "dimmer_host_up", "gauge", "Whether the host is connected.");
  for (guint i = 0; i < hosts->len; i++) {
    const DmHost *host = hosts->pdata[i];
    g_autofree char *labels = host_labels(host, NULL, NULL);
    expose_sample(text, "dimmer_host_up", labels, host->status == DM_HOST_UP);
  }
  expose_metric(text, "dimmer_host_memory_bytes", "gauge", "Memory of the host itself.");
  for (guint i = 0; i < hosts->len; i++) {
    const DmHost *host = hosts->pdata[i];
    g_autofree char *labels = host_labels(host, NULL, NULL);
    if (host->memory != 0)
      expose_sample(text, "dimmer_host_memory_bytes", labels, (double)host->memory);
  }
}

static const Sums *sums_of(GHashTable *sums, const GPtrArray *hosts, guint host) {
  return g_hash_table_lookup(sums, hosts->pdata[host]);
}

static void add_vms_of_hosts(GString *text, const DmApi *api, GHashTable *all_sums) {
  const GPtrArray *hosts = dm_inventory_hosts(api->inventory);
  expose_metric(text, "dimmer_host_vms", "gauge", "VMs of a host by state.");
  for (guint i = 0; i < hosts->len; i++) {
    for (VmState state = 0; state < VM_STATES; state++) {
      g_autofree char *labels = host_labels(hosts->pdata[i], "state", vm_states[state]);
      expose_sample(text, "dimmer_host_vms", labels, sums_of(all_sums, hosts, i)->vms[state]);
    }
  }
  expose_metric(text, "dimmer_host_vm_memory_bytes", "gauge", "Memory of a host's running VMs by kind.");
  for (guint i = 0; i < hosts->len; i++) {
    for (Kind kind = 0; kind < KINDS; kind++) {
      g_autofree char *labels = host_labels(hosts->pdata[i], "kind", kinds[kind]);
      expose_sample(text, "dimmer_host_vm_memory_bytes", labels, (double)sums_of(all_sums, hosts, i)->memory[kind]);
    }
  }
  expose_metric(text, "dimmer_host_vm_memory_guaranteed_bytes", "gauge", "Guaranteed memory of a host's running VMs.");
  for (guint i = 0; i < hosts->len; i++) {
    g_autofree char *labels = host_labels(hosts->pdata[i], NULL, NULL);
    expose_sample(
      text, "dimmer_host_vm_memory_guaranteed_bytes", labels, (double)sums_of(all_sums, hosts, i)->guaranteed);
  }
}

/* ---- each VM ---- */

/* Of a VM that runs on a host that is up; FALSE: not known. */
typedef gboolean (*VmValue)(const DmEntry *entry, uint64_t *value);

static gboolean memory_of(const DmEntry *entry, uint64_t *value) {
  *value = dm_config_memory(entry->vm->live);
  return TRUE;
}

static gboolean guaranteed_of(const DmEntry *entry, uint64_t *value) {
  *value = dm_config_guaranteed(entry->vm->live);
  return TRUE;
}

static gboolean usable_of(const DmEntry *entry, uint64_t *value) {
  *value = entry->stats.usable;
  return *value != 0;
}

static gboolean ballooned_of(const DmEntry *entry, uint64_t *value) {
  return dm_vm_ballooned(entry->vm, value);
}

static gboolean resident_of(const DmEntry *entry, uint64_t *value) {
  *value = entry->stats.rss;
  return *value != 0;
}

static void add_each_vm(GString *text, const DmApi *api) {
  static const struct {
    const char *name, *help;
    VmValue value;
  } metrics[] = {
    {"dimmer_vm_memory_bytes", "Memory of the running VM.", memory_of},
    {"dimmer_vm_memory_guaranteed_bytes", "Guaranteed memory of the running VM.", guaranteed_of},
    {"dimmer_vm_memory_usable_bytes", "What the guest could use without swapping, by its balloon.", usable_of},
    {"dimmer_vm_memory_ballooned_bytes", "What the balloon holds of the memory of the running VM.", ballooned_of},
    {"dimmer_vm_resident_memory_bytes", "Resident memory of the VM's QEMU process.", resident_of},
  };
  const GPtrArray *entries = dm_inventory_entries(api->inventory);
  for (gsize m = 0; m < G_N_ELEMENTS(metrics); m++) {
    expose_metric(text, metrics[m].name, "gauge", metrics[m].help);
    for (guint i = 0; i < entries->len; i++) {
      const DmEntry *entry = entries->pdata[i];
      gboolean runs = entry->host->status == DM_HOST_UP && entry->vm->live != NULL;
      uint64_t value = 0;
      g_autofree char *labels =
        expose_labels("vm", entry->vm->name, "vm_id", entry->vm->uuid, "host", entry->host->name, NULL);
      if (runs && metrics[m].value(entry, &value))
        expose_sample(text, metrics[m].name, labels, (double)value);
    }
  }
}

/* ---- the daemon ---- */

static void add_calls(GString *text) {
  DmCallCounts counts = dm_connection_counts();
  add(text, "dimmer_libvirt_tasks_total", "counter", "Tasks that libvirt has done in worker threads.",
    (double)counts.done);
  add(text, "dimmer_libvirt_seconds_total", "counter", "Seconds that they took.", counts.seconds);
  add(text, "dimmer_libvirt_tasks_pending", "gauge", "Tasks that libvirt has not finished.",
    (double)(counts.started - counts.done));
}

static void add_changes(GString *text, const Metrics *metrics) {
  expose_metric(text, "dimmer_memory_changes_total", "counter", "Changes of memory by action and outcome.");
  for (guint action = 0; action < DM_ACTIONS; action++) {
    for (guint outcome = 0; outcome < DM_OUTCOMES; outcome++) {
      g_autofree char *labels =
        expose_labels("action", dm_action_name((DmAction)action), "outcome", dm_outcome_name((DmOutcome)outcome), NULL);
      expose_sample(text, "dimmer_memory_changes_total", labels, (double)metrics->changes[action][outcome]);
    }
  }
  add(text, "dimmer_vms_changing", "gauge",
    "VMs with a change of memory, or the preparing of a guest, under way or waiting.",
    dm_jobs_busy(metrics->api->jobs));
  add_histogram(text, "dimmer_memory_release_duration_seconds",
    "Time from asking a guest for a device until it was gone.", &metrics->release);
}

static void add_answers(GString *text, const Metrics *metrics) {
  expose_metric(text, "dimmer_http_responses_total", "counter", "HTTP responses by class of status.");
  for (guint i = 1; i < CLASSES; i++) {
    const char class[] = {(char)('0' + i), 'x', 'x', '\0'};
    g_autofree char *labels = expose_labels("class", class, NULL);
    expose_sample(text, "dimmer_http_responses_total", labels, (double)metrics->http[i]);
  }
  add_histogram(text, "dimmer_http_request_duration_seconds",
    "Time from a request's head until its answer was handed over.", &metrics->answers);
}

/* Former names; docs/names.md lists their replacements. */
static void add_deprecated(GString *text, const Metrics *metrics) {
  expose_metric(text, "dimmer_requests_total", "counter", "Deprecated: use dimmer_memory_changes_total.");
  for (guint outcome = 0; outcome < DM_OUTCOMES; outcome++) {
    g_autofree char *labels = expose_labels("outcome", dm_outcome_name((DmOutcome)outcome), NULL);
    guint64 sum = 0;
    for (guint action = 0; action < DM_ACTIONS; action++) {
      sum += outcome != DM_OUTCOME_KEPT ? metrics->changes[action][outcome] : 0;
      sum += outcome == DM_OUTCOME_DONE ? metrics->changes[action][DM_OUTCOME_KEPT] : 0; /* as it was then */
    }
    expose_sample(text, "dimmer_requests_total", labels, (double)sum);
  }
  add(text, "dimmer_requests_in_flight", "gauge", "Deprecated: use dimmer_vms_changing.",
    dm_jobs_busy(metrics->api->jobs));
  add_histogram(
    text, "dimmer_release_seconds", "Deprecated: use dimmer_memory_release_duration_seconds.", &metrics->release);
  add_histogram(
    text, "dimmer_http_seconds", "Deprecated: use dimmer_http_request_duration_seconds.", &metrics->answers);
}

void handle_metrics(Call *call) {
  const DmApi *api = call->api;
  g_autoptr(GString) text = g_string_new(NULL);
  expose_metric(text, "dimmer_build_info", "gauge", "The version, as a label.");
  expose_sample(text, "dimmer_build_info", "{version=\"" DM_VERSION "\"}", 1);
  g_autoptr(GHashTable) sums = sum_up(api);
  add_vms(text, sums);
  add_hosts(text, api);
  add_vms_of_hosts(text, api, sums);
  if (api->vm_metrics)
    add_each_vm(text, api);
  add_changes(text, api->metrics);
  add_answers(text, api->metrics);
  add_calls(text);
  expose_process(text);
  add_deprecated(text, api->metrics);
  reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", text->str);
}

Metrics *metrics_new(DmApi *api) {
  Metrics *metrics = g_new0(Metrics, 1);
  metrics->api = api;
  metrics->release = (Histogram){.bounds = release_bounds, .count = G_N_ELEMENTS(release_bounds)};
  metrics->answers = (Histogram){.bounds = answer_bounds, .count = G_N_ELEMENTS(answer_bounds)};
  dm_jobs_listen(api->jobs, on_job, metrics);
  return metrics;
}

void metrics_free(Metrics *metrics) {
  g_free(metrics);
}
