/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML in: real definitions of libvirt 9.0, made by samples/make, and small ones for what those lack. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "domain_xml.h"
#include "notation.h"
#include "xml_lines.h"

#define OUR_ID "3f2a91c0-1111-4222-8333-444455556666"
#define OURS "ua-" OUR_ID

static const struct {
  const char *name, *vm, *arch, *expected; /* the configuration as notation.h has it */
} samples[] = {
  {"plain", "plain", "x86_64", "~1024 balloon=768"},
  {"hugepages", "huge", "x86_64", "4096 max=16384/16 page=1024 balloon=4096"},
  {"ovirt", "ovirt", "x86_64", "1024 max=4096/16 g=900 balloon=1024"},
  {"rich", "rich", "x86_64", "2048 max=8192/16 g=768 balloon=2816 " OURS "=d256 d512"},
  {"dimms-live", "dimms", "x86_64", "1024 max=4096/16 balloon=1920 " OURS "=d256 dimm1=d128 dimm2=d512"},
  {"dimms-config", "dimms", "x86_64", "1024 max=4096/16 balloon=1536 d512"},
  {"cells-live", "cells", "x86_64", "512+768 max=4096/16 balloon=1536 ua-5b0f7d1e-aaaa-4bbb-8ccc-ddddeeee0001=d256@1"},
  {"cells-config", "cells", "x86_64", "512+768 max=4096/16 balloon=1280"},
  {"virtio-live", "virtio", "x86_64", "1024 max=4096/16 balloon=1792 " OURS "=v1024:512/512:2 dimm0=d256"},
  {"virtio-config", "virtio", "x86_64", "1024 max=4096/16 balloon=2048 " OURS "=v1024:512:2"},
  {"nvdimm-live", "nvdimm", "x86_64", "1024 max=4096/16 balloon=1280 nvdimm0=n256 dimm1=d256"},
  {"nvdimm-config", "nvdimm", "x86_64", "1024 max=4096/16 balloon=1280 n256"},
  {"ppc64", "power", "ppc64le", "4096+4096 max=65536/32 page=16 step=256 balloon=9216 dimm0=d1024@1"},
};

static DmConfig *read_config(const char *text, DmVm *vm) {
  g_autoptr(GError) error = NULL;
  DmConfig *config = domain_xml_read(text, vm, NULL, &error);
  g_assert_no_error(error);
  g_assert_nonnull(config);
  return config;
}

static void test_sample(gconstpointer data) {
  const typeof(samples[0]) *c = data;
  g_autofree char *text = sample(c->name);
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = read_config(text, vm);
  g_autofree char *spelled = config_text(config);
  g_assert_cmpstr(spelled, ==, c->expected);
  g_assert_cmpstr(vm->name, ==, c->vm);
  g_assert_cmpstr(vm->arch, ==, c->arch);
  g_assert_true(g_uuid_string_is_valid(vm->uuid));
}

#define IN_DOMAIN(xml) "<domain><name>x</name><memory unit='KiB'>1048576</memory>" xml "</domain>"
#define DIMM "<memory model='dimm'><target><size unit='KiB'>131072</size><node>0</node></target></memory>"

