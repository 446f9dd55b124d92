/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oVirt-compatible REST API over the inventory: routes, representations, faults, sign-on, live updates, the audit
 * events that follow from what happens, /health and /metrics.
 *
 * Everything here belongs to the thread that runs the default GLib main loop.
 */
#pragma once

#include <glib.h>

#include "engine/inventory.h"
#include "engine/jobs.h"
#include "http/server.h"
#include "store/store.h"

typedef struct DmApi DmApi;

typedef struct {
  DmInventory *inventory; /* all three must outlive the API */
  DmJobs *jobs;
  DmStore *store;
  const char *users_file;
  const char *ca;           /* PEM text of the CA that clients may fetch; NULL: none */
  const char *web_folder;   /* WebAdmin's files, as scripts/build-web lays them out; NULL: none */
  double answer_seconds;    /* that a PUT waits for its request */
  guint token_idle_seconds; /* a token expires so long after its last use */
} DmApiOptions;

/* Listens to inventory and jobs from here on. NULL: the users file or the WebAdmin page cannot be read. */
DmApi *dm_api_new(const DmApiOptions *options, GError **error);
void dm_api_free(DmApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmApi, dm_api_free)

/* Reads the users file again; the old users stay where it cannot be read. */
gboolean dm_api_reload(DmApi *api, GError **error);

/* From now on; what waits already waits as long as it was told. */
void dm_api_set_answer_seconds(DmApi *api, double seconds);

/* A DmHttpHandler; @data is the DmApi. */
void dm_api_handle(DmHttpRequest *request, gpointer data);

/* Guests that are being looked at: until they have answered, dm_api_free() would come too early. */
guint dm_api_busy(const DmApi *api);

/* Answers what waits, ends live streams; the daemon is about to stop. */
void dm_api_drain(DmApi *api);
