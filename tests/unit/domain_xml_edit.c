/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML out: a persistent definition takes new values, and everything else in it stays. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "domain_xml.h"
#include "notation.h"
#include "xml_lines.h"

#define NS "{urn:dimmer:memory:1}"

/* What is changed of the configuration as it was read, sizes in MiB, and which elements differ then. */
typedef struct {
  const char *sample;
  const char *changes; /* cellN=MIB max=MIB/SLOTS aside=MIB/SLOTS g=MIB drop=INDEX requested=INDEX:MIB numa
                          floor=MIB size=INDEX:MIB new=v|d reports */
  const char *difference;
} Case;

static const Case cases[] = {
  /* currentMemory is what the balloon leaves: it stays where it was less, and is never above memory. */
  {"plain", "cell0=900",
    "-/domain/memory unit=KiB: 1048576\n"
    "+/domain/memory unit=KiB: 921600\n"},
  {"plain", "cell0=2048",
    "-/domain/memory unit=KiB: 1048576\n"
    "+/domain/memory unit=KiB: 2097152\n"},
  {"plain", "cell0=512",
    "-/domain/memory unit=KiB: 1048576\n"
    "-/domain/currentMemory unit=KiB: 786432\n"
    "+/domain/memory unit=KiB: 524288\n"
    "+/domain/currentMemory unit=KiB: 524288\n"},
  {"cells-config", "cell0=400 cell1=500",
    "-/domain/memory unit=KiB: 1310720\n"
    "-/domain/currentMemory unit=KiB: 1310720\n"
    "+/domain/memory unit=KiB: 921600\n"
    "+/domain/currentMemory unit=KiB: 921600\n"
    "-/domain/cpu/numa/cell id=0 cpus=0,2 memory=524288 unit=KiB\n"
    "-/domain/cpu/numa/cell id=1 cpus=1,3 memory=786432 unit=KiB\n"
    "+/domain/cpu/numa/cell id=0 cpus=0,2 memory=409600 unit=KiB\n"
    "+/domain/cpu/numa/cell id=1 cpus=1,3 memory=512000 unit=KiB\n"},
  {"cells-config", "cell1=1024",
    "-/domain/memory unit=KiB: 1310720\n"
    "-/domain/currentMemory unit=KiB: 1310720\n"
    "+/domain/memory unit=KiB: 1572864\n"
    "+/domain/currentMemory unit=KiB: 1572864\n"
    "-/domain/cpu/numa/cell id=1 cpus=1,3 memory=786432 unit=KiB\n"
    "+/domain/cpu/numa/cell id=1 cpus=1,3 memory=1048576 unit=KiB\n"},
  /* 'enable': what hot plug needs, with all processors in one new cell. */
  {"plain", "numa max=4096/16",
    "+/domain/maxMemory unit=KiB slots=16: 4194304\n"
    "+/domain/cpu/numa\n"
    "+/domain/cpu/numa/cell id=0 cpus=0-2 memory=1048576 unit=KiB\n"},
  {"cells-config", "max=8192/16",
    "-/domain/maxMemory slots=16 unit=KiB: 4194304\n"
    "+/domain/maxMemory slots=16 unit=KiB: 8388608\n"},
  {"cells-config", "max=8192/32",
    "-/domain/maxMemory slots=16 unit=KiB: 4194304\n"
    "+/domain/maxMemory slots=32 unit=KiB: 8388608\n"},
  /* A maximum kept aside goes into dimmer's own metadata, and comes back from there. */
  {"cells-config", "aside=1280/16",
    "-/domain/maxMemory slots=16 unit=KiB: 4194304\n"
    "+/domain/metadata/" NS "memory maximum=1342177280 slots=16\n"},
  {"rich", "g=900",
    "-/domain/metadata/" NS "memory guaranteed=805306368\n"
    "+/domain/metadata/" NS "memory guaranteed=943718400\n"},
  {"ovirt", "g=500", "+/domain/metadata/" NS "memory guaranteed=524288000\n"},
  {"plain", "g=500", "+/domain/metadata/" NS "memory guaranteed=524288000\n"},
  {"virtio-config", "requested=0:256",
    "-/domain/devices/memory/target/requested unit=KiB: 524288\n"
    "+/domain/devices/memory/target/requested unit=KiB: 262144\n"},
  {"nvdimm-config", "cell0=2048",
    "-/domain/memory unit=KiB: 1310720\n"
    "-/domain/currentMemory unit=KiB: 1310720\n"
    "+/domain/memory unit=KiB: 2359296\n"
    "+/domain/currentMemory unit=KiB: 2359296\n"
    "-/domain/cpu/numa/cell id=0 cpus=0 memory=1048576 unit=KiB\n"
    "+/domain/cpu/numa/cell id=0 cpus=0 memory=2097152 unit=KiB\n"},
  {"rich", "drop=0",
    "-/domain/memory unit=KiB: 2883584\n"
    "-/domain/currentMemory unit=KiB: 2883584\n"
    "+/domain/memory unit=KiB: 2621440\n"
    "+/domain/currentMemory unit=KiB: 2621440\n"
    "-/domain/devices/memory/target/size unit=KiB: 262144\n"
    "-/domain/devices/memory/target/node: 0\n"
    "-/domain/devices/memory/alias name=ua-3f2a91c0-1111-4222-8333-444455556666\n"
    "-/domain/devices/memory/address type=dimm slot=0\n"
    "-/domain/devices/memory model=dimm\n"
    "-/domain/devices/memory/target\n"},
  {"rich", "drop=1 cell0=2304",
    "-/domain/memory unit=KiB: 2883584\n"
    "-/domain/currentMemory unit=KiB: 2883584\n"
    "+/domain/memory unit=KiB: 2621440\n"
    "+/domain/currentMemory unit=KiB: 2621440\n"
    "-/domain/cpu/numa/cell id=0 cpus=0-1 memory=2097152 unit=KiB\n"
    "+/domain/cpu/numa/cell id=0 cpus=0-1 memory=2359296 unit=KiB\n"
    "-/domain/devices/memory model=dimm\n"
    "-/domain/devices/memory/target\n"
    "-/domain/devices/memory/target/size unit=KiB: 524288\n"
    "-/domain/devices/memory/target/node: 0\n"
    "-/domain/devices/memory/address type=dimm slot=1\n"},
  /* Set up to shrink. */
  {"plain", "numa max=4096/16 cell0=512 floor=512 new=v reports",
    "-/domain/memory unit=KiB: 1048576\n"
    "+/domain/metadata/" NS "memory floor=536870912 floor-kind=virtio-mem\n"
    "+/domain/maxMemory unit=KiB slots=16: 4194304\n"
    "+/domain/memory unit=KiB: 1572864\n"
    "+/domain/cpu/numa\n"
    "+/domain/cpu/numa/cell id=0 cpus=0-2 memory=524288 unit=KiB\n"
    "-/domain/devices/memballoon model=virtio\n"
    "+/domain/devices/memballoon model=virtio freePageReporting=on autodeflate=on\n"
    "+/domain/devices/memory model=virtio-mem\n"
    "+/domain/devices/memory/target\n"
    "+/domain/devices/memory/target/size unit=KiB: 1048576\n"
    "+/domain/devices/memory/target/node: 0\n"
    "+/domain/devices/memory/target/block unit=KiB: 2048\n"
    "+/domain/devices/memory/target/requested unit=KiB: 524288\n"
    "+/domain/devices/memory/alias name=ua-new\n"},
  {"virtio-config", "size=0:2048 requested=0:1024",
    "-/domain/memory unit=KiB: 2097152\n"
    "-/domain/currentMemory unit=KiB: 2097152\n"
    "+/domain/memory unit=KiB: 3145728\n"
    "+/domain/currentMemory unit=KiB: 3145728\n"
    "-/domain/devices/memory/target/size unit=KiB: 1048576\n"
    "+/domain/devices/memory/target/size unit=KiB: 2097152\n"
    "-/domain/devices/memory/target/requested unit=KiB: 524288\n"
    "+/domain/devices/memory/target/requested unit=KiB: 1048576\n"},
};

