/* SPDX-License-Identifier: Apache-2.0 */
/* The output of -o json. Sizes are bytes. docs/dimmer.schema.json is its schema, checked by a test. */
#pragma once

#include <jansson.h>

#include "engine/change.h"
#include "model/vm.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

json_t *json_from_vm(const DmVm *vm) G_GNUC_WARN_UNUSED_RESULT;
/* A new object that starts with the VM's name and UUID. */
json_t *json_about_vm(const DmVm *vm) G_GNUC_WARN_UNUSED_RESULT;
json_t *json_from_change(const DmChange *change, gboolean dry_run) G_GNUC_WARN_UNUSED_RESULT;
/* DmNote: their texts as @name, and their codes in the same order as @codes_name. */
void json_add_notes(json_t *object, const char *name, const char *codes_name, const GPtrArray *notes);
json_t *json_from_findings(const DmVm *vm, const GPtrArray *findings) G_GNUC_WARN_UNUSED_RESULT;
/* @message: of the error, as shown on the command line. */
json_t *json_inner_error(const GError *error, const char *message);
/* @notes: what became of an earlier request (DmNote); NULL: none. */
json_t *json_from_error(const GError *error, const char *message, const GPtrArray *notes) G_GNUC_WARN_UNUSED_RESULT;

/* Prints @value (takes ownership) and a newline on stdout. */
void json_print(json_t *value);
