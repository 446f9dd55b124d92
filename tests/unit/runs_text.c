/* SPDX-License-Identifier: Apache-2.0 */
#include "runs_text.h"

#include "base/size.h"

char *runs_text(const GArray *runs) {
  if (runs == NULL)
    return g_strdup("none");
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < runs->len; i++) {
    const DmBlockRun *run = &g_array_index(runs, DmBlockRun, i);
    g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT ":%c%c%s", i > 0 ? " " : "",
      run->start / DM_MIB, run->size / DM_MIB, "?ofg"[run->state], "?mkx"[run->zone], run -> virtio ? "v" : "");
  }
  return g_string_free(text, FALSE);
}

char *nodes_text(const DmGuest *guest) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; guest->nodes != NULL && i < guest->nodes->len; i++) {
    const DmGuestNode *node = &g_array_index(guest->nodes, DmGuestNode, i);
    g_string_append_printf(text,
      "%s%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, i > 0 ? " " : "",
      node->node, node->total / DM_MIB, node->free / DM_MIB, node->available / DM_MIB);
  }
  return g_string_free(text, FALSE);
}
