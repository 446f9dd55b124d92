// SPDX-License-Identifier: Apache-2.0
// What several pages are made of: PatternFly's parts, and the pictures of memory.

import { h, render } from './dom.js';
import { awaited, coming, going, leaving, shortName, size, statusWords, usable } from './model.js';

const paths = {
  danger: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm-.9 3.5h1.8v4.8H7.1zm0 6.2h1.8v1.7H7.1z',
  warning: 'M8 1 .5 14.5h15zM7.2 6h1.6v4.5H7.2zm0 5.5h1.6V13H7.2z',
  info: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm-.9 2.7h1.8v1.7H7.1zm0 3h1.8v5.6H7.1z',
  success: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm-1.2 10.3L3.6 8.1l1.2-1.2 2 2 4.4-4.4 1.2 1.2z',
  close: 'M3.3 2 8 6.7 12.7 2 14 3.3 9.3 8l4.7 4.7-1.3 1.3L8 9.3 3.3 14 2 12.7 6.7 8 2 3.3z',
  up: 'M8 3l4 5H9v5H7V8H4z',
  down: 'M8 13l4-5H9V3H7v5H4z',
  sort: 'M8 2l3.5 4.5h-7zM8 14l3.5-4.5h-7z',
  sun: 'M8 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM7.3 0h1.4v3H7.3zm0 13h1.4v3H7.3zM0 7.3h3v1.4H0zm13 0h3v1.4h-3zM2 3l1-1 2.1 2.1-1 1zm8.9 8.9 1-1L14 13l-1 1zM2 13l2.1-2.1 1 1L3 14zm8.9-8.9L13 2l1 1-2.1 2.1z',
  moon: 'M9.5 1A7 7 0 1 0 15 10.5 6 6 0 0 1 9.5 1z',
};

