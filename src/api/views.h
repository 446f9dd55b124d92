/* SPDX-License-Identifier: Apache-2.0 */
/* Representations of VMs, devices, jobs, events, hosts and places. The caller frees the nodes. */
#pragma once

#include "call.h"

/* oVirt's own fixed ids: of Default and Blank. */
#define CLUSTER_ID "00000000-0000-0000-0001-000000000000"
#define DATACENTER_ID "00000000-0000-0000-0002-000000000000"
#define TEMPLATE_ID "00000000-0000-0000-0000-000000000000"
#define TAG_ID "00000000-0000-0000-0000-000000000000"
#define CDROM_ID "00000000-0000-0000-0000-000000000000"
#define USER_ID_SPACE "dimmer user "

/* ---- users.c ---- */

/* NULL: no such user any more. */
const char *user_role(const DmApi *api, const char *name);

/* ---- fixed.c ---- */

/* The one cluster, data center or template. */
typedef struct {
  const char *collection, *root, *item, *id, *name, *status;
} FixedPlace;

extern const FixedPlace place_cluster, place_datacenter, place_template;
const char *host_status(const DmHost *host);

/* Fields that clients expect and libvirt does not have. */
#define CLUSTER_VERSION "4.7"
#define CLUSTER_ARCHITECTURE "x86_64"
#define VM_TYPE "server"
#define HOST_TYPE "rhel"
#define EVENT_ORIGIN "dimmer"

/* ---- VMs and the rest ---- */

/* As @list of @item, and their codes in the same order as @codes of "note_code". */
void add_notes_as(DmNode *parent, const char *list, const char *item, const char *codes, const GPtrArray *notes);
/* As "notes" of "note", and "note_codes". */
void add_notes(DmNode *parent, const GPtrArray *notes);

const char *vm_status(const DmEntry *entry);
/* In oVirt's terms. */
const char *vm_bios_type(const DmVm *vm);
const char *vm_os_type(const DmVm *vm);
/* Bytes of its memory that the guest uses; 0: not known. */
uint64_t vm_memory_used(const DmEntry *entry);
/* The VM as clients see it; next_run: with the values of its next start. The caller frees. */
DmNode *vm_node(DmApi *api, DmEntry *entry, gboolean next_run) G_GNUC_WARN_UNUSED_RESULT;
/* The same as text, of the cache; borrowed until the entry changes. */
GBytes *vm_text(DmApi *api, DmEntry *entry, DmFormat format) G_GNUC_WARN_UNUSED_RESULT;
void drop_vm_text(gpointer cached);
/* Every minute: drops entries not requested for a while. */
void drop_old_vm_texts(DmApi *api);
/* The answer of an action of the call's VM; @complete: it has ended. */
DmNode *vm_action_node(const Call *call, gboolean complete) G_GNUC_WARN_UNUSED_RESULT;
DmNode *device_node(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;
DmNode *devices_node(const DmApi *api, const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
DmNode *job_node(const DmApi *api, const DmJob *job) G_GNUC_WARN_UNUSED_RESULT;
DmNode *step_node(const DmApi *api, const DmJob *job, const DmStep *step, guint number) G_GNUC_WARN_UNUSED_RESULT;
DmNode *steps_node(const DmApi *api, const DmJob *job) G_GNUC_WARN_UNUSED_RESULT;
DmNode *event_node(const DmAuditEvent *event) G_GNUC_WARN_UNUSED_RESULT;
DmNode *host_node(const DmApi *api, const DmHost *host) G_GNUC_WARN_UNUSED_RESULT;
DmNode *statistics_node(const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
DmNode *host_statistics_node(const DmHost *host) G_GNUC_WARN_UNUSED_RESULT;
DmNode *numa_nodes_node(const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
DmNode *cdroms_node(const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
DmNode *snapshots_node(const DmApi *api, const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
DmNode *consoles_node(const DmEntry *entry) G_GNUC_WARN_UNUSED_RESULT;
/* NULL: no such user. */
DmNode *user_node_of(const DmApi *api, const char *id) G_GNUC_WARN_UNUSED_RESULT;
/* The one "clusters/{}", "datacenters/{}" or "templates/{}"; NULL: none of them, or another id. */
DmNode *fixed_node(const DmApi *api, const char *kind, const char *id) G_GNUC_WARN_UNUSED_RESULT;
DmNode *clusters_node(const DmApi *api) G_GNUC_WARN_UNUSED_RESULT;
const char *device_state(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device);
