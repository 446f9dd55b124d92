/* SPDX-License-Identifier: Apache-2.0 */
#include "notation.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

/* Where the DIMMs begin: as QEMU does it for a guest whose boot memory is below 4 GiB. */
#define FIRST_ADDRESS (4 * DM_GIB)

/* ---- reading ---- */

static uint64_t take_number(const char **text) {
  char *end = NULL;
  uint64_t number = g_ascii_strtoull(*text, &end, 10);
  if (end == *text)
    g_error("notation: a number is missing at '%s'", *text);
  *text = end;
  return number;
}

static uint64_t take_mib(const char **text) {
  uint64_t number = take_number(text);
  if (**text != 'B')
    return number * DM_MIB;
  (*text)++;
  return number;
}

static gboolean take(const char **text, const char *what) {
  if (!g_str_has_prefix(*text, what))
    return FALSE;
  *text += strlen(what);
  return TRUE;
}

static void expect(const char **text, const char *what) {
  if (!take(text, what))
    g_error("notation: '%s' is missing at '%s'", what, *text);
}

static void read_cells(DmConfig *config, const char *text) {
  config->has_numa = !take(&text, "~");
  do {
    uint64_t cell = take_mib(&text);
    g_array_append_val(config->cells, cell);
  } while (take(&text, "+"));
}

static DmMemoryDevice *read_size(const char **text) {
  DmMemoryDevice *device = NULL;
  if (take(text, "d")) {
    device = dm_memory_device_new(DM_DEVICE_DIMM);
    device->size = take_mib(text);
  } else if (take(text, "n")) {
    device = dm_memory_device_new(DM_DEVICE_OTHER);
    device->model = g_strdup("nvdimm");
    device->size = take_mib(text);
  } else {
    expect(text, "v");
    device = dm_memory_device_new(DM_DEVICE_VIRTIO_MEM);
    device->size = take_mib(text);
    expect(text, ":");
    device->requested = take_mib(text);
    device->current = take(text, "/") ? take_mib(text) : 0;
    expect(text, ":");
    device->block = take_mib(text);
  }
  return device;
}

static void number_device(DmMemoryDevice *device, const DmConfig *config, gboolean live) {
  static const char *const prefixes[] = {"dimm", "virtiomem", "nvdimm"};
  gboolean virtio = device->kind == DM_DEVICE_VIRTIO_MEM;
  guint like_it = 0;
  device->address = FIRST_ADDRESS;
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *other = config->devices->pdata[i];
    like_it += (other->kind == DM_DEVICE_VIRTIO_MEM) == virtio;
    device->address += other->size;
  }
  device->index = config->devices->len;
  device->slot = virtio ? -1 : (int)like_it;
  device->live = virtio && live;
  if (device->alias == NULL && live)
    device->alias = g_strdup_printf("%s%u", prefixes[device->kind], like_it);
  if (device->alias != NULL)
    device->id = g_strdup_printf("%08x-0000-4000-8000-%012x", g_str_hash(device->alias), device->index);
  if (!live)
    device->address = 0;
}

static void read_device(DmConfig *config, const char *text, gboolean live) {
  const char *equals = strchr(text, '=');
  g_autofree char *alias = equals != NULL ? g_strndup(text, (gsize)(equals - text)) : NULL;
  const char *rest = equals != NULL ? equals + 1 : text;
  DmMemoryDevice *device = read_size(&rest);
  device->alias = g_steal_pointer(&alias);
  device->node = take(&rest, "@") ? (int)take_number(&rest) : 0;
  if (take(&rest, "!"))
    device->movable = DM_MOVABLE_NO;
  else if (take(&rest, "+"))
    device->movable = DM_MOVABLE_YES;
  number_device(device, config, live);
  if (take(&rest, "#")) {
    device->slot = (int)take_number(&rest);
    expect(&rest, "~");
    device->backing = g_strdup(rest);
    rest += strlen(rest);
  }
  if (*rest != '\0')
    g_error("notation: what is '%s' in '%s'?", rest, text);
  g_ptr_array_add(config->devices, device);
}

