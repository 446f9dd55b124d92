/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oVirt-compatible REST API over the inventory: routes, representations, faults, sign-on, live updates, audit
 * events, /health and /metrics.
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
  double answer_seconds;    /* a PUT waits this long for its request */
  guint token_idle_seconds; /* a token expires this long after its last use */
  guint token_life_seconds; /* and this long after it was issued, whatever its use */
  const char *const *plug_kinds, *const *plug_policies; /* words of dm_plug_defaults_read(), checked; NULL: none */
  gboolean vm_metrics;                                  /* /metrics has series for each VM */
} DmApiOptions;

/* Listens to inventory and jobs from now on. NULL: the users file or the WebAdmin page cannot be read. */
DmApi *dm_api_new(const DmApiOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_api_free(DmApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmApi, dm_api_free)

/* Reads the users file again; if that fails, the old users stay. */
gboolean dm_api_reload(DmApi *api, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A DmHttpHandler; @data is the DmApi. */
void dm_api_handle(DmHttpRequest *request, gpointer data);

/* Guests being queried: dm_api_free() must wait until they have answered. */
guint dm_api_busy(const DmApi *api);

/* Answers waiting requests and ends live streams, as the daemon is about to stop. */
void dm_api_drain(DmApi *api);
