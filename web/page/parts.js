// SPDX-License-Identifier: Apache-2.0
// What several pages are made of: PatternFly's parts, and the pictures of memory.

import { h, render } from './dom.js';
import { going, isOut, shortName, size, statusWords } from './model.js';

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
    body: h('p', null, 'What you see may be out of date. It is tried again all the time.'),
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

// columns: [text, ...]; rows: [{ key, cells: [...] }]. On a narrow screen each cell says its column.
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
          { class: `pf-v6-c-table__tr ${row.class ?? ''}`, key: row.key, role: 'row' },
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
  const plugged = vm.memory - vm.boot;
  return (
    `${size(vm.memory)} of at most ${size(vm.max)}: boot memory ${size(vm.boot)}, ` +
    `${vm.devices.length} memory devices with ${size(plugged)}` +
    `${out ? `, of which ${size(out)} are on their way out` : ''}, ` +
    `guaranteed ${size(vm.guaranteed)}`
  );
}

// One line of the list: boot memory, devices, what is on its way out; a mark at guaranteed; the end is maximum.
export function memoryBar(vm) {
  const out = going(vm);
  const rect = (part, from, width) =>
    width > 0 &&
    h('rect', { class: `bar-${part}`, x: percent(from, vm.max), y: '2', width: percent(width, vm.max), height: '12' });
  const mark = percent(vm.guaranteed, vm.max);
  return h(
    'svg',
    { class: 'bar', role: 'img', 'aria-label': describe(vm), width: '100%', height: '16' },
    h('rect', { class: 'bar-free', x: '0', y: '2', width: '100%', height: '12' }),
    rect('boot', 0, vm.boot),
    rect('device', vm.boot, vm.memory - vm.boot - out),
    rect('out', vm.memory - out, out),
    h('line', { class: 'bar-mark', x1: mark, x2: mark, y1: '0', y2: '16' }),
  );
}

function segment(kind, bytes, whole, name, title) {
  return h(
    'div',
    { class: `map-part map-${kind}`, title, key: title, style: { width: percent(bytes, whole) } },
    h('span', { class: 'map-name' }, name),
    h(
      'span',
      { class: 'map-size' },
      size(bytes).split(' ')[0],
      h('span', { class: 'map-unit' }, ` ${size(bytes).split(' ')[1]}`),
    ),
  );
}

// The whole VM to scale. marks: what a plan would do, { device id: 'goes' }; added: sizes of devices that would come.
export function memoryMap(vm, { marks = {}, added = [] } = {}) {
  const whole = Math.max(vm.max, vm.memory);
  const devices = [...vm.devices].sort((a, b) => Number(a.address ?? 0) - Number(b.address ?? 0));
  const coming = added.reduce((sum, bytes) => sum + bytes, 0);
  const free = whole - vm.memory - coming;
  const where = percent(vm.guaranteed, whole);
  return h(
    'div',
    { class: 'map', role: 'img', 'aria-label': describe(vm) },
    h(
      'div',
      { class: 'map-row' },
      segment('boot', vm.boot, whole, 'Boot', `Boot memory, ${size(vm.boot)}`),
      devices.map((device) =>
        segment(
          mapKind(device, marks),
          device.size,
          whole,
          shortName(device),
          `${device.alias || device.id}, ${device.kind}, ${size(device.size)}, ${mapWords(device, marks)}`,
        ),
      ),
      added.map((bytes, i) => segment('new', bytes, whole, 'new', `New memory device ${i + 1}, ${size(bytes)}`)),
      free > 0 && segment('free', free, whole, 'free', `Free up to the maximum, ${size(free)}`),
      h('div', { class: 'map-mark', style: { left: where } }),
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

function mapKind(device, marks) {
  if (marks[device.id]) return marks[device.id];
  return device.state === 'overdue' ? 'overdue' : isOut(device) ? 'out' : 'device';
}

function mapWords(device, marks) {
  return marks[device.id] ? 'would be hot unplugged' : (deviceWords[device.state] ?? device.state);
}

export const deviceWords = {
  present: 'Present',
  going: 'Asked for; the guest has not answered yet',
  resizing: 'Being resized',
  overdue: 'Overdue: the guest has not answered in time; it can still release it',
};

export function legend(...kinds) {
  const names = {
    boot: 'Boot memory',
    device: 'Memory devices',
    out: 'On its way out',
    mark: 'Guaranteed',
    free: 'Free up to the maximum',
    goes: 'Would go',
    new: 'Would come',
  };
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Legend' },
    kinds.filter(Boolean).map((kind) =>
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

const showToasts = () => render(document.getElementById('told'), toasts);

// A message in the corner, which is read aloud as well. What went wrong stays until it is closed.
export function toast(kind, title, text) {
  const close = () => {
    toasts = toasts.filter((one) => one !== told);
    showToasts();
  };
  const body = text && h('p', null, text);
  const told = h('div', { key: `toast ${Math.random()}` }, alert(kind, title, { body, close }));
  toasts = [...toasts, told];
  showToasts();
  if (kind !== 'danger') setTimeout(close, TOAST_MS);
}
