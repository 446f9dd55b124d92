// SPDX-License-Identifier: Apache-2.0
// The list. Searching, sorting and paging are the server's, so that 10,000 VMs cost what one page of them costs.

import { ask, query } from './api.js';
import { h } from './dom.js';
import { canHotPlug, coming, size, vmOf } from './model.js';
import {
  button,
  empty,
  errorAlert,
  icon,
  label,
  legend,
  memoryBar,
  nextRunLabel,
  spinner,
  statusLabel,
  table,
} from './parts.js';

const PAGE = 50;
const TYPING_MS = 250;
const REFRESH_MS = 2000;

// [text, field of the search language]
const columns = [
  ['Name', 'name'],
  ['Status', 'status'],
  ['Host', 'host'],
  ['Memory', 'memory'],
  ['Picture'],
  ['Devices', 'memorydevices'],
  ['Guaranteed', 'guaranteed_memory'],
  ['Maximum'],
  ['Next run', 'next_run_config_exists'],
];

const sortable = new Set(columns.map(([, field]) => field).filter(Boolean));

// What an address may ask for; anything else is as if it were not there.
function readAddress(asks) {
  const page = asks.get('page') ?? '';
  const sort = asks.get('sort');
  return {
    search: asks.get('search') ?? '',
    page: /^[1-9]\d{0,5}$/.test(page) ? Number(page) : 1,
    sort: sortable.has(sort) ? sort : 'name',
    desc: asks.get('desc') === '1',
  };
}

const count = (number) => number.toLocaleString('en');