/* Whole definitions in small. */
static const struct {
  const char *name, *xml, *expected;
} snippets[] = {
  {"nothing-but-memory", IN_DOMAIN(""), "~1024"},
  {"no-memory-at-all", "<domain/>", "~0"},
  {"without-numa-devices-are-no-boot", IN_DOMAIN("<devices>" DIMM "</devices>"), "~896 d128"},
  {"units", "<domain><memory unit='GiB'>2</memory><currentMemory unit='b'>1073741824</currentMemory></domain>",
    "~2048 balloon=1024"},
  {"large-units", "<domain><memory unit='TiB'>1</memory><currentMemory unit='M'>512</currentMemory></domain>",
    "~1048576 balloon=512"},
  {"unknown-unit-is-kib", "<domain><memory unit='parsec'>1048576</memory></domain>", "~1024"},
  {"no-unit-is-kib", "<domain><memory>1048576</memory></domain>", "~1024"},
  {"blanks", "<domain><memory unit='KiB'>\n  1048576\n</memory></domain>", "~1024"},
  /* As libvirt rounds it at the start. */
  {"rounded-up",
    IN_DOMAIN("<os><type arch='x86_64'/></os><maxMemory slots='4' unit='KiB'>4194001</maxMemory><cpu><numa>"
              "<cell memory='500001' unit='KiB'/><cell memory='512' unit='KiB'/></numa></cpu><devices><memory "
              "model='dimm'><target><size unit='KiB'>131073</size></target></memory></devices>"),
    "489+1 max=4096/4 d130"},
  {"rounded-up-on-power",
    IN_DOMAIN("<os><type arch='ppc64le'/></os><maxMemory slots='4' unit='KiB'>4194001</maxMemory><cpu><numa>"
              "<cell memory='500001' unit='KiB'/><cell memory='512' unit='KiB'/></numa></cpu><devices><memory "
              "model='dimm'><target><size unit='KiB'>131073</size></target></memory></devices>"),
    "512+256 max=4096/4 step=256 d256"},
  {"rounded-up-without-numa", "<domain><memory unit='KiB'>1000000</memory></domain>", "~977"},
  {"maximum-without-slots", IN_DOMAIN("<maxMemory unit='KiB'>4194304</maxMemory>"), "~1024 max=4096/0"},
  {"huge-pages-by-default", IN_DOMAIN("<memoryBacking><hugepages/></memoryBacking>"), "~1024 page=2"},
  {"huge-pages-in-units", IN_DOMAIN("<memoryBacking><hugepages><page size='1' unit='G'/></hugepages></memoryBacking>"),
    "~1024 page=1024"},
  {"huge-page-of-the-only-node",
    IN_DOMAIN("<memoryBacking><hugepages><page size='2048' unit='KiB' nodeset='0'/><page size='1048576' unit='KiB' "
              "nodeset='1'/></hugepages></memoryBacking>"),
    "~1024 page=2"},
  {"huge-pages-by-node",
    IN_DOMAIN("<memoryBacking><hugepages><page size='2048' unit='KiB'/><page size='1048576' unit='KiB' "
              "nodeset='0,2-3'/><page size='4' unit='KiB' nodeset='4'/></hugepages></memoryBacking><cpu><numa>"
              "<cell memory='1048576'/><cell memory='2048'/><cell memory='1048576'/><cell memory='1048576'/>"
              "<cell memory='1024'/></numa></cpu>"),
    "1024+2+1024+1024+1 page=1024+2+1024+1024+0"},
  {"cells-in-order",
    IN_DOMAIN(
      "<cpu><numa><cell cpus='0,4-5' memory='1024'/><cell cpus='1-3' memory='1024'/><cell memory='1024'/></numa></cpu>"),
    "1+1+1"},
  {"cell-without-cpus-first",
    IN_DOMAIN("<cpu><numa><cell memory='1024'/><cell cpus='0-3' memory='1024'/></numa></cpu>"), "1+1 renumbers"},
  {"cells-out-of-order",
    IN_DOMAIN("<cpu><numa><cell cpus='2,3' memory='1024'/><cell cpus='8,0-1' memory='1024'/></numa></cpu>"),
    "1+1 renumbers"},
  {"locked-memory-is-no-huge-page", IN_DOMAIN("<memoryBacking><locked/></memoryBacking>"), "~1024"},
  {"foreign-memory-elements",
    IN_DOMAIN("<metadata><a:memory xmlns:a='urn:a' guaranteed='1048576'/><memory guaranteed='1048576'/></metadata>"),
    "~1024"},
  {"foreign-ovirt",
    IN_DOMAIN("<metadata><vm xmlns='urn:b'><minGuaranteedMemoryMb>5</minGuaranteedMemoryMb></vm>"
              "</metadata>"),
    "~1024"},
  {"ours-before-ovirt",
    IN_DOMAIN("<metadata><o:vm xmlns:o='http://ovirt.org/vm/1.0'><o:minGuaranteedMemoryMb>5</o:minGuaranteedMemoryMb>"
              "</o:vm><memory xmlns='urn:dimmer:memory:1' guaranteed='7340032'/></metadata>"),
    "~1024 g=7"},
  {"maximum-kept-aside",
    IN_DOMAIN("<metadata><d:memory xmlns:d='urn:dimmer:memory:1' maximum='1073741824' slots='16'/></metadata>"),
    "~1024 aside=1024/16"},
  {"other-models",
    IN_DOMAIN("<cpu><numa><cell memory='1048576' unit='KiB'/></numa></cpu><devices><memory "
              "model='sgx-epc'><target><size unit='KiB'>65536</size></target></memory><memory "
              "model='virtio-pmem'><target><size unit='KiB'>524288</size></target></memory></devices>"),
    "1024 n64 n512"},
};