export function icon(name) {
  return h(
    'svg',
    { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    h('path', { d: paths[name], fill: 'currentColor' }),
  );
}

export function logo() {
  return h('img', { class: 'logo', src: new URL('icon.svg', import.meta.url).href, alt: '' });
}

export function spinner(text) {
  return h(
    'svg',
    {
      class: 'pf-v6-c-spinner pf-m-inline',
      role: 'progressbar',
      viewBox: '0 0 100 100',
      'aria-label': text ?? 'Loading',
    },
    h('circle', { class: 'pf-v6-c-spinner__path', cx: '50', cy: '50', r: '45', fill: 'none' }),
  );
}

// why: it cannot be used now, and that is the reason; it can still be reached by keyboard, to hear it.
export function button(text, { kind = 'primary', onclick, why, type = 'button', ...rest } = {}) {
  return h(
    'button',
    {
      type,
      class: `pf-v6-c-button pf-m-${kind}${why ? ' pf-m-aria-disabled' : ''}`,
      'aria-disabled': why ? 'true' : undefined,
      title: why,
      onclick: why ? (event) => event.preventDefault() : onclick,
      ...rest,
    },
    h('span', { class: 'pf-v6-c-button__text' }, text),
    why && h('span', { class: 'hidden' }, `. ${why}`),
  );
}

export function label(text, colour = 'grey', title) {
  return h(
    'span',
    { class: `pf-v6-c-label pf-m-${colour}`, title },
    h('span', { class: 'pf-v6-c-label__content' }, h('span', { class: 'pf-v6-c-label__text' }, text)),
  );
}

const statusColours = { up: 'green', down: 'grey', paused: 'orange', suspended: 'orange', unknown: 'red' };

export function statusLabel(status) {
  return label(statusWords[status] ?? status, statusColours[status] ?? 'blue');
}

export function nextRunLabel(vm) {
  return vm.nextRun && label('Next run', 'purple', 'Other values wait for the next start of this VM');
}

const spoken = { danger: 'Error', warning: 'Warning', info: 'Information', success: 'Done' };

// close: a function; then there is a button for it.
export function alert(kind, title, { body, close, role, actions } = {}) {
  return h(
    'div',
    { class: `pf-v6-c-alert pf-m-inline pf-m-${kind}`, role },
    h('div', { class: 'pf-v6-c-alert__icon' }, icon(kind)),
    h('p', { class: 'pf-v6-c-alert__title' }, h('span', { class: 'hidden' }, `${spoken[kind]}: `), title),
    close &&
      h(
        'div',
        { class: 'pf-v6-c-alert__action' },
        h(
          'button',
          { type: 'button', class: 'pf-v6-c-button pf-m-plain', 'aria-label': `Close: ${title}`, onclick: close },
          h('span', { class: 'pf-v6-c-button__icon' }, icon('close')),
        ),
      ),
    body && h('div', { class: 'pf-v6-c-alert__description' }, body),
    actions && h('div', { class: 'pf-v6-c-alert__action-group' }, actions),
  );
}

export function errorAlert(error, title = 'That did not work', actions) {
  return alert('danger', title, { body: h('p', null, error.message), role: 'alert', actions });
}

export const LOST = 'The connection to dimmerd is lost';

export function lostAlert(app) {
  return alert('warning', LOST, {
    role: 'alert',
    body: h('p', null, 'What you see may be out of date. The page keeps retrying.'),
    actions: button('Try now', { kind: 'link pf-m-inline', onclick: app.retry }),
  });
}

export function empty(title, body) {
  return h(
    'div',
    { class: 'pf-v6-c-empty-state pf-m-sm' },
    h(
      'div',
      { class: 'pf-v6-c-empty-state__content' },
      h(
        'div',
        { class: 'pf-v6-c-empty-state__header' },
        h('div', { class: 'pf-v6-c-empty-state__title' }, h('h2', { class: 'pf-v6-c-empty-state__title-text' }, title)),
      ),
      body && h('div', { class: 'pf-v6-c-empty-state__body' }, body),
    ),
  );
}

export function card(title, ...children) {
  return h(
    'section',
    { class: 'pf-v6-c-card', 'aria-label': title },
    title && h('div', { class: 'pf-v6-c-card__title' }, h('h2', { class: 'pf-v6-c-card__title-text' }, title)),
    h('div', { class: 'pf-v6-c-card__body' }, children),
  );
}

// columns: [text, ...]; rows: [{ key, cells: [...], class, on: listeners }]. On a narrow screen each cell says its column.
export function table(caption, columns, rows) {
  // The roles are said, because a table that is shown as a grid loses its own.
  return h(
    'table',
    { class: 'pf-v6-c-table pf-m-compact pf-m-grid-md', 'aria-label': caption, role: 'table' },
    h(
      'thead',
      { class: 'pf-v6-c-table__thead', role: 'rowgroup' },
      h(
        'tr',
        { class: 'pf-v6-c-table__tr', role: 'row' },
        columns.map((column) =>
          column.tag ? column : h('th', { class: 'pf-v6-c-table__th', scope: 'col', role: 'columnheader' }, column),
        ),
      ),
    ),
    h(
      'tbody',
      { class: 'pf-v6-c-table__tbody', role: 'rowgroup' },
      rows.map((row) =>
        h(
          'tr',
          { ...row.on, class: `pf-v6-c-table__tr ${row.class ?? ''}`, key: row.key, role: 'row' },
          row.cells.map((cell, i) =>
            h('td', { class: 'pf-v6-c-table__td', role: 'cell', 'data-label': columns[i].label ?? columns[i] }, cell),
          ),
        ),
      ),
    ),
  );
}

const percent = (part, whole) => `${whole > 0 ? Math.min((100 * part) / whole, 100) : 0}%`;

function describe(vm) {
  const out = going(vm);
  const asked = coming(vm);
  return [
    `${size(vm.memory)} of at most ${size(vm.max)}: boot memory ${size(vm.boot)}`,
    `${vm.devices.length} memory devices with ${size(vm.memory - vm.boot)}`,
    out && `of which ${size(out)} are on their way out`,
    asked && `${size(asked)} more are requested`,
    vm.ballooned && `ballooned ${size(vm.ballooned)}`,
    `guaranteed ${size(vm.guaranteed)}`,
  ]
    .filter(Boolean)
    .join(', ');
}

// One line of the list: boot memory, devices, what is on its way out, and to its end what the balloon holds of it; a
// mark at guaranteed; the end is maximum.
export function memoryBar(vm) {
  const out = going(vm);
  const asked = coming(vm);
  const whole = Math.max(vm.max, vm.memory + asked);
  const rect = (part, from, width, y = 2, height = 12) =>
    width > 0 && h('rect', { class: `bar-${part}`, x: percent(from, whole), y, width: percent(width, whole), height });
  const mark = percent(vm.guaranteed, whole);
  return h(
    'svg',
    { class: 'bar', role: 'img', 'aria-label': describe(vm), width: '100%', height: '16' },
    h('rect', { class: 'bar-free', x: '0', y: '2', width: '100%', height: '12' }),
    rect('boot', 0, vm.boot),
    rect('device', vm.boot, vm.memory - vm.boot - out),
    rect('out', vm.memory - out, out),
    rect('asked', vm.memory, asked),
    rect('ballooned', usable(vm), vm.ballooned ?? 0, 5, 6),
    h('line', { class: 'bar-mark', x1: mark, x2: mark, y1: '0', y2: '16' }),
  );
}

// What a VM is made of, in the order of its addresses: [{ kind, bytes, name, title, ids }].
function partsOf(vm, marks, added) {
  const devices = [...vm.devices].sort((a, b) => Number(a.address ?? 0) - Number(b.address ?? 0));
  const other = vm.memory - vm.boot - devices.reduce((sum, device) => sum + device.size, 0);
  return [
    { kind: 'boot', bytes: vm.boot, name: 'Boot', title: `Boot memory, ${size(vm.boot)}` },
    ...devices.flatMap((device) => partsOfDevice(device, marks)),
    { kind: 'device', bytes: other, name: 'devices', title: `Memory devices from the start on, ${size(other)}` },
    ...added.map((bytes, i) => ({
      kind: 'new',
      bytes,
      name: 'new',
      title: `New memory device ${i + 1}, ${size(bytes)}`,
    })),
  ].filter((part) => part.bytes > 0);
}

function partsOfDevice(device, marks) {
  const part = (kind, bytes, words) => ({
    kind,
    bytes,
    ids: [device.id],
    name: shortName(device),
    title: `${device.alias || device.id}, ${device.kind}, ${size(bytes)}, ${words}`,
  });
  const mark = marks[device.id];
  if (mark)
    return [
      part('device', device.size - mark.goes, 'would stay'),
      part('goes', mark.goes, mark.goes < device.size ? 'would go' : 'would be hot unplugged'),
      part('new', mark.comes, 'would come'),
    ];
  const out = leaving(device);
  const state = deviceWords[device.state] ?? device.state;
  return [
    part('device', device.size - out, out ? 'stays' : state),
    part(device.state === 'overdue' ? 'overdue' : 'out', out, state),
    part('asked', awaited(device), `${state}; the guest has not taken it yet`),
  ];
}

const SLIVER = 1 / 200; // of the whole: what is narrower has no place for a name, nor for an edge

// Neighbours of one kind that are slivers are one part.
function mergeSlivers(parts, whole) {
  const merged = [];
  for (const part of parts) {
    const last = merged.at(-1);
    const small = part.ids && part.bytes < whole * SLIVER;
    if (!small || !last?.small || last.kind !== part.kind) {
      merged.push({ ...part, small });
      continue;
    }
    const ids = [...last.ids, ...part.ids];
    const bytes = last.bytes + part.bytes;
    const title = `${ids.length} memory devices, ${size(bytes)}`;
    merged[merged.length - 1] = { ...last, ids, bytes, name: `${ids.length} devices`, title };
  }
  return merged;
}

function segment(part, from, whole, lit) {
  const [number, unit] = size(part.bytes).split(' ');
  const own = part.ids && lit;
  return h(
    'div',
    {
      class: `map-part map-${part.kind}${own && part.ids.includes(lit.id) ? ' map-lit' : ''}`,
      title: part.title,
      key: part.title,
      style: { left: percent(from, whole), width: percent(part.bytes, whole) },
      onmouseenter: own && (() => lit.set(part.ids[0])),
      onmouseleave: own && (() => lit.set(null)),
    },
    h('span', { class: 'map-name' }, part.name),
    h('span', { class: 'map-size' }, number, h('span', { class: 'map-unit' }, ` ${unit}`)),
    h('span', { class: 'map-end-line' }),
  );
}

// marks: what a plan would do, { device id: { goes, comes } } in bytes; added: sizes of devices that would come.
// ballooned, and end of memory: as they would be. lit: which device is pointed at, { id, set(id) }.
export function memoryMap(vm, { marks = {}, added = [], ballooned = vm.ballooned ?? 0, end = vm.memory, lit } = {}) {
  const parts = partsOf(vm, marks, added);
  const drawn = parts.reduce((sum, part) => sum + part.bytes, 0);
  const whole = Math.max(vm.max, drawn);
  const where = percent(vm.guaranteed, whole);
  const free = { kind: 'free', bytes: whole - drawn, name: 'free' };
  let from = 0;
  const row = [...mergeSlivers(parts, whole), { ...free, title: `Free up to the maximum, ${size(free.bytes)}` }].map(
    (part) => {
      const at = from;
      from += part.bytes;
      return part.bytes > 0 && segment(part, at, whole, lit);
    },
  );
  return h(
    'div',
    { class: 'map', role: 'img', 'aria-label': describe({ ...vm, ballooned }) },
    h('div', { class: 'map-row' }, row, h('div', { class: 'map-mark', style: { left: where } })),
    ballooned > 0 &&
      h(
        'div',
        { class: 'map-below' },
        h('div', {
          class: 'map-ballooned',
          title: `Ballooned, ${size(ballooned)} of any part: the guest cannot use it`,
          style: { left: percent(end - ballooned, whole), width: percent(ballooned, whole) },
        }),
      ),
    h(
      'div',
      { class: 'map-scale' },
      h('span', null, '0'),
      h(
        'span',
        { class: 'map-guaranteed', style: { left: `clamp(5rem, ${where}, calc(100% - 13rem))` } },
        `guaranteed ${size(vm.guaranteed)}`,
      ),
      h('span', { class: 'map-end' }, `maximum ${size(vm.max)}`),
    ),
  );
}

export const deviceWords = {
  present: 'Present',
  going: 'Asked for; the guest has not answered yet',
  resizing: 'Being resized',
  overdue: 'Overdue: the guest has not answered in time; it can still release it, or take what was requested',
};

// The names of what a VM's picture has; more: further kinds.
export const legendOf = (vm, ...more) =>
  legend(
    'boot',
    vm.memory > vm.boot && 'device',
    going(vm) > 0 && 'out',
    coming(vm) > 0 && 'asked',
    ...more,
    vm.ballooned > 0 && 'ballooned',
    'mark',
    vm.max > vm.memory && 'free',
  );

export function legend(...kinds) {
  const names = {
    boot: 'Boot memory',
    device: 'Memory devices',
    out: 'On its way out',
    asked: 'Asked for, and not taken yet',
    ballooned: 'Ballooned: the guest cannot use it',
    mark: 'Guaranteed',
    free: 'Free up to the maximum',
    goes: 'Would go',
    new: 'Would come',
  };
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Legend' },
    kinds
      .filter(Boolean)
      .map((kind) =>
        h('li', null, h('span', { class: `legend-box legend-${kind}`, 'aria-hidden': 'true' }), names[kind]),
      ),
  );
}

export function pairs(...rows) {
  return h(
    'dl',
    { class: 'pf-v6-c-description-list pf-m-horizontal' },
    rows.map(([term, ...values]) =>
      h(
        'div',
        { class: 'pf-v6-c-description-list__group' },
        h(
          'dt',
          { class: 'pf-v6-c-description-list__term' },
          h('span', { class: 'pf-v6-c-description-list__text' }, term),
        ),
        h(
          'dd',
          { class: 'pf-v6-c-description-list__description' },
          h('div', { class: 'pf-v6-c-description-list__text' }, values),
        ),
      ),
    ),
  );
}

const TOAST_MS = 8000;
let toasts = [];

const showToasts = () => render(document.getElementById('toasts'), toasts);

// A message in the corner, which is read aloud as well. What went wrong stays until it is closed.
export function toast(kind, title, text) {
  const close = () => {
    toasts = toasts.filter((one) => one !== shown);
    showToasts();
  };
  const body = text && h('p', null, text);
  const shown = h('div', { key: `toast ${Math.random()}` }, alert(kind, title, { body, close }));
  toasts = [...toasts, shown];
  showToasts();
  if (kind !== 'danger') setTimeout(close, TOAST_MS);
}
