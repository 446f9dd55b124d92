/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_notation.h"

#include <string.h>

#include "base/size.h"

static const struct {
  char letter;
  DmBlockState state;
  DmZone zone;
} states[] = {
  {'m', DM_BLOCK_ONLINE, DM_ZONE_MOVABLE},
  {'k', DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
  {'x', DM_BLOCK_ONLINE, DM_ZONE_MIXED},
  {'u', DM_BLOCK_ONLINE, DM_ZONE_UNKNOWN},
  {'o', DM_BLOCK_OFFLINE, DM_ZONE_MOVABLE},
  {'g', DM_BLOCK_GOING_OFFLINE, DM_ZONE_MOVABLE},
};

static void read_who(DmGuest *guest, const char *who) {
  gboolean agent = strcmp(who, "agent") == 0 || strcmp(who, "both") == 0;
  guest->qemu_agent = strcmp(who, "qga") == 0 || strcmp(who, "both") == 0;
  guest->agent = agent ? g_strdup("dimmer-guest 0.1") : NULL;
  guest->system = agent ? DM_SOURCE_AGENT : guest->qemu_agent ? DM_SOURCE_QEMU_AGENT : DM_SOURCE_NONE;
  guest->block_source = guest->run_source = guest->system;
}

static gboolean read_word(DmGuest *guest, const char *word) {
  gboolean negative = g_str_has_prefix(word, "no-");
  const struct {
    const char *word;
    DmFact *fact;
  } facts[] = {
    {"onlines", &guest->onlines},
    {"udev-rule", &guest->udev_rule},
    {"movable-node", &guest->movable_node},
    {"windows", &guest->windows},
    {"hot-remove", &guest->hot_remove},
    {"virtio-mem", &guest->virtio_mem},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(facts); i++) {
    if (strcmp(facts[i].word, negative ? word + 3 : word) == 0) {
      *facts[i].fact = negative ? DM_FACT_NO : DM_FACT_YES;
      return TRUE;
    }
  }
  static const char *const others[] = {"exec", "file", "busy", "runs", NULL};
  guest->can_exec |= strcmp(word, "exec") == 0;
  guest->can_file |= strcmp(word, "file") == 0;
  guest->busy |= strcmp(word, "busy") == 0;
  if (strcmp(word, "runs") == 0)
    guest->runs = g_array_new(FALSE, TRUE, sizeof(DmBlockRun));
  return g_strv_contains(others, word);
}

/* "node1=768/56/700": total, free, available. */
static gboolean read_node(DmGuest *guest, const char *key, const char *value) {
  if (!g_str_has_prefix(key, "node"))
    return FALSE;
  g_auto(GStrv) sizes = g_strsplit(value, "/", 3);
  const DmGuestNode node = {g_ascii_strtoull(key + 4, NULL, 10), g_ascii_strtoull(sizes[0], NULL, 10) * DM_MIB,
    g_ascii_strtoull(sizes[1], NULL, 10) * DM_MIB, g_ascii_strtoull(sizes[2], NULL, 10) * DM_MIB};
  if (guest->nodes == NULL)
    guest->nodes = g_array_new(FALSE, FALSE, sizeof(DmGuestNode));
  g_array_append_val(guest->nodes, node);
  return TRUE;
}

static gboolean read_value(DmGuest *guest, const char *key, const char *value) {
  if (read_node(guest, key, value))
    return TRUE;
  const struct {
    const char *key;
    uint64_t *size;
    char **text;
  } values[] = {
    {"block", &guest->block, NULL},
    {"total", &guest->total, NULL},
    {"avail", &guest->available, NULL},
    {"kernel-total", &guest->kernel_total, NULL},
    {"kernel-avail", &guest->kernel_available, NULL},
    {"boot", NULL, &guest->boot},
    {"kernel", NULL, &guest->kernel},
    {"os", NULL, &guest->os},
    {"policy", NULL, &guest->policy},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
    if (strcmp(values[i].key, key) != 0)
      continue;
    if (values[i].size == &guest->available)
      guest->memory_source = guest->agent != NULL ? DM_SOURCE_AGENT : DM_SOURCE_BALLOON;
    if (values[i].size != NULL)
      *values[i].size = g_ascii_strtoull(value, NULL, 10) * DM_MIB;
    else
      *values[i].text = strcmp(key, "policy") == 0 ? g_strdup(value) : g_strdelimit(g_strdup(value), "_", ' ');
    return TRUE;
  }
  return FALSE;
}

static void read_run(DmGuest *guest, const char *text) {
  char *end = NULL;
  DmBlockRun run = {.start = g_ascii_strtoull(text, &end, 10) * DM_MIB};
  if (*end != '+')
    g_error("guest notation: what is '%s'?", text);
  run.size = g_ascii_strtoull(end + 1, &end, 10) * DM_MIB;
  gsize i = 0;
  while (*end == ':' && i < G_N_ELEMENTS(states) && states[i].letter != end[1])
    i++;
  if (*end != ':' || i == G_N_ELEMENTS(states))
    g_error("guest notation: no state in '%s'", text);
  run.state = states[i].state;
  run.zone = states[i].zone;
  run.virtio = end[2] == 'v';
  if (guest->runs == NULL)
    guest->runs = g_array_new(FALSE, TRUE, sizeof(DmBlockRun));
  g_array_append_val(guest->runs, run);
}

DmGuest *guest_from(const char *text) {
  g_auto(GStrv) tokens = g_strsplit(text, " ", -1);
  DmGuest *guest = dm_guest_new();
  read_who(guest, tokens[0]);
  for (guint i = 1; tokens[i] != NULL; i++) {
    g_auto(GStrv) pair = g_strsplit(tokens[i], "=", 2);
    if (pair[1] != NULL ? !read_value(guest, pair[0], pair[1]) : !read_word(guest, pair[0]))
      read_run(guest, tokens[i]);
  }
  return guest;
}
