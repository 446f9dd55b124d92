/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor: what it says of which picture. */
#include "plan/doctor.h"

#include <string.h>

#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

typedef struct {
  const char *name, *vm, *guest; /* NULL: it was not asked */
  const char *more;              /* words: see apply(); NULL: none */
  const char *check, *alias;     /* the finding; NULL: of the VM */
  const char *verdict;           /* NULL: there is no such finding */
  const char *source;            /* NULL: none */
  const char *words[4]; /* each stands in the evidence or, after "->", in the remedy; after "$" is the command, or none;
                           "-": no remedy */
} Case;

#define ENABLED "running: 1024 max=4096/16 | 1024 max=4096/16"
#define PLAIN "running: 1024 max=4096/16 | 1024 max=4096/16"
#define DIMMS "running: 1024 max=4096/16 d256 d128 | -"
#define WINDOWS "agent windows os=Microsoft_Windows_Server_2022"

static const Case host[] = {
  {"running", PLAIN, NULL, NULL, "state", NULL, "good", "libvirt", {"is running", "-"}},
  {"paused", "paused: 1024 | 1024", NULL, NULL, "state", NULL, "bad", "libvirt",
    {"is paused", "->resume it", "$virsh resume web1"}},
  {"shut-off", "shut-off: - | 1024", NULL, NULL, "state", NULL, "bad", "libvirt",
    {"shut off", "->start it", "$virsh start web1"}},
  {"suspended", "suspended: 1024 | -", NULL, NULL, "state", NULL, "bad", "libvirt",
    {"->wake it up", "$virsh dompmwakeup web1"}},
  {"shut-off-no-more", "shut-off: - | 1024", NULL, NULL, "room", NULL, NULL, NULL, {NULL}},
  {"hot-plugged", DIMMS, NULL, NULL, "hot-plugged", NULL, "good", "libvirt",
    {"2 memory devices with 384 MiB are hot plugged", "-"}},
  {"hot-plugged-one", "running: 1024 v1024:512/512:2 n128 | -", NULL, NULL, "hot-plugged", NULL, "good", "libvirt",
    {"1 memory device with 512 MiB is"}},
  {"hot-plugged-none", "running: 1024 max=4096/16 n128 | -", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"boot memory", "->plug one", "$dimmer plug web1 SIZE"}},
  {"room", DIMMS, NULL, NULL, "room", NULL, "good", "libvirt", {"2688 MiB more", "maximum of 4096 MiB", "-"}},
  {"room-too-little", "running: 1024 max=1088/16 | 1024 max=1088/16", NULL, NULL, "room", NULL, "warning", "libvirt",
    {"64 MiB", "128 MiB", "->raise the maximum", "$dimmer set web1 --maximum SIZE"}},
  {"room-within-a-device", "running: 512 max=4096/16 v3584:512:2 | -", NULL, NULL, "room", NULL, "good", "libvirt",
    {"3072 MiB more", "maximum of 4096 MiB", "-"}},
  {"room-within-a-device-and-beside", "running: 512 max=4096/16 v2560:512:2 | -", NULL, NULL, "room", NULL, "good",
    "libvirt", {"3072 MiB more", "-"}},
  {"room-all-taken", "running: 512 max=4096/16 v3584:3584:2 | -", NULL, NULL, "room", NULL, "warning", "libvirt",
    {"0 MiB are left", "->raise the maximum"}},
  {"room-of-a-block", "running: 1024 max=2048/16 | -", "agent block=2048", NULL, "room", NULL, "warning", "libvirt",
    {"1024 MiB are left", "2048 MiB)"}},
  {"room-not-enabled", "running: ~1024 | ~1024", NULL, NULL, "room", NULL, "bad", "libvirt",
    {"without maxMemory", "->floor", "$dimmer enable web1 --maximum 2048MiB --floor 512MiB"}},
  {"room-not-enabled-of-a-transient-one", "running: ~1024 | -", NULL, NULL, "room", NULL, "bad", "libvirt",
    {"without maxMemory", "->transient VM", "$"}},
  {"room-enabled-for-the-next-start", "running: ~1024 | 1024 max=4096/16", NULL, NULL, "room", NULL, "bad", "libvirt",
    {"without maxMemory", "->stop it and start it", "$"}},
  /* As most tools make a VM: the shortest way to one that shrinks. */
  {"ordinary", "running: ~1024 | ~1024", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"all of its memory is boot memory", "->set it up to shrink",
      "$dimmer enable web1 --maximum 2048MiB --floor 512MiB"}},
  {"ordinary-and-prepared", "running: ~1024 | 1024 max=2048/16", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"no memory device", "-"}},
  {"nothing-to-plug-into", "running: ~512 | ~512", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"no memory device", "-"}},
  {"nothing-left-to-plug", "running: 1024 max=1088/16 | -", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"no memory device", "-"}},
  {"something-to-plug", "running: 1024 max=4096/16 | -", NULL, NULL, "hot-plugged", NULL, "warning", "libvirt",
    {"->plug one", "$dimmer plug web1 SIZE"}},
  {"block-size-usual", "running: 1024 max=4096/16 d64 | -", "no-agent", NULL, "block-size", "dimm0", "warning",
    "libvirt", {"64 MiB are not a multiple of 128 MiB", "uses nothing of it", "->unplug it"}},
  {"slots", DIMMS, NULL, NULL, "slots", NULL, "good", "libvirt", {"free memory slots: 14 of 16"}},
  {"slots-one", "running: 1024 max=4096/2 d128 | -", NULL, NULL, "slots", NULL, "good", "libvirt",
    {"free memory slots: 1 of 2"}},
  {"slots-taken", "running: 1024 max=4096/1 d128 | 1024 max=4096/1", NULL, NULL, "slots", NULL, "warning", "libvirt",
    {"no memory slot is free (of 1)", "->add slots", "$dimmer enable web1 --maximum SIZE --slots N"}},
  {"slots-taken-and-virtio-mem-grows", "running: 1024 max=4096/1 v1024:256/256:2 | -", NULL, NULL, "slots", NULL,
    "warning", "libvirt", {"can grow by 768 MiB", "->raise its memory", "$dimmer set web1 --memory SIZE"}},
  {"slots-without-virtio-mem", "running: 1024 max=4096/1 slotless v1024:256/256:2 | -", NULL, NULL, "slots", NULL,
    "good", "libvirt", {"free memory slots: 1 of 1"}},
  {"slots-taken-by-a-dimm", "running: 1024 max=4096/1 slotless d256 | 1024 max=4096/1", NULL, NULL, "slots", NULL,
    "warning", "libvirt",
    {"no DIMM can be hot plugged, but virtio-mem devices can", "->add slots",
      "$dimmer enable web1 --maximum SIZE --slots N"}},
  {"slots-not-enabled", "running: ~1024 | ~1024", NULL, NULL, "slots", NULL, NULL, NULL, {NULL}},
  {"balloon", "running: 1024 max=4096/16 balloon=1024 d256 | -", NULL, "balloon", "balloon", NULL, "warning", "libvirt",
    {"inflated by 256 MiB", "->deflate it", "$virsh setmem web1 1310720 --live"}},
  {"balloon-never-and-inflated", "running: 1024 max=4096/16 balloon=1024 use=never d256 | -", NULL, "balloon",
    "balloon", NULL, "warning", "libvirt", {"may refuse to release", "->deflate it"}},
  {"balloon-beside-devices", "running: 1024 max=4096/16 balloon=1024 d256 | -", NULL, "balloon", "balloon", NULL,
    "warning", "libvirt", {"not recommended", "loses both"}},
  {"balloon-holds", "running: ~1024 balloon=512 | ~1024", NULL, "balloon", "balloon", NULL, "good", "libvirt",
    {"holds 512 MiB", "can use 512 MiB", "$dimmer set web1 --memory 1024MiB --balloon --live"}},
  {"balloon-can-take", "running: ~1024 balloon=1024 | ~1024", NULL, "balloon", "balloon", NULL, "good", "libvirt",
    {"take from boot memory", "->inflate it", "$dimmer set web1 --memory SIZE --balloon --live"}},
  {"balloon-can-take-size", "running: ~1024 balloon=1024 | ~1024", "balloon total=980 avail=880", "balloon", "balloon",
    NULL, "good", "libvirt",
    {"can take 808 MiB", "a reserve of 72 MiB", "->inflate it", "$dimmer set web1 --memory 216MiB --balloon --live"}},
  {"balloon-can-take-down-to-guaranteed", "running: ~1024 balloon=1024 g=600 | ~1024", "balloon total=980 avail=880",
    "balloon", "balloon", NULL, "good", "libvirt",
    {"can take 424 MiB", "$dimmer set web1 --memory 600MiB --balloon --live"}},
  {"balloon-can-take-nothing", "running: ~1024 balloon=1024 | ~1024", "balloon total=980 avail=71", "balloon",
    "balloon", NULL, "good", "libvirt", {"can take nothing now", "-"}},
  {"balloon-never", "running: ~1024 balloon=1024 use=never | ~1024", NULL, "balloon", "balloon", NULL, "good",
    "libvirt", {"never to be used", "-"}},
  {"balloon-useless", "running: ~1024 balloon=1024 | ~1024", NULL, "balloon vfio", "balloon", NULL, "warning",
    "libvirt", {"pinned for host devices", "-"}},
  {"balloon-huge-pages", "running: 1024 max=1024/16 page=2 balloon=1024 | -", NULL, "balloon", "balloon", NULL,
    "warning", "libvirt", {"huge pages", "-"}},
  {"balloon-empty", "running: 1024 max=4096/16 balloon=1280 d256 | -", NULL, "balloon", "balloon", NULL, "good",
    "libvirt", {"not inflated", "-"}},
  {"balloon-none", DIMMS, NULL, NULL, "balloon", NULL, "good", "libvirt", {"no balloon"}},
  {"balloon-none-virtio-mem", "running: 1024 v1024:512/512:2 | -", NULL, NULL, "balloon", NULL, "good", "libvirt",
    {"no balloon"}},
  {"balloon-virtio-mem", "running: 1024 balloon=1024 v1024:512/512:2 | -", NULL, "balloon", "balloon", NULL, "unknown",
    "libvirt", {"does not report", "-"}},
  {"free-pages", ENABLED, NULL, "balloon-free-pages", "free-page-reporting", NULL, "good", "libvirt",
    {"gets back what the guest frees", "-"}},
  {"free-pages-next", ENABLED, NULL, "balloon-free-pages-next", "free-page-reporting", NULL, "good", "libvirt",
    {"from the next start on", "-"}},
  {"free-pages-off", ENABLED, NULL, "balloon", "free-page-reporting", NULL, "good", "libvirt",
    {"does not report", "->turn on free page reporting",
      "$dimmer enable web1 --maximum 4096MiB --free-page-reporting"}},
  {"free-pages-off-transient", "running: 1024 | -", NULL, "balloon", "free-page-reporting", NULL, "good", "libvirt",
    {"does not report", "-"}},
  {"free-pages-old-kernel", ENABLED, "agent kernel=5.4.0", "balloon-free-pages", "free-page-reporting", NULL, "warning",
    "dimmer-guest", {"kernel 5.4.0 is older than Linux 5.7", "->newer kernel"}},
  {"free-pages-no-driver", ENABLED, NULL, "balloon-free-pages balloon-mute", "free-page-reporting", NULL, "warning",
    "libvirt", {"may have none", "->load the driver virtio_balloon", "$"}},
  {"free-pages-vfio", ENABLED, NULL, "balloon-free-pages vfio", "free-page-reporting", NULL, "warning", "libvirt",
    {"(VFIO) pin", "-", "$"}},
  {"free-pages-locked", ENABLED, NULL, "balloon-free-pages locked", "free-page-reporting", NULL, "warning", "libvirt",
    {"locked or encrypted", "-", "$"}},
  {"free-pages-large", "running: 1024 max=4096/16 page=1024 | 1024 max=4096/16", NULL, "balloon-free-pages",
    "free-page-reporting", NULL, "warning", "libvirt", {"less than a whole huge page", "-", "$"}},
  {"free-pages-large-on-one", "running: 1024+1024 max=4096/16 page=1024+2 | 1024 max=4096/16", NULL,
    "balloon-free-pages", "free-page-reporting", NULL, "good", "libvirt", {"gets back", "-"}},
  {"free-pages-off-vfio", ENABLED, NULL, "balloon vfio", "free-page-reporting", NULL, "good", "libvirt",
    {"does not report", "-", "$"}},
  {"free-pages-none", ENABLED, NULL, NULL, "free-page-reporting", NULL, NULL, NULL, {NULL}},
  {"autodeflate", ENABLED, NULL, "balloon-autodeflate", "autodeflate", NULL, "good", "libvirt",
    {"deflates before the guest kills", "-"}},
  {"autodeflate-next", ENABLED, NULL, "balloon-autodeflate-next", "autodeflate", NULL, "good", "libvirt",
    {"from the next start on", "-"}},
  {"autodeflate-off", "running: ~1024 | ~1024", NULL, "balloon", "autodeflate", NULL, "good", "libvirt",
    {"does not deflate", "->turn on autodeflate", "$"}},
  {"huge-pages-none", PLAIN, NULL, NULL, "huge-pages", NULL, "good", "libvirt", {"ordinary"}},
  {"huge-pages-small", "running: 1024 page=2 | -", NULL, NULL, "huge-pages", NULL, "good", "libvirt", {"2 MiB"}},
  {"huge-pages-large", "running: 1024 page=1024 | -", NULL, NULL, "huge-pages", NULL, "warning", "libvirt",
    {"1024 MiB", "-"}},
  {"vhost-none", PLAIN, NULL, NULL, "vhost", NULL, NULL, NULL, {NULL}},
  {"vhost-not-known", DIMMS, NULL, "vhost=0", "vhost", NULL, "unknown", NULL, {"unknown: how many"}},
  {"vhost-enough", DIMMS, NULL, "vhost=64", "vhost", NULL, "good", "libvirt", {"64 memory regions", "enough"}},
  {"vhost-too-few", DIMMS, NULL, "vhost=8", "vhost", NULL, "warning", "libvirt",
    {"8 memory regions", "about 2 more", "->max_mem_regions"}},
  {"vhost-user", DIMMS, NULL, "vhost-user", "vhost", NULL, "unknown", NULL,
    {"vhost-user", "8 memory regions", "->few, large"}},
  {"vfio-none", PLAIN, NULL, NULL, "vfio", NULL, "good", "libvirt", {"no host device"}},
  {"vfio", DIMMS, NULL, "vfio", "vfio", NULL, "warning", "libvirt",
    {"a DIMM takes its whole size on the host at once; if the host does not", "-"}},
  {"vfio-virtio-mem", "running: 1024 v1024:512/512:2 | -", NULL, "vfio", "vfio", NULL, "warning", "libvirt",
    {"a DIMM takes its whole size", "a virtio-mem device what the guest has of it", "-"}},
  {"restoring", "running: 1024 max=4096/16 d256 v1024:256/256:2 | -", NULL, NULL, "migration", NULL, "warning",
    "libvirt", {"keeps no address", "->lower the virtio-mem device", "$"}},
  {"restoring-kept", "running: 1024 max=4096/16 keeps d256 v1024:256/256:2 | -", NULL, NULL, "migration", NULL, "good",
    "libvirt", {"no migration"}},
  {"restoring-virtio-mem-alone", "running: 1024 max=4096/16 v1024:256/256:2 | -", NULL, NULL, "migration", NULL, "good",
    "libvirt", {"no migration"}},
  {"migration-none", PLAIN, NULL, NULL, "migration", NULL, "good", "libvirt", {"no migration", "-"}},
  {"migration-arrives", "paused: 1024 | -", NULL, "migrating", "migration", NULL, "bad", "libvirt",
    {"->wait until that is over", "$"}},
  {"migration", PLAIN, NULL, "migrating", "migration", NULL, "bad", "libvirt",
    {"being migrated", "->abort it", "$virsh domjobabort web1"}},
  {"request-none", DIMMS, NULL, NULL, "request", NULL, "good", "libvirt", {"no earlier request", "-"}},
  {"request-done", DIMMS "| set=1024 -dimm0(256):refused -dimm9(128):removed", NULL, NULL, "request", NULL, "good",
    "libvirt", {"no earlier"}},
  {"request", DIMMS "| set=1024 -dimm0(256):overdue -dimm1(128):asked", NULL, NULL, "request", NULL, "warning",
    "libvirt", {"384 MiB (devices: 2)", "->ask it again", "$dimmer settle web1"}},
  {"request-shrinks", "running: 1024 v1024:256/512:2 | - | set=1280 virtiomem0(512>256):asked", NULL, NULL, "request",
    NULL, "warning", "libvirt", {"256 MiB (devices: 1)"}},
  {"request-grows", "running: 1024 v1024:512/256:2 | - | set=1536 virtiomem0(256>512):asked", NULL, NULL, "request",
    NULL, "good", "libvirt", {NULL}},
};

