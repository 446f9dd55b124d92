/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the routes, and the routes. */
#pragma once

#include "call.h"

/* ---- routes.c ---- */

/* The routes, terminated by one without a path. */
const Route *routes_all(void);

/* The route of @method for the path; fills ids. NULL: **allow (caller frees) has the allowed methods, or is NULL: 404.
 */
const Route *routes_find(const char *method, const char *const *segments, const char *ids[2], char **allow);

/* The path is below the API base, whether there is such a route or not. */
gboolean routes_is_api(const char *const *segments);

/* ---- oauth.c ---- */

void handle_token(Call *call);
void handle_token_http(Call *call);
void handle_token_info(Call *call);
void handle_logout(Call *call);

/* ---- login.c ---- */

void handle_session_begin(Call *call);
void handle_session(Call *call);
void handle_session_end(Call *call);

/* ---- static.c ---- */

/* WebAdmin's files; @folder NULL: none. */
Page *page_new(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void page_free(Page *page);
void handle_web_root(Call *call);
void handle_web_index(Call *call);
void handle_web_file(Call *call);
void handle_web_icon(Call *call);

/* ---- handlers ---- */

void handle_root(Call *call);
void handle_openapi(Call *call);
void handle_vms(Call *call);
void handle_vm(Call *call);
void handle_vm_update(Call *call);
void handle_vm_action(Call *call);
void handle_vm_other_action(Call *call);
void handle_vm_enable_hot_plug(Call *call);
void handle_vm_prepare_guest(Call *call);
void handle_vm_elsewhere(Call *call);
void handle_vm_statistics(Call *call);
void handle_vm_statistic(Call *call);
void handle_vm_numas(Call *call);
void handle_vm_numa(Call *call);
void handle_devices(Call *call);
void handle_device(Call *call);
void handle_device_plug(Call *call);
void handle_device_unplug(Call *call);
void handle_memory_plan(Call *call);
void handle_memory_check(Call *call);

/*
 * Waits until the guest has been asked, together with others that wait for that; then its report is in the inventory,
 * and @waited is called, which is to check_leave(). FALSE: its host cannot be reached.
 */
gboolean check_guest(Call *call, const DmEntry *entry, void (*waited)(Call *call));
void check_leave(Call *call);

void handle_hosts(Call *call);
void handle_host(Call *call);
void handle_places(Call *call);
void handle_place(Call *call);
void handle_templates(Call *call);
void handle_operating_systems(Call *call);
void handle_users(Call *call);
void handle_user(Call *call);
void handle_host_statistics(Call *call);
void handle_cdroms(Call *call);
void handle_snapshots(Call *call);
void handle_consoles(Call *call);
void handle_tags(Call *call);
void handle_empty(Call *call);
void handle_events(Call *call);
void handle_event(Call *call);
void handle_jobs(Call *call);
void handle_job(Call *call);
void handle_steps(Call *call);
void handle_step(Call *call);
void handle_live(Call *call);
void handle_health(Call *call);
void handle_metrics(Call *call);
void handle_ca(Call *call);
