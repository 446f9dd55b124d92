/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include <string.h>

#include "base/size.h"

typedef struct {
  const char *unicode;
  const char *ascii;
} Fill;

static const Fill BOOT = {"█", "#"}, EVEN = {"▓", "="}, ODD = {"▒", "+"}, PENDING = {"░", "-"}, ROOM = {"·", "."},
                  BALLOONED = {"○", "o"};

typedef struct {
  GString *labels, *bar, *marks;
  guint width, column;
  uint64_t drawn, whole; /* bytes */
  gboolean unicode;
} Canvas;

static guint column_of(const Canvas *canvas, uint64_t bytes) {
  return canvas->whole == 0 ? 0 : (guint)((double)bytes / (double)canvas->whole * canvas->width + 0.5);
}

/* One segment, from true position to true position; @label is above it if it fits. */
static void draw_segment(Canvas *canvas, uint64_t size, const Fill *fill, const char *label) {
  guint start = canvas->column;
  canvas->drawn += size;
  guint end = MIN(column_of(canvas, canvas->drawn), canvas->width);
  for (guint i = start; i < end; i++)
    g_string_append(canvas->bar, canvas->unicode ? fill->unicode : fill->ascii);
  canvas->column = end;
  gsize length = strlen(label);
  if (canvas->labels->len <= start && length > 0 && length < (gsize)(end - start) + (end == canvas->width)) {
    while (canvas->labels->len < start)
      g_string_append_c(canvas->labels, ' ');
    g_string_append(canvas->labels, label);
  }
}

static void draw_mark(Canvas *canvas, uint64_t at, const char *text) {
  guint column = MIN(column_of(canvas, at), canvas->width - 1);
  gboolean left = column + strlen(text) + 2 > canvas->width && column > strlen(text) + 1;
  guint pad = left ? column - (guint)strlen(text) - 1 : column;
  g_string_append_printf(canvas->marks, "%*s", (int)pad, "");
  const char *arrow = canvas->unicode ? "▲" : "^";
  if (left)
    g_string_append_printf(canvas->marks, "%s %s", text, arrow);
  else
    g_string_append_printf(canvas->marks, "%s %s", arrow, text);
}

/*
 * What the balloon holds, below the end of memory: to its left is what the guest can use. Which pages it took is
 * not known. Its name is beside it, or where there is no place for that, below it.
 */
static char *draw_ballooned(const Canvas *canvas, uint64_t memory, uint64_t held) {
  guint end = MIN(column_of(canvas, memory), canvas->width);
  guint start = MIN(column_of(canvas, memory - held), MAX(end, 1) - 1);
  end = MAX(end, start + 1);
  g_autofree char *size = dm_size_format(dm_size_floor_mib(held));
  g_autofree char *name = g_strconcat("ballooned ", size, NULL);
  g_autoptr(GString) band = g_string_new(NULL);
  for (guint i = start; i < end; i++)
    g_string_append(band, canvas->unicode ? BALLOONED.unicode : BALLOONED.ascii);
  guint length = (guint)strlen(name);
  if (end + 1 + length <= canvas->width)
    return g_strdup_printf("%*s%s %s", (int)start, "", band->str, name);
  if (start > length)
    return g_strdup_printf("%*s %s", (int)start - 1, name, band->str);
  return g_strdup_printf("%*s%s\n%*s", (int)start, "", band->str, (int)MIN(start + length, canvas->width), name);
}

static uint64_t ballooned_of(const DmVm *vm, const DmConfig *config) {
  uint64_t held = 0;
  if (config != vm->live)
    return vm->balloon ? dm_config_ballooned(config) : 0;
  return dm_vm_ballooned(vm, &held) ? held : 0;
}

/* Of the running VM alone: devices of its next start have the same aliases. */
static gboolean is_pending(const DmVm *vm, const DmConfig *config, const DmMemoryDevice *device) {
  if (config != vm->live || vm->request == NULL || device->alias == NULL)
    return FALSE;
  const DmStep *step = dm_request_find_step(vm->request, device->alias);
  return step != NULL && step->to < dm_memory_device_memory(device) && dm_step_is_pending(step);
}

static void draw_devices(Canvas *canvas, const DmVm *vm, const DmConfig *config) {
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    uint64_t memory = dm_memory_device_memory(device);
    g_autofree char *label = g_strdup_printf("%" G_GUINT64_FORMAT, memory / DM_MIB);
    const Fill *fill = is_pending(vm, config, device) ? &PENDING : i % 2 == 0 ? &EVEN : &ODD;
    draw_segment(canvas, memory, fill, label);
  }
}

char *picture_draw(const DmVm *vm, const DmConfig *config, guint width, gboolean unicode) {
  uint64_t memory = dm_config_memory(config);
  g_autoptr(GString) labels = g_string_new(NULL), bar = g_string_new(NULL), marks = g_string_new(NULL);
  Canvas canvas = {.labels = labels,
    .bar = bar,
    .marks = marks,
    .width = MAX(width, 20),
    .unicode = unicode,
    .whole = MAX(memory, config->maximum)};

  g_autofree char *boot = g_strdup_printf("boot %" G_GUINT64_FORMAT, dm_config_boot(config) / DM_MIB);
  draw_segment(&canvas, dm_config_boot(config), &BOOT, boot);
  draw_devices(&canvas, vm, config);
  g_autofree char *room = g_strdup_printf("room up to %" G_GUINT64_FORMAT " MiB", config->maximum / DM_MIB);
  draw_segment(&canvas, dm_size_minus(config->maximum, memory), &ROOM, room);
  g_autofree char *guaranteed = dm_size_format(dm_config_guaranteed(config));
  g_autofree char *mark = g_strconcat("guaranteed ", guaranteed, NULL);
  draw_mark(&canvas, dm_config_guaranteed(config), mark);
  uint64_t held = MIN(ballooned_of(vm, config), memory);
  g_autofree char *ballooned = held > 0 ? draw_ballooned(&canvas, memory, held) : g_strdup(marks->str);
  return g_strjoin("\n", labels->str, bar->str, ballooned, held > 0 ? marks->str : NULL, NULL);
}