static const Case guest[] = {
  {"agent", PLAIN, "agent", "agent-open", "ports", NULL, "good", "dimmer-guest", {"dimmer-guest 0.1 answers", "-"}},
  {"both", PLAIN, "both", "agent-open", "ports", NULL, "good", "dimmer-guest", {"and so does"}},
  {"qga", PLAIN, "qga file", "qga-open", "ports", NULL, "good", "qemu-guest-agent", {"without dimmer-guest", "-"}},
  {"qga-exec", PLAIN, "qga exec", "qga-open", "ports", NULL, "good", "qemu-guest-agent", {NULL}},
  {"qga-locked", PLAIN, "qga", "qga-open", "ports", NULL, "warning", "qemu-guest-agent",
    {"neither read files nor run programs", "->has a port for it", "$dimmer guest prepare web1"}},
  {"no-port", PLAIN, "no-agent", NULL, "ports", NULL, "warning", "libvirt",
    {"no port", "->has a port for it", "$dimmer guest prepare web1"}},
  {"not-asked", PLAIN, NULL, NULL, "ports", NULL, "warning", "libvirt", {"no port"}},
  {"no-agent-runs", PLAIN, "no-agent", "agent-closed qga-closed", "ports", NULL, "warning", "libvirt",
    {"neither dimmer-guest nor qemu-guest-agent runs", "->install dimmer-guest in the guest", "$"}},
  {"only-qga's-port", PLAIN, "no-agent", "qga-closed", "ports", NULL, "warning", "libvirt",
    {"->start qemu-guest-agent", "$dimmer guest prepare web1"}},
  {"hangs", PLAIN, "no-agent", "agent-open", "ports", NULL, "warning", "libvirt",
    {"does not answer", "->restart", "$"}},

  {"linux", PLAIN, "agent kernel=6.1.0 os=Debian_12 hot-remove", NULL, "guest-os", NULL, "good", "dimmer-guest",
    {"kernel 6.1.0 (Debian 12) supports memory hot remove", "-"}},
  {"linux-without-os", PLAIN, "agent kernel=6.1.0 hot-remove", NULL, "guest-os", NULL, "good", "dimmer-guest",
    {"kernel 6.1.0 supports"}},
  {"linux-without-a-name", PLAIN, "agent hot-remove", NULL, "guest-os", NULL, "good", "dimmer-guest",
    {"the guest's kernel supports"}},
  {"linux-perhaps", PLAIN, "qga kernel=6.1.0", NULL, "guest-os", NULL, "good", "qemu-guest-agent", {"unless"}},
  {"no-hot-remove", PLAIN, "agent kernel=6.1.0 no-hot-remove", NULL, "guest-os", NULL, "bad", "dimmer-guest",
    {"CONFIG_MEMORY_HOTREMOVE", "->kernel that has it", "$"}},
  {"windows", PLAIN, WINDOWS, NULL, "guest-os", NULL, "bad", "dimmer-guest",
    {"the guest is Microsoft Windows Server 2022, which cannot release", "->next start",
      "$dimmer set web1 --next-run --memory SIZE"}},
  {"windows-by-definition", PLAIN, NULL, "win-by-definition", "guest-os", NULL, "bad", "libvirt",
    {"is Windows by its definition, which"}},
  {"windows-no-more", PLAIN, "agent no-windows kernel=6.1", "win-by-definition", "guest-os", NULL, "good",
    "dimmer-guest", {NULL}},
  {"windows-transient", DIMMS, WINDOWS, NULL, "guest-os", NULL, "bad", "dimmer-guest", {"-"}},
  {"windows-needs-no-agent", PLAIN, NULL, "win-by-definition", "ports", NULL, NULL, NULL, {NULL}},
  {"unknown-os", PLAIN, "no-agent", NULL, "guest-os", NULL, "unknown", NULL, {"unknown: no agent", "-"}},

  {"policy-movable", PLAIN, "agent policy=online_movable", NULL, "onlining", NULL, "good", "dimmer-guest",
    {"the kernel brings", "movable", "-"}},
  {"agent-onlines", PLAIN, "agent policy=offline onlines", NULL, "onlining", NULL, "good", "dimmer-guest",
    {"dimmer-guest brings"}},
  {"udev", PLAIN, "qga policy=offline udev-rule", NULL, "onlining", NULL, "good", "qemu-guest-agent", {"udev rule"}},
  {"udev-comes-too-late", PLAIN, "qga policy=online udev-rule", NULL, "onlining", NULL, "bad", "qemu-guest-agent",
    {"not as movable", "->prepare the guest", "$dimmer guest prepare web1"}},
  {"policy-online", PLAIN, "agent policy=online no-onlines", NULL, "onlining", NULL, "bad", "dimmer-guest",
    {"is online)"}},
  {"policy-kernel", PLAIN, "agent policy=online_kernel movable-node", NULL, "onlining", NULL, "bad", "dimmer-guest",
    {"online_kernel", "->prepare the guest"}},
  {"movable-node", PLAIN, "agent policy=online movable-node", NULL, "onlining", NULL, "good", "dimmer-guest",
    {"movable_node"}},
  {"movable-node-old", PLAIN, "agent movable-node", NULL, "onlining", NULL, "good", "dimmer-guest", {"movable_node"}},
  {"movable-node-offline", PLAIN, "agent policy=offline movable-node", NULL, "onlining", NULL, "warning",
    "dimmer-guest", {"nothing is known"}},
  {"nothing-onlines", PLAIN, "agent policy=offline no-udev-rule no-onlines", NULL, "onlining", NULL, "bad",
    "dimmer-guest", {"stays offline", "->prepare the guest"}},
  {"perhaps-nothing-onlines", PLAIN, "qga policy=offline", NULL, "onlining", NULL, "warning", "qemu-guest-agent",
    {"->prepare the guest"}},
  {"old-kernel", PLAIN, "qga udev-rule", NULL, "onlining", NULL, "good", "qemu-guest-agent", {"udev"}},
  {"old-movable-node", PLAIN, "qga kernel=4.12.9 policy=online movable-node", NULL, "onlining", NULL, "bad",
    "qemu-guest-agent",
    {"not as movable", "->run dimmer-guest", "->start the guest with memhp_default_state=offline",
      "$dimmer guest prepare web1"}},
  {"old-policy-of-others", PLAIN, "agent kernel=4.11.0 policy=online onlines", NULL, "onlining", NULL, "bad",
    "dimmer-guest", {"not as movable", "->prepare the guest: memory plugged from then on"}},
  {"movable-node-since", PLAIN, "qga kernel=4.13.0 policy=online movable-node", NULL, "onlining", NULL, "good",
    "qemu-guest-agent", {"movable_node"}},
  {"old-movable-node-alone", PLAIN, "qga kernel=3.10.0-1160.el7 movable-node", NULL, "onlining", NULL, "unknown", NULL,
    {"unknown: no agent", "-"}},
  {"old-movable-node-offline", PLAIN, "qga kernel=4.4.0 policy=offline movable-node no-udev-rule", NULL, "onlining",
    NULL, "bad", "qemu-guest-agent", {"stays offline"}},
  {"old-udev", PLAIN, "qga kernel=4.11.0 policy=offline udev-rule", NULL, "onlining", NULL, "warning",
    "qemu-guest-agent", {"udev starts with the lowest", "->run dimmer-guest"}},
  {"old-agent", PLAIN, "agent kernel=4.11.0 policy=offline onlines", NULL, "onlining", NULL, "good", "dimmer-guest",
    {"dimmer-guest brings"}},
  {"onlining-unknown", PLAIN, "qga", NULL, "onlining", NULL, "unknown", NULL, {"unknown: no agent", "-"}},
  {"onlining-not-asked", PLAIN, NULL, NULL, "onlining", NULL, "unknown", NULL, {"unknown: no agent", "-"}},
  {"onlining-windows", PLAIN, WINDOWS, NULL, "onlining", NULL, NULL, NULL, {NULL}},

  {"blocks", PLAIN, "agent block=128", NULL, "block-size", NULL, "good", "dimmer-guest", {"blocks are 128 MiB", "-"}},
  {"blocks-large", PLAIN, "qga block=2048", NULL, "block-size", NULL, "warning", "qemu-guest-agent", {"2048 MiB"}},
  {"blocks-and-pages", "running: 1024 page=1024 | -", "agent block=256", NULL, "block-size", NULL, "good",
    "dimmer-guest", {"256 MiB", "steps of 1024 MiB"}},
  {"blocks-unknown", PLAIN, "no-agent", NULL, "block-size", NULL, "unknown", NULL, {"unknown: no agent", "-"}},
};

