# SPDX-License-Identifier: Apache-2.0
"""One virtual machine of a host: its life, its guest, its QEMU."""

import json
import os
import re
import signal
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.etree import ElementTree

from . import console
from .domain import dimm_xml
from .setup import program
from .wire import Agent, Guest, GuestError, Qmp

BOOT_TIMEOUT = 60
BOOT_TIMEOUT_DEBIAN = 180
BOOT_TIMEOUT_AGAIN = 480
TIMEOUT = 30

# What guest/init says on the console.
READY = 'DIMMER-GUEST-READY'

# What a guest answers to ACPI's requests (_OST): QEMU passes it on as this event, whose
# `source` is the request and whose `status` is 0, in progress, or a reason to refuse.
ACPI_ANSWER = 'ACPI_DEVICE_OST'
ACPI_PLUG = 1
ACPI_UNPLUG = 3
ACPI_IN_PROGRESS = 132


class Vm:
    """Made by a host's define(), create() or start_guest()."""

    def __init__(self, host, name, spec, folder):
        self.host = host
        self.name = name
        self.spec = spec
        self.folder = folder
        self._guest = None
        self._qmp = None
        self._expected = []
        self._space = None  # that its QEMU may have, as it was at first

    # Its life.

    def start(self, *, paused=False):
        """Start the defined VM. Returns before the guest is up: see wait_ready()."""
        self.host.virsh('start', self.name, *(['--paused'] if paused else []))
        self.connect()
        return self

    def connect(self):
        """Listen to QEMU's events from here on, and be able to talk to the guest."""
        self.close()
        self._qmp = Qmp(self.folder / 'qmp.sock')
        self._guest = Guest(self.folder / 'guest.sock')

    def wait_ready(self, timeout=None):
        """Wait until the guest is up; its console's last words go into the error."""
        usual = BOOT_TIMEOUT_DEBIAN if self.spec.root else BOOT_TIMEOUT
        try:
            self.guest('true', timeout=timeout or usual)
        except (TimeoutError, ConnectionError) as error:
            raise type(error)(f'{self.name}: the guest did not come up: {error}\n'
                              f'{self.console()[-2000:]}') from None
        # It wrote there before it answered; otherwise its trouble would go unnoticed.
        assert self.spec.root or READY in self.console(), f'{self.name}: nothing on its console'
        return self

    class WrongClock(Exception):
        """The guest's kernel counts seconds that are none."""

    def check_clock(self, started):
        """The guest, started at that time.monotonic(), cannot be up for longer."""
        up = float(self.guest('cat /proc/uptime').split()[0])
        passed = time.monotonic() - started
        if up > 1.5 * passed + 1:
            raise self.WrongClock(f'{self.name}: up for {up} s, {passed:.1f} s after its start')
        return self

    def reset(self):
        """Reset the machine, and wait until the guest is up again.

        Emulated, a kernel that unpacks itself to where code ran before can take a minute of
        CPU time for that, four times what all of it takes else.
        """
        self.host.virsh('reset', self.name)
        self.wait_event('RESET')
        self.connect()
        return self.wait_ready(BOOT_TIMEOUT_AGAIN)

    def qemu_pid(self):
        """Of its QEMU, on a SessionHost."""
        return int((self.host.folder / f'run/libvirt/qemu/run/{self.name}.pid').read_text())

    @contextmanager
    def stopped(self):
        """QEMU itself does nothing meanwhile: not the guest, and no answer to libvirt."""
        pid = self.qemu_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def leave_room(self, mib):
        """Let its QEMU allocate no more than this from here on; None: what it could before.

        A thread's stack and arena have to find room in it too: QEMU aborts without.
        """
        pid = self.qemu_pid()
        self._space = self._space or re.search(r'^Max address space +(\w+)', Path(f'/proc/{pid}/limits').read_text(),
                                               re.MULTILINE)[1]
        pages = int(Path(f'/proc/{pid}/statm').read_text().split()[0])
        size = self._space if mib is None else pages * os.sysconf('SC_PAGE_SIZE') + (mib << 20)
        self.host.run([program('prlimit'), '--pid', str(pid), f'--as={size}:'], check=0)

    def wait_current_memory(self, mib):
        """libvirt's own number follows QEMU's event, which is all that a Vm hears, a moment later."""
        deadline = time.monotonic() + TIMEOUT
        while (has := self.live_xml().findtext('currentMemory')) != str(mib << 10):
            assert time.monotonic() < deadline, f'currentMemory is {has} KiB, and not {mib} MiB'
            time.sleep(0.1)

    def resume(self):
        self.host.virsh('resume', self.name)

    def suspend(self):
        self.host.virsh('suspend', self.name)

    def destroy(self):
        self.host.virsh('destroy', self.name)
        self.close()

    def close(self):
        """Let go of the sockets; the VM itself runs on."""
        for connection in (self._guest, self._qmp):
            if connection:
                connection.close()
        self._guest = self._qmp = None

    # Inside the guest.

    def guest(self, command, timeout=TIMEOUT):
        """The output of a shell command in the guest; GuestError if its status is not 0."""
        status, output = self._guest.run(command, timeout)
        if status != 0:
            raise GuestError(command, status, output)
        return output

    def console(self):
        """What the guest has written to its console so far, since the VM's first start."""
        path = self.folder / 'console.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def expect_trouble(self, pattern):
        """Let its console tell of trouble in lines like this, which is an error else: see trouble()."""
        self._expected.append(pattern)

    def trouble(self):
        """What its console reports of its kernel's trouble, as far as it was not expected."""
        return console.trouble(self.console(), self._expected)

    def guest_memory_mib(self):
        """The memory that the guest's kernel has online."""
        blocks = self.guest('grep -l online /sys/devices/system/memory/memory*/state | wc -l')
        size = self.guest('cat /sys/devices/system/memory/block_size_bytes')
        return int(blocks) * int(size, 16) >> 20

    # Its qemu-guest-agent, which a VM with qga=True has running from the start. To end and start
    # it so is for busybox guests; Debian's is a service.

    def agent(self, command, **arguments):
        """What the agent returns for a command, asked through libvirt."""
        request = {'execute': command, 'arguments': {key.replace('_', '-'): value
                                                     for key, value in arguments.items()}}
        answer = self.host.virsh('qemu-agent-command', self.name, json.dumps(request))
        return json.loads(answer)['return']

    def kill_agent(self):
        """End it as if it had crashed; wait until libvirt knows."""
        self.guest('kill -9 $(pidof qemu-ga)')
        self.wait_port('org.qemu.guest_agent.0', 'disconnected')

    def start_agent(self, block=''):
        """Start one after kill_agent(); it refuses those commands, as 'guest-exec,guest-ping'."""
        self.guest('qemu-ga --daemonize --statedir /run --pidfile /run/qemu-ga.pid '
                   f'--logfile /run/qemu-ga.log {f"--block-rpcs {block}" if block else ""}')
        self.wait_port('org.qemu.guest_agent.0', 'connected')

    def wait_port(self, name, state):
        """Wait until libvirt knows that a program in the guest has the port open ('connected'), or
        none ('disconnected'): it has an event for that, but none for the next program.
        """
        deadline = time.monotonic() + TIMEOUT
        path = f"devices/channel/target[@name='{name}']"
        while self.live_xml().find(path).get('state') != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.name}: the port {name} is not {state}')

    def dimmer_guest(self):
        """A new conversation with its dimmer-guest, if it was made with agent=True."""
        return Agent(self.folder / 'agent.sock')

    # How the guest takes to requests for its DIMMs. The switches are the kernel's own.

    def set_auto_online(self, policy):
        """What it does from now on with memory that is plugged: see Spec.auto_online."""
        self.guest(f'echo {policy} >/sys/devices/system/memory/auto_online_blocks')

    def set_deaf(self, deaf):
        """Let it not hear requests until it is deaf no more; then it answers them all.

        QEMU tells of a request through ACPI's general purpose event 3.
        """
        self.guest(f"echo {'mask' if deaf else 'unmask'} >/sys/firmware/acpi/interrupts/gpe03")

    def set_refusing(self, refusing):
        """Let it refuse every request, or no longer."""
        self.guest(f'echo {int(not refusing)} >/sys/firmware/acpi/hotplug/memory/enabled')

    def pin_memory(self, mib):
        """Let its kernel keep mib that it can never move (it is the kernel's trace buffer).

        Such memory comes first out of plugged memory that is online as 'online_kernel'. The
        guest then refuses to give back a DIMM that has some of it, and keeps a part of a
        virtio-mem device.
        """
        self.guest(f"""
            mount -t tracefs trace /sys/kernel/tracing
            echo {mib * 1024} >/sys/kernel/tracing/per_cpu/cpu0/buffer_size_kb
        """)

    def eject(self, slot):
        """Let it give back the DIMM in a slot, asked or not asked."""
        self.guest(f'echo 1 >/sys/bus/acpi/devices/PNP0C80:{slot:02x}/eject')

    # QEMU's account.

    def qmp(self, command, **arguments):
        """What QEMU itself answers; underscores in the arguments' names stand for hyphens."""
        return self._qmp.command(command, **{key.replace('_', '-'): value
                                             for key, value in arguments.items()})

    def events(self):
        """QEMU's events since connect()."""
        return self._qmp.events()

    def wait_event(self, name, *, timeout=TIMEOUT, **fields):
        """The first QEMU event since connect() with this name and these fields.

        Each event is given out once: the next wait for the same waits for another.
        """
        return self._qmp.take_event(
            lambda event: event['event'] == name and fields.items() <= _fields(event).items(),
            timeout)

    def wait_any_event(self, *names, timeout=TIMEOUT):
        """The first QEMU event since connect() with one of these names, given out once."""
        return self._qmp.take_event(lambda event: event['event'] in names, timeout)

    def wait_plugged(self, alias, *, timeout=TIMEOUT):
        """Wait until the guest has taken a new DIMM into use."""
        self.wait_event(ACPI_ANSWER, device=alias, source=ACPI_PLUG, status=0, timeout=timeout)

    def wait_removed(self, alias, *, timeout=TIMEOUT):
        """Wait until a DIMM is gone."""
        self.wait_event('DEVICE_DELETED', device=alias, timeout=timeout)

    def wait_refused(self, alias, *, timeout=TIMEOUT):
        """Wait until the guest has refused to give a DIMM back."""
        def refusal(event):
            fields = _fields(event)
            return (event['event'] == ACPI_ANSWER and fields.get('device') == alias and
                    fields['source'] == ACPI_UNPLUG and
                    fields['status'] not in (0, ACPI_IN_PROGRESS))
        self._qmp.take_event(refusal, timeout)

    def wait_size(self, alias, mib, *, timeout=TIMEOUT):
        """Wait until a virtio-mem device gives the guest this much. QEMU tells at most once
        a second, and nothing when the guest stops before it is there.
        """
        self.wait_event('MEMORY_DEVICE_SIZE_CHANGE', id=alias, size=mib << 20, timeout=timeout)

    # libvirt's account.

    def state(self):
        return self.host.virsh('domstate', self.name).strip()

    def live_xml(self):
        """The running VM, as an ElementTree element, with secrets."""
        return self._xml()

    def inactive_xml(self):
        """What the VM will be after its next start."""
        return self._xml('--inactive')

    def _xml(self, *options):
        text = self.host.virsh('dumpxml', '--security-info', *options, self.name)
        return ElementTree.fromstring(text)

    def attach(self, xml, *options):
        """Attach a device behind dimmer's back; it goes to the live VM unless options say."""
        with tempfile.NamedTemporaryFile('w', suffix='.xml', dir=self.folder) as file:
            file.write(xml)
            file.flush()
            self.host.user.give(file.name)
            self.host.virsh('attach-device', self.name, file.name, *(options or ['--live']))

    def plug(self, alias, size_mib=128):
        """Attach a DIMM behind dimmer's back, and wait until the guest, if there is one, uses it."""
        self.attach(dimm_xml(size_mib, alias=alias))
        if self.spec.os:
            self.wait_plugged(alias)

    def detach(self, alias):
        """Ask for a device's removal behind dimmer's back; returns before the answer."""
        self.host.virsh('detach-device-alias', self.name, alias, '--live')

    def wait_gone(self, alias, *, timeout=TIMEOUT):
        """Wait until libvirt, too, knows that a device is gone.

        It hears QEMU's event a moment later, and has no event for who comes after its own.
        """
        deadline = time.monotonic() + timeout
        while alias in self.memory_devices():
            if time.monotonic() > deadline:
                raise TimeoutError(f'{alias} is still there')

    def request(self, alias, mib):
        """Ask the guest to have this much of a virtio-mem device; returns before it has."""
        self.host.virsh('update-memory-device', self.name, '--live', '--alias', alias,
                        '--requested-size', f'{mib}MiB')

    def memory_devices(self):
        """The live memory devices: alias to size in MiB, in the XML's order."""
        return {device.find('alias').get('name'): int(device.findtext('target/size')) >> 10
                for device in self.live_xml().iter('memory') if device.find('alias') is not None}


@contextmanager
def stopped(*vms):
    """Vm.stopped() of each."""
    with ExitStack() as stack:
        for vm in vms:
            stack.enter_context(vm.stopped())
        yield


def _fields(event):
    """An event's fields; QEMU puts some events' one level deeper."""
    data = event.get('data', {})
    return data.get('info', data)
