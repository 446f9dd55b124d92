/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"

#define MAX_TEXT 256

/*
 * A memory block is a power of two from 1 MiB up (kernel: memory_block_size_bytes(); s390x has 256 MiB, large x86 2
 * GiB).
 */
#define LARGEST_BLOCK (64 * DM_GIB)

#define LARGEST_PAGE 1024 /* KiB */

char *facts_text(const json_t *value) {
  const char *text = json_string_value(value);
  if (text == NULL || json_string_length(value) > MAX_TEXT || !g_utf8_validate(text, -1, NULL))
    return NULL;
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
    if (!g_unichar_isprint(g_utf8_get_char(at)))
      return NULL;
  }
  return g_strdup(text);
}

void facts_keep(char **text, const char *value) {
  json_t *string = json_string(value); /* NULL if it is not UTF-8 */
  g_autofree char *read = facts_text(string);
  json_decref(string);
  if (read == NULL || *read == '\0')
    return;
  g_free(*text);
  *text = g_steal_pointer(&read);
}

char *facts_words(const char *text) {
  g_autofree char *start = g_strndup(text, MAX_TEXT);
  g_autofree char *valid = g_utf8_make_valid(start, -1);
  g_autoptr(GString) words = g_string_new(NULL);
  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar letter = g_utf8_get_char(at);
    g_string_append_unichar(words, g_unichar_isprint(letter) ? letter : ' ');
  }
  return g_strdup(g_strstrip(words->str));
}

static gboolean wrong(GError **error, const char *what) {
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "'%s' is missing or wrong", what);
  return FALSE;
}

static gboolean take_number(const json_t *answer, const char *name, uint64_t *number, GError **error) {
  const json_t *value = json_object_get(answer, name);
  if (!json_is_integer(value) || json_integer_value(value) < 0)
    return wrong(error, name);
  *number = (uint64_t)json_integer_value(value);
  return TRUE;
}

static gboolean take_text(const json_t *answer, const char *name, char **text, GError **error) {
  char *read = facts_text(json_object_get(answer, name));
  if (read == NULL)
    return wrong(error, name);
  g_free(*text);
  *text = read;
  return TRUE;
}

static DmFact fact_of(const json_t *value) {
  if (!json_is_boolean(value))
    return DM_FACT_UNKNOWN;
  return json_is_true(value) ? DM_FACT_YES : DM_FACT_NO;
}

static gboolean is_block_size(uint64_t size) {
  return size >= DM_MIB && size <= LARGEST_BLOCK && (size & (size - 1)) == 0;
}

gboolean facts_take_hello(const json_t *answer, DmGuest *guest, GError **error) {
  uint64_t version, block;
  if (!take_number(answer, "version", &version, error))
    return FALSE;
  if (version != 1)
    return wrong(error, "version");
  if (!take_text(answer, "agent", &guest->agent, error) || !take_text(answer, "kernel", &guest->kernel, error) ||
    !take_text(answer, "boot", &guest->boot, error) || !take_number(answer, "block", &block, error))
    return FALSE;
  if (block != 0 && !is_block_size(block))
    return wrong(error, "block");
  guest->block = block;
  g_clear_pointer(&guest->policy, g_free);
  guest->policy = facts_text(json_object_get(answer, "policy"));
  guest->movable_node = fact_of(json_object_get(answer, "movable_node"));
  guest->hot_remove = fact_of(json_object_get(answer, "hot_remove"));
  guest->onlines = fact_of(json_object_get(answer, "onlines"));
  guest->virtio_mem = fact_of(json_object_get(answer, "virtio_mem"));
  guest->windows = DM_FACT_NO;
  guest->system = guest->block_source = DM_SOURCE_AGENT;
  return TRUE;
}

/* An agent of an earlier version does not report its kernel's zones; impossible numbers are dropped. */
static void take_kernel(DmGuest *guest, uint64_t total, uint64_t available) {
  gboolean sensible = total <= guest->total && available <= total;
  guest->kernel_total = sensible ? total : 0;
  guest->kernel_available = sensible ? available : 0;
}

#define MAX_NODES 1024

