// SPDX-License-Identifier: Apache-2.0
// One VM: its memory to scale, what is under way, and the tabs.

import { get, query } from './api.js';
import { changeDialog } from './change.js';
import { checker } from './check.js';
import { h } from './dom.js';
import { jobBody, outcome } from './jobs.js';
import { eventOf, jobOf, size, usable, vmOf } from './model.js';
import {
  alert,
  button,
  card,
  empty,
  errorAlert,
  legendOf,
  memoryMap,
  nextRunLabel,
  spinner,
  statusLabel,
} from './parts.js';
import { preparer, setupAlert } from './setup.js';
import { tabs } from './vm_tabs.js';

const MANY = 50;

export function vmView(app, id) {
  const path = `vms/${encodeURIComponent(id)}`;
  const now = {
    tab: tabs[0],
    vm: null,
    next: null, // null: it is not known, or there is none
    transient: false, // there is no next run: it has no persistent definition
    jobs: [],
    events: [],
    error: null,
    gone: false,
    left: false,
    dialog: null,
    closed: new Set(),
    lit: { id: null, set: light }, // the device that the mouse points at, in the map or the table
    load,
  };

  function light(device) {
    now.lit.id = device;
    app.update();
  }

  const wasRefused = () =>
    now.jobs[0]?.steps.some((step) => step.deviceId && step.state === 'refused') && !now.closed.has(now.jobs[0].id);
  now.check = checker(app, now, () => now.tab.guest || wasRefused());
  now.preparation = preparer(app, now);
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
      const transient = await isTransient(vmOf(vm));
      now.vm = vmOf(vm);
      now.transient = transient;
      now.next = next instanceof Error || now.transient ? null : vmOf(next);
      if (!(jobs instanceof Error)) now.jobs = (jobs.job ?? []).map(jobOf);
      if (!(events instanceof Error)) now.events = (events.event ?? []).map(eventOf);
      now.error = null;
      now.gone = false;
      now.dialog?.refresh();
      now.check.follow();
      now.preparation.follow();
    } catch (error) {
      if (error.status === 404) now.gone = true;
      else if (error.status !== 401) now.error = error;
    }
    app.update();
  }

  async function loadNext() {
    const next = await get(`${path}?next_run=true`).catch(() => null);
    if (now.transient) now.transient = await isTransient(now.vm); // it may have got a definition
    if (next && !now.transient) {
      now.next = vmOf(next);
      now.dialog?.refresh();
    }
    app.update();
  }

  // The API shows the next run of such a VM as the VM itself, but has no plan for it.
  const isTransient = (vm) =>
    vm.status !== 'down' &&
    get(`${path}/memoryplan?${query({ next_run: 'true', memory: vm.memory })}`).then(
      () => false,
      (error) => error.code === 'no-next-run',
    );

  function event(kind, data) {
    again ||= loading;
    if (kind === 'vm' && data.id === id) {
      now.vm = vmOf(data);
      now.dialog?.refresh();
      loadNext();
    } else if (kind === 'vm_removed' && data.id === id) {
      now.gone = true;
    } else if (kind === 'job' && data.vm?.id === id) {
      takeJob(jobOf(data));
    } else if (kind === 'event' && data.vm?.id === id) {
      now.events = [eventOf(data), ...now.events.filter((known) => known.id !== data.id)].slice(0, MANY);
    }
    now.check.follow();
    now.preparation.follow();
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
          body: jobBody(job, now.check.found),
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

  const whyNoChange = () =>
    app.whyNot() ?? (now.vm.status === 'unknown' ? 'The host of this VM cannot be reached' : undefined);

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
          button('Change memory', { why: whyNoChange(), onclick: () => (now.dialog = changeDialog(app, now)) }),
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
          vm.ballooned > 0 && [
            h('span', { class: 'figure-usable' }, `; the guest can use ${size(usable(vm))}`),
            ` (${size(vm.ballooned)} ballooned)`,
          ],
        ),
        memoryMap(vm, { lit: now.lit }),
        legendOf(vm),
      ),
      setupAlert(app, now),
      h('div', { class: 'jobs', 'aria-live': 'polite' }, latest()),
      h(
        'nav',
        { class: 'pf-v6-c-tabs', 'aria-label': `Parts of ${vm.name}` },
        h(
          'ul',
          { class: 'pf-v6-c-tabs__list' },
          tabs.map((tab) =>
            h(
              'li',
              { class: `pf-v6-c-tabs__item${now.tab === tab ? ' pf-m-current' : ''}` },
              h(
                'a',
                {
                  class: 'pf-v6-c-tabs__link',
                  href: `#/vms/${id}/${tab.name}`,
                  'aria-current': now.tab === tab ? 'page' : undefined,
                },
                h('span', { class: 'pf-v6-c-tabs__item-text' }, tab.text),
              ),
            ),
          ),
        ),
      ),
      h('div', { key: now.tab.name, class: 'tab' }, now.tab.view(app, now)),
    ];
  }

  return {
    render,
    load,
    event,
    title: () => now.vm?.name ?? 'Virtual Machine',
    go({ tab }) {
      now.tab = tabs.find((one) => one.name === tab) ?? tabs[0];
      now.check.follow();
    },
    leave() {
      now.left = true;
      now.check.leave();
    },
  };
}