static void read_token(DmConfig *config, const char *text, gboolean live) {
  if (strcmp(text, "slotless") == 0) {
    config->slotless_virtio = TRUE;
  } else if (strcmp(text, "renumbers") == 0) {
    config->renumbers = TRUE;
  } else if (strcmp(text, "divides") == 0) {
    config->dynamic_memslots = TRUE;
  } else if (strcmp(text, "keeps") == 0) {
    config->keeps_addresses = TRUE;
  } else if (take(&text, "max=")) {
    config->maximum = take_mib(&text);
    expect(&text, "/");
    config->slots = (guint)take_number(&text);
  } else if (take(&text, "aside=")) {
    config->hidden_maximum = take_mib(&text);
    expect(&text, "/");
    config->hidden_slots = (guint)take_number(&text);
  } else if (take(&text, "g=")) {
    config->guaranteed = take_mib(&text);
  } else if (take(&text, "page=")) {
    do {
      uint64_t page = take_mib(&text);
      g_array_append_val(config->pages, page);
    } while (take(&text, "+"));
    while (config->pages->len < config->cells->len) /* the last one is that of the others */
      g_array_append_val(config->pages, g_array_index(config->pages, uint64_t, config->pages->len - 1));
  } else if (take(&text, "step=")) {
    config->step = take_mib(&text);
  } else if (take(&text, "floor=")) {
    do {
      uint64_t floor = take_mib(&text);
      g_array_append_val(config->floors, floor);
    } while (take(&text, "+"));
    config->floor_kind = take(&text, "/dimm") ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
  } else if (take(&text, "held=")) {
    config->balloon_held = take_mib(&text);
  } else if (take(&text, "others=")) {
    config->balloon_others = take_mib(&text);
  } else if (take(&text, "use=")) {
    if (!dm_balloon_use_from_name(text, &config->balloon_use))
      g_error("notation: what is '%s'?", text);
  } else if (take(&text, "balloon=")) {
    config->balloon = take_mib(&text);
  } else {
    read_device(config, text, live);
  }
}

DmConfig *config_from(const char *text, gboolean live) {
  g_autofree char *stripped = g_strstrip(g_strdup(text));
  if (strcmp(stripped, "-") == 0)
    return NULL;
  g_auto(GStrv) tokens = g_strsplit(stripped, " ", -1);
  DmConfig *config = dm_config_new();
  read_cells(config, tokens[0]);
  for (guint i = 1; tokens[i] != NULL; i++)
    read_token(config, tokens[i], live);
  return config;
}

static DmStep *read_step(const char *text, const DmConfig *live) {
  g_auto(GStrv) parts = g_strsplit_set(text, "(>):", -1);
  gboolean plug = text[0] == '+', unplug = text[0] == '-', resize = !plug && !unplug;
  const char *alias = resize ? parts[0] : parts[0] + 1;
  const char *state = strrchr(text, ':') != NULL ? strrchr(text, ':') + 1 : "planned";
  const DmMemoryDevice *device = live != NULL ? dm_config_find_alias(live, alias) : NULL;
  DmMemoryDevice gone = {.alias = (char *)alias, .kind = resize ? DM_DEVICE_VIRTIO_MEM : DM_DEVICE_DIMM, .slot = -1};
  DmStep *step = dm_step_new(plug ? DM_OP_PLUG : unplug ? DM_OP_UNPLUG : DM_OP_RESIZE, device != NULL ? device : &gone);
  uint64_t first = (uint64_t)atoll(parts[1]) * DM_MIB;
  step->from = plug ? 0 : first;
  step->to = plug ? first : resize ? (uint64_t)atoll(parts[2]) * DM_MIB : 0;
  step->size = device != NULL ? device->size : first;
  step->run.size_before = step->run.reached = step->from;
  if (!dm_step_state_from_name(state, &step->state))
    g_error("notation: there is no state '%s'", state);
  return step;
}

static DmRequest *read_request(const char *text, const DmConfig *live) {
  g_autofree char *stripped = g_strstrip(g_strdup(text));
  g_auto(GStrv) tokens = g_strsplit(stripped, " ", -1);
  g_auto(GStrv) action = g_strsplit(tokens[0], "=", 2);
  DmAction known = DM_ACTION_SET;
  if (!dm_action_from_name(action[0], &known))
    g_error("notation: there is no action '%s'", action[0]);
  DmRequest *request = dm_request_new(known);
  request->asked = TRUE;
  request->memory = action[1] != NULL ? (uint64_t)atoll(action[1]) * DM_MIB : 0;
  for (guint i = 1; tokens[i] != NULL; i++) {
    const char *rest = tokens[i];
    if (take(&rest, "g="))
      request->guaranteed = take_mib(&rest);
    else
      g_ptr_array_add(request->steps, read_step(tokens[i], live));
  }
  return request;
}

static DmVmState read_state(const char *name) {
  for (DmVmState state = DM_VM_SHUT_OFF; state <= DM_VM_SUSPENDED; state++) {
    g_autofree char *spelled = g_strdelimit(g_strdup(dm_vm_state_name(state)), " ", '-');
    if (strcmp(spelled, name) == 0)
      return state;
  }
  g_error("notation: there is no state '%s'", name);
}

