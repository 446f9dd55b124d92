/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include <string.h>

#include "base/size.h"

/* VDSM's namespace (lib/vdsm/virt/xmlconstants.py) and oVirt's key for guaranteed memory, in MiB. */
#define OVIRT_NAMESPACE "http://ovirt.org/vm/1.0"
#define OVIRT_GUARANTEED "minGuaranteedMemoryMb"

static DmDeviceKind kind_from_name(const char *name) {
  for (gsize i = 0; i < DM_DEVICE_KINDS; i++) {
    if (g_strcmp0(dm_device_kind_name((DmDeviceKind)i), name) == 0)
      return (DmDeviceKind)i;
  }
  return DM_DEVICE_OTHER;
}

/* NULL: the step belongs to the request that contains it. */
static DmOrigin *read_origin(const xmlNode *node) {
  g_autofree char *id = xml_attribute(node, "of");
  g_autofree char *action = xml_attribute(node, "of-action");
  DmAction known;
  if (id == NULL || !dm_action_from_name(action, &known))
    return NULL;
  DmOrigin *origin = g_new0(DmOrigin, 1);
  origin->id = g_steal_pointer(&id);
  origin->action = known;
  origin->user = xml_attribute(node, "of-user");
  origin->started_s = (int64_t)xml_attribute_number(node, "of-started", 0);
  origin->memory = xml_attribute_number(node, "of-memory", 0);
  return origin;
}

static DmStep *read_step(const xmlNode *node) {
  g_autofree char *op = xml_attribute(node, "op");
  g_autofree char *state = xml_attribute(node, "state");
  g_autofree char *kind = xml_attribute(node, "kind");
  g_autoptr(DmStep) step = g_new0(DmStep, 1);
  step->alias = xml_attribute(node, "alias");
  step->id = xml_attribute(node, "id");
  step->kind = kind_from_name(kind);
  step->size = xml_attribute_number(node, "size", 0);
  step->from = xml_attribute_number(node, "from", 0);
  step->to = xml_attribute_number(node, "to", 0);
  step->block = xml_attribute_number(node, "block", 0);
  step->node = (int)xml_attribute_number(node, "node", 0);
  step->place = xml_attribute(node, "place");
  step->backing = xml_attribute(node, "backing");
  step->withdrawn = xml_attribute_number(node, "withdrawn", 0) == 1;
  step->has_period = xmlHasProp(node, (const xmlChar *)"period") != NULL;
  step->period_s = (guint)MIN(xml_attribute_number(node, "period", 0), G_MAXINT);
  step->run.size_before = step->run.reached = step->from;
  step->run.answer_s = -1;
  if (step->alias == NULL || !dm_op_from_name(op, &step->op) || !dm_step_state_from_name(state, &step->state))
    return NULL;
  step->origin = read_origin(node);
  return g_steal_pointer(&step);
}

/* The step of the balloon stands among those of the devices. */
static void read_steps(DmRequest *request, const xmlNode *node) {
  for (const xmlNode *step = xml_child_ns(node, "step", METADATA_NAMESPACE); step != NULL; step = xml_next(step)) {
    DmStep *read = read_step(step);
    if (read != NULL && read->op == DM_OP_BALLOON) {
      dm_step_free(request->balloon);
      request->balloon = read;
    } else if (read != NULL) {
      g_ptr_array_add(request->steps, read);
    }
  }
}