static void add_new(DmConfig *config, DmDeviceKind kind) {
  DmMemoryDevice *device = dm_memory_device_new(kind);
  device->index = DM_DEVICE_NEW;
  device->alias = g_strdup("ua-new");
  device->size = 1024 * DM_MIB;
  device->requested = 512 * DM_MIB;
  device->block = 2 * DM_MIB;
  g_ptr_array_add(config->devices, device);
}

static void drop_index(DmConfig *config, guint index) {
  for (guint i = 0; i < config->devices->len; i++) {
    if (((DmMemoryDevice *)config->devices->pdata[i])->index == index) {
      g_ptr_array_remove_index(config->devices, i);
      return;
    }
  }
  g_assert_not_reached();
}

static void change(DmConfig *config, const char *text) {
  guint a, b;
  if (sscanf(text, "cell%u=%u", &a, &b) == 2) {
    g_array_index(config->cells, uint64_t, a) = b * DM_MIB;
  } else if (sscanf(text, "max=%u/%u", &a, &b) == 2) {
    config->maximum = a * DM_MIB;
    config->slots = b;
  } else if (sscanf(text, "aside=%u/%u", &a, &b) == 2) {
    config->maximum = 0;
    config->hidden_maximum = a * DM_MIB;
    config->hidden_slots = b;
  } else if (sscanf(text, "g=%u", &a) == 1) {
    config->guaranteed = a * DM_MIB;
  } else if (sscanf(text, "drop=%u", &a) == 1) {
    drop_index(config, a);
  } else if (sscanf(text, "floor=%u", &a) == 1) {
    uint64_t floor = a * DM_MIB;
    g_array_set_size(config->floors, 0);
    g_array_append_val(config->floors, floor);
  } else if (sscanf(text, "size=%u:%u", &a, &b) == 2) {
    ((DmMemoryDevice *)config->devices->pdata[a])->size = b * DM_MIB;
  } else if (g_str_has_prefix(text, "new=")) {
    add_new(config, text[4] == 'v' ? DM_DEVICE_VIRTIO_MEM : DM_DEVICE_DIMM);
  } else if (strcmp(text, "reports") == 0) {
    config->free_page_reporting = config->autodeflate = TRUE;
  } else if (sscanf(text, "requested=%u:%u", &a, &b) == 2) {
    ((DmMemoryDevice *)config->devices->pdata[a])->requested = b * DM_MIB;
  } else {
    g_assert_cmpstr(text, ==, "numa");
    config->has_numa = TRUE;
  }
}

