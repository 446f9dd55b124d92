/* SPDX-License-Identifier: Apache-2.0 */
#include "virt_error.h"

#include <stdarg.h>

#include "base/error.h"

static DmError code_for(int number) {
  switch (number) {
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_NO_SERVER:
    case VIR_ERR_RPC:
      return DM_ERROR_CONNECTION;
    case VIR_ERR_NO_DOMAIN:
      return DM_ERROR_NO_SUCH_VM;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
      return DM_ERROR_PERMISSION;
    case VIR_ERR_OPERATION_TIMEOUT:
      return DM_ERROR_BUSY;
    default:
      return DM_ERROR_FAILED;
  }
}

/* For the connection as a whole see advise_opening(). Here it is open, and a single call is forbidden. */
static const char *advise(int number) {
  if (number == VIR_ERR_OPERATION_TIMEOUT)
    return "; wait until libvirt is done with the VM, and retry";
  if (number == VIR_ERR_ACCESS_DENIED)
    return "; allow it in its host's polkit rules, or do it as root";
  return "";
}

void virt_error_set(GError **error, const char *format, ...) {
  const virError *last = virGetLastError();
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *context = g_strdup_vprintf(format, arguments);
  va_end(arguments);

  int number = last != NULL ? last->code : VIR_ERR_INTERNAL_ERROR;
  GError *made = g_error_new(DM_ERROR, code_for(number), "%s: %s%s", context,
    last != NULL && last->message != NULL ? last->message : "libvirt gave no reason", advise(number));
  dm_error_set_origin(made, last != NULL ? last->domain : VIR_FROM_NONE, number);
  g_propagate_error(error, made);
}

int virt_error_last(void) {
  return virGetLastErrorCode();
}