static DmRequest *read_request(const xmlNode *node) {
  g_autofree char *action = xml_attribute(node, "action");
  g_autofree char *state = xml_attribute(node, "state");
  DmAction known;
  if (!dm_action_from_name(action, &known))
    return NULL;
  DmRequest *request = dm_request_new(known);
  g_free(request->id);
  request->id = xml_attribute(node, "id");
  request->asked = g_strcmp0(state, "planned") != 0;
  request->user = xml_attribute(node, "user");
  request->correlation_id = xml_attribute(node, "correlation-id");
  request->flags = (xml_attribute_number(node, "try-unmovable", 0) == 1 ? DM_PLAN_TRY_UNMOVABLE : 0) |
    (xml_attribute_number(node, "force", 0) == 1 ? DM_PLAN_FORCE : 0) |
    (xml_attribute_number(node, "balloon", 0) == 1 ? DM_PLAN_BALLOON : 0);
  request->host = xml_attribute(node, "host");
  request->pid = (int64_t)xml_attribute_number(node, "pid", 0);
  request->started_s = (int64_t)xml_attribute_number(node, "started", 0);
  request->deadline_s = (int64_t)xml_attribute_number(node, "deadline", 0);
  request->memory = xml_attribute_number(node, "memory", 0);
  request->guaranteed = xml_attribute_number(node, "guaranteed", 0);
  g_autofree char *one = xml_attribute(node, "node");
  guint64 number;
  if (one != NULL && g_ascii_string_to_unsigned(one, 10, 0, 1023, &number, NULL))
    request->one_node = request->next_run.one_node = (guint)number + 1;
  request->next_run.memory = xml_attribute_number(node, "next-run-memory", 0);
  request->next_run.guaranteed = xml_attribute_number(node, "next-run-guaranteed", 0);
  request->next_run.maximum = xml_attribute_number(node, "next-run-maximum", 0);
  request->next_run_before.memory = xml_attribute_number(node, "next-run-memory-before", 0);
  request->next_run_before.guaranteed = xml_attribute_number(node, "next-run-guaranteed-before", 0);
  read_steps(request, node);
  return request;
}

static void set_text(xmlNode *node, const char *name, const char *text) {
  if (text != NULL)
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)text);
}

/* Writes the number, or removes the attribute if it is 0. */
static void set_number(xmlNode *node, const char *name, uint64_t number) {
  if (number != 0)
    xml_set_attribute_number(node, name, number);
  else
    xmlUnsetProp(node, (const xmlChar *)name);
}

/* "536870912 536870912": one per cell. A list that does not match the cells is ignored. */
static void read_floors(DmConfig *config, const xmlNode *memory) {
  g_autofree char *text = xml_attribute(memory, "floor");
  g_autofree char *kind = xml_attribute(memory, "floor-kind");
  g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", -1);
  if (g_strv_length(words) != config->cells->len)
    return;
  for (guint i = 0; words[i] != NULL; i++) {
    guint64 floor = 0;
    if (!g_ascii_string_to_unsigned(words[i], 10, DM_MIB, G_MAXINT64, &floor, NULL)) {
      g_array_set_size(config->floors, 0);
      return;
    }
    uint64_t bytes = floor;
    g_array_append_val(config->floors, bytes);
  }
  config->floor_kind = g_strcmp0(kind, "dimm") == 0 ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
}

static void write_floors(xmlNode *memory, const DmConfig *config) {
  g_autoptr(GString) text = g_string_new(NULL);
  xmlUnsetProp(memory, (const xmlChar *)"floor");
  xmlUnsetProp(memory, (const xmlChar *)"floor-kind");
  for (guint i = 0; i < config->floors->len; i++)
    g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", g_array_index(config->floors, uint64_t, i));
  if (text->len == 0)
    return;
  set_text(memory, "floor", text->str);
  set_text(memory, "floor-kind", dm_device_kind_name(config->floor_kind));
}

static gboolean has_same_floors(const DmConfig *a, const DmConfig *b) {
  return a->floor_kind == b->floor_kind && a->floors->len == b->floors->len &&
    (a->floors->len == 0 || memcmp(a->floors->data, b->floors->data, a->floors->len * sizeof(uint64_t)) == 0);
}

DmRequest *metadata_read(const xmlNode *metadata, DmConfig *config) {
  const xmlNode *memory = xml_child_ns(metadata, "memory", METADATA_NAMESPACE);
  if (memory != NULL) {
    config->guaranteed = xml_attribute_number(memory, "guaranteed", 0);
    config->hidden_maximum = xml_attribute_number(memory, "maximum", 0);
    config->hidden_slots = (guint)xml_attribute_number(memory, "slots", 0);
    read_floors(config, memory);
    config->balloon_held = xml_attribute_number(memory, "ballooned", 0);
    config->balloon_others = xml_attribute_number(memory, "by-others", 0);
    g_autofree char *use = xml_attribute(memory, "balloon");
    if (!dm_balloon_use_from_name(use, &config->balloon_use))
      config->balloon_use = DM_BALLOON_USE_ASK;
  }
  if (config->guaranteed == 0) {
    const xmlNode *ovirt = xml_child_ns(metadata, "vm", OVIRT_NAMESPACE);
    uint64_t mib = xml_number(xml_child_ns(ovirt, OVIRT_GUARANTEED, OVIRT_NAMESPACE), 0);
    config->guaranteed = mib < UINT64_MAX / DM_MIB ? mib * DM_MIB : 0;
  }
  const xmlNode *request = xml_child_ns(memory, "request", METADATA_NAMESPACE);
  return request != NULL ? read_request(request) : NULL;
}