/* @text with @changes, which are blank-separated; NULL where nothing differs. */
static char *edit(const char *text, const char *changes) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = domain_xml_read(text, vm, NULL, &error);
  g_assert_no_error(error);
  g_auto(GStrv) words = g_strsplit(changes, " ", -1);
  for (guint i = 0; words[i] != NULL; i++)
    change(config, words[i]);
  char *edited = domain_xml_edit(text, config, &error);
  g_assert_no_error(error);
  return edited;
}

/* What is read back from @text. */
static char *read_back(const char *text) {
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmConfig) config = domain_xml_read(text, vm, NULL, NULL);
  return config_text(config);
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  g_autofree char *text = sample(c->sample);
  g_autofree char *edited = edit(text, c->changes);
  g_autofree char *difference = edited != NULL ? xml_difference(text, edited) : g_strdup("");
  g_assert_cmpstr(difference, ==, c->difference);

  /* And what is read back is what was wanted: the same changes change nothing more, but for devices come and gone. */
  if (edited != NULL && strstr(c->changes, "drop=") == NULL && strstr(c->changes, "new=") == NULL) {
    g_autofree char *again = edit(edited, c->changes);
    g_assert_null(again);
  }
}

/* A definition that is to stay as it is stays as it is, to the letter: nothing is defined then. */
static void test_identity(gconstpointer data) {
  g_autofree char *text = sample(data);
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) config = domain_xml_read(text, vm, NULL, NULL);
  g_autofree char *edited = domain_xml_edit(text, config, &error);
  g_assert_no_error(error);
  g_assert_null(edited);
}

