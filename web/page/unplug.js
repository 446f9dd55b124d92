// SPDX-License-Identifier: Apache-2.0
// Hot Unplug of one device, asked for twice.

import { anywayChoice, anywayFlags, planFor } from './anyway.js';
import { ask, query } from './api.js';
import { wasRefused } from './check.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { isRunning, shortName, size } from './model.js';
import { alert, button, errorAlert, pairs, spinner, toast } from './parts.js';

const FINAL = 'A request cannot be recalled: a device that the guest does not release in time can still go later.';

// The specification's limitations: what the host cannot know beforehand. devices: those that would go; where the guest
// has reported of each that it can, nothing is left to say but that a request is final.
export function limitations(now, devices) {
  const { vm } = now;
  if (devices.every((device) => device.movable && !wasRefused(now, device)) && !(vm.ballooned > 0))
    return alert('info', 'The guest reports that it can release this', {
      body: h('p', null, FINAL),
    });
  return alert('warning', 'The guest decides, and it may refuse', {
    body: [
      h(
        'ul',
        { class: 'points' },
        h('li', null, 'Only memory devices that were hot plugged can be removed, each as a whole.'),
        h('li', null, 'The guest OS must support memory hot unplug.'),
        h('li', null, 'All blocks of the device must be onlined as movable in the guest.'),
        h(
          'li',
          null,
          vm.ballooned > 0
            ? h(
                'strong',
                null,
                `The balloon of this VM holds ${size(vm.ballooned)}: combining it with hot unplug is not recommended.`,
              )
            : 'It is not recommended to combine hot unplug with memory ballooning.',
        ),
      ),
      h('p', null, `If any of these is not so, the hot unplug may fail or cause problems. ${FINAL}`),
    ],
  });
}

// The values now and as the plan would leave them. A VM that is off has only those of its next run. next: it as it is.
export function afterwards(vm, plan, next) {
  const ballooned = vm.ballooned > 0 || plan.ballooned > 0;
  const columns = [
    ['memory', 'Memory'],
    ...(ballooned ? [['usable', 'Guest can use']] : []),
    ['guaranteed', 'Guaranteed'],
    ['max', 'Maximum'],
  ];
  const row = ([name, values, held]) =>
    values &&
    h(
      'tr',
      { class: 'pf-v6-c-table__tr' },
      h('th', { scope: 'row', class: 'pf-v6-c-table__th' }, name),
      columns.map(([key, text]) =>
        h(
          'td',
          { class: 'pf-v6-c-table__td number', 'data-label': text },
          size(key === 'usable' ? values.memory - (held ?? 0) : values[key]),
        ),
      ),
    );
  const rows =
    vm.status === 'down'
      ? [
          ['Next run now', plan.now],
          ['Next run afterwards', plan.nextRun],
        ]
      : [
          ['Now', plan.now, vm.ballooned],
          ['Running VM afterwards', plan.live, plan.ballooned],
          ['Next run', plan.nextRun, next?.ballooned],
        ];
  return h(
    'div',
    { class: 'after-box' },
    h(
      'table',
      { class: 'pf-v6-c-table pf-m-compact after', 'aria-label': 'Values now and afterwards' },
      h(
        'thead',
        { class: 'pf-v6-c-table__thead' },
        h(
          'tr',
          { class: 'pf-v6-c-table__tr' },
          h('td', { class: 'pf-v6-c-table__td' }),
          columns.map(([, text]) => h('th', { scope: 'col', class: 'pf-v6-c-table__th' }, text)),
        ),
      ),
      h('tbody', { class: 'pf-v6-c-table__tbody' }, rows.map(row)),
    ),
  );
}

export const notes = (plan) =>
  plan.notes.length > 0 &&
  alert('warning', 'Note', {
    body: h(
      'ul',
      { class: 'points' },
      plan.notes.map((note) => h('li', { key: note }, note)),
    ),
  });

// Why there is no plan, and a way on: near, or to ask again where the server was not the one to say so.
export const noPlan = (error, title, again, near) =>
  errorAlert(
    error,
    error.status ? title : 'There is no plan',
    error.status ? near : button('Try again', { kind: 'link pf-m-inline', onclick: again }),
  );

export const vmIsGone = (vm) => `${vm.name} is gone: it was undefined, or it was transient and has stopped.`;

// Why this device cannot be asked for now; undefined: it can. now: the VM's view.
export function whyNoUnplug(app, now, device) {
  if (app.whyNot()) return app.whyNot();
  if (!isRunning(now.vm)) return 'Only a running VM can be asked for a device';
  return device.state === 'going' ? 'The guest was asked already, and has not answered yet' : undefined;
}

function whyOver(now, device) {
  if (now.gone) return vmIsGone(now.vm);
  if (now.vm.status === 'down') return `${now.vm.name} has stopped, and its memory devices went with it.`;
  return now.vm.devices.some((one) => one.id === device.id) ? undefined : 'The memory device has gone already.';
}

// Returns { refresh() }, for when the VM has changed under it.
export function unplugDialog(app, now, first) {
  const name = shortName(first);
  const device = () => now.vm.devices.find((one) => one.id === first.id) ?? first;
  let plan = null;
  let error = null;
  let anyway = false;
  let open = true;
  let asked = null;

  async function askPlan() {
    asked?.abort();
    const mine = (asked = new AbortController());
    try {
      plan = await planFor(now.vm.id, { device: first.id }, anyway, mine.signal);
      error = null;
    } catch (wrong) {
      if (mine.signal.aborted) return;
      error = wrong;
    }
    handle.update();
  }

  function tryAnyway(checked) {
    anyway = checked;
    plan = null;
    askPlan();
    handle.update();
  }

  const view = (close) => ({
    title: `Hot unplug memory device ${name}?`,
    over: whyOver(now, first),
    body: [
      pairs(
        ['VM', now.vm.name],
        ['Device', `${first.alias || first.id}: ${first.kind}, ${size(device().size)}, NUMA node ${first.node}`],
      ),
      error
        ? noPlan(error, 'This device cannot be hot unplugged now', askPlan)
        : plan
          ? [afterwards(now.vm, plan, now.next), notes(plan)]
          : spinner('Asking for the plan'),
      (anyway || error?.anyway) && anywayChoice(anyway, tryAnyway),
      limitations(now, [device()]),
    ],
    action: {
      text: 'Hot Unplug',
      risky: true,
      why: whyNoUnplug(app, now, device()) ?? error?.message ?? (plan ? undefined : 'The plan is being made'),
      onclick: () => {
        close();
        unplug(now, first, anyway);
      },
    },
  });

  const handle = dialog(app, view, {
    closed: () => {
      open = false;
      asked?.abort();
    },
  });
  askPlan();
  now.check.ask();
  return {
    refresh() {
      if (open && !whyOver(now, first)) askPlan();
    },
  };
}

// What comes of it, the job tells, where there is one and the VM's view is still to be seen.
async function unplug(now, device, anyway) {
  const name = shortName(device);
  try {
    const path = `vms/${now.vm.id}/memorydevices/${encodeURIComponent(device.id)}?${query(anywayFlags(anyway))}`;
    await ask(path, { method: 'DELETE', patient: true });
  } catch (error) {
    if (error.status === 401) return;
    await now.load();
    if (error.status === 404) toast('info', `${name} has gone already`);
    else if (now.left || !error.job) toast('danger', `${name} stays`, error.message);
  }
}
