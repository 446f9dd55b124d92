/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include "base/size.h"

/* VDSM's namespace (lib/vdsm/virt/xmlconstants.py) and oVirt's key for guaranteed memory, in MiB. */
#define OVIRT_NAMESPACE "http://ovirt.org/vm/1.0"
#define OVIRT_GUARANTEED "minGuaranteedMemoryMb"

static const char *const kind_names[] = {
  [DM_DEVICE_DIMM] = "dimm",
  [DM_DEVICE_VIRTIO_MEM] = "virtio-mem",
  [DM_DEVICE_OTHER] = "other",
};

static DmDeviceKind kind_from_name(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(kind_names); i++) {
    if (g_strcmp0(kind_names[i], name) == 0)
      return (DmDeviceKind)i;
  }
  return DM_DEVICE_OTHER;
}

/* NULL: the step is of the request that it stands in. */
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
  origin->started = (int64_t)xml_attribute_number(node, "of-started", 0);
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
  step->withdrawn = xml_attribute_number(node, "withdrawn", 0) == 1;
  step->size_before = step->reached = step->from;
  step->seconds = -1;
  if (step->alias == NULL || !dm_op_from_name(op, &step->op) || !dm_step_state_from_name(state, &step->state))
    return NULL;
  step->origin = read_origin(node);
  return g_steal_pointer(&step);
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
  request->flags = (xml_attribute_number(node, "try-unmovable", 0) == 1 ? DM_PLAN_TRY_UNMOVABLE : 0) |
    (xml_attribute_number(node, "force", 0) == 1 ? DM_PLAN_FORCE : 0);
  request->host = xml_attribute(node, "host");
  request->pid = (int64_t)xml_attribute_number(node, "pid", 0);
  request->started = (int64_t)xml_attribute_number(node, "started", 0);
  request->deadline = (int64_t)xml_attribute_number(node, "deadline", 0);
  request->memory = xml_attribute_number(node, "memory", 0);
  request->guaranteed = xml_attribute_number(node, "guaranteed", 0);
  request->next_run.memory = xml_attribute_number(node, "next-run-memory", 0);
  request->next_run.guaranteed = xml_attribute_number(node, "next-run-guaranteed", 0);
  request->next_run.maximum = xml_attribute_number(node, "next-run-maximum", 0);
  request->next_run_before.memory = xml_attribute_number(node, "next-run-memory-before", 0);
  request->next_run_before.guaranteed = xml_attribute_number(node, "next-run-guaranteed-before", 0);
  for (const xmlNode *step = xml_child_ns(node, "step", METADATA_NAMESPACE); step != NULL; step = xml_next(step)) {
    DmStep *read = read_step(step);
    if (read != NULL)
      g_ptr_array_add(request->steps, read);
  }
  return request;
}

DmRequest *metadata_read(const xmlNode *metadata, DmConfig *config) {
  const xmlNode *memory = xml_child_ns(metadata, "memory", METADATA_NAMESPACE);
  if (memory != NULL) {
    config->guaranteed = xml_attribute_number(memory, "guaranteed", 0);
    config->hidden_maximum = xml_attribute_number(memory, "maximum", 0);
    config->hidden_slots = (guint)xml_attribute_number(memory, "slots", 0);
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
    refusal->at = (int64_t)MIN(xml_attribute_number(node, "at", 0), G_MAXINT64);
    refusal->guest = xml_attribute(node, "guest");
    g_ptr_array_add(refusals, refusal);
  }
}

static void set_text(xmlNode *node, const char *name, const char *text) {
  if (text != NULL)
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)text);
}

/* Writes the number, or takes the attribute away where it is 0. */
static void set_number(xmlNode *node, const char *name, uint64_t number) {
  if (number != 0)
    xml_set_attribute_number(node, name, number);
  else
    xmlUnsetProp(node, (const xmlChar *)name);
}

static void write_origin(xmlNode *node, const DmOrigin *origin) {
  set_text(node, "of", origin->id);
  set_text(node, "of-action", dm_action_name(origin->action));
  set_text(node, "of-user", origin->user);
  set_number(node, "of-started", (uint64_t)origin->started);
  set_number(node, "of-memory", origin->memory);
}

