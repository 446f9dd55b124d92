// SPDX-License-Identifier: Apache-2.0
// The sizes that a running VM can have, as far as can be known of its devices without a plan: for the slider, and as
// an offer beside an error. Sizes are bytes.

import { h } from './dom.js';
import { MIB, size } from './model.js';

const MOST = 1024; // stops of each kind: a slider has no more pixels

// The largest multiple of step that divides all into MOST at most.
const coarse = (step, all) => step * Math.max(Math.ceil(all / step / MOST), 1);

function* every(step, from, to) {
  for (let at = from; at <= to; at += step) yield at;
}

// What can be had by DIMMs, each of which goes as a whole.
function sumsOf(dimms) {
  const sums = new Set([0]);
  for (const { size: bytes } of dimms) {
    if (sums.size > MOST) break;
    for (const sum of [...sums]) sums.add(sum + bytes);
  }
  return [...sums];
}

// Of POWER's logical memory blocks, or x86's memory blocks.
export const plugStep = (vm) => (vm.architecture === 'ppc64' ? 256 : 128) * MIB;

// balloon: it takes what no device can give. Sorted.
export function stopsOf(vm, { balloon = false } = {}) {
  const virtio = vm.devices.filter((device) => device.kind === 'virtio-mem');
  const dimms = vm.devices.filter((device) => device.kind !== 'virtio-mem' && device.state === 'present');
  const held = virtio.reduce((sum, device) => sum + device.size, 0);
  const room = Math.min(
    virtio.reduce((sum, device) => sum + Math.max(device.max - device.size, 0), 0),
    Math.max(vm.max - vm.memory, 0),
  );
  const block = Math.max(MIB, ...virtio.map((device) => device.block));
  const stops = new Set([vm.memory]);
  for (const sum of sumsOf(dimms)) {
    stops.add(vm.memory - sum);
    if (stops.size < MOST) for (const part of every(coarse(block, held), 0, held)) stops.add(vm.memory - sum - part);
  }
  for (const more of every(coarse(block, room), 0, room)) stops.add(vm.memory + more);
  const step = plugStep(vm);
  for (const to of every(coarse(step, vm.max), vm.memory + room, vm.max)) stops.add(to);
  // Below that, boot memory is the balloon's, or the next run's.
  const fine = coarse(64 * MIB, vm.max);
  for (const to of every(fine, fine, (balloon ? vm.memory : Math.min(...stops)) - 1)) stops.add(to);
  return [...stops].sort((a, b) => a - b);
}

// Of a VM that is off, or of the next run alone: anything.
export const stopsOfNextRun = (next) =>
  [
    ...new Set([...every(coarse(64 * MIB, next.max), coarse(64 * MIB, next.max), next.max), next.memory, next.max]),
  ].sort((a, b) => a - b);

// The nearest stops at each side of a size that is none; none: those that are not there.
export const neighbours = (stops, bytes) => [
  stops.findLast((stop) => stop < bytes),
  stops.find((stop) => stop > bytes),
];

export const nearest = (stops, bytes) =>
  stops.reduce((best, stop) => (Math.abs(stop - bytes) < Math.abs(best - bytes) ? stop : best), stops[0]);

// ---- the slider ----

// Parts of its way: [{ kind, from, to }], of a running VM.
function zonesOf(vm, least, balloon) {
  const devices = vm.devices.reduce((sum, device) => sum + device.size, 0);
  const sure = vm.devices.filter((device) => device.movable).reduce((sum, device) => sum + device.size, 0);
  const fixed = vm.memory - devices;
  return [
    { kind: balloon ? 'balloon' : 'below', from: least, to: fixed },
    { kind: 'maybe', from: fixed, to: vm.memory - sure },
    { kind: 'sure', from: vm.memory - sure, to: vm.memory },
    { kind: 'plug', from: vm.memory, to: vm.max },
  ].filter(({ from, to }) => to > from);
}

const zoneWords = {
  sure: 'Can go',
  maybe: 'May be refused',
  balloon: 'By the balloon',
  below: 'Boot memory: from the next run on',
  plug: 'Can come',
};

const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

// bytes: where it stands. vm: which has zones; none: it does not run. take(bytes)
export function stopSlider({ stops, bytes, vm, balloon, take }) {
  const least = stops[0];
  const most = stops.at(-1);
  const zones = vm ? zonesOf(vm, least, balloon) : [];
  const part = (from, to) => `${(100 * (to - from)) / Math.max(most - least, 1)}%`;
  const at = nearest(stops, bytes);
  const zone = zones.find(({ from, to }) => at > from && at <= to) ?? zones[0];
  const step = (event) => {
    const way = keys[event.key];
    if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault(); // its own step leads to sizes that cannot be had
    const to = neighbours(stops, bytes)[way < 0 ? 0 : 1];
    if (to !== undefined) take(to);
  };
  return h(
    'div',
    { class: 'slider-box' },
    h('input', {
      type: 'range',
      class: 'slider',
      'aria-label': 'Memory, by dragging',
      'aria-valuetext': `${size(bytes)}${zone && bytes !== vm.memory ? `, ${zoneWords[zone.kind].toLowerCase()}` : ''}`,
      min: String(least / MIB),
      max: String(most / MIB),
      step: 'any',
      value: String(bytes / MIB),
      onkeydown: step,
      oninput: (event) => take(nearest(stops, Number(event.target.value) * MIB)),
    }),
    zones.length > 0 && [
      h(
        'div',
        { class: 'zones', 'aria-hidden': 'true' },
        zones.map(({ kind, from, to }) =>
          h('div', {
            key: kind,
            class: `zone zone-${kind}`,
            style: { left: part(least, from), width: part(from, to) },
          }),
        ),
      ),
      h(
        'ul',
        { class: 'legend', 'aria-label': 'Parts of the way' },
        zones.map(({ kind }) =>
          h(
            'li',
            { key: kind },
            h('span', { class: `legend-box zone-${kind}`, 'aria-hidden': 'true' }),
            zoneWords[kind],
          ),
        ),
      ),
    ],
  );
}
