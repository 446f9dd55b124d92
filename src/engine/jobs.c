/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs work
 * =============
 *
 * Each VM has a queue. The work at its head is driven: a DmChange of engine/change.h. Meanwhile the inventory does not
 * read the VM, and events reach the job's steps through the change. Requests that need no guest are done beside it
 * (queue.c). Preparing a guest waits in the same queue, and what comes after waits for it.
 *
 * When the change has ended, answers of devices may still be outstanding: they are overdue, the VM's record keeps them,
 * and the job stays open. Their answers come as inventory events, each followed by an account: a change that plans
 * nothing and so only settles the recorded request. The same account resumes what an earlier process left: a recorded
 * request that no process owns becomes a job again. While another process holds the VM's lock, the request belongs to
 * it; once that process releases the lock or is killed, the VM is checked again. A failed account is retried.
 *
 * All events of a job are reported, and saved (dm_jobs_keep_reported()), before the request is removed from its VM. So
 * a SIGKILL at any moment leaves either the saved events or the request, from which the next process reports them
 * again.
 */
#include "jobs_private.h"

DmJobs *dm_jobs_new(DmInventory *inventory, double timeout_s) {
  static const DmInventoryListener listener = {
    .changed = account_on_changed, .life = account_on_life, .device = account_on_device};
  DmJobs *jobs = g_new0(DmJobs, 1);
  jobs->inventory = inventory;
  jobs->timeout_s = timeout_s;
  jobs->list = g_ptr_array_new_with_free_func(work_free);
  jobs->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  jobs->queues = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, queue_free);
  jobs->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
  jobs->later = later_new(account_on_later, jobs);
  dm_inventory_listen(inventory, &listener, jobs);
  return jobs;
}

void dm_jobs_free(DmJobs *jobs) {
  if (jobs == NULL)
    return;
  later_free(jobs->later);
  g_hash_table_unref(jobs->by_id);
  g_hash_table_unref(jobs->queues);
  g_ptr_array_unref(jobs->list);
  g_array_unref(jobs->listeners);
  g_free(jobs);
}

void dm_jobs_listen(DmJobs *jobs, DmJobFunc func, gpointer data) {
  Listener listener = {func, data};
  g_array_append_val(jobs->listeners, listener);
}

void dm_jobs_keep_reported(DmJobs *jobs, DmJobsKeepFunc keep, gpointer data) {
  jobs->keep = keep;
  jobs->keep_data = data;
}

DmJob *dm_jobs_submit(DmJobs *jobs, DmEntry *entry, const DmJobRequest *request, DmJobFunc func, gpointer data) {
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, request->wish->action);
  work->job.id = g_uuid_string_random();
  work->job.user = g_strdup(request->user);
  work->job.correlation_id = g_strdup(request->correlation_id);
  work->job.started_ms = jobs_now();
  work->job.wish = dm_wish_copy(request->wish);
  work->no_retry = request->no_retry;
  work->func = func;
  work->func_data = data;
  jobs_keep(jobs, work);
  queue_add(jobs, work);
  return &work->job;
}

void dm_jobs_prepare_guest(DmJobs *jobs, const DmEntry *entry, DmPreparationFunc done, gpointer data) {
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, DM_ACTION_SETTLE);
  work->hidden = TRUE;
  work->prepared = done;
  work->func_data = data;
  queue_add(jobs, work);
}

gboolean dm_jobs_cancel(DmJobs *jobs, DmJob *job) {
  Queue *queue = g_hash_table_lookup(jobs->queues, job->vm_id);
  if (queue == NULL || !g_queue_remove(&queue->waiting, job))
    return FALSE;
  g_hash_table_remove(jobs->by_id, job->id);
  g_ptr_array_remove(jobs->list, job);
  return TRUE;
}

void dm_jobs_forget(DmJobs *jobs, DmJob *job) {
  ((Work *)job)->func = NULL;
}

const GPtrArray *dm_jobs_list(const DmJobs *jobs) {
  return jobs->list;
}

DmJob *dm_jobs_find(const DmJobs *jobs, const char *id) {
  Work *work = g_hash_table_lookup(jobs->by_id, id);
  return work != NULL ? &work->job : NULL;
}

guint dm_jobs_busy(const DmJobs *jobs) {
  return g_hash_table_size(jobs->queues);
}

void dm_jobs_stop_waiting(DmJobs *jobs) {
  jobs->stopping = TRUE;
  g_autoptr(GList) queues = g_hash_table_get_values(jobs->queues);
  for (GList *link = queues; link != NULL; link = link->next)
    queue_stop(link->data);
}