/* What tells two devices of one size apart, live and in the definition. */
static void test_backing(void) {
  static const char xml[] =
    "<domain><devices><memory model='dimm' access='shared' discard='yes'><source><pagesize "
    "unit='KiB'>2048</pagesize><nodemask>0-1</nodemask></source><target><size "
    "unit='KiB'>131072</size><node>0</node></target>%s</memory></devices></domain>";
  static const char *const places[] = {
    "<address type='dimm' slot='3'/>", "<alias name='dimm3'/><address type='dimm' slot='3' base='0x100000000'/>"};
  for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
    g_auto(GStrv) halves = g_strsplit(xml, "%s", 2);
    g_autofree char *whole = g_strconcat(halves[0], places[i], halves[1], NULL);
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(whole, vm);
    const DmMemoryDevice *device = config->devices->pdata[0];
    g_autofree char *place = dm_memory_device_place(device);
    g_assert_cmpstr(device->backing, ==, "access=shared discard=yes source/nodemask=0-1 source/pagesize=2048");
    g_assert_cmpstr(place, ==, "slot 3");
  }
}

static void test_snippet(gconstpointer data) {
  const typeof(snippets[0]) *c = data;
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = read_config(c->xml, vm);
  g_autofree char *spelled = config_text(config);
  g_assert_cmpstr(spelled, ==, c->expected);
}

/* What is no XML, or not all of it. */
static void test_malformed(void) {
  static const char *const texts[] = {"", " ", "x", "<", "<domain", "<domain>", "<domain></domian>",
    "<domain/><domain/>", "<domain a=1/>", "<domain>&unknown;</domain>", "<domain><name>\x01</name></domain>",
    "<domain>\xff\xfe</domain>", "<domain/>x"};
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = dm_vm_new();
    DmRequest *request = (DmRequest *)texts; /* untouched */
    g_autofree char *printable = g_strescape(texts[i], NULL);
    g_test_message("%s", printable);
    g_assert_null(domain_xml_read(texts[i], vm, &request, &error));
    g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "cannot be read: line 1: "));
    g_assert_true(request == (DmRequest *)texts);
    g_assert_null(domain_xml_read(texts[i], vm, NULL, NULL));

    g_autoptr(GError) edit_error = NULL;
    g_autoptr(DmConfig) wanted = config_from("1024", FALSE);
    g_assert_null(domain_xml_edit(texts[i], wanted, &edit_error));
    g_assert_error(edit_error, DM_ERROR, DM_ERROR_FAILED);
  }
}

/* No entity reaches outside. */
static void test_entities(void) {
  static const char outside[] =
    "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>";
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = domain_xml_read(outside, vm, NULL, NULL);
  g_assert_cmpuint(config != NULL ? config->devices->len : 0, ==, 0);
  g_assert_true(vm->name == NULL || *vm->name == '\0');
}

static void test_dimm_fields(void) {
  g_autofree char *text = sample("dimms-live");
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = read_config(text, vm);
  for (guint i = 0; i < 3; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    g_assert_cmpint(device->kind, ==, DM_DEVICE_DIMM);
    g_assert_cmpstr(device->model, ==, "dimm");
    g_assert_cmpuint(device->index, ==, i);
    g_assert_cmpint(device->slot, ==, (int)i);
    g_assert_null(device->bus_address);
    g_assert_cmpint(device->movable, ==, DM_MOVABLE_UNKNOWN);
    g_assert_true(g_uuid_string_is_valid(device->id));
  }
  const DmMemoryDevice *first = config->devices->pdata[0], *last = config->devices->pdata[2];
  g_assert_cmpuint(first->address, ==, 0x100000000);
  g_assert_cmpuint(last->address, ==, 0x118000000);
  g_assert_cmpstr(first->id, ==, OUR_ID);
}

static void test_virtio_fields(void) {
  g_autofree char *text = sample("virtio-live");
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = read_config(text, vm);
  const DmMemoryDevice *device = config->devices->pdata[0];
  g_assert_cmpint(device->kind, ==, DM_DEVICE_VIRTIO_MEM);
  g_assert_cmpint(device->slot, ==, -1);
  g_assert_cmpuint(device->address, ==, 0);
  g_assert_cmpstr(device->bus_address, ==, "0000:03:00.0");

  /* libvirt since 9.4 tells where it lies. */
  g_autoptr(DmVm) newer_vm = dm_vm_new();
  g_autoptr(DmConfig) newer = read_config(
    IN_DOMAIN("<devices><memory model='virtio-mem'><target><size unit='KiB'>1024</size><address base='0x140000000'/>"
              "</target></memory></devices>"),
    newer_vm);
  g_assert_cmpuint(((DmMemoryDevice *)newer->devices->pdata[0])->address, ==, 0x140000000);
}