void metadata_read_refusals(const xmlNode *metadata, GPtrArray *refusals) {
  const xmlNode *memory = xml_child_ns(metadata, "memory", METADATA_NAMESPACE);
  const xmlNode *node = xml_child_ns(memory, "refusal", METADATA_NAMESPACE);
  for (; node != NULL; node = xml_next(node)) {
    g_autofree char *alias = xml_attribute(node, "alias");
    if (alias == NULL)
      continue;
    DmRefusal *refusal = g_new0(DmRefusal, 1);
    refusal->alias = g_steal_pointer(&alias);
    refusal->at_s = (int64_t)MIN(xml_attribute_number(node, "at", 0), G_MAXINT64);
    refusal->guest = xml_attribute(node, "guest");
    g_ptr_array_add(refusals, refusal);
  }
}

static void write_origin(xmlNode *node, const DmOrigin *origin) {
  set_text(node, "of", origin->id);
  set_text(node, "of-action", dm_action_name(origin->action));
  set_text(node, "of-user", origin->user);
  set_number(node, "of-started", (uint64_t)origin->started_s);
  set_number(node, "of-memory", origin->memory);
}

static void write_step(xmlNode *parent, const DmStep *step) {
  xmlNode *node = xmlNewChild(parent, NULL, (const xmlChar *)"step", NULL);
  set_text(node, "op", dm_op_name(step->op));
  set_text(node, "alias", step->alias);
  set_text(node, "id", step->id);
  set_text(node, "kind", dm_device_kind_name(step->kind));
  xml_set_attribute_number(node, "node", (uint64_t)MAX(step->node, 0));
  xml_set_attribute_number(node, "size", step->size);
  xml_set_attribute_number(node, "from", step->from);
  xml_set_attribute_number(node, "to", step->to);
  set_number(node, "block", step->block);
  set_text(node, "place", step->place);
  set_text(node, "backing", step->backing);
  set_number(node, "withdrawn", step->withdrawn ? 1 : 0);
  set_text(node, "state", dm_step_state_name(step));
  if (step->has_period)
    xml_set_attribute_number(node, "period", step->period_s);
  if (step->origin != NULL)
    write_origin(node, step->origin);
}

static void write_request(xmlNode *memory, const DmRequest *request) {
  xmlNode *node = xmlNewChild(memory, NULL, (const xmlChar *)"request", NULL);
  set_text(node, "id", request->id);
  set_text(node, "action", dm_action_name(request->action));
  set_text(node, "state", request->asked ? "asked" : "planned");
  set_text(node, "user", request->user);
  set_text(node, "correlation-id", request->correlation_id);
  set_number(node, "try-unmovable", (request->flags & DM_PLAN_TRY_UNMOVABLE) != 0 ? 1 : 0);
  set_number(node, "force", (request->flags & DM_PLAN_FORCE) != 0 ? 1 : 0);
  set_number(node, "balloon", (request->flags & DM_PLAN_BALLOON) != 0 ? 1 : 0);
  set_text(node, "host", request->host);
  set_number(node, "pid", (uint64_t)request->pid);
  set_number(node, "started", (uint64_t)request->started_s);
  set_number(node, "deadline", (uint64_t)request->deadline_s);
  set_number(node, "memory", request->memory);
  set_number(node, "guaranteed", request->guaranteed);
  g_autofree char *one = request->one_node != 0 ? g_strdup_printf("%u", request->one_node - 1) : NULL;
  set_text(node, "node", one);
  set_number(node, "next-run-memory", request->next_run.memory);
  set_number(node, "next-run-guaranteed", request->next_run.guaranteed);
  set_number(node, "next-run-maximum", request->next_run.maximum);
  set_number(node, "next-run-memory-before", request->next_run_before.memory);
  set_number(node, "next-run-guaranteed-before", request->next_run_before.guaranteed);
  for (guint i = 0; i < request->steps->len; i++)
    write_step(node, request->steps->pdata[i]);
  if (request->balloon != NULL)
    write_step(node, request->balloon);
}