static const Case spare[] = {
  {"enough-for-all", DIMMS, "agent total=1024 avail=448", NULL, "spare", NULL, "good", "dimmer-guest",
    {"can spare 384 MiB (448 MiB available, less a reserve of 64 MiB)", "could release 384 MiB", "-"}},
  {"not-for-all", DIMMS, "agent total=1024 avail=447", NULL, "spare", NULL, "warning", "dimmer-guest",
    {"->1152 MiB", "->or force it"}},
  {"for-none", DIMMS, "agent total=1024 avail=100", NULL, "spare", NULL, "bad", "dimmer-guest",
    {"can spare 36 MiB", "->stop programs"}},
  {"what-stays-is-not-counted", DIMMS, "agent total=1024 avail=200 4096+256:k 4352+128:m", NULL, "spare", NULL, "good",
    "dimmer-guest", {"could release 128 MiB"}},
  {"offline-is-not-counted", DIMMS, "agent total=1024 avail=200 4096+256:o 4352+128:m", NULL, "spare", NULL, "good",
    "dimmer-guest", {"could release 128 MiB"}},
  {"no-devices", PLAIN, "balloon total=1024 avail=200", NULL, "spare", NULL, "good", "balloon statistics",
    {"can spare 136 MiB", "-"}},
  {"asked", DIMMS, "agent total=1024 avail=447", "to=1152", "spare", NULL, "good", "dimmer-guest",
    {"lowering to 1152 MiB takes 256 MiB", "-"}},
  {"asked-too-much", DIMMS, "agent total=1024 avail=447", "to=1024", "spare", NULL, "bad", "dimmer-guest",
    {"takes 384 MiB", "->1152 MiB"}},
  {"asked-to-raise", DIMMS, "agent total=1024 avail=65", "to=2048", "spare", NULL, "good", "dimmer-guest", {"-"}},
  {"asked-below-guaranteed", "running: 1024 max=4096/16 g=1200 d256 d128 | -", "agent total=1024 avail=447", "to=1024",
    "spare", NULL, "bad", "libvirt", {"would be 1200 MiB, above its memory of 1024 MiB", "-", "$"}},
  {"asked-below-guaranteed-no-agent", "running: 1024 max=4096/16 g=1200 d256 d128 | -", "no-agent", "to=1024", "spare",
    NULL, "bad", "libvirt", {"above its memory"}},
  {"asked-below-guaranteed-of-the-next-run", "running: 1024 max=4096/16 g=1 d256 d128 | 1408 max=4096/16 g=1200",
    "agent total=1024 avail=448", "to=1024", "spare", NULL, "bad", "libvirt", {"the next run of web1"}},
  {"asked-above-the-maximum", DIMMS, "agent total=1024 avail=447", "to=4097", "spare", NULL, "bad", "libvirt",
    {"above its maximum", "-", "$"}},
  {"asked-for-less-than-a-device", DIMMS, "agent total=1024 avail=447", "to=1300", "spare", NULL, "bad", "libvirt",
    {"no memory device of web1 is small enough to go from 1408 MiB down to 1300 MiB", "-"}},
  {"asked-of-what-stays", DIMMS, "agent total=1024 avail=447 4096+384:k", "to=1024", "spare", NULL, "bad", "libvirt",
    {"left out, as the guest has memory of them", "; web1 has no hot plugged memory device that could be unplugged"}},
  {"asked-for-what-it-has", DIMMS, "agent total=1024 avail=65", "to=1408", "spare", NULL, "good", "dimmer-guest",
    {"-"}},
  {"kernel-memory", DIMMS, "agent total=1408 avail=447 kernel-total=1024 kernel-avail=100", NULL, "kernel-memory", NULL,
    "good", "dimmer-guest", {"1024 MiB for itself, beside 384 MiB", "-"}},
  {"kernel-memory-lopsided", DIMMS, "agent total=1408 avail=447 kernel-total=100 kernel-avail=100", NULL,
    "kernel-memory", NULL, "warning", "dimmer-guest", {"more than 12:1", "->more boot memory"}},
  {"kernel-memory-by-blocks", DIMMS, "qga 0+1024:k 4096+256:m 4352+128:o", NULL, "kernel-memory", NULL, "good",
    "qemu-guest-agent", {"1024 MiB for itself, beside 256 MiB"}},
  {"kernel-memory-by-the-host", DIMMS, "no-agent", NULL, "kernel-memory", NULL, "good", "libvirt",
    {"1024 MiB for itself, beside 384 MiB"}},
  {"kernel-memory-lopsided-by-the-host", "running: 128 max=4096/16 d2048 | 2176", NULL, NULL, "kernel-memory", NULL,
    "warning", "libvirt", {"more than 12:1", "$dimmer set web1 --next-run --memory SIZE"}},
  {"not-known", DIMMS, "no-agent", NULL, "spare", NULL, "unknown", NULL, {"unknown: no agent", "-"}},
  {"not-known-with-a-balloon", DIMMS, "no-agent", "balloon", "spare", NULL, "unknown", NULL,
    {"unknown: no agent", "->turn on", "$virsh dommemstat --period 5 --live web1"}},
  {"not-known-though-it-reports", DIMMS, "no-agent", "balloon-reports", "spare", NULL, "unknown", NULL,
    {"unknown: no agent", "-"}},
};

