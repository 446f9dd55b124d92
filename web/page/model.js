// SPDX-License-Identifier: Apache-2.0
// What the API's JSON says, in numbers and words of our own. Sizes are bytes.

export const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const number = (text) => Number(text ?? 0);

// MiB, as oVirt writes it; whole GiB where they are many.
export function size(bytes) {
  if (bytes >= 16 * GIB && bytes % GIB === 0) return `${bytes / GIB} GiB`;
  return `${Math.round((bytes / MIB) * 100) / 100} MiB`;
}

export function deviceOf(json) {
  return {
    id: json.id,
    alias: json.alias ?? '',
    kind: json.kind,
    size: number(json.current ?? json.size), // what it counts for: the API's size of virtio-mem is the most it can hold
    max: number(json.size),
    requested: number(json.requested ?? json.size),
    block: number(json.block),
    node: json.node,
    slot: json.slot,
    address: json.address,
    busAddress: json.bus_address,
    state: json.state,
    use: json.use ?? 'unknown',
    movable: json.movable === undefined ? null : json.movable === 'true', // null: not known
  };
}

// A device that dimmer plugged has a UUID for a name; eight characters tell them apart.
export const shortName = (device) => (device.alias || device.id).replace(/^(?:ua-)?([0-9a-f]{8})-[0-9a-f-]{27}$/, '$1');

// Its memory devices, as far as it matters to what a guest reports of them.
export const devicesKey = (vm) => vm.devices.map((device) => `${device.id} ${device.size}`).join();

export const devicesOf = (json) => (json?.memory_device ?? []).map(deviceOf);

export function vmOf(json) {
  const devices = devicesOf(json.memory_devices);
  const memory = number(json.memory);
  return {
    id: json.id,
    name: json.name,
    description: json.description ?? '',
    status: json.status ?? 'unknown',
    hostId: json.host?.id,
    architecture: json.cpu?.architecture,
    memory,
    boot: number(json.boot),
    // In whole MiB, as the driver counts in pages; null: it is not known.
    ballooned: json.ballooned === undefined ? null : Math.floor(number(json.ballooned) / MIB) * MIB,
    balloonUse: json.balloon_use,
    guaranteed: number(json.memory_policy?.guaranteed),
    max: number(json.memory_policy?.max),
    ballooning: json.memory_policy?.ballooning === 'true',
    nextRun: json.next_run_configuration_exists === 'true',
    devices,
  };
}

// What is on its way out of a device: all of a DIMM, and of virtio-mem what is above the size that was requested.
export const leaving = (device) =>
  device.kind === 'virtio-mem'
    ? Math.max(device.size - device.requested, 0)
    : device.state === 'present'
      ? 0
      : device.size;

// What a virtio-mem device was asked to take, and has not taken yet.
export const awaited = (device) => (device.kind === 'virtio-mem' ? Math.max(device.requested - device.size, 0) : 0);

const sum = (vm, of) => vm.devices.reduce((all, device) => all + of(device), 0);
export const going = (vm) => sum(vm, leaving);
export const coming = (vm) => sum(vm, awaited);

// Without a maximum libvirt says that of boot memory.
export const canHotPlug = (vm) => vm.max > vm.boot;

// What the guest can use of its memory, as far as that is known.
export const usable = (vm) => vm.memory - (vm.ballooned ?? 0);

export function stepOf(json) {
  return {
    id: json.id,
    op: json.op,
    size: number(json.size),
    from: number(json.from),
    to: number(json.to),
    state: json.state,
    reason: json.reason,
    seconds: json.seconds === undefined ? null : Number(json.seconds),
    description: json.description,
    deviceId: json.memory_device?.id,
  };
}

export function jobOf(json) {
  return {
    id: json.id,
    vmId: json.vm?.id,
    description: json.description,
    status: json.status,
    outcome: json.outcome,
    started: number(json.start_time),
    ended: json.end_time === undefined ? null : number(json.end_time),
    fault: (json.fault?.detail ?? '').replace(/^\[([^]*)\]$/, '$1'),
    notes: json.notes?.note ?? [],
    steps: (json.steps?.step ?? []).map(stepOf),
  };
}