static void write_refusal(xmlNode *memory, const DmRefusal *refusal) {
  xmlNode *node = xmlNewChild(memory, NULL, (const xmlChar *)"refusal", NULL);
  set_text(node, "alias", refusal->alias);
  set_number(node, "at", (uint64_t)refusal->at_s);
  set_text(node, "guest", refusal->guest);
}

static void write_values(xmlNode *memory, uint64_t guaranteed, const DmConfig *config) {
  set_number(memory, "guaranteed", guaranteed);
  set_number(memory, "maximum", config->hidden_maximum);
  set_number(memory, "slots", config->hidden_slots);
  set_number(memory, "ballooned", config->balloon_held);
  set_number(memory, "by-others", config->balloon_others);
  xmlUnsetProp(memory, (const xmlChar *)"balloon");
  if (config->balloon_use != DM_BALLOON_USE_ASK)
    set_text(memory, "balloon", dm_balloon_use_name(config->balloon_use));
  write_floors(memory, config);
}

char *metadata_format(
  uint64_t guaranteed, const DmConfig *config, const DmRequest *request, const GPtrArray *refusals) {
  if (guaranteed == 0 && config->hidden_maximum == 0 && config->floors->len == 0 && request == NULL &&
    config->balloon_use == DM_BALLOON_USE_ASK && config->balloon_held == 0 && config->balloon_others == 0 &&
    (refusals == NULL || refusals->len == 0))
    return NULL;
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *memory = xmlNewNode(NULL, (const xmlChar *)"memory");
  xmlDocSetRootElement(doc, memory);
  write_values(memory, guaranteed, config);
  if (request != NULL)
    write_request(memory, request);
  for (guint i = 0; refusals != NULL && i < refusals->len; i++)
    write_refusal(memory, refusals->pdata[i]);
  return xml_format_node(memory);
}

static xmlNode *need_memory(xmlNode *domain) {
  xmlNode *metadata = xml_need_child(domain, "metadata");
  xmlNode *memory = xml_child_ns(metadata, "memory", METADATA_NAMESPACE);
  if (memory != NULL)
    return memory;
  memory = xmlNewChild(metadata, NULL, (const xmlChar *)"memory", NULL);
  xmlSetNs(memory, xmlNewNs(memory, (const xmlChar *)METADATA_NAMESPACE, (const xmlChar *)METADATA_PREFIX));
  return memory;
}

void metadata_mark_trial(xmlNode *domain) {
  xmlNode *memory = need_memory(domain);
  set_text(memory, "trial", "yes");
}

gboolean metadata_is_trial(const xmlNode *domain) {
  const xmlNode *memory = xml_child_ns(xml_child(domain, "metadata"), "memory", METADATA_NAMESPACE);
  g_autofree char *trial = xml_attribute(memory, "trial");
  return trial != NULL;
}

void metadata_drop_request(xmlNode *domain) {
  const xmlNode *memory = xml_child_ns(xml_child(domain, "metadata"), "memory", METADATA_NAMESPACE);
  for (xmlNode *node = memory != NULL ? xmlFirstElementChild((xmlNode *)memory) : NULL, *next; node != NULL;
       node = next) {
    next = xmlNextElementSibling(node);
    xml_remove(node);
  }
}

void metadata_edit(xmlNode *domain, const DmConfig *config) {
  const xmlNode *memory = xml_child_ns(xml_child(domain, "metadata"), "memory", METADATA_NAMESPACE);
  g_autofree char *floor = xml_attribute(memory, "floor");
  g_autoptr(DmConfig) stored = dm_config_new();
  g_array_set_size(stored->cells, config->cells->len); /* floors are read for that many */
  dm_request_free(metadata_read(xml_child(domain, "metadata"), stored));
  if (stored->guaranteed == config->guaranteed && stored->hidden_maximum == config->hidden_maximum &&
    stored->hidden_slots == config->hidden_slots && stored->balloon_use == config->balloon_use &&
    stored->balloon_held == config->balloon_held && stored->balloon_others == config->balloon_others &&
    has_same_floors(stored, config) && (floor != NULL) == (config->floors->len > 0))
    return; /* the present value says it already, oVirt's included */
  write_values(need_memory(domain), config->guaranteed, config);
}