static const Case device[] = {
  {"movable", DIMMS, "agent 4096+384:m", NULL, "movable", "dimm0", "good", "dimmer-guest",
    {"all of its 256 MiB are online as movable", "-"}},
  {"kernel", DIMMS, "agent 4096+128:k 4224+256:m", NULL, "movable", "dimm0", "bad", "dimmer-guest",
    {"128 MiB of its 256 MiB are online in a kernel zone", "->as much of it movable as it can",
      "$dimmer guest prepare web1"}},
  {"absent", DIMMS, "agent 0+1024:k 4352+128:m", NULL, "movable", "dimm0", "warning", "dimmer-guest",
    {"does not use it", "->unplug it", "$dimmer unplug web1 dimm0"}},
  {"going-offline", DIMMS, "agent 4096+128:g 4224+256:m", NULL, "movable", "dimm0", "warning", "dimmer-guest",
    {"128 MiB of its 256 MiB are going offline", "->wait for it to end"}},
  {"offline", DIMMS, "qga 4096+128:o 4224+256:m", NULL, "movable", "dimm0", "warning", "qemu-guest-agent",
    {"128 MiB of its 256 MiB are offline", "->brings them online", "$dimmer guest prepare web1"}},
  {"offline-below-the-kernel", DIMMS, "qga kernel=4.11.0 4096+256:o 4352+128:k", NULL, "movable", "dimm0", "warning",
    "qemu-guest-agent", {"256 MiB of its 256 MiB are offline and stay so", "->unplug it", "$dimmer unplug web1 dimm0"}},
  {"offline-below-the-kernel-since", DIMMS, "qga kernel=4.13.0 4096+256:o 4352+128:k", NULL, "movable", "dimm0",
    "warning", "qemu-guest-agent", {"does not use all of it", "->prepare the guest"}},
  {"offline-above-the-kernel", DIMMS, "qga kernel=4.11.0 4096+256:k 4352+128:o", NULL, "movable", "dimm1", "warning",
    "qemu-guest-agent", {"does not use all of it", "->prepare the guest"}},
  {"partly-known", DIMMS, "qga 4096+128:m", NULL, "movable", "dimm0", "unknown", "qemu-guest-agent",
    {"for 128 MiB of its 256 MiB", "-"}},
  {"not-known", DIMMS, "no-agent", NULL, "movable", "dimm1", "unknown", NULL, {"unknown: no agent", "->dimmer-guest"}},
  {"not-known-as-others-ask", DIMMS, "no-agent busy", NULL, "movable", "dimm1", "unknown", NULL,
    {"unknown: no agent", "->retry later"}},
  {"not-asked", DIMMS, NULL, NULL, "movable", "dimm1", "unknown", NULL, {"unknown: no agent"}},
  {"virtio-mem", "running: 1024 v1024:256/256:2 | -", "agent 4096+256:mv", NULL, "movable", "virtiomem0", "good",
    "dimmer-guest", {"256 MiB"}},
  {"virtio-mem-kernel", "running: 1024 v1024:256/256:2 | -", "agent 4096+128:mv 4224+128:kv", NULL, "movable",
    "virtiomem0", "warning", "dimmer-guest", {"128 MiB of its 256 MiB", "may keep some"}},
  {"virtio-mem-empty", "running: 1024 v1024:0:2 | -", "agent 0+1024:k", NULL, "movable", "virtiomem0", "good",
    "libvirt", {"empty"}},
  {"virtio-mem-taken", "running: 1024 v1024:256/256:2 | -", NULL, NULL, "taken", "virtiomem0", NULL, NULL, {NULL}},
  {"virtio-mem-shrinks", "running: 1024 v1024:0/256:2 | -", NULL, NULL, "taken", "virtiomem0", NULL, NULL, {NULL}},
  {"virtio-mem-not-taken", "running: 1024 v1024:256/100:2 | -", NULL, NULL, "taken", "virtiomem0", "warning", "libvirt",
    {"holds 100 MiB of the 256 MiB", "->free memory in the guest"}},
  {"virtio-mem-nothing-taken", "running: 1024 v1024:256/0:2 | -", NULL, NULL, "taken", "virtiomem0", "warning",
    "libvirt", {"holds 0 MiB of the 256 MiB", "->load the driver virtio_mem"}},
  {"virtio-mem-old-kernel", "running: 1024 v1024:256/0:2 | -", "agent kernel=5.7.1", NULL, "taken", "virtiomem0",
    "warning", "libvirt", {"older than Linux 5.8"}},
  {"virtio-mem-which", "running: 1024 v1024:256/256:2 v1024:256/256:2 | -", "agent 4096+512:mv", NULL, "movable",
    "virtiomem0", "unknown", "libvirt", {"belong to it"}},
  {"nvdimm", "running: 1024 n128 | -", "agent 4096+128:k", NULL, "movable", "nvdimm0", "warning", "libvirt",
    {"nvdimm", "-"}},
  {"windows", DIMMS, WINDOWS, NULL, "movable", "dimm0", "bad", NULL, {"Windows", "-"}},
  {"block", DIMMS, "agent block=128", NULL, "block-size", "dimm0", NULL, NULL, {NULL}},
  {"too-small-for-a-block", DIMMS, "agent block=256", NULL, "block-size", "dimm1", "bad", "dimmer-guest",
    {"not consist of whole memory blocks of 256 MiB (128 MiB from 0x110000000)", "->multiple of 256 MiB"}},
  {"begins-within-a-block", "running: 1024 d128 d256 | -", "agent block=256", NULL, "block-size", "dimm1", "bad",
    "dimmer-guest", {"(256 MiB from 0x108000000)", "->plug a multiple of 256 MiB beside it", "->then unplug it"}},
  {"never-refused", DIMMS, "agent 4096+384:m", NULL, "refused", "dimm0", NULL, NULL, {NULL}},
  {"refused", DIMMS, "agent 4096+384:m", "refused=dimm0", "refused", "dimm0", "warning", "libvirt",
    {"(2026-11-25 10:00 UTC)", "->stop programs", "->ask again", "$"}},
  {"refused-in-passing", DIMMS, "agent kernel=4.12.1 4096+384:m", "refused=dimm0", "refused", "dimm0", "warning",
    "libvirt", {"->ask again, as this kernel also refuses"}},
  {"refused-not-known", DIMMS, "no-agent", "refused=dimm0", "refused", "dimm0", "warning", "libvirt",
    {"->stop programs", "$"}},
  {"refused-by-the-kernel", DIMMS, "agent 4096+384:k", "refused=dimm0", "refused", "dimm0", "warning", "libvirt",
    {"->prepare the guest and restart it", "->until then", "$dimmer guest prepare web1"}},
  {"refused-by-windows", DIMMS, WINDOWS, "refused=dimm0", "refused", "dimm0", "warning", "libvirt", {"-", "$"}},
};

