/* SPDX-License-Identifier: Apache-2.0 */
#include "virt_calls.h"

#include "base/debug.h"

VirtCall virt_call_begin(const char *name, virDomainPtr domain, const char *detail) {
  if (!dm_debug_is_on())
    return (VirtCall){0};
  const char *vm = domain != NULL ? virDomainGetName(domain) : NULL;
  const char *between = vm != NULL && detail != NULL ? ", " : "";
  char *what = g_strdup_printf("%s(%s%s%s)", name, vm != NULL ? vm : "", between, detail != NULL ? detail : "");
  return (VirtCall){.what = what, .since = g_get_monotonic_time()};
}

static void end_call(VirtCall *call, const char *outcome) {
  dm_debug("libvirt", "%s %.1f ms: %s", call->what, dm_debug_since(call->since), outcome);
  g_free(call->what);
}

static void end_failed(VirtCall *call) {
  const virError *last = virGetLastError();
  g_autofree char *outcome = last != NULL
    ? g_strdup_printf("failed, code %d of domain %d: %s", last->code, last->domain, last->message)
    : g_strdup("failed");
  end_call(call, outcome);
}

void virt_call_end_number(VirtCall *call, int answer) {
  if (call->what == NULL)
    return;
  g_autofree char *outcome = answer == 0 ? g_strdup("ok") : g_strdup_printf("ok, %d", answer);
  if (answer < 0)
    end_failed(call);
  else
    end_call(call, outcome);
}

void virt_call_end_pointer(VirtCall *call, const void *answer) {
  if (call->what == NULL)
    return;
  if (answer == NULL)
    end_failed(call);
  else
    end_call(call, "ok");
}
