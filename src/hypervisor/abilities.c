/* SPDX-License-Identifier: Apache-2.0 */
#include "abilities.h"

#include <string.h>

#include "base/debug.h"
#include "virt_calls.h"
#include "xml.h"

#define FORMAT "qemu-argv"

/* Versions that are known to, where it cannot be asked. A libvirt in between says itself what it lacks. */
#define LAST_WITH_SLOTS 9000999
#define FIRST_WITH_ADDRESSES 9004000

/* Bits of what connection_learn() keeps. */
typedef enum {
  SLOTLESS_VIRTIO = 1 << 0,
  KEEPS_ADDRESSES = 1 << 1,
  DYNAMIC_MEMSLOTS = 1 << 2,
} Ability;

typedef struct {
  const DmMachine *machine;
  guint slots;
  gboolean dynamic;
} Made;

/* Above all that a machine of 1 GiB has below its device memory. */
#define ADDRESS "0x2000000000"

static xmlNode *add(xmlNode *parent, const char *name, const char *text) {
  return xmlNewChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static void set(xmlNode *node, const char *name, const char *value) {
  xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static xmlNode *add_mib(xmlNode *parent, const char *name, const char *mib) {
  xmlNode *node = add(parent, name, mib);
  set(node, "unit", "MiB");
  return node;
}

static void add_device(xmlNode *devices, const Made *made, gboolean first) {
  xmlNode *memory = add(devices, "memory", NULL), *target = add(memory, "target", NULL);
  set(memory, "model", "virtio-mem");
  if (made->dynamic)
    set(target, "dynamicMemslots", "yes");
  add_mib(target, "size", "1024");
  add(target, "node", "0");
  add_mib(target, "block", "2");
  add_mib(target, "requested", "0");
  if (first)
    set(add(target, "address", NULL), "base", ADDRESS);
}

/* Elsewhere libvirt has no ACPI, or only with a firmware for it (UEFI). */
static gboolean has_acpi(const DmMachine *machine) {
  return g_str_equal(machine->arch, "x86_64") || g_str_equal(machine->arch, "i686");
}

/* Emulated, so that no KVM is needed. */
static char *make(const Made *made) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *domain = xmlNewNode(NULL, (const xmlChar *)"domain");
  g_autofree char *slots = g_strdup_printf("%u", made->slots);
  xmlDocSetRootElement(doc, domain);
  set(domain, "type", "qemu");
  add(domain, "name", "dimmer-asks");
  set(add_mib(domain, "maxMemory", "8192"), "slots", slots);
  add_mib(domain, "memory", "1024");
  add(domain, "vcpu", "1");
  xmlNode *type = add(add(domain, "os", NULL), "type", "hvm");
  set(type, "arch", made->machine->arch);
  if (made->machine->type != NULL)
    set(type, "machine", made->machine->type);
  if (has_acpi(made->machine))
    add(add(domain, "features", NULL), "acpi", NULL);
  xmlNode *cell = add(add(add(domain, "cpu", NULL), "numa", NULL), "cell", NULL);
  set(cell, "id", "0");
  set(cell, "cpus", "0");
  set(cell, "memory", "1024");
  set(cell, "unit", "MiB");
  xmlNode *devices = add(domain, "devices", NULL);
  if (made->machine->emulator != NULL)
    xmlNewTextChild(devices, NULL, (const xmlChar *)"emulator", (const xmlChar *)made->machine->emulator);
  add_device(devices, made, TRUE);
  add_device(devices, made, FALSE);
  return xml_format_node(domain);
}

/* A QEMU that is missing stays so for longer, and each question to libvirt logs an error. */
#define ASK_AGAIN_S 60

/* Not what was asked for is wrong, but the asking: the same may have an answer later. */
static gboolean is_passing(int code) {
  static const int codes[] = {VIR_ERR_INTERNAL_ERROR, VIR_ERR_NO_MEMORY, VIR_ERR_NO_CONNECT, VIR_ERR_SYSTEM_ERROR,
    VIR_ERR_RPC, VIR_ERR_OPERATION_FAILED, VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_RESOURCE_BUSY, VIR_ERR_INVALID_CONN};
  for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
    if (codes[i] == code)
      return TRUE;
  }
  return FALSE;
}