/* There and back again leaves no trace. */
static void test_there_and_back(void) {
  g_autofree char *text = sample("rich");
  g_autofree char *there = edit(text, "cell0=8192 aside=8192/16 g=4096 drop=0 drop=1");
  g_assert_nonnull(there);
  g_autofree char *spelled = read_back(there);
  g_assert_cmpstr(spelled, ==, "8192 aside=8192/16 g=4096 balloon=8192");
  g_autofree char *back = edit(there, "cell0=2048 aside=0/0 max=8192/16 g=768");
  g_autofree char *spelled_back = read_back(back);
  g_assert_cmpstr(spelled_back, ==, "2048 max=8192/16 g=768 balloon=2048");
  g_autofree char *metadata = xml_difference(text, back);
  g_assert_null(strstr(metadata, "metadata"));
}

/* Guaranteed 0 is nothing stored: the attribute goes, the element and its request stay. */
static void test_request_stays(void) {
  g_autofree char *text = sample("rich");
  g_auto(GStrv) halves = g_strsplit(text, "guaranteed=\"805306368\"/>", 2);
  g_autofree char *with_request = g_strconcat(halves[0],
    "guaranteed=\"805306368\" other=\"kept\"><dimmer:request id=\"x\" action=\"set\" state=\"asked\"><dimmer:step "
    "op=\"unplug\" alias=\"a\" state=\"asked\"/></dimmer:request></dimmer:memory>",
    halves[1], NULL);
  g_autofree char *edited = edit(with_request, "g=0");
  g_autofree char *difference = xml_difference(with_request, edited);
  g_assert_cmpstr(difference, ==,
    "-/domain/metadata/" NS
    "memory guaranteed=805306368 other=kept\n"
    "+/domain/metadata/" NS "memory other=kept\n");
}

/* Floors that are not those of the cells, or no numbers, are none. */
static void test_floors(void) {
  static const struct {
    const char *attributes, *expected;
  } floors[] = {{"floor='536870912'", "1024 floor=512"}, {"floor='536870912' floor-kind='dimm'", "1024 floor=512/dimm"},
    {"floor='536870912 536870912'", "1024"}, {"floor=''", "1024"}, {"floor='-1'", "1024"}, {"floor='512x'", "1024"},
    {"floor='99999999999999999999'", "1024"}, {"floor='0'", "1024"}};
  for (gsize i = 0; i < G_N_ELEMENTS(floors); i++) {
    g_autofree char *text = g_strdup_printf(
      "<domain><memory unit='KiB'>1048576</memory><cpu><numa><cell id='0' memory='1048576'/></numa></cpu><metadata>"
      "<d:memory xmlns:d='urn:dimmer:memory:1' %s/></metadata></domain>",
      floors[i].attributes);
    g_autofree char *spelled = read_back(text);
    g_assert_cmpstr(spelled, ==, floors[i].expected);
  }
}

/* Text that needs escaping, and what is not ASCII, is the same text afterwards. */
static void test_escapes(void) {
  g_autofree char *text = sample("rich");
  g_autofree char *edited = edit(text, "cell0=1024");
  g_assert_nonnull(strstr(edited, "passwd=\"se&lt;cret\""));
  g_assert_nonnull(strstr(edited, "<title>a &amp; b</title>"));
  g_autofree char *difference = xml_difference(text, edited);
  g_assert_null(strstr(difference, "title"));
  g_assert_null(strstr(difference, "note"));
}

static void test_new_cell_for_each_number_of_processors(void) {
  static const struct {
    const char *vcpu, *cpus;
  } processors[] = {
    {"<vcpu>1</vcpu>", "cpus=0 "}, {"<vcpu placement='static' current='2'>16</vcpu>", "cpus=0-15 "}, {"", "cpus=0 "}};
  for (gsize i = 0; i < G_N_ELEMENTS(processors); i++) {
    g_autofree char *text =
      g_strdup_printf("<domain><memory unit='KiB'>1048576</memory>%s</domain>", processors[i].vcpu);
    g_autofree char *edited = edit(text, "numa max=4096/16");
    g_autofree char *difference = xml_difference(text, edited);
    g_assert_nonnull(strstr(difference, processors[i].cpus));
    g_autofree char *spelled = read_back(edited);
    g_assert_cmpstr(spelled, ==, "1024 max=4096/16");
  }
}

/* ---- one device, as libvirt is to plug or to change it ---- */

