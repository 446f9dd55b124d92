/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/shell.h"

typedef struct {
  int origin_domain;
  int origin_code; /* 0: libvirt was not the origin (VIR_ERR_OK) */
  char *command;   /* NULL: none */
} DmErrorPrivate;

static void dm_error_private_init(DmErrorPrivate *priv) {
  *priv = (DmErrorPrivate){0};
}

static void dm_error_private_copy(const DmErrorPrivate *from, DmErrorPrivate *to) {
  *to = *from;
  to->command = g_strdup(from->command);
}

static void dm_error_private_clear(DmErrorPrivate *priv) {
  g_free(priv->command);
}

G_DEFINE_EXTENDED_ERROR(DmError, dm_error)

#define ROW(code, name, http_status, exit_status) [DM_ERROR_##code] = {DM_ERROR_##code, name, http_status, exit_status}

static const DmErrorInfo table[] = {
  ROW(FAILED, "failed", 500, DM_EXIT_FAILED),
  ROW(USAGE, "usage", 400, DM_EXIT_USAGE),
  ROW(BAD_SIZE, "bad-size", 400, DM_EXIT_USAGE),
  ROW(SIZE_NEGATIVE, "size-negative", 400, DM_EXIT_USAGE),
  ROW(SIZE_ZERO, "size-zero", 400, DM_EXIT_USAGE),
  ROW(SIZE_OVERFLOW, "size-overflow", 400, DM_EXIT_USAGE),
  ROW(CONNECTION, "connection", 503, DM_EXIT_CONNECTION),
  ROW(NO_SUCH_VM, "no-such-vm", 404, DM_EXIT_NOT_FOUND),
  ROW(NO_SUCH_DEVICE, "no-such-device", 404, DM_EXIT_NOT_FOUND),
  ROW(AMBIGUOUS, "ambiguous", 409, DM_EXIT_NOT_FOUND),
  ROW(NOT_A_MULTIPLE, "not-a-multiple", 400, DM_EXIT_RULE),
  ROW(GUARANTEED_ABOVE_MEMORY, "guaranteed-above-memory", 400, DM_EXIT_RULE),
  ROW(MEMORY_ABOVE_MAXIMUM, "memory-above-maximum", 409, DM_EXIT_RULE),
  ROW(ABOVE_PLATFORM, "above-platform", 400, DM_EXIT_RULE),
  ROW(NO_FREE_SLOT, "no-free-slot", 409, DM_EXIT_RULE),
  ROW(BAD_FLOOR, "bad-floor", 409, DM_EXIT_RULE),
  ROW(NOT_ENABLED, "not-enabled", 409, DM_EXIT_RULE),
  ROW(NO_BALLOON, "no-balloon", 409, DM_EXIT_RULE),
  ROW(NO_SUCH_NODE, "no-such-node", 409, DM_EXIT_RULE),
  ROW(NOT_RUNNING, "not-running", 409, DM_EXIT_RULE),
  ROW(NO_NEXT_RUN, "no-next-run", 409, DM_EXIT_RULE),
  ROW(NOT_REMOVABLE, "not-removable", 409, DM_EXIT_RULE),
  ROW(NOT_MOVABLE, "not-movable", 409, DM_EXIT_RULE),
  ROW(GUEST_NEEDS_MEMORY, "guest-needs-memory", 409, DM_EXIT_RULE),
  ROW(BUSY, "busy", 409, DM_EXIT_RULE),
  ROW(VM_STOPPED, "vm-stopped", 409, DM_EXIT_FAILED),
  ROW(VM_MOVED, "vm-moved", 409, DM_EXIT_FAILED),
  ROW(PERMISSION, "permission", 403, DM_EXIT_FAILED),
  ROW(INTERRUPTED, "interrupted", 503, DM_EXIT_INTERRUPTED),
  ROW(BAD_REQUEST, "bad-request", 400, DM_EXIT_NONE),
  ROW(BAD_VALUE, "bad-value", 400, DM_EXIT_NONE),
  ROW(BAD_SEARCH, "bad-search", 400, DM_EXIT_NONE),
  ROW(IMMUTABLE, "immutable", 409, DM_EXIT_NONE),
  ROW(CANNOT_START, "cannot-start", 409, DM_EXIT_NONE),
  ROW(CHANGED, "changed", 409, DM_EXIT_NONE),
  ROW(HOST_REFUSED, "host-refused", 409, DM_EXIT_NONE),
};
G_STATIC_ASSERT(G_N_ELEMENTS(table) == DM_ERROR_CODES);

const DmErrorInfo *dm_error_info(int code) {
  return &table[code >= 0 && code < DM_ERROR_CODES ? code : DM_ERROR_FAILED];
}

const DmErrorInfo *dm_error_info_of(const GError *error) {
  return dm_error_info(error->domain == DM_ERROR ? error->code : DM_ERROR_FAILED);
}

/* Takes @command. */
static void take_command(GError *error, char *command) {
  DmErrorPrivate *priv = dm_error_get_private(error);
  g_free(priv->command);
  priv->command = command;
}

static gboolean takes_command(GError **error) {
  return error != NULL && *error != NULL && (*error)->domain == DM_ERROR;
}

void dm_error_add_command(GError **error, const char *first, ...) {
  if (!takes_command(error))
    return;
  va_list words;
  va_start(words, first);
  take_command(*error, dm_shell_command_va(first, words));
  va_end(words);
}

void dm_error_add_command_strv(GError **error, const char *const *words) {
  if (takes_command(error))
    take_command(*error, dm_shell_command_strv(words));
}

const char *dm_error_get_command(const GError *error) {
  return error->domain == DM_ERROR ? ((DmErrorPrivate *)dm_error_get_private(error))->command : NULL;
}

void dm_error_set_origin(GError *error, int origin_domain, int origin_code) {
  DmErrorPrivate *priv = dm_error_get_private(error);
  priv->origin_domain = origin_domain;
  priv->origin_code = origin_code;
}

gboolean dm_error_get_origin(const GError *error, int *origin_domain, int *origin_code) {
  if (error->domain != DM_ERROR)
    return FALSE;
  const DmErrorPrivate *priv = dm_error_get_private(error);
  if (priv->origin_code == 0)
    return FALSE;
  *origin_domain = priv->origin_domain;
  *origin_code = priv->origin_code;
  return TRUE;
}