export function vmsView(app) {
  const now = { search: '', page: 1, sort: 'name', desc: false, rows: null, total: 0, error: null, loading: false };
  let typing = null;
  let refresh = null;
  let asked = null;

  function address() {
    const text = query({
      search: now.search,
      page: now.page > 1 ? now.page : '',
      sort: now.sort === 'name' ? '' : now.sort,
      desc: now.desc ? '1' : '',
    });
    return text ? `#/vms?${text}` : '#/vms';
  }

  // What the user typed, with our order and page where he names none and the server's own will not do.
  function searchText() {
    const own = now.search.trim();
    const byName = now.sort === 'name' && !now.desc;
    const order = byName || /\bsortby\b/i.test(own) ? '' : ` sortby ${now.sort} ${now.desc ? 'desc' : 'asc'}`;
    const page = /\bpage\s+\d+\s*$/i.test(own) || now.page === 1 ? '' : ` page ${now.page}`;
    return (own + order + page).trim();
  }

  async function load() {
    asked?.abort();
    const mine = (asked = new AbortController());
    now.loading = true;
    try {
      const { body, headers } = await ask(
        `vms?${query({ search: searchText(), max: PAGE, follow: 'memorydevices' })}`,
        { signal: mine.signal },
      );
      now.rows = (body.vm ?? []).map(vmOf);
      now.total = Number(headers.get('Total-Count') ?? now.rows.length);
      now.error = null;
      if (now.rows.length === 0 && now.page > 1) change({ page: Math.max(Math.ceil(now.total / PAGE), 1) });
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (error.status !== 401) now.error = error;
    }
    now.loading = false;
    app.update();
  }

  // Typing replaces the place, a click makes a new one to go back from.
  function change(what, push = false) {
    Object.assign(now, what);
    history[push ? 'pushState' : 'replaceState'](null, '', address());
    load();
    app.update();
  }

  function typed(event) {
    now.search = event.target.value;
    clearTimeout(typing);
    typing = setTimeout(() => change({ page: 1 }), TYPING_MS);
  }

  function later() {
    refresh ??= setTimeout(() => {
      refresh = null;
      load();
    }, REFRESH_MS);
  }

  function event(kind, data) {
    if (kind !== 'vm' && kind !== 'vm_removed' && kind !== 'host') return;
    const at = (now.rows ?? []).findIndex((row) => row.id === data.id);
    if (kind === 'vm' && at >= 0) now.rows[at] = vmOf(data);
    later(); // it may belong elsewhere in the order now, or match no more
  }

  function header([text, field]) {
    if (!field)
      return { ...h('th', { class: 'pf-v6-c-table__th', scope: 'col', role: 'columnheader' }, text), label: text };
    const current = now.sort === field;
    const sorted = current ? (now.desc ? 'descending' : 'ascending') : 'none';
    return {
      label: text,
      ...h(
        'th',
        {
          class: `pf-v6-c-table__th pf-v6-c-table__sort${current ? ' pf-m-selected' : ''}`,
          scope: 'col',
          role: 'columnheader',
          'aria-sort': sorted,
        },
        h(
          'button',
          {
            type: 'button',
            class: 'pf-v6-c-table__button',
            onclick: () => change({ sort: field, desc: current && !now.desc, page: 1 }, true),
          },
          h(
            'div',
            { class: 'pf-v6-c-table__button-content' },
            h('span', { class: 'pf-v6-c-table__text' }, text),
            h('span', { class: 'pf-v6-c-table__sort-indicator' }, icon(current ? (now.desc ? 'down' : 'up') : 'sort')),
          ),
        ),
      ),
    };
  }

  function row(vm) {
    return {
      key: vm.id,
      cells: [
        h('a', { class: 'vm-name', href: `#/vms/${vm.id}/general` }, vm.name),
        statusLabel(vm.status),
        app.hostName(vm.hostId) || '–',
        [
          h('span', { class: 'number' }, size(vm.memory)),
          vm.ballooned > 0 && h('div', { class: 'hint number ballooned' }, `${size(vm.ballooned)} ballooned`),
        ],
        memoryBar(vm),
        String(vm.devices.length),
        h('span', { class: 'number' }, size(vm.guaranteed)),
        canHotPlug(vm)
          ? h('span', { class: 'number' }, size(vm.max))
          : label('No hot plug', 'grey', 'It has boot memory alone, none of which can be unplugged'),
        nextRunLabel(vm) || '–',
      ],
    };
  }

  function pager() {
    const pages = Math.max(Math.ceil(now.total / PAGE), 1);
    const first = now.total === 0 ? 0 : (now.page - 1) * PAGE + 1;
    const last = Math.min(now.page * PAGE, now.total);
    const go = (text, name, page, possible) =>
      button(text, {
        kind: 'secondary pf-m-small',
        'aria-label': name,
        disabled: !possible,
        onclick: () => change({ page }, true),
      });
    return h(
      'nav',
      { class: 'pager', 'aria-label': 'Pages' },
      h('span', { role: 'status' }, `${count(first)}–${count(last)} of ${count(now.total)}`),
      pages > 1 && [
        go('First', 'First page', 1, now.page > 1),
        go('Previous', 'Previous page', now.page - 1, now.page > 1),
        h('span', null, `Page ${now.page} of ${pages}`),
        go('Next', 'Next page', now.page + 1, now.page < pages),
        go('Last', 'Last page', pages, now.page < pages),
      ],
    );
  }

  function render() {
    return [
      h('h1', { class: 'pf-v6-c-title pf-m-2xl', tabindex: '-1' }, 'Virtual Machines'),
      h(
        'div',
        { class: 'tools' },
        h(
          'form',
          {
            class: 'search',
            role: 'search',
            onsubmit: (submitted) => {
              submitted.preventDefault();
              clearTimeout(typing);
              change({ page: 1 });
            },
          },
          h(
            'span',
            { class: 'pf-v6-c-form-control' },
            h('input', {
              type: 'search',
              id: 'search',
              'aria-label': 'Search',
              value: now.search,
              oninput: typed,
              placeholder: 'name=web* and status=up and memory > 2048',
              spellcheck: 'false',
              autocapitalize: 'none',
              'aria-describedby': 'search-help',
            }),
          ),
        ),
        now.loading && now.rows === null ? spinner() : pager(),
      ),
      h(
        'p',
        { class: 'hint', id: 'search-help' },
        'Fields: name, status, host, memory and guaranteed_memory (MiB), memorydevices, next_run_config_exists, ' +
          'description. ' +
          'Words: and, or, sortby, * for anything.',
      ),
      now.error &&
        errorAlert(now.error, now.error.status === 400 ? 'The search was not understood' : 'The VMs cannot be shown'),
      now.rows &&
        now.rows.length > 0 && [
          legend(
            'boot',
            'device',
            'out',
            now.rows.some((vm) => coming(vm) > 0) && 'asked',
            now.rows.some((vm) => vm.ballooned > 0) && 'ballooned',
            'mark',
            'free',
          ),
          h('div', { class: 'table-box' }, table('Virtual machines', columns.map(header), now.rows.map(row))),
        ],
      now.rows &&
        now.rows.length === 0 &&
        !now.error &&
        (now.search
          ? empty('No VM matches', 'Change the search, or clear it to see all VMs.')
          : empty(
              'There are no VMs',
              'The hosts that dimmerd is connected to have none. New ones appear here automatically.',
            )),
    ];
  }

  return {
    render,
    load,
    event,
    title: () => 'Virtual Machines',
    go({ query: asks }) {
      const next = readAddress(asks);
      const differs = Object.keys(next).some((key) => next[key] !== now[key]);
      Object.assign(now, next);
      if (differs && now.rows) load();
    },
    leave() {
      clearTimeout(typing);
      clearTimeout(refresh);
      asked?.abort();
    },
  };
}