static void test_plug_xml(void) {
  DmMemoryDevice device = {.alias = (char *)"ua-1<&'\"", .kind = DM_DEVICE_DIMM, .size = 256 * DM_MIB, .node = 1};
  g_autoptr(DmStep) dimm = dm_step_new(DM_OP_PLUG, &device);
  g_autofree char *dimm_xml = device_xml_format(dimm);
  g_autofree char *difference = xml_difference("<x/>", dimm_xml);
  g_assert_cmpstr(difference, ==,
    "-/x\n+/memory model=dimm\n+/memory/target\n+/memory/target/size unit=KiB: 262144\n+/memory/target/node: 1\n"
    "+/memory/alias name=ua-1<&'\"\n");

  dimm->run.address = 0x118000000;
  dimm->run.slot = 2;
  g_autofree char *placed_xml = device_xml_format(dimm);
  g_autofree char *placed = xml_difference(dimm_xml, placed_xml);
  g_assert_cmpstr(placed, ==, "+/memory/address type=dimm slot=2 base=0x118000000\n");

  device = (DmMemoryDevice){.alias = (char *)"ua-2",
    .kind = DM_DEVICE_VIRTIO_MEM,
    .size = 1024 * DM_MIB,
    .requested = 512 * DM_MIB,
    .block = 2 * DM_MIB};
  g_autoptr(DmStep) virtio = dm_step_new(DM_OP_PLUG, &device);
  g_autofree char *virtio_xml = device_xml_format(virtio);
  g_autofree char *virtio_difference = xml_difference("<x/>", virtio_xml);
  g_assert_cmpstr(virtio_difference, ==,
    "-/x\n+/memory model=virtio-mem\n+/memory/target\n+/memory/target/size unit=KiB: 1048576\n"
    "+/memory/target/node: 0\n+/memory/target/block unit=KiB: 2048\n+/memory/target/requested unit=KiB: 524288\n"
    "+/memory/alias name=ua-2\n");

  virtio->run.dynamic_memslots = TRUE;
  g_autofree char *divided_xml = device_xml_format(virtio);
  g_autofree char *divided = xml_difference(virtio_xml, divided_xml);
  g_assert_cmpstr(divided, ==, "-/memory/target\n+/memory/target dynamicMemslots=yes\n");
}

static void test_resize_xml(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = sample("virtio-live");
  g_autofree char *device = device_xml_resized(text, "ua-3f2a91c0-1111-4222-8333-444455556666", 256 * DM_MIB, &error);
  g_assert_no_error(error);
  g_assert_nonnull(strstr(device, "<requested unit=\"KiB\">262144</requested>"));
  g_assert_nonnull(strstr(device, "<size unit=\"KiB\">1048576</size>"));
  g_assert_nonnull(strstr(device, "<address type=\"pci\""));

  g_assert_null(device_xml_resized(text, "ua-gone", 256 * DM_MIB, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_NO_SUCH_DEVICE);
}

int main(int argc, char **argv) {
  static const char *const all[] = {"plain", "hugepages", "ovirt", "rich", "dimms-live", "dimms-config", "cells-live",
    "cells-config", "virtio-live", "virtio-config", "nvdimm-live", "nvdimm-config", "ppc64"};
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *what = g_strdelimit(g_strdup(cases[i].changes), "/", ':');
    g_autofree char *path = g_strdup_printf("/domain-xml-edit/%s/%s", cases[i].sample, what);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
    g_autofree char *path = g_strconcat("/domain-xml-edit/identity/", all[i], NULL);
    g_test_add_data_func(path, all[i], test_identity);
  }
  g_test_add_func("/domain-xml-edit/there-and-back", test_there_and_back);
  g_test_add_func("/domain-xml-edit/request-stays", test_request_stays);
  g_test_add_func("/domain-xml-edit/floors", test_floors);
  g_test_add_func("/domain-xml-edit/escapes", test_escapes);
  g_test_add_func("/domain-xml-edit/new-cell", test_new_cell_for_each_number_of_processors);
  g_test_add_func("/domain-xml-edit/plug", test_plug_xml);
  g_test_add_func("/domain-xml-edit/resize", test_resize_xml);
  return g_test_run();
}
