# SPDX-License-Identifier: Apache-2.0
"""Real hosts and guests for dimmer's tests, demo and benchmark.

    with testbed.SessionHost() as host:
        vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
        host.dimmer('plug', 'web1', '256MiB', check=0)
        vm.guest('cat /sys/devices/system/memory/auto_online_blocks')

A host is a libvirt of its own in a temporary folder, either a private libvirtd or the
embedded driver; its virtual machines are QEMU processes with a small Linux inside (see
guest/), or with nothing at all. Nothing is installed or started on the machine itself,
and when a host ends, however it ends, so does everything it started.

| a guest that                                | comes about by                              |
| ------------------------------------------- | ------------------------------------------- |
| releases what it is asked for               | start_guest()                               |
| refuses what it is asked for, until allowed | vm.set_refusing(True), then False           |
| refuses the device that its kernel uses     | vm.set_auto_online('online_kernel'), plug,  |
|                                             | vm.pin_memory()                             |
| keeps part of a virtio-mem device           | auto_online='online_kernel', pin_memory()   |
| never answers                               | os=False: a QEMU with nothing in it         |
| has no memory left on its host              | vm.leave_room(MIB)                          |
| hangs, and its QEMU with it                 | with stopped(vm):                           |
| answers late, on demand                     | vm.set_deaf(True), then False               |
| gives a device back unasked                 | vm.eject(slot)                              |
| runs another kernel                         | kernel='5.10', '6.1' or '6.12'              |
| runs qemu-guest-agent                       | qga=True; vm.kill_agent(), start_agent()    |
| is Debian with systemd, udev and the agent  | start_debian()                              |
| the same with OpenRC instead of systemd     | start_debian(('openrc',))                   |
| says that it is Windows                     | inside.windows(), inside.start_windows()    |
| has no driver for virtio-mem, until loaded   | files=inside.without_module('virtio_mem'),  |
|                                              | then inside.load_module()                   |
| has dimmer-guest                            | agent=True; vm.dimmer_guest() speaks to it  |

| module     | holds                                                             |
| ---------- | ----------------------------------------------------------------- |
| setup      | what the testbed needs here: programs, images, an ordinary user   |
| host       | EmbedHost and SessionHost: a libvirt, and programs run against it |
| domain     | the XML of virtual machines and memory devices                    |
| vm         | Vm: one virtual machine, its guest and its QEMU                   |
| wire       | the sockets to the guest and to QEMU                              |
| console    | what a guest's kernel says there when something is wrong with it  |
| overlay    | files put into a guest's image for one VM                         |
| migration  | a live migration from one host to another, as slow as wanted      |
| inside     | what a guest's kernel says of its memory; what holds on to it     |
| kvm        | whether KVM really runs guests here                               |
| daemon     | Daemon: dimmerd, run against hosts; Authority: a CA for it        |
| client     | a plain HTTP client for it, with server-sent events               |
| debug      | finds lines in what both programs log at level debug              |
| supervisor | the process that ends a host's processes and removes its folder   |
"""

from .console import GuestTrouble
from .domain import dimm_xml, nvdimm_xml, virtio_mem_xml
from .host import EmbedHost, SessionHost
from .kvm import accel
from .setup import GuestImageMissing, missing
from .vm import Vm, stopped
from .wire import GuestError, QmpError

__all__ = ['EmbedHost', 'GuestError', 'GuestImageMissing', 'GuestTrouble', 'QmpError', 'SessionHost', 'Vm',
           'accel', 'dimm_xml', 'missing', 'nvdimm_xml', 'stopped', 'virtio_mem_xml']