let unkept = 0;

// One that the server could not keep has no id.
export function eventOf(json) {
  return {
    id: json.id ?? `unkept ${(unkept += 1)}`,
    time: number(json.time),
    severity: json.severity,
    text: json.description,
    code: json.code,
    vmId: json.vm?.id,
    user: json.user?.name,
  };
}

export function planOf(json) {
  const values = (node) =>
    node && {
      memory: number(node.memory),
      guaranteed: number(node.guaranteed),
      max: number(node.max),
    };
  return {
    now: values(json.now),
    live: { memory: number(json.memory), guaranteed: number(json.guaranteed), max: number(json.now?.max) },
    ballooned: number(json.ballooned), // afterwards, of the running VM
    balloon: json.balloon_step && { from: number(json.balloon_step.from), to: number(json.balloon_step.to) },
    nextRun: values(json.next_run) && { ...values(json.next_run), boot: number(json.next_run.boot) },
    steps: (json.steps?.step ?? []).map((step) => ({
      op: step.op,
      deviceId: step.device?.id,
      size: number(step.size),
      from: number(step.from),
      to: number(step.to),
      node: step.node,
    })),
    notes: json.notes?.note ?? [],
  };
}

// What a look at the guest found; the worst first.
export function checkOf(json) {
  const order = ['bad', 'warning', 'unknown', 'good'];
  const findings = (json.findings?.finding ?? []).map((finding) => ({
    check: finding.check,
    verdict: finding.verdict,
    evidence: finding.evidence,
    source: finding.source,
    remedy: finding.remedy,
    command: finding.command,
    deviceId: finding.device?.id,
  }));
  const { guest = {} } = json;
  return {
    verdict: json.verdict,
    spare: json.spare === undefined ? null : number(json.spare),
    guest: {
      os: guest.os,
      kernel: guest.kernel,
      block: number(guest.memory_block),
      available: number(guest.available),
    },
    answers: [guest.agent, guest.qemu_agent === 'true' && 'qemu-guest-agent'].filter(Boolean),
    notes: guest.notes?.note ?? [],
    findings: findings.sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict)),
  };
}

const stepWords = {
  ballooned: 'done',
  planned: 'not asked yet',
  asked: 'asked; waiting for the guest',
  removed: 'removed',
  resized: 'resized',
  added: 'added',
  done: 'done',
  refused: 'refused',
  overdue: 'overdue: the guest has not answered in time; it can still release it',
};

const seconds = (value) => (value < 0.1 ? 'less than 0.1 s' : `${value.toFixed(value < 10 ? 1 : 0)} s`);

// A step's state, for people. over: its job has ended, so what has not come does not come any more.
export function stepText(step, over) {
  const pending = ['planned', 'asked', 'overdue'].includes(step.state);
  const words =
    over && pending
      ? 'not done'
      : step.state === 'overdue' && step.op === 'plug'
        ? 'overdue: it has not appeared in time'
        : step.state === 'overdue' && step.op !== 'unplug'
          ? 'overdue: the guest has not reached the size in time; it can still do so'
          : step.state === 'refused' && step.op === 'balloon'
            ? 'stopped short'
            : (stepWords[step.state] ?? step.state);
  const reason = step.reason ? `: ${step.reason}` : '';
  const time =
    step.seconds !== null && step.seconds >= 0 && step.state !== 'asked' && step.state !== 'overdue'
      ? ` after ${seconds(step.seconds)}`
      : '';
  return `${words}${time}${reason}`;
}

// Its memory can be changed now, whatever its guest is at.
export const isRunning = (vm) => ['up', 'powering_up', 'powering_down', 'reboot_in_progress'].includes(vm.status);

export const statusWords = {
  up: 'Up',
  down: 'Down',
  paused: 'Paused',
  suspended: 'Suspended',
  unknown: 'Unknown',
  powering_down: 'Powering down',
  powering_up: 'Powering up',
  reboot_in_progress: 'Rebooting',
  wait_for_launch: 'Starting',
};

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
export const time = (milliseconds) => clock.format(new Date(milliseconds));