/* SR-IOV stands as an interface, and an NVMe disk of the host is given by VFIO as well. */
static void test_vfio(void) {
  static const struct {
    const char *xml;
    gboolean vfio;
  } devices[] = {
    {IN_DOMAIN("<devices><hostdev mode='subsystem' type='pci'/></devices>"), TRUE},
    {IN_DOMAIN("<devices><hostdev mode='subsystem' type='mdev'/></devices>"), TRUE},
    {IN_DOMAIN("<devices><interface type='bridge'/><interface type='hostdev'/></devices>"), TRUE},
    {IN_DOMAIN("<devices><disk type='nvme' device='disk'/></devices>"), TRUE},
    {IN_DOMAIN("<devices><hostdev mode='subsystem' type='usb'/><disk type='file'/></devices>"), FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(devices); i++) {
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(devices[i].xml, vm);
    g_assert_nonnull(config);
    g_assert_cmpint(vm->vfio, ==, devices[i].vfio);
  }
}

#define IN_MACHINE(xml) \
  "<domain type='kvm'><name>x</name><memory unit='KiB'>1048576</memory><devices>" xml "</devices></domain>"
#define PORT(index) "<controller type='pci' index='" index "' model='pcie-root-port'/>"
#define ON(bus) "<disk type='file'><address type='pci' bus='" bus "' slot='0x00'/></disk>"

static void test_pci_ports(void) {
  static const struct {
    const char *xml;
    gboolean full;
  } machines[] = {
    {IN_MACHINE("<controller type='pci' index='0' model='pcie-root'/>" PORT("1") ON("0x01")), TRUE},
    {IN_MACHINE("<controller type='pci' index='0' model='pcie-root'/>" PORT("1") PORT("26") ON("0x01")), FALSE},
    {IN_MACHINE("<controller type='pci' index='0' model='pcie-root'/>" PORT("1") PORT("26") ON("0x1a") ON("0x01")),
      TRUE},
    {IN_MACHINE("<controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='1' "
                "model='pcie-root-port'><target hotplug='off'/></controller>"),
      TRUE},
    {IN_MACHINE("<controller type='pci' index='0' model='pci-root'/>" ON("0x00")), FALSE},
    {IN_MACHINE(""), FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(machines[i].xml, vm);
    g_assert_cmpint(config->machine.pci_full, ==, machines[i].full);
  }
}

/* QEMU takes its options with one dash or two. */
static void test_other_args(void) {
  static const struct {
    const char *argument;
    gboolean other;
  } args[] = {{"-cpu", TRUE}, {"--cpu", TRUE}, {"--m", TRUE}, {"-M", TRUE}, {"---m", FALSE}, {"m", FALSE},
    {"-chardev", FALSE}, {"--", FALSE}};
  for (gsize i = 0; i < G_N_ELEMENTS(args); i++) {
    g_autofree char *xml = g_strdup_printf(
      "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>x</name><memory>1048576</memory>"
      "<qemu:commandline><qemu:arg value='%s'/></qemu:commandline></domain>",
      args[i].argument);
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(xml, vm);
    g_assert_cmpint(config->machine.has_other_args, ==, args[i].other);
  }
}

static void test_vhost(void) {
  static const struct {
    const char *xml;
    gboolean vhost, vhost_user;
  } devices[] = {
    {IN_DOMAIN("<devices><interface type='bridge'><model type='virtio'/></interface></devices>"), TRUE},
    {IN_DOMAIN("<devices><vsock model='virtio'/></devices>"), TRUE},
    {IN_DOMAIN("<devices><interface type='bridge'><model type='virtio'/><driver name='qemu'/></interface></devices>"),
      FALSE},
    {IN_DOMAIN("<devices><interface type='bridge'><model type='e1000'/></interface></devices>"), FALSE},
    {IN_DOMAIN("<devices><interface type='user'><model type='virtio'/></interface></devices>"), FALSE},
    {IN_DOMAIN("<devices><interface type='vhostuser'><model type='virtio'/></interface></devices>"), FALSE, TRUE},
    {IN_DOMAIN("<devices><disk type='file'/><disk type='vhostuser'/></devices>"), FALSE, TRUE},
    {IN_DOMAIN("<devices><filesystem><driver type='virtiofs'/></filesystem></devices>"), FALSE, TRUE},
    {IN_DOMAIN("<devices><filesystem><driver type='path'/></filesystem></devices>"), FALSE},
    {IN_DOMAIN("<devices><video><driver name='vhostuser'/></video></devices>"), FALSE, TRUE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(devices); i++) {
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(devices[i].xml, vm);
    g_assert_nonnull(config);
    g_assert_cmpint(vm->vhost, ==, devices[i].vhost);
    g_assert_cmpint(vm->vhost_user, ==, devices[i].vhost_user);
  }
}

static void test_hard_limit(void) {
  g_autoptr(DmVm) vm = dm_vm_new(), without = dm_vm_new();
  g_autoptr(DmConfig) config =
    read_config(IN_DOMAIN("<memtune><hard_limit unit='MiB'>1200</hard_limit></memtune>"), vm);
  g_autoptr(DmConfig) other = read_config(IN_DOMAIN("<memtune/>"), without);
  g_assert_nonnull(config);
  g_assert_nonnull(other);
  g_assert_cmpuint(vm->hard_limit, ==, 1200 * DM_MIB);
  g_assert_cmpuint(without->hard_limit, ==, 0);
}

/* The id of a device without a user alias stays, is the VM's own and the device's own. */
static void test_stable_ids(void) {
  g_autofree char *text = sample("dimms-live");
  g_autoptr(DmVm) vm = dm_vm_new(), again = dm_vm_new(), other = dm_vm_new();
  other->uuid = g_strdup("00000000-0000-4000-8000-000000000001");
  g_autoptr(DmConfig) a = read_config(text, vm), b = read_config(text, again), c = read_config(text, other);
  const DmMemoryDevice *dimm1 = a->devices->pdata[1], *dimm2 = a->devices->pdata[2];
  g_assert_cmpstr(dimm1->id, ==, ((DmMemoryDevice *)b->devices->pdata[1])->id);
  g_assert_cmpstr(dimm1->id, !=, ((DmMemoryDevice *)c->devices->pdata[1])->id);
  g_assert_cmpstr(dimm1->id, !=, dimm2->id);
  g_assert_cmpstr(((DmMemoryDevice *)a->devices->pdata[0])->id, ==, ((DmMemoryDevice *)c->devices->pdata[0])->id);

  g_autofree char *persistent = sample("rich");
  g_autoptr(DmVm) rich = dm_vm_new();
  g_autoptr(DmConfig) config = read_config(persistent, rich);
  g_assert_cmpstr(((DmMemoryDevice *)config->devices->pdata[0])->id, ==, OUR_ID);
  g_assert_null(((DmMemoryDevice *)config->devices->pdata[1])->id);
  g_assert_null(((DmMemoryDevice *)config->devices->pdata[1])->alias);
}

/* Aliases that only begin like ours. */
static void test_odd_aliases(void) {
  static const char *const aliases[] = {"ua-", "ua-web", "ua-3f2a91c0", "UA-3f2a91c0-1111-4222-8333-444455556666"};
  for (gsize i = 0; i < G_N_ELEMENTS(aliases); i++) {
    g_autofree char *xml = g_strdup_printf(
      "<domain><devices><memory model='dimm'><alias name='%s'/></memory></devices></domain>", aliases[i]);
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = read_config(xml, vm);
    const DmMemoryDevice *device = config->devices->pdata[0];
    g_assert_cmpstr(device->alias, ==, aliases[i]);
    g_assert_true(g_uuid_string_is_valid(device->id));
    g_assert_false(g_str_has_suffix(aliases[i], device->id));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(samples); i++) {
    g_autofree char *path = g_strconcat("/domain-xml-read/sample/", samples[i].name, NULL);
    g_test_add_data_func(path, &samples[i], test_sample);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(snippets); i++) {
    g_autofree char *path = g_strconcat("/domain-xml-read/snippet/", snippets[i].name, NULL);
    g_test_add_data_func(path, &snippets[i], test_snippet);
  }
  g_test_add_func("/domain-xml-read/backing", test_backing);
  g_test_add_func("/domain-xml-read/malformed", test_malformed);
  g_test_add_func("/domain-xml-read/entities", test_entities);
  g_test_add_func("/domain-xml-read/dimm-fields", test_dimm_fields);
  g_test_add_func("/domain-xml-read/virtio-fields", test_virtio_fields);
  g_test_add_func("/domain-xml-read/vhost", test_vhost);
  g_test_add_func("/domain-xml-read/vfio", test_vfio);
  g_test_add_func("/domain-xml-read/pci-ports", test_pci_ports);
  g_test_add_func("/domain-xml-read/other-args", test_other_args);
  g_test_add_func("/domain-xml-read/hard-limit", test_hard_limit);
  g_test_add_func("/domain-xml-read/stable-ids", test_stable_ids);
  g_test_add_func("/domain-xml-read/odd-aliases", test_odd_aliases);
  return g_test_run();
}
