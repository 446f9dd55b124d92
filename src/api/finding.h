/* SPDX-License-Identifier: Apache-2.0 */
/* Searches of all kinds of objects, and their results. */
#pragma once

#include "call.h"

/* ---- search_kinds.c ---- */

extern const DmSearchKind search_vms;      /* of DmEntry */
extern const DmSearchKind search_hosts;    /* of DmHost */
extern const DmSearchKind search_clusters; /* of FixedPlace, as the next two */
extern const DmSearchKind search_datacenters;
extern const DmSearchKind search_templates;
extern const DmSearchKind search_users;  /* of a name, "admin@internal" */
extern const DmSearchKind search_events; /* of DmAuditEvent */

/* The numbers of the references. */
enum {
  REFERENCE_NONE, /* always empty */
  REFERENCE_VM,
  REFERENCE_HOST,
  REFERENCE_TEMPLATE,
  REFERENCE_CLUSTER,
  REFERENCE_DATACENTER,
  REFERENCE_EVENT,
  REFERENCE_USER,
};

/* The number of the events' field "time". */
extern const int search_field_time;

/* The target of references from events to VMs and hosts: the event's own data, and the object if it exists.
 */
typedef struct {
  const DmAuditEvent *event; /* NULL: entry, or host */
  const DmEntry *entry;
  const DmHost *host;
} EventSubject;

/* ---- find.c: the data of the functions of the kinds above is a Finding ---- */

/* @found: the objects of the requested page, in order; valid while it runs, events as long as the call. */
typedef void (*FoundFunc)(Call *call, GPtrArray *found);
/*
 * Runs the request's search, max and page: now or later, without blocking others for long; then calls @done, or answers
 * with the error. @objects: the objects searched (must stay valid); for VMs and events, all are.
 */
void find_objects(Call *call, const DmSearchKind *kind, const GPtrArray *objects, FoundFunc done);
DmApi *finding_api(const Finding *finding);
/* Whether @owner (UUID; "": the cluster or data center) has something related that matches the group. */
gboolean finding_has_related(const Finding *finding, DmSearchGroup *group, const char *owner);
/* The same; if nothing is known of @owner: whether @related matches. */
gboolean finding_knows_related(const Finding *finding, DmSearchGroup *group, const char *owner, gconstpointer related);