/* Impossible numbers, and a node reported twice, make all unknown. */
static gboolean add_node(GArray *nodes, const DmGuestNode *reported) {
  DmGuestNode copy = *reported, *node = &copy;
  node->available = MIN(node->available, node->total); /* the kernel counts both, but not at once */
  for (guint i = 0; i < nodes->len; i++) {
    if (g_array_index(nodes, DmGuestNode, i).node == node->node)
      return FALSE;
  }
  g_array_append_val(nodes, *node);
  return node->node < MAX_NODES && node->total > 0 && node->free <= node->total;
}

static GArray *new_nodes(void) {
  return g_array_new(FALSE, FALSE, sizeof(DmGuestNode));
}

/* An agent of an earlier version does not report them. */
static void take_nodes(const json_t *list, DmGuest *guest) {
  g_autoptr(GArray) nodes = new_nodes();
  gboolean sensible = json_is_array(list) && json_array_size(list) > 0 && json_array_size(list) <= MAX_NODES;
  for (size_t i = 0; sensible && i < json_array_size(list); i++) {
    const json_t *one = json_array_get(list, i);
    DmGuestNode node = {0};
    sensible = take_number(one, "node", &node.node, NULL) && take_number(one, "total", &node.total, NULL) &&
      take_number(one, "free", &node.free, NULL) && take_number(one, "available", &node.available, NULL) &&
      add_node(nodes, &node);
  }
  g_clear_pointer(&guest->nodes, g_array_unref);
  guest->nodes = sensible ? g_steal_pointer(&nodes) : NULL;
}

gboolean facts_take_memory(const json_t *answer, DmGuest *guest, GError **error) {
  uint64_t total, available, kernel_total = 0, kernel_available = 0;
  if (!take_number(answer, "total", &total, error) || !take_number(answer, "available", &available, error))
    return FALSE;
  if (total == 0 || available > total)
    return wrong(error, "available");
  guest->total = total;
  guest->available = available;
  guest->memory_source = DM_SOURCE_AGENT;
  if (!take_number(answer, "kernel_total", &kernel_total, NULL) ||
    !take_number(answer, "kernel_available", &kernel_available, NULL))
    kernel_total = kernel_available = 0;
  take_kernel(guest, kernel_total, kernel_available);
  take_nodes(json_object_get(answer, "nodes"), guest);
  return TRUE;
}

DmBlockState facts_block_state(const char *name) {
  if (g_strcmp0(name, "online") == 0)
    return DM_BLOCK_ONLINE;
  if (g_strcmp0(name, "offline") == 0)
    return DM_BLOCK_OFFLINE;
  return g_strcmp0(name, "going-offline") == 0 ? DM_BLOCK_GOING_OFFLINE : DM_BLOCK_UNKNOWN;
}

static DmZone zone_named(const char *name) {
  if (g_strcmp0(name, "movable") == 0)
    return DM_ZONE_MOVABLE;
  if (g_strcmp0(name, "normal") == 0)
    return DM_ZONE_KERNEL;
  return g_strcmp0(name, "mixed") == 0 ? DM_ZONE_MIXED : DM_ZONE_UNKNOWN;
}

static gboolean take_run(const json_t *value, DmGuest *guest, GError **error) {
  DmBlockRun run = {0};
  if (!json_is_object(value))
    return wrong(error, "runs");
  if (!take_number(value, "start", &run.start, error) || !take_number(value, "size", &run.size, error))
    return FALSE;
  const DmBlockRun *before =
    guest->runs->len > 0 ? &g_array_index(guest->runs, DmBlockRun, guest->runs->len - 1) : NULL;
  gboolean aligned = guest->block != 0 && run.start % guest->block == 0 && run.size % guest->block == 0;
  if (!aligned || run.size == 0 || run.start + run.size < run.start ||
    (before != NULL && run.start < before->start + before->size) || guest->runs->len >= FACTS_MAX_RUNS)
    return wrong(error, "runs");
  run.state = facts_block_state(json_string_value(json_object_get(value, "state")));
  run.zone = zone_named(json_string_value(json_object_get(value, run.state == DM_BLOCK_OFFLINE ? "may" : "zone")));
  run.virtio = json_is_true(json_object_get(value, "virtio"));
  g_array_append_val(guest->runs, run);
  return TRUE;
}

