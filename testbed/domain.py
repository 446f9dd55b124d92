# SPDX-License-Identifier: Apache-2.0
"""The XML of virtual machines and of memory devices, as people write it for virsh."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from . import console, kvm

# Without what a boot under TCG spends time on to no use here.
CMDLINE = ('console=ttyS0 panic=-1 edd=off tsc=reliable no_timer_check mitigations=off cryptomgr.notests '
           f'{console.CMDLINE}')

# What guest/init starts the agent for.
AGENT_WORD = 'dimmer.agent'


@dataclass
class Spec:
    """What a virtual machine is to be like. Sizes are in MiB.

    max_mib=None, cells=None is the usual VM that people have: no maxMemory, no NUMA cell, so
    no hot plug. auto_online is what the guest's kernel does with new memory: 'online_movable'
    lets it go again, 'online_kernel' may not, 'offline' leaves it to others, None is as the
    kernel was built. os=False is a QEMU with nothing to boot, which never answers a request.
    kernel is the guest's: '5.10', '6.1' or '6.12'. qga=True gives it a running qemu-guest-agent.
    root is the image of a root filesystem, for a guest of more than busybox. pci_ports is how
    many PCI ports are free, for virtio-mem devices to be plugged into or to be among devices.
    agent=True puts dimmer-guest into a busybox guest, runs it, and gives it its port.
    files are more programs for a busybox guest: {name there: file here}.
    metadata, devices and extra are XML put into <metadata>, <devices> and <domain>.
    """

    memory_mib: int = 1024
    max_mib: int | None = 4096
    slots: int = 16
    cells: list[int] | None = None
    vcpus: int = 1
    os: bool = True
    kernel: str = '6.1'
    qga: bool = False
    root: Path | None = None
    auto_online: str | None = 'online_movable'
    cmdline: str = ''
    machine: str = 'q35'
    accel: str = field(default_factory=kvm.accel)
    pci_ports: int = 1
    agent: bool = False
    files: dict[str, Path] = field(default_factory=dict)
    metadata: str = ''
    devices: str = ''
    extra: str = ''


def domain_xml(name: str, spec: Spec, folder: Path, image: tuple[Path, Path]) -> str:
    """The domain, with its sockets and the console's log of all its starts in folder."""
    memory = sum(spec.cells) if spec.cells else spec.memory_mib
    return f"""\
<domain type={quoteattr('kvm' if spec.accel == 'kvm' else 'qemu')}
        xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <metadata>{spec.metadata}</metadata>
  {_max_memory_xml(spec)}
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{spec.vcpus}</vcpu>
  {_os_xml(spec, image)}
  <features><acpi/></features>
  {_cpu_xml(spec)}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    {_pci_ports_xml(spec)}
    <serial type='file'><source path='{folder}/console.log' append='on'/></serial>
    <channel type='unix'>
      <source mode='bind' path='{folder}/guest.sock'/>
      <target type='virtio' name='dimmer.testbed'/>
    </channel>
    {_agent_channel_xml(spec, folder)}
    {disk_xml(folder / 'root.img', 'vda') if spec.root else ''}
    {_agent_xml(spec, folder)}
    {spec.devices}
  </devices>
  {spec.extra}
  <qemu:commandline>
    <qemu:arg value='-chardev'/>
    <qemu:arg value='socket,id=testbed,path={folder}/qmp.sock,server=on,wait=off'/>
    <qemu:arg value='-mon'/>
    <qemu:arg value='chardev=testbed,mode=control'/>
  </qemu:commandline>
</domain>
"""


def _max_memory_xml(spec):
    if spec.max_mib is None:
        return ''
    return f"<maxMemory slots='{spec.slots}' unit='MiB'>{spec.max_mib}</maxMemory>"


def disk_xml(path, target):
    """A disk that a VM gets its own writable copy of, for as long as it runs."""
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
            f"<source file='{path}'/><target dev='{target}' bus='virtio'/>"
            "<transient shareBacking='yes'/></disk>")


def _agent_channel_xml(spec, folder):
    """libvirt knows it by its name. The path that it would choose can get too long for a socket."""
    if not spec.qga:
        return ''
    return (f"<channel type='unix'><source mode='bind' path='{folder}/qga.sock'/>"
            "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>")


def _agent_xml(spec, folder):
    if not spec.agent:
        return ''
    return f"""<channel type='unix'>
      <source mode='bind' path='{folder}/agent.sock'/>
      <target type='virtio' name='org.dimmer.guest.0'/>
    </channel>"""


def _pci_ports_xml(spec):
    """The ports, where they are more than the one that libvirt leaves free by itself."""
    if spec.pci_ports == 1 or spec.machine != 'q35':
        return ''
    taken = 2 + bool(spec.root)  # by the virtio-serial controller, the balloon, and the disk
    return ''.join(f"<controller type='pci' index='{index}' model='pcie-root-port'/>"
                   for index in range(1, taken + spec.pci_ports + 1))


def _os_xml(spec, image):
    kernel, initrd = image
    policy = f'memhp_default_state={spec.auto_online}' if spec.auto_online else ''
    root = 'dimmer.root=/dev/vda systemd.getty_auto=no' if spec.root else ''
    agent = AGENT_WORD if spec.agent else ''
    cmdline = ' '.join(filter(None, [CMDLINE, policy, root, agent, spec.cmdline]))
    boot = (f'<kernel>{kernel}</kernel><initrd>{initrd}</initrd>'
            f'<cmdline>{cmdline}</cmdline>' if spec.os else '')
    return f"<os><type arch='x86_64' machine='{spec.machine}'>hvm</type>{boot}</os>"


def _cpu_xml(spec):
    """The NUMA cells, which libvirt wants for memory hot plug; CPUs dealt out in turn."""
    cells = spec.cells or ([spec.memory_mib] if spec.max_mib is not None else [])
    if not cells:
        return ''
    dealt = [','.join(str(cpu) for cpu in range(cell, spec.vcpus, len(cells)))
             for cell in range(len(cells))]
    return '<cpu><numa>' + ''.join(
        f"<cell id='{cell}'{cpus and f' cpus={quoteattr(cpus)}'} memory='{size}' unit='MiB'/>"
        for cell, (size, cpus) in enumerate(zip(cells, dealt))) + '</numa></cpu>'


def dimm_xml(size_mib, *, node=0, alias=None, slot=None):
    """A DIMM to attach; an alias that is to survive begins with 'ua-'."""
    address = '' if slot is None else f"<address type='dimm' slot='{slot}'/>"
    return (f"<memory model='dimm'><target><size unit='MiB'>{size_mib}</size>"
            f"<node>{node}</node></target>{_alias_xml(alias)}{address}</memory>")


def virtio_mem_xml(size_mib, requested_mib, *, node=0, block_mib=2, alias=None):
    """A virtio-mem device to define or attach."""
    return (f"<memory model='virtio-mem'><target><size unit='MiB'>{size_mib}</size>"
            f"<node>{node}</node><block unit='MiB'>{block_mib}</block>"
            f"<requested unit='MiB'>{requested_mib}</requested></target>"
            f"{_alias_xml(alias)}</memory>")


def nvdimm_xml(path, size_mib, *, node=0, alias=None):
    """Persistent memory, which takes a slot but is not the guest's main memory."""
    return (f"<memory model='nvdimm'><source><path>{path}</path></source><target>"
            f"<size unit='MiB'>{size_mib}</size><node>{node}</node>"
            f"<label><size unit='KiB'>128</size></label></target>{_alias_xml(alias)}</memory>")


def _alias_xml(alias):
    return '' if alias is None else f"<alias name='{alias}'/>"