/* agent-closed, agent-open, qga-closed, qga-open, vfio, balloon, balloon-reports, migrating, win-by-definition,
 * refused=ALIAS */
static void apply(DmVm *vm, const char *word) {
  if (g_str_has_prefix(word, "agent-"))
    vm->agent_port = strcmp(word, "agent-open") == 0 ? DM_PORT_OPEN : DM_PORT_CLOSED;
  else if (g_str_has_prefix(word, "qga-"))
    vm->qemu_agent_port = strcmp(word, "qga-open") == 0 ? DM_PORT_OPEN : DM_PORT_CLOSED;
  else if (strcmp(word, "win-by-definition") == 0)
    vm->facts.os = "http://microsoft.com/win/2k22";
  vm->vfio |= strcmp(word, "vfio") == 0;
  vm->locked |= strcmp(word, "locked") == 0;
  vm->vhost_user |= strcmp(word, "vhost-user") == 0;
  if (g_str_has_prefix(word, "vhost=")) {
    vm->vhost = TRUE;
    vm->vhost_regions = (guint)atoi(word + strlen("vhost="));
  }
  vm->balloon |= g_str_has_prefix(word, "balloon");
  vm->balloon_period_s = strcmp(word, "balloon-reports") == 0 ? 5 : vm->balloon_period_s;
  vm->balloon_mute |= strcmp(word, "balloon-mute") == 0;
  DmConfig *option = g_str_has_suffix(word, "-next") ? vm->next_run : vm->live;
  if (option != NULL) {
    option->free_page_reporting |= g_str_has_prefix(word, "balloon-free-pages");
    option->autodeflate |= g_str_has_prefix(word, "balloon-autodeflate");
  }
  if (strcmp(word, "migrating") == 0)
    vm->job = "migrated";
  if (!g_str_has_prefix(word, "refused="))
    return;
  DmRefusal *refusal = g_new0(DmRefusal, 1);
  refusal->alias = g_strdup(word + strlen("refused="));
  refusal->at_s = 1795600800; /* 2026-11-25 10:00 */
  g_ptr_array_add(vm->refusals, refusal);
}