gboolean facts_take_runs(const json_t *answer, DmGuest *guest, uint64_t *next, GError **error) {
  const json_t *runs = json_object_get(answer, "runs");
  *next = 0;
  if (!json_is_array(runs))
    return wrong(error, "runs");
  if (guest->runs == NULL)
    guest->runs = g_array_new(FALSE, FALSE, sizeof(DmBlockRun));
  for (size_t i = 0; i < json_array_size(runs); i++) {
    if (!take_run(json_array_get(runs, i), guest, error))
      return FALSE;
  }
  guest->run_source = DM_SOURCE_AGENT;
  if (json_object_get(answer, "next") == NULL)
    return TRUE;
  if (!take_number(answer, "next", next, error))
    return FALSE;
  const DmBlockRun *last = guest->runs->len > 0 ? &g_array_index(guest->runs, DmBlockRun, guest->runs->len - 1) : NULL;
  if (json_array_size(runs) == 0 || last == NULL || *next < last->start + last->size) /* it would never end */
    return wrong(error, "next");
  return TRUE;
}

/* ---- lists of single blocks ---- */

DmZone facts_zone(const char *valid_zones, DmBlockState state) {
  gboolean movable = strstr(valid_zones, "Movable") != NULL;
  if (state == DM_BLOCK_OFFLINE)
    return movable ? DM_ZONE_MOVABLE : DM_ZONE_KERNEL;
  if (g_str_equal(valid_zones, "none"))
    return DM_ZONE_MIXED;
  if (*valid_zones == '\0')
    return DM_ZONE_UNKNOWN;
  /* Kernels before 4.13 also list the zones it could move to; the first is the one it is in. */
  return g_str_has_prefix(valid_zones, "Movable") ? DM_ZONE_MOVABLE : DM_ZONE_KERNEL;
}

static int by_index(gconstpointer a, gconstpointer b) {
  const FactsBlock *left = a, *right = b;
  return (left->index > right->index) - (left->index < right->index);
}

void facts_end_blocks(GArray *blocks, DmGuest *guest) {
  if (guest->block == 0 || blocks->len == 0)
    return;
  g_array_sort(blocks, by_index);
  g_clear_pointer(&guest->runs, g_array_unref);
  guest->runs = g_array_new(FALSE, FALSE, sizeof(DmBlockRun));
  for (guint i = 0; i < blocks->len && guest->runs->len < FACTS_MAX_RUNS; i++) {
    const FactsBlock *block = &g_array_index(blocks, FactsBlock, i);
    if (block->index >= G_MAXINT64 / guest->block)
      break;
    uint64_t start = block->index * guest->block;
    DmBlockRun *last = guest->runs->len > 0 ? &g_array_index(guest->runs, DmBlockRun, guest->runs->len - 1) : NULL;
    if (last != NULL && start < last->start + last->size) /* reported twice */
      continue;
    if (last != NULL && last->start + last->size == start && last->state == block->state && last->zone == block->zone)
      last->size += guest->block;
    else
      g_array_append_val(
        guest->runs, ((DmBlockRun){.start = start, .size = guest->block, .state = block->state, .zone = block->zone}));
  }
}

/* ---- udev's rules ---- */

typedef struct {
  DmFact fact;
  gboolean jumps;    /* a line of this file may be skipped by GOTO */
  gboolean doubtful; /* an earlier line may have set another state */
  gboolean settled;  /* later rules find the block online */
} Rules;

/*
 * Writes whether the line covers all new memory and onlines it as movable. FALSE: the line does not set a memory state.
 */
