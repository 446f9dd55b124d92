/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine type supports, whatever its definition says: QEMU's own rules, so that no next run is written that
 * cannot start. Pure functions. The rules were tested with QEMU 7.2 and 10.0; machine.c names their source. For a
 * machine that is not QEMU's, or not known, there are no rules.
 */
#pragma once

#include <glib.h>

#include "model/config.h"
#include "words/note.h"

/* What is missing, in words that follow "cannot hot plug memory:", and the remedy, as an imperative. Static texts. */
typedef struct {
  const char *what, *remedy;
} DmLack;

/* The machine cannot hot plug devices of @kind at all. FALSE, with nothing written, if it can as far as is known. */
gboolean dm_machine_lacks(const DmMachine *machine, DmDeviceKind kind, DmLack *lack);

/* It can hot plug neither DIMMs nor virtio-mem devices, so a maximum is useless and may prevent a start. */
gboolean dm_machine_lacks_all(const DmMachine *machine, DmLack *lack);

/* It may not start with the NUMA cell that a maximum needs, and @config has none. */
gboolean dm_machine_lacks_cells(const DmConfig *config, DmLack *lack);

/* The maximum of memory slots in QEMU. */
guint dm_machine_slots(const DmMachine *machine);

/*
 * A new virtio-mem device of @config can have dynamic memslots: its host can, and the machine type has them (QEMU 8.2),
 * as those of before may differ in what they need beside them.
 */
gboolean dm_machine_divides(const DmConfig *config);

/* Address width of its processors in bits. 0: not known, as it is the host's, or not limited. */
guint dm_machine_address_bits(const DmMachine *machine);

/*
 * The bytes of address space that @config occupies on its machine: boot memory, device memory, and what surrounds them.
 */
uint64_t dm_machine_needs(const DmConfig *config);

/*
 * @config, which is to replace @before in the definition of @vm_name, can start on its machine as far as is known. What
 * it shares with @before is not checked. DM_ERROR_ABOVE_PLATFORM, DM_ERROR_NOT_ENABLED.
 */
gboolean dm_machine_check(
  const DmConfig *before, const DmConfig *config, const char *vm_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is not known of the start of @config; NULL: nothing. The caller owns it. */
DmNote *dm_machine_doubt(const DmConfig *before, const DmConfig *config, const char *vm_name) G_GNUC_WARN_UNUSED_RESULT;
