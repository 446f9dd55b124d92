/* SPDX-License-Identifier: Apache-2.0 */
/* What of a definition is started beside its VM, and what of a live one is defined again. */
#include <string.h>

#include "domain_xml.h"
#include "metadata.h"
#include "xml_lines.h"

/* All that belongs to one VM at a time, or takes something of the host. */
static const char whole[] =
  "<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>"
  "<uuid>11111111-2222-4333-8444-555555555555</uuid><title>t</title><metadata><a xmlns='x'/></metadata>"
  "<maxMemory slots='16' unit='GiB'>4</maxMemory><memory unit='GiB'>1</memory><currentMemory unit='GiB'>1</currentMemory>"
  "<memoryBacking><hugepages/><locked/><source type='memfd'/></memoryBacking><memtune><hard_limit>1</hard_limit></memtune>"
  "<numatune><memory mode='strict' nodeset='0'/></numatune><cputune><vcpupin vcpu='0' cpuset='0'/></cputune>"
  "<vcpu placement='static' cpuset='0-1'>2</vcpu>"
  "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><loader>c</loader><nvram>v</nvram>"
  "<kernel>k</kernel></os><features><acpi/><apic/></features>"
  "<cpu mode='custom'><model>qemu64</model><numa><cell id='0' cpus='0-1' memory='1' unit='GiB' memAccess='shared'/></numa>"
  "</cpu><seclabel type='none'/><devices><emulator>/usr/bin/qemu</emulator><disk/><interface/><hostdev/><channel/>"
  "<serial/><console/><graphics/><video/><rng/><tpm/><vsock/><shmem/><filesystem/><memballoon model='virtio'/>"
  "<controller type='pci' index='0' model='pcie-root'/><controller type='scsi'/><controller type='usb' model='qemu-xhci'/>"
  "<memory model='dimm' access='shared'><source><pagesize>1</pagesize></source><target><size>1</size><node>0</node>"
  "</target><alias name='ua-x'/></memory><memory model='nvdimm'><source><path>p</path></source></memory></devices>"
  "<qemu:commandline><qemu:arg value='-cpu'/><qemu:arg value='max'/><qemu:arg value='-mon'/><qemu:arg value='chardev=x'/>"
  "<qemu:arg value='--global'/><qemu:arg value='q35-pcihost.x=1'/><qemu:arg value='--chardev'/>"
  "<qemu:env name='A' value='b'/></qemu:commandline></domain>";

static xmlDoc *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  xmlDoc *doc = xml_parse(text, &error);
  g_assert_no_error(error);
  return doc;
}

static char *names_of(const xmlNode *node) {
  g_autoptr(GString) names = g_string_new(NULL);
  for (xmlNode *child = xmlFirstElementChild((xmlNode *)node); child != NULL; child = xmlNextElementSibling(child))
    g_string_append_printf(names, "%s ", (const char *)child->name);
  return g_string_free(g_steal_pointer(&names), FALSE);
}

static void check_names(const xmlNode *node, const char *expected) {
  g_autofree char *names = names_of(node);
  g_assert_cmpstr(names, ==, expected);
}

static void check_attribute(const xmlNode *node, const char *name, const char *expected) {
  g_autofree char *value = xml_attribute(node, name);
  g_assert_cmpstr(value, ==, expected);
}

static void test_copy(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *copy = trial_xml_copy(whole, "trial <1>", &error);
  g_assert_no_error(error);
  g_autoptr(xmlDoc) doc = parse(copy);
  const xmlNode *domain = xmlDocGetRootElement(doc), *devices = xml_child(domain, "devices");
  check_names(domain, "maxMemory memory currentMemory vcpu os features cpu devices commandline name metadata ");
  check_names(devices, "emulator controller memory controller memballoon ");
  check_names(xml_child(domain, "os"), "type ");
  check_names(xml_child(devices, "memory"), "target ");
  check_attribute(domain, "id", NULL);
  check_attribute(xml_child(domain, "os"), "firmware", NULL);
  check_attribute(xml_child(domain, "vcpu"), "cpuset", NULL);
  check_attribute(xml_child(devices, "memory"), "access", NULL);
  check_attribute(xml_child(devices, "memballoon"), "model", "none");
  check_attribute(xml_child(xml_child(xml_child(domain, "cpu"), "numa"), "cell"), "memAccess", NULL);
  g_autofree char *name = xml_text(xml_child(domain, "name"));
  g_assert_cmpstr(name, ==, "trial <1>");
  g_assert_true(metadata_is_trial(domain));
  g_assert_nonnull(strstr(copy, "value=\"max\""));
  g_assert_nonnull(strstr(copy, "value=\"q35-pcihost.x=1\""));
  g_assert_null(strstr(copy, "chardev"));
}

/* An arm64 machine has ACPI by its firmware, and DIMMs by its ACPI. */
static void test_copy_of_arm(void) {
  g_autofree char *copy = trial_xml_copy(
    "<domain type='kvm'><os><type arch='aarch64' machine='virt'>hvm</type><loader/>"
    "</os><features><acpi/><gic version='3'/></features><devices><memory "
    "model='dimm'/><memory model='virtio-mem'/></devices></domain>",
    "trial", NULL);
  g_autoptr(xmlDoc) doc = parse(copy);
  const xmlNode *domain = xmlDocGetRootElement(doc);
  check_names(xml_child(domain, "features"), "gic ");
  check_names(xml_child(domain, "devices"), "memory controller memballoon ");
  check_attribute(xml_child(xml_child(domain, "devices"), "memory"), "model", "virtio-mem");
}

#define DISK(target, file, more) "<disk><source file='" file "'/><target dev='" target "'/>" more "</disk>"
#define DOMAIN(devices, metadata)                                                                       \
  "<domain type='kvm'><metadata>" metadata "</metadata><on_reboot>restart</on_reboot><devices>" devices \
  "</devices>"                                                                                          \
  "</domain>"

/* A transient disk has a file of its own in each run; a request and refusals are of one run. */
static void test_present(void) {
  g_autofree char *present = trial_xml_present(
    DOMAIN(DISK("vda", "a.TRANSIENT", "<transient/>") DISK("vdb", "b", ""),
      "<d:memory xmlns:d='urn:dimmer:memory:1' guaranteed='5'><request id='1'/><refusal alias='x'/></d:memory>"),
    DOMAIN(DISK("vda", "a", "<transient/>") DISK("vdb", "other", ""), ""), 7, NULL);
  g_autoptr(xmlDoc) doc = parse(present);
  const xmlNode *domain = xmlDocGetRootElement(doc);
  const xmlNode *first = xml_child(xml_child(domain, "devices"), "disk");
  check_attribute(xml_child(first, "source"), "file", "a");
  check_attribute(xml_child(xml_next(first), "source"), "file", "b");
  check_attribute(domain, "id", "7");
  const xmlNode *memory = xml_child_ns(xml_child(domain, "metadata"), "memory", METADATA_NAMESPACE);
  check_attribute(memory, "guaranteed", "5");
  check_names(memory, "");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/trial-xml/copy", test_copy);
  g_test_add_func("/trial-xml/copy-of-arm", test_copy_of_arm);
  g_test_add_func("/trial-xml/present", test_present);
  return g_test_run();
}