static gboolean read_rule(const char *line, gboolean *movable) {
  gboolean memory = FALSE, sets = FALSE;
  g_auto(GStrv) parts = g_strsplit(line, ",", -1);
  *movable = TRUE;
  for (char **part = parts; *part != NULL; part++) {
    const char *word = g_strstrip(*part);
    if (g_str_equal(word, "SUBSYSTEM==\"memory\""))
      memory = TRUE;
    else if (g_str_has_prefix(word, "SUBSYSTEM=="))
      return FALSE;
    else if (g_str_has_prefix(word, "ATTR{state}=\"")) {
      *movable &= g_str_equal(word, "ATTR{state}=\"online_movable\"");
      sets = TRUE;
    } else if (!g_str_equal(word, "ACTION==\"add\"") && !g_str_equal(word, "ATTR{state}==\"offline\""))
      *movable = FALSE; /* a condition that other memory may not meet */
  }
  *movable &= memory;
  return sets;
}

static void take_rule(Rules *rules, const char *line) {
  gboolean movable;
  rules->jumps |= strstr(line, "GOTO=") != NULL;
  if (rules->settled || !read_rule(line, &movable))
    return;
  rules->settled = movable && !rules->jumps;
  if (rules->settled)
    rules->fact = rules->doubtful ? DM_FACT_UNKNOWN : DM_FACT_YES;
  else if (strstr(line, "ATTR{state}=\"online\"") == NULL)
    rules->fact = DM_FACT_UNKNOWN;
  rules->doubtful = TRUE;
}

DmFact facts_rules(const char *text) {
  Rules rules = {.fact = DM_FACT_NO};
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if (*g_strchug(*line) != '#')
      take_rule(&rules, *line);
  }
  return rules.fact;
}

/* ---- the script's output ---- */

typedef struct {
  DmGuest *guest;
  GArray *blocks;
  Rules rules;
  gboolean has_rules; /* it reported them */
  GArray *nodes;      /* DmGuestNode, in pages; NULL: wrong */
  uint64_t page;      /* bytes; 0: not known */
} Script;

static void take_block_line(const char *value, GArray *blocks) {
  g_auto(GStrv) words = g_strsplit(value, " ", 3);
  FactsBlock block = {0};
  guint64 index;
  if (g_strv_length(words) < 2 || !g_ascii_string_to_unsigned(words[0], 16, 0, G_MAXUINT32, &index, NULL) ||
    blocks->len >= FACTS_MAX_RUNS)
    return;
  block.index = index;
  block.state = facts_block_state(words[1]);
  block.zone = words[2] != NULL ? facts_zone(g_strstrip(words[2]), block.state) : DM_ZONE_UNKNOWN;
  g_array_append_val(blocks, block);
}

static void take_rules_file(Script *script) {
  script->rules.jumps = FALSE;
  if (!script->has_rules)
    script->rules.fact = DM_FACT_NO;
  script->has_rules = TRUE;
}

/* "MANAGED AVAILABLE PAGE": pages of the kernel's own zones, and the size of a page in KiB. */
static void take_zones(const char *value, DmGuest *guest, Script *script) {
  guint64 numbers[3];
  g_auto(GStrv) words = g_strsplit(value, " ", 3);
  for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
    if (words[i] == NULL ||
      !g_ascii_string_to_unsigned(words[i], 10, 0, i < 2 ? G_MAXUINT32 : LARGEST_PAGE, &numbers[i], NULL))
      return;
  }
  script->page = numbers[2] * DM_KIB;
  guest->kernel_total = numbers[0] * numbers[2] * DM_KIB;
  guest->kernel_available = numbers[1] * numbers[2] * DM_KIB;
}

static DmGuestNode *find_node(GArray *nodes, guint64 number) {
  for (guint i = 0; i < nodes->len; i++) {
    if (g_array_index(nodes, DmGuestNode, i).node == number)
      return &g_array_index(nodes, DmGuestNode, i);
  }
  const DmGuestNode node = {.node = number};
  g_array_append_val(nodes, node);
  return &g_array_index(nodes, DmGuestNode, nodes->len - 1);
}

/* "NODE MANAGED FREE LOW FILES": pages of one zone. */
static void take_zone(const char *value, Script *script) {
  guint64 numbers[5];
  g_auto(GStrv) words = g_strsplit(value, " ", 5);
  for (guint i = 0; script->nodes != NULL && i < G_N_ELEMENTS(numbers); i++) {
    if (words[i] == NULL ||
      !g_ascii_string_to_unsigned(words[i], 10, 0, i == 0 ? MAX_NODES - 1 : G_MAXUINT32, &numbers[i], NULL))
      g_clear_pointer(&script->nodes, g_array_unref);
  }
  if (script->nodes == NULL)
    return;
  DmGuestNode *node = find_node(script->nodes, numbers[0]);
  node->total += numbers[1];
  node->free += numbers[2];
  node->available += dm_size_minus(numbers[2] + numbers[4], numbers[3]);
}