static DmVm *vm_of(const Case *c, uint64_t *memory) {
  g_auto(GStrv) words = g_strsplit(c->more != NULL ? c->more : "", " ", -1);
  DmVm *vm = vm_from(c->vm);
  if (c->guest != NULL)
    dm_vm_take_guest(vm, guest_from(c->guest));
  for (guint i = 0; words[i] != NULL; i++) {
    apply(vm, words[i]);
    if (g_str_has_prefix(words[i], "to="))
      *memory = g_ascii_strtoull(words[i] + 3, NULL, 10) * DM_MIB;
  }
  return vm;
}

static const DmFinding *find(const GPtrArray *findings, const Case *c) {
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    if (strcmp(dm_check_name(dm_finding_check(finding->code)), c->check) == 0 &&
      g_strcmp0(finding->alias, c->alias) == 0)
      return finding;
  }
  return NULL;
}

static void check_words(const Case *c, const DmFinding *finding) {
  for (gsize i = 0; i < G_N_ELEMENTS(c->words) && c->words[i] != NULL; i++) {
    const char *word = c->words[i];
    if (strcmp(word, "-") == 0)
      g_assert_null(finding->remedy);
    else if (*word == '$')
      g_assert_cmpstr(finding->command, ==, word[1] != '\0' ? word + 1 : NULL);
    else if (g_str_has_prefix(word, "->"))
      g_assert_nonnull(finding->remedy != NULL ? strstr(finding->remedy, word + 2) : NULL);
    else
      g_assert_nonnull(strstr(finding->evidence, word));
  }
}