DmVm *vm_from(const char *text) {
  g_auto(GStrv) halves = g_strsplit(text, ": ", 2);
  g_auto(GStrv) words = g_strsplit(halves[0], " ", 2);
  g_auto(GStrv) parts = g_strsplit(halves[1], "|", -1);
  if (parts[0] == NULL || parts[1] == NULL)
    g_error("notation: '%s' needs a live and a next-run configuration", text);
  DmVm *vm = dm_vm_new();
  vm->uuid = g_strdup("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  vm->name = g_strdup("web1");
  vm->arch = g_strdup(words[1] != NULL ? words[1] : "x86_64");
  vm->state = read_state(words[0]);
  vm->live = config_from(parts[0], TRUE);
  vm->next_run = config_from(parts[1], FALSE);
  vm->balloon = vm->live != NULL && vm->live->balloon != 0;
  vm->request = parts[2] != NULL ? read_request(parts[2], vm->live) : NULL;
  return vm;
}

DmWish wish_from(const char *text) {
  DmWish wish = {.action = DM_ACTION_SET};
  g_auto(GStrv) tokens = g_strsplit(text, " ", -1);
  for (guint i = 0; tokens[i] != NULL; i++) {
    const char *rest = tokens[i];
    if (take(&rest, "memory=")) {
      wish.set.has_memory = TRUE;
      wish.set.memory = take_mib(&rest);
    } else if (take(&rest, "guaranteed=")) {
      wish.set.has_guaranteed = TRUE;
      wish.set.guaranteed = take_mib(&rest);
    } else if (take(&rest, "max=")) {
      wish.set.has_maximum = TRUE;
      wish.set.maximum = take_mib(&rest);
    } else if (take(&rest, "node=")) {
      wish.set.one_node = (guint)take_number(&rest) + 1;
    } else if (take(&rest, "try")) {
      wish.flags |= DM_PLAN_TRY_UNMOVABLE;
    } else if (take(&rest, "balloon")) {
      wish.flags |= DM_PLAN_BALLOON;
    } else if (take(&rest, "live")) {
      wish.set.live_only = TRUE;
    } else if (take(&rest, "force")) {
      wish.flags |= DM_PLAN_FORCE;
    } else {
      expect(&rest, "next-run");
      wish.set.next_run_only = TRUE;
    }
    if (*rest != '\0')
      g_error("notation: what is '%s' in '%s'?", rest, text);
  }
  return wish;
}

DmPlan *plug_plan(const DmVm *vm, const DmPlugWish *plug, GError **error) {
  const DmWish wish = {.action = DM_ACTION_PLUG, .plug = *plug};
  return dm_plan(vm, &wish, error);
}

DmPlan *unplug_plan(const DmVm *vm, const char *const *devices, DmPlanFlags flags, GError **error) {
  const DmWish wish = {.action = DM_ACTION_UNPLUG, .flags = flags, .unplug = {.devices = (char **)devices}};
  return dm_plan(vm, &wish, error);
}

DmPlan *enable_plan(const DmVm *vm, uint64_t maximum, guint slots, GError **error) {
  const DmWish wish = {.action = DM_ACTION_ENABLE, .enable = {.maximum = maximum, .slots = slots}};
  return dm_plan(vm, &wish, error);
}

DmPlan *settle_plan(const DmVm *vm, DmPlanFlags flags) {
  const DmWish wish = {.action = DM_ACTION_SETTLE, .flags = flags};
  return dm_plan(vm, &wish, NULL);
}

/* ---- writing ---- */

static void add_mib(GString *text, uint64_t bytes) {
  if (bytes % DM_MIB == 0)
    g_string_append_printf(text, "%" G_GUINT64_FORMAT, bytes / DM_MIB);
  else
    g_string_append_printf(text, "%" G_GUINT64_FORMAT "B", bytes);
}

static void add_named(GString *text, const char *name, uint64_t bytes) {
  if (bytes == 0)
    return;
  g_string_append(text, name);
  add_mib(text, bytes);
}

static void add_device(GString *text, const DmMemoryDevice *device) {
  static const char letters[] = {[DM_DEVICE_DIMM] = 'd', [DM_DEVICE_VIRTIO_MEM] = 'v', [DM_DEVICE_OTHER] = 'n'};
  g_string_append_c(text, ' ');
  if (device->alias != NULL && device->index != DM_DEVICE_NEW)
    g_string_append_printf(text, "%s=", device->alias);
  g_string_append_c(text, letters[device->kind]);
  add_mib(text, device->size);
  if (device->kind == DM_DEVICE_VIRTIO_MEM) {
    g_string_append_c(text, ':');
    add_mib(text, device->requested);
    if (device->current != 0)
      add_named(text, "/", device->current);
    add_named(text, ":", device->block);
  }
  if (device->node != 0)
    g_string_append_printf(text, "@%d", device->node);
  if (device->backing != NULL && *device->backing != '\0' && device->kind != DM_DEVICE_OTHER)
    g_string_append_printf(text, "#%d~%s", device->slot, device->backing);
}

char *config_text(const DmConfig *config) {
  if (config == NULL)
    return g_strdup("-");
  GString *text = g_string_new(config->has_numa ? "" : "~");
  for (guint i = 0; i < config->cells->len; i++) {
    g_string_append(text, i > 0 ? "+" : "");
    add_mib(text, g_array_index(config->cells, uint64_t, i));
  }
  add_named(text, " max=", config->maximum);
  if (config->maximum != 0)
    g_string_append_printf(text, "/%u", config->slots);
  add_named(text, " aside=", config->hidden_maximum);
  if (config->hidden_maximum != 0)
    g_string_append_printf(text, "/%u", config->hidden_slots);
  add_named(text, " g=", config->guaranteed);
  guint pages = config->pages->len;
  while (pages > 1 && dm_config_page(config, (int)pages - 1) == dm_config_page(config, (int)pages - 2))
    pages--;
  for (guint i = 0; i < pages && dm_config_largest_page(config) > 0; i++) {
    g_string_append(text, i == 0 ? " page=" : "+");
    add_mib(text, dm_config_page(config, (int)i));
  }
  if (config->step != DM_MIB)
    add_named(text, " step=", config->step);
  for (guint i = 0; i < config->floors->len; i++) {
    g_string_append(text, i == 0 ? " floor=" : "+");
    add_mib(text, g_array_index(config->floors, uint64_t, i));
  }
  if (config->floors->len > 0 && config->floor_kind == DM_DEVICE_DIMM)
    g_string_append(text, "/dimm");
  g_string_append(text, config->renumbers ? " renumbers" : "");
  add_named(text, " balloon=", config->balloon);
  for (guint i = 0; i < config->devices->len; i++)
    add_device(text, config->devices->pdata[i]);
  return g_string_free(text, FALSE);
}

static void add_step(GString *text, const DmStep *step) {
  if (step->op == DM_OP_PLUG) {
    g_string_append(text, step->kind == DM_DEVICE_VIRTIO_MEM ? "+v" : "+d");
    add_mib(text, step->size);
    if (step->kind == DM_DEVICE_VIRTIO_MEM)
      g_string_append_printf(text, ":%" G_GUINT64_FORMAT, step->to / DM_MIB);
    g_string_append_printf(text, "@%d", step->node);
    add_named(text, "^", step->run.address);
  } else {
    g_string_append_printf(text, "%s%s(", step->op == DM_OP_UNPLUG ? "-" : "", step->alias);
    add_mib(text, step->from);
    if (step->op == DM_OP_RESIZE) {
      g_string_append_c(text, '>');
      add_mib(text, step->to);
    }
    g_string_append_c(text, ')');
  }
  if (step->state != DM_STEP_PLANNED)
    g_string_append_printf(text, ":%s", dm_step_state_name(step));
}

char *steps_text(const GPtrArray *steps) {
  GString *text = g_string_new(steps->len == 0 ? "nothing" : "");
  for (guint i = 0; i < steps->len; i++) {
    g_string_append(text, i > 0 ? " " : "");
    add_step(text, steps->pdata[i]);
  }
  return g_string_free(text, FALSE);
}

char *text_or_error_take(char *text, GError *error) {
  if (error == NULL)
    return text;
  g_assert_null(text);
  g_assert_cmpuint(error->domain, ==, DM_ERROR);
  g_assert_nonnull(error->message);
  char *named = g_strdup_printf("error %s", dm_error_info_of(error)->name);
  g_test_message("%s: %s", named, error->message);
  g_error_free(error);
  return named;
}

char *plan_text_take(DmPlan *plan, GError *error) {
  if (plan == NULL)
    return text_or_error_take(NULL, error);
  g_assert_no_error(error);
  g_autofree char *steps = steps_text(plan->steps);
  g_autofree char *next = config_text(plan->next_run_config);
  GString *text = g_string_new(steps);
  g_string_append(text, " => ");
  add_mib(text, plan->memory_after);
  g_string_append_c(text, '/');
  add_mib(text, plan->guaranteed_after);
  g_string_append_printf(text, " | %s", next);
  for (guint i = 0; i < plan->notes->len; i++)
    g_test_message("note: %s", ((const DmNote *)plan->notes->pdata[i])->text);
  dm_plan_free(plan);
  return g_string_free(text, FALSE);
}