static void end_nodes(Script *script) {
  g_autoptr(GArray) nodes = new_nodes();
  gboolean sensible = script->nodes != NULL && script->page != 0;
  for (guint i = 0; sensible && i < script->nodes->len; i++) {
    const DmGuestNode *pages = &g_array_index(script->nodes, DmGuestNode, i);
    const DmGuestNode node = {
      pages->node, pages->total * script->page, pages->free * script->page, pages->available * script->page};
    sensible = node.total == 0 || add_node(nodes, &node);
  }
  if (sensible && nodes->len > 0)
    script->guest->nodes = g_steal_pointer(&nodes);
  g_clear_pointer(&script->nodes, g_array_unref);
}

static void take_line(const char *key, const char *value, Script *script) {
  DmGuest *guest = script->guest;
  guint64 number;
  if (g_str_equal(key, "block"))
    take_block_line(value, script->blocks);
  else if (g_str_equal(key, "rules"))
    take_rules_file(script);
  else if (g_str_equal(key, "rule"))
    take_rule(&script->rules, value);
  else if (g_str_equal(key, "kernel"))
    facts_keep(&guest->kernel, value);
  else if (g_str_equal(key, "boot"))
    facts_keep(&guest->boot, value);
  else if (g_str_equal(key, "policy"))
    facts_keep(&guest->policy, value);
  else if (g_str_equal(key, "movable-node"))
    guest->movable_node = g_str_equal(value, "yes") ? DM_FACT_YES : DM_FACT_NO;
  else if (g_str_equal(key, "virtio-mem"))
    guest->virtio_mem = g_str_equal(value, "yes") ? DM_FACT_YES : DM_FACT_NO;
  else if (g_str_equal(key, "zones"))
    take_zones(value, guest, script);
  else if (g_str_equal(key, "zone"))
    take_zone(value, script);
  else if (g_str_equal(key, "hot-remove"))
    guest->hot_remove = g_str_equal(value, "yes") ? DM_FACT_YES : DM_FACT_NO;
  else if (g_str_equal(key, "size") && g_ascii_string_to_unsigned(value, 16, 0, G_MAXINT64, &number, NULL) &&
    is_block_size(number))
    guest->block = number;
  else if (g_str_equal(key, "total") && g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64 / 1024, &number, NULL))
    guest->total = number * DM_KIB;
  else if (g_str_equal(key, "available") && g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64 / 1024, &number, NULL))
    guest->available = number * DM_KIB;
}

void facts_take_script(const char *output, DmGuest *guest) {
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(FactsBlock));
  g_autofree char *text = g_strdup(output);
  Script script = {.guest = guest, .blocks = blocks, .nodes = new_nodes()};
  g_clear_pointer(&guest->nodes, g_array_unref);
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    char *blank = strchr(line, ' ');
    if (blank == NULL)
      continue;
    *blank = '\0';
    take_line(line, g_strstrip(blank + 1), &script);
  }
  end_nodes(&script);
  if (script.has_rules)
    guest->udev_rule = script.rules.fact;
  if (guest->kernel != NULL)
    guest->system = DM_SOURCE_QEMU_AGENT;
  if (guest->block != 0)
    guest->block_source = DM_SOURCE_QEMU_AGENT;
  if (guest->available != 0 && guest->available <= guest->total)
    guest->memory_source = DM_SOURCE_QEMU_AGENT;
  else
    guest->total = guest->available = 0; /* kernels before 3.14 do not report what they could spare */
  take_kernel(guest, guest->kernel_total, guest->kernel_available);
  facts_end_blocks(blocks, guest);
  if (guest->runs != NULL)
    guest->run_source = DM_SOURCE_QEMU_AGENT;
}