/* Those who have no command line read the remedy as well: a command stands beside it, and never alone. */
static void check_language(const DmFinding *finding) {
  const char *remedy = finding->remedy != NULL ? finding->remedy : "";
  g_assert_null(strstr(remedy, "dimmer "));
  g_assert_null(strstr(remedy, "virsh"));
  g_assert_null(strstr(remedy, "--"));
  g_assert_null(strchr(remedy, '\''));
  g_assert_true(finding->command == NULL || finding->remedy != NULL);
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  uint64_t memory = 0;
  g_autoptr(DmVm) vm = vm_of(c, &memory);
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, memory);
  const DmFinding *finding = find(findings, c);
  if (c->verdict == NULL || finding == NULL) {
    g_assert_null(finding);
    g_assert_null(c->verdict);
    return;
  }
  g_test_message("%s (%s): %s [%s] -> %s", dm_check_name(dm_finding_check(finding->code)),
    dm_verdict_name(finding->verdict), finding->evidence, finding->source != NULL ? finding->source : "",
    finding->remedy != NULL ? finding->remedy : "");
  g_assert_cmpstr(dm_verdict_name(finding->verdict), ==, c->verdict);
  g_assert_cmpstr(finding->source, ==, c->source);
  check_words(c, finding);
  for (guint i = 0; i < findings->len; i++)
    check_language(findings->pdata[i]);
}

