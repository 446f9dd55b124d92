/* SPDX-License-Identifier: Apache-2.0 */
/* What dimmer prints with -o json. Sizes are bytes. docs/dimmer.schema.json is its schema, held by a test. */
#pragma once

#include <jansson.h>

#include "engine/change.h"
#include "model/vm.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

json_t *json_from_vm(const DmVm *vm);
json_t *json_from_change(const DmChange *change, gboolean dry_run);
json_t *json_from_findings(const DmVm *vm, const GPtrArray *findings);
json_t *json_from_error(const GError *error);

/* Prints @value, which it takes, and a newline on stdout. */
void json_print(json_t *value);