/* QEMU's command line for it; NULL: libvirt has none, *@passing: now. The caller frees. */
static char *ask(virConnectPtr virt, const Made *made, gboolean *passing) {
  g_autofree char *xml = make(made);
  char *line = virConnectDomainXMLToNative(virt, FORMAT, xml, 0);
  *passing |= line == NULL && is_passing(virGetLastErrorCode());
  char *copy = g_strdup(line);
  free(line);
  return copy;
}

/* Also in the form of an option: "dynamic-memslots=on". */
static gboolean has(const char *line, const char *property) {
  return line != NULL && strstr(line, property) != NULL;
}

/*
 * A libvirt that keeps no address needs slots as well: what it would refuse, and log as an error, is not asked.
 * *@answered: else nothing is known. *@passing: ask again another time.
 */
static guint ask_all(virConnectPtr virt, const DmMachine *machine, gboolean *answered, gboolean *passing) {
  Made made = {.machine = machine, .slots = 2};
  g_autofree char *line = ask(virt, &made, passing);
  *answered = line != NULL;
  if (!has(line, "memaddr"))
    return 0;
  made.slots = 1;
  g_autofree char *tight = ask(virt, &made, passing);
  made.slots = 2;
  made.dynamic = TRUE;
  g_autofree char *dynamic = ask(virt, &made, passing);
  return KEEPS_ADDRESSES | (tight != NULL ? SLOTLESS_VIRTIO : 0) |
    (has(dynamic, "dynamic-memslots") ? DYNAMIC_MEMSLOTS : 0);
}

static guint by_version(gulong version) {
  return (version > LAST_WITH_SLOTS ? SLOTLESS_VIRTIO : 0) | (version >= FIRST_WITH_ADDRESSES ? KEEPS_ADDRESSES : 0);
}

static void tell_log(
  DmConnection *connection, const DmMachine *machine, guint found, gboolean answered, gboolean passing) {
  dm_debug("host", "%s, %s %s: virtio-mem %s, %s, %s (%s)", dm_connection_uri(connection), machine->arch,
    machine->type != NULL ? machine->type : "", found & SLOTLESS_VIRTIO ? "takes no slot" : "takes a slot",
    found & KEEPS_ADDRESSES ? "keeps its address" : "keeps no address",
    found & DYNAMIC_MEMSLOTS ? "has dynamic memslots" : "has no dynamic memslots",
    passing      ? "could not be asked"
      : answered ? "asked"
                 : "by version");
}

/* Machines differ, and so do the QEMUs of a host. */
static guint abilities_of(DmConnection *connection, const DmMachine *machine) {
  g_autofree char *key = g_strjoin("\n", machine->arch, machine->type != NULL ? machine->type : "",
    machine->emulator != NULL ? machine->emulator : "", NULL);
  gboolean answered = FALSE, passing = FALSE;
  guint found = 0;
  if (connection_knows(connection, key, &found))
    return found;
  virConnectPtr virt = connection_may_change(connection) ? connection_get_virt(connection, NULL) : NULL;
  if (virt != NULL)
    found = ask_all(virt, machine, &answered, &passing);
  if (!answered)
    found = by_version(connection_version(connection));
  tell_log(connection, machine, found, answered, passing);
  connection_learn(connection, key, found, passing ? ASK_AGAIN_S : 0);
  return found;
}

void abilities_tell(DmConnection *connection, DmConfig *config) {
  if (config == NULL)
    return;
  guint found = config->machine.arch != NULL ? abilities_of(connection, &config->machine)
                                             : by_version(connection_version(connection));
  config->slotless_virtio = (found & SLOTLESS_VIRTIO) != 0;
  config->keeps_addresses = (found & KEEPS_ADDRESSES) != 0;
  config->dynamic_memslots = (found & DYNAMIC_MEMSLOTS) != 0;
}