/* A shell takes the name of the VM for one word. */
static void test_quoted(void) {
  g_autoptr(DmVm) vm = vm_from("paused: 1024 | 1024");
  g_free(vm->name);
  vm->name = g_strdup("tom's web");
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  const DmFinding *finding = findings->pdata[0];
  g_assert_cmpstr(dm_check_name(dm_finding_check(finding->code)), ==, "state");
  g_assert_cmpstr(finding->command, ==, "virsh resume 'tom'\\''s web'");
}

/* Away from the default connection a command says which one it is for. */
static void test_connect(void) {
  g_autoptr(DmVm) vm = vm_from("paused: 1024 | 1024");
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  const DmFinding *finding = findings->pdata[0];
  dm_findings_connect(findings, "qemu+ssh://host/system");
  g_assert_cmpstr(finding->command, ==, "virsh -c qemu+ssh://host/system resume web1");
}

static void test_migrating(void) {
  g_autoptr(DmVm) vm = vm_from("paused: 1024 | 1024");
  vm->job = "migrated";
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  const DmFinding *finding = findings->pdata[0];
  g_assert_cmpint(finding->code, ==, DM_FINDING_STATE_MIGRATING);
  g_assert_null(finding->command);
}

/* The order to read them, each once, each with evidence; and what is known of each device. */
static void test_order(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 n128 | -");
  dm_vm_take_guest(vm, guest_from("agent block=128 total=1024 avail=500 hot-remove onlines 4096+256:k"));
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  g_autoptr(GString) order = g_string_new(NULL);
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    g_assert_nonnull(finding->evidence);
    g_string_append_printf(order, "%s%s%s%s", i > 0 ? " " : "", dm_check_name(dm_finding_check(finding->code)),
      finding->alias != NULL ? ":" : "", finding->alias != NULL ? finding->alias : "");
  }
  g_assert_cmpstr(order->str, ==,
    "state hot-plugged room slots balloon huge-pages vfio migration request ports guest-os onlining block-size spare "
    "kernel-memory movable:dimm0 movable:nvdimm1");
  g_assert_cmpint(dm_plan_worst(findings), ==, DM_VERDICT_BAD);
  g_autoptr(DmFinding) finding = dm_plan_device_finding(vm, vm->live->devices->pdata[0]);
  g_assert_cmpstr(dm_check_name(dm_finding_check(finding->code)), ==, "movable");
  g_assert_cmpint(finding->verdict, ==, DM_VERDICT_BAD);
  g_assert_cmpstr(finding->alias, ==, "dimm0");
}

static void test_worst(void) {
  g_autoptr(GPtrArray) findings = g_ptr_array_new();
  DmFinding good = {.verdict = DM_VERDICT_GOOD}, unknown = {.verdict = DM_VERDICT_UNKNOWN};
  DmFinding warning = {.verdict = DM_VERDICT_WARNING}, bad = {.verdict = DM_VERDICT_BAD};
  DmFinding *all[] = {&good, &unknown, &warning, &bad, &good};
  g_assert_cmpint(dm_plan_worst(findings), ==, DM_VERDICT_GOOD);
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
    g_ptr_array_add(findings, all[i]);
    g_assert_cmpint(dm_plan_worst(findings), ==, MIN(i, 3));
  }
}

static void add(const char *group, const Case *cases, gsize count) {
  for (gsize i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf("/doctor/%s/%s", group, cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  add("host", host, G_N_ELEMENTS(host));
  add("guest", guest, G_N_ELEMENTS(guest));
  add("spare", spare, G_N_ELEMENTS(spare));
  add("device", device, G_N_ELEMENTS(device));
  g_test_add_func("/doctor/order", test_order);
  g_test_add_func("/doctor/quoted", test_quoted);
  g_test_add_func("/doctor/worst", test_worst);
  g_test_add_func("/doctor/connect", test_connect);
  g_test_add_func("/doctor/migrating", test_migrating);
  return g_test_run();
}
