/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of QEMU 5.2 to 10 and libvirt 9 to 12, as libvirt's error has them after a plug that failed. */
#include "words/host_failure.h"

#include <string.h>

#define OBJECT "internal error: unable to execute QEMU command 'object-add': "
#define DEVICE "internal error: unable to execute QEMU command 'device_add': "

static const struct {
  const char *name, *message;
  DmHostLack lack;
  const char *words; /* in the meaning */
} cases[] = {
  {"ram", OBJECT "cannot set up guest memory 'memua-1': Cannot allocate memory", DM_LACKS_MEMORY,
    "the host is out of memory; free some there, or plug less"},
  {"huge-pages", OBJECT "unable to map backing store for guest RAM: Cannot allocate memory", DM_LACKS_MEMORY,
    "out of memory of that kind"},
  {"prealloc", OBJECT "qemu_prealloc_mem: preallocating memory failed: Bad address", DM_LACKS_MEMORY,
    "the host is out of memory"},
  {"prealloc-6.1", OBJECT "os_mem_prealloc: preallocating memory failed: Bad address", DM_LACKS_MEMORY,
    "the host is out of memory"},
  {"prealloc-5.2", OBJECT "os_mem_prealloc: Insufficient free host memory pages available to allocate guest RAM",
    DM_LACKS_MEMORY, "the host is out of memory"},
  {"prealloc-9.0", OBJECT "qemu_prealloc_mem: failed waiting for memory prealloc: Bad address", DM_LACKS_MEMORY,
    "the host is out of memory"},
  {"memfd", OBJECT "failed to resize memfd to 1073741824: No space left on device", DM_LACKS_MEMORY,
    "no room for the memory's file"},
  {"fork", "cannot fork child process: Cannot allocate memory", DM_LACKS_MEMORY, "the host is out of memory"},
  {"numatune", OBJECT "cannot bind memory to host NUMA nodes: Invalid argument", DM_LACKS_MEMORY, "numatune"},
  {"no-hugetlbfs", "internal error: Unable to find any usable hugetlbfs mount for 2048 KiB", DM_LACKS_OTHER,
    "mount hugetlbfs"},
  {"hugetlbfs-off", "internal error: hugetlbfs filesystem is not mounted or disabled by administrator config",
    DM_LACKS_OTHER, "mount hugetlbfs"},
  {"file", OBJECT "can't open backing store /dev/hugepages/libvirt/qemu/1-vm for guest RAM: Permission denied",
    DM_LACKS_OTHER, "security profile"},
  {"lock", "cannot limit locked memory of process 4711 to 3221225472: Operation not permitted", DM_LACKS_OTHER,
    "LimitMEMLOCK"},
  {"discard", DEVICE "Discarding RAM is disabled", DM_LACKS_OTHER, "plug a DIMM"},
  {"kvm", DEVICE "hypervisor has no free memory slots left", DM_LACKS_OTHER, "the host's KVM"},
  {"vhost", DEVICE "a used vhost backend has no free memory slots left", DM_LACKS_OTHER, "max_mem_regions"},
  {"vhost-8.2", DEVICE "a used vhost backend has not enough free memory slots left", DM_LACKS_OTHER, "max_mem_regions"},
  {"no-acpi", DEVICE "memory hotplug is not enabled: missing acpi device or acpi disabled", DM_LACKS_OTHER,
    "without ACPI"},
  {"no-acpi-arm", DEVICE "memory hotplug is not enabled: missing acpi-ged device", DM_LACKS_OTHER, "without ACPI"},
  {"pci", "internal error: No more available PCI slots", DM_LACKS_OTHER, "no free PCI slot"},
  {"pci-of-qemu", DEVICE "PCI: no slot/function available for virtio-mem-pci, all in use or reserved", DM_LACKS_OTHER,
    "no free PCI slot"},
  {"conflict", DEVICE "address range conflicts with memory device id='ua-9'", DM_LACKS_OTHER, "unplug the other one"},
  {"slot-busy", DEVICE "slot 1 is busy", DM_LACKS_OTHER, "retry"},
  {"slot-used", "unsupported configuration: memory device slot '0' is already being used by another memory device",
    DM_LACKS_OTHER, "retry"},
  {"slots-taken", "unsupported configuration: memory device count '17' exceeds slots count '16'", DM_LACKS_OTHER,
    "retry"},
  {"slots-searched", "internal error: failed to find an empty memory slot", DM_LACKS_OTHER, "retry"},
  {"maximum",
    "unsupported configuration: Attaching memory device with size '524288' would exceed domain's maxMemory config size "
    "'4194304'",
    DM_LACKS_OTHER, "retry"},
  {"hotplug-space", "unsupported configuration: memory device total size exceeds hotplug space", DM_LACKS_OTHER,
    "retry"},
  {"fragmented",
    DEVICE "could not find position in guest address space for memory device - memory fragmented due to alignments",
    DM_LACKS_OTHER, "no gap left"},
  {"beyond",
    DEVICE "can't add memory device [0x180000000:0x40000000], usable range for memory devices [0x140000000:0x40000000]",
    DM_LACKS_OTHER, "no gap left"},
  {"space", DEVICE "not enough space, currently 0x8000000 in use of total space for memory devices 0xc0000000",
    DM_LACKS_OTHER, "larger maximum"},
  {"killed", "Unable to read from monitor: Connection reset by peer", DM_LACKS_OTHER, "its host killed it"},
  {"closed", "internal error: qemu unexpectedly closed the monitor", DM_LACKS_OTHER, "its host killed it"},
  {"not-known", DEVICE "Bus 'pci.0' does not support hotplugging", DM_LACKS_UNKNOWN, NULL},
};

static void test_message(gconstpointer data) {
  const typeof(cases[0]) *c = data;
  DmHostLack lack = DM_LACKS_OTHER;
  g_autofree char *message = g_strconcat("cannot hot plug ua-1: ", c->message, NULL);
  const char *means = dm_host_failure(message, &lack);
  g_assert_cmpint(lack, ==, c->lack);
  g_assert_cmpint(means != NULL, ==, c->words != NULL);
  if (means != NULL && strstr(means, c->words) == NULL)
    g_error("'%s' is not in '%s'", c->words, means);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/host-failure/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_message);
  }
  return g_test_run();
}
