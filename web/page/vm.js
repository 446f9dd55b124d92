// SPDX-License-Identifier: Apache-2.0
// One VM: its memory to scale, what is under way, and the tabs.

import { get, query } from './api.js';
import { changeDialog } from './change.js';
import { h } from './dom.js';
import { jobBody, jobLabel, outcome } from './jobs.js';
import { eventOf, jobOf, shortName, size, time, vmOf } from './model.js';
import {
  alert,
  button,
  card,
  deviceWords,
  empty,
  errorAlert,
  label,
  legend,
  memoryMap,
  nextRunLabel,
  pairs,
  spinner,
  statusLabel,
  table,
} from './parts.js';
import { unplugDialog } from './unplug.js';

const MANY = 50;
const tabs = [
  ['general', 'General'],
  ['devices', 'VM Devices'],
  ['events', 'Events'],
  ['jobs', 'Jobs'],
];

export function vmView(app, id) {
  const path = `vms/${encodeURIComponent(id)}`;
  const now = {
    tab: 'general',
    vm: null,
    next: null,
    jobs: [],
    events: [],
    error: null,
    gone: false,
    left: false,
    dialog: null,
    closed: new Set(),
  };
  let loading = false;
  let again = false; // something happened while it was asked for, and may not be in the answer

  async function load() {
    if (loading) {
      again = true;
      return;
    }
    loading = true;
    do {
      again = false;
      await loadOnce();
    } while (again && !now.left);
    loading = false;
  }

  async function loadOnce() {
    const whole = (what) =>
      get(what).catch((error) => {
        if (error.status === 401) throw error;
        return error;
      });
    try {
      const [vm, next, jobs, events] = await Promise.all([
        get(`${path}?follow=memorydevices`),
        whole(`${path}?next_run=true`),
        whole(`jobs?${query({ vm: id, max: MANY, follow: 'steps' })}`),
        whole(`events?${query({ search: `_event_vm_id=${id}`, max: MANY })}`),
      ]);
      now.vm = vmOf(vm);
      now.next = next instanceof Error ? null : vmOf(next);
      if (!(jobs instanceof Error)) now.jobs = (jobs.job ?? []).map(jobOf);
      if (!(events instanceof Error)) now.events = (events.event ?? []).map(eventOf);
      now.error = null;
      now.gone = false;
      now.dialog?.refresh(now.vm, now.next);
    } catch (error) {
      if (error.status === 404) now.gone = true;
      else if (error.status !== 401) now.error = error;
    }
    app.update();
  }

  async function loadNext() {
    const next = await get(`${path}?next_run=true`).catch(() => null);
    if (next) now.next = vmOf(next);
    app.update();
  }

  function event(kind, data) {
    again ||= loading;
    if (kind === 'vm' && data.id === id) {
      now.vm = vmOf(data);
      now.dialog?.refresh(now.vm, now.next);
      loadNext();
    } else if (kind === 'vm_removed' && data.id === id) {
      now.gone = true;
    } else if (kind === 'job' && data.vm?.id === id) {
      takeJob(jobOf(data));
    } else if (kind === 'event' && data.vm?.id === id) {
      now.events = [eventOf(data), ...now.events.filter((known) => known.id !== data.id)].slice(0, MANY);
    }
  }

  function takeJob(job) {
    const at = now.jobs.findIndex((known) => known.id === job.id);
    if (at < 0) now.jobs = [job, ...now.jobs].slice(0, MANY);
    else now.jobs = now.jobs.map((known, i) => (i === at ? job : known));
  }

  // ---- what is under way, and how it ended ----

  function latest() {
    const shown = now.jobs.filter(
      (job, i) => job.status === 'started' || (i === 0 && !now.closed.has(job.id) && Date.now() - job.ended < 600000),
    );
    return shown.map((job) => {
      const { kind, title } = outcome(job);
      return h(
        'div',
        { key: `job ${job.id} ${kind}`, class: 'job' },
        alert(kind, title, {
          body: jobBody(job),
          close:
            job.status === 'started'
              ? undefined
              : () => {
                  now.closed.add(job.id);
                  app.update();
                },
        }),
      );
    });
  }

  // ---- the tabs ----

  function general() {
    const { vm, next } = now;
    const running = vm.status === 'up' || vm.status === 'paused';
    const row = (name, key) => {
      const differs = next && next[key] !== vm[key];
      return {
        key,
        cells: [
          name,
          h('span', { class: 'number' }, size(vm[key])),
          next
            ? h(
                'span',
                { class: differs ? 'number differs' : 'number' },
                size(next[key]),
                differs && label('differs', 'purple'),
              )
            : '–',
        ],
      };
    };
    return h(
      'div',
      { class: 'columns' },
      card(
        'Memory',
        table(
          'Memory',
          ['Setting', running ? 'Running VM' : 'VM', 'Next run'],
          [row('Memory', 'memory'), row('Physical memory guaranteed', 'guaranteed'), row('Maximum memory', 'max')],
        ),
      ),
      card(
        'VM',
        pairs(
          ['Name', vm.name],
          ['Description', vm.description || '–'],
          ['Status', statusLabel(vm.status)],
          ['Host', app.hostName(vm.hostId) || '–'],
          ['Boot memory', size(vm.boot)],
          ['Memory devices', `${vm.devices.length}, ${size(vm.memory - vm.boot)}`],
          ['Memory balloon', vm.ballooning ? 'yes' : 'no'],
          ['Id', h('code', null, vm.id)],
        ),
      ),
    );
  }

  function whyNoUnplug(device) {
    if (app.whyNot()) return app.whyNot();
    if (app.state.lost) return 'The connection to dimmerd is lost';
    if (now.vm.status !== 'up') return 'Only a running VM can be asked for a device';
    return device.state === 'going' ? 'The guest was asked already, and has not answered yet' : undefined;
  }

  const stateLabel = (device) =>
    h(
      'span',
      { class: 'state' },
      device.state === 'going' || device.state === 'resizing' ? spinner('Waiting for the guest') : null,
      device.state === 'present'
        ? label('Present', 'green')
        : device.state === 'overdue'
          ? label('Overdue', 'orange', deviceWords.overdue)
          : label(device.state === 'resizing' ? 'Resizing' : 'Asked', 'blue', deviceWords[device.state]),
    );

  function devices() {
    const { vm } = now;
    if (vm.devices.length === 0)
      return empty(
        'There are no memory devices',
        'They come by hot plug, and only they can be hot unplugged. Change memory plugs some.',
      );
    const sizes = (device) =>
      device.kind === 'virtio-mem' ? `${size(device.size)} of at most ${size(device.max)}` : size(device.size);
    return h(
      'div',
      { class: 'table-box' },
      table(
        'Memory devices',
        ['Type', 'Device', 'Alias', 'Size', 'Node', 'Slot', 'Address', 'State', 'Action'],
        vm.devices.map((device) => ({
          key: device.id,
          cells: [
            'memory',
            device.kind,
            h('strong', null, device.alias || '–'),
            h('span', { class: 'number' }, sizes(device)),
            device.node ?? '–',
            device.slot ?? '–',
            device.address ? h('code', null, device.address) : (device.busAddress ?? '–'),
            stateLabel(device),
            button('Hot Unplug', {
              kind: 'secondary pf-m-small pf-m-danger',
              why: whyNoUnplug(device),
              'aria-label': `Hot Unplug ${shortName(device)}`,
              onclick: () => unplugDialog(app, now.vm, device),
            }),
          ],
        })),
      ),
    );
  }

  const severities = {
    normal: ['Normal', 'grey'],
    warning: ['Warning', 'orange'],
    error: ['Error', 'red'],
    alert: ['Alert', 'red'],
  };

  function events() {
    if (now.events.length === 0) return empty('There are no events', 'What happens to this VM will stand here.');
    return h(
      'div',
      { class: 'table-box' },
      table(
        'Events',
        ['Time', 'Severity', 'What happened', 'User'],
        now.events.map((happened) => ({
          key: happened.id,
          cells: [
            h('span', { class: 'nowrap' }, time(happened.time)),
            label(...(severities[happened.severity] ?? [happened.severity])),
            happened.text,
            happened.user ?? '–',
          ],
        })),
      ),
    );
  }

  function jobs() {
    if (now.jobs.length === 0)
      return empty('There are no jobs', 'Requests that change this VM stand here since the daemon started.');
    return h(
      'div',
      { class: 'table-box' },
      table(
        'Jobs',
        ['Started', 'Status', 'Request', 'Steps'],
        now.jobs.map((job) => ({
          key: job.id,
          cells: [
            h('span', { class: 'nowrap' }, time(job.started)),
            jobLabel(job),
            job.description,
            h('div', null, jobBody(job)),
          ],
        })),
      ),
    );
  }

  const views = { general, devices, events, jobs };

  function whyNoChange() {
    return app.whyNot() ?? (app.state.lost ? 'The connection to dimmerd is lost' : undefined);
  }

  function render() {
    const { vm } = now;
    const crumbs = h(
      'nav',
      { class: 'pf-v6-c-breadcrumb', 'aria-label': 'Breadcrumb' },
      h(
        'ol',
        { class: 'pf-v6-c-breadcrumb__list' },
        h(
          'li',
          { class: 'pf-v6-c-breadcrumb__item' },
          h('a', { class: 'pf-v6-c-breadcrumb__link', href: '#/vms' }, 'Virtual Machines'),
        ),
        vm && h('li', { class: 'pf-v6-c-breadcrumb__item', 'aria-current': 'page' }, vm.name),
      ),
    );
    if (now.gone)
      return [
        crumbs,
        h('h1', { class: 'pf-v6-c-title pf-m-2xl', tabindex: '-1' }, vm ? `${vm.name} is gone` : 'There is no such VM'),
        empty('This VM is not on any host', 'It was undefined, or it was transient and has stopped.'),
      ];
    if (!vm)
      return [
        crumbs,
        h('h1', { class: 'pf-v6-c-title pf-m-2xl', tabindex: '-1' }, 'Virtual Machine'),
        now.error ? errorAlert(now.error, 'The VM cannot be shown') : spinner(),
      ];
    return [
      crumbs,
      h(
        'div',
        { class: 'head' },
        h('h1', { class: 'pf-v6-c-title pf-m-2xl', tabindex: '-1' }, vm.name),
        statusLabel(vm.status),
        nextRunLabel(vm),
        h(
          'div',
          { class: 'head-end' },
          button('Change memory', { why: whyNoChange(), onclick: () => (now.dialog = changeDialog(now.vm, now.next)) }),
        ),
      ),
      now.error && errorAlert(now.error),
      card(
        null,
        h(
          'p',
          { class: 'figure' },
          h('strong', { class: 'figure-size' }, size(vm.memory)),
          ' of at most ',
          size(vm.max),
        ),
        memoryMap(vm),
        legend('boot', 'device', 'out', 'mark', 'free'),
      ),
      h('div', { class: 'jobs', 'aria-live': 'polite' }, latest()),
      h(
        'nav',
        { class: 'pf-v6-c-tabs', 'aria-label': `Parts of ${vm.name}` },
        h(
          'ul',
          { class: 'pf-v6-c-tabs__list' },
          tabs.map(([name, text]) =>
            h(
              'li',
              { class: `pf-v6-c-tabs__item${now.tab === name ? ' pf-m-current' : ''}` },
              h(
                'a',
                {
                  class: 'pf-v6-c-tabs__link',
                  href: `#/vms/${id}/${name}`,
                  'aria-current': now.tab === name ? 'page' : undefined,
                },
                h('span', { class: 'pf-v6-c-tabs__item-text' }, text),
              ),
            ),
          ),
        ),
      ),
      h('div', { key: now.tab, class: 'tab' }, views[now.tab]()),
    ];
  }

  return {
    render,
    load,
    event,
    title: () => now.vm?.name ?? 'Virtual Machine',
    go({ tab }) {
      now.tab = views[tab] ? tab : 'general';
    },
    leave() {
      now.left = true;
    },
  };
}