static void write_step(xmlNode *parent, const DmStep *step) {
  xmlNode *node = xmlNewChild(parent, NULL, (const xmlChar *)"step", NULL);
  set_text(node, "op", dm_op_name(step->op));
  set_text(node, "alias", step->alias);
  set_text(node, "id", step->id);
  set_text(node, "kind", kind_names[step->kind]);
  xml_set_attribute_number(node, "node", (uint64_t)MAX(step->node, 0));
  xml_set_attribute_number(node, "size", step->size);
  xml_set_attribute_number(node, "from", step->from);
  xml_set_attribute_number(node, "to", step->to);
  set_number(node, "block", step->block);
  set_number(node, "withdrawn", step->withdrawn ? 1 : 0);
  set_text(node, "state", dm_step_state_name(step));
  if (step->origin != NULL)
    write_origin(node, step->origin);
}

static void write_request(xmlNode *memory, const DmRequest *request) {
  xmlNode *node = xmlNewChild(memory, NULL, (const xmlChar *)"request", NULL);
  set_text(node, "id", request->id);
  set_text(node, "action", dm_action_name(request->action));
  set_text(node, "state", request->asked ? "asked" : "planned");
  set_text(node, "user", request->user);
  set_number(node, "try-unmovable", (request->flags & DM_PLAN_TRY_UNMOVABLE) != 0 ? 1 : 0);
  set_number(node, "force", (request->flags & DM_PLAN_FORCE) != 0 ? 1 : 0);
  set_text(node, "host", request->host);
  set_number(node, "pid", (uint64_t)request->pid);
  set_number(node, "started", (uint64_t)request->started);
  set_number(node, "deadline", (uint64_t)request->deadline);
  set_number(node, "memory", request->memory);
  set_number(node, "guaranteed", request->guaranteed);
  set_number(node, "next-run-memory", request->next_run.memory);
  set_number(node, "next-run-guaranteed", request->next_run.guaranteed);
  set_number(node, "next-run-maximum", request->next_run.maximum);
  set_number(node, "next-run-memory-before", request->next_run_before.memory);
  set_number(node, "next-run-guaranteed-before", request->next_run_before.guaranteed);
  for (guint i = 0; i < request->steps->len; i++)
    write_step(node, request->steps->pdata[i]);
}

static void write_refusal(xmlNode *memory, const DmRefusal *refusal) {
  xmlNode *node = xmlNewChild(memory, NULL, (const xmlChar *)"refusal", NULL);
  set_text(node, "alias", refusal->alias);
  set_number(node, "at", (uint64_t)refusal->at);
  set_text(node, "guest", refusal->guest);
}

static void write_values(xmlNode *memory, uint64_t guaranteed, const DmConfig *config) {
  set_number(memory, "guaranteed", guaranteed);
  set_number(memory, "maximum", config->hidden_maximum);
  set_number(memory, "slots", config->hidden_slots);
}

char *metadata_format(
  uint64_t guaranteed, const DmConfig *config, const DmRequest *request, const GPtrArray *refusals) {
  if (guaranteed == 0 && config->hidden_maximum == 0 && request == NULL && (refusals == NULL || refusals->len == 0))
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

void metadata_edit(xmlNode *domain, const DmConfig *config) {
  xmlNode *metadata = xml_child(domain, "metadata");
  xmlNode *memory = xml_child_ns(metadata, "memory", METADATA_NAMESPACE);
  g_autoptr(DmConfig) stored = dm_config_new();
  dm_request_free(metadata_read(metadata, stored));
  if (stored->guaranteed == config->guaranteed && stored->hidden_maximum == config->hidden_maximum &&
    stored->hidden_slots == config->hidden_slots)
    return; /* what is there says it already, oVirt's word included */
  if (memory == NULL) {
    metadata = xml_need_child(domain, "metadata");
    memory = xmlNewChild(metadata, NULL, (const xmlChar *)"memory", NULL);
    xmlSetNs(memory, xmlNewNs(memory, (const xmlChar *)METADATA_NAMESPACE, (const xmlChar *)METADATA_PREFIX));
  }
  write_values(memory, config->guaranteed, config);
}
