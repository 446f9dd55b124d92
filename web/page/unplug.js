// SPDX-License-Identifier: Apache-2.0
// Hot Unplug of one device, asked for twice.

import { ask, get, query } from './api.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { planOf, shortName, size } from './model.js';
import { alert, button, errorAlert, pairs, spinner, toast } from './parts.js';

// The specification's limitations: what nobody on the host can know beforehand.
export function limitations(vm) {
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
          vm.ballooning
            ? h('strong', null, 'This VM has a memory balloon: combining it with hot unplug is not recommended.')
            : 'It is not recommended to combine hot unplug with memory ballooning.',
        ),
      ),
      h(
        'p',
        null,
        'If any of these is not so, the hot unplug may fail or cause problems. A request cannot be recalled: ' +
          'a device that the guest does not release in time can still go later.',
      ),
    ],
  });
}

export function afterwards(plan) {
  const row = (name, values) =>
    values &&
    h(
      'tr',
      { class: 'pf-v6-c-table__tr' },
      h('th', { scope: 'row', class: 'pf-v6-c-table__th' }, name),
      ['memory', 'guaranteed', 'max'].map((key) =>
        h('td', { class: 'pf-v6-c-table__td number', 'data-label': key }, size(values[key])),
      ),
    );
  return h(
    'table',
    { class: 'pf-v6-c-table pf-m-compact after', 'aria-label': 'Values now and afterwards' },
    h(
      'thead',
      { class: 'pf-v6-c-table__thead' },
      h(
        'tr',
        { class: 'pf-v6-c-table__tr' },
        h('td', { class: 'pf-v6-c-table__td' }),
        ['Memory', 'Guaranteed', 'Maximum'].map((text) => h('th', { scope: 'col', class: 'pf-v6-c-table__th' }, text)),
      ),
    ),
    h(
      'tbody',
      { class: 'pf-v6-c-table__tbody' },
      row('Now', plan.now),
      row('Running VM afterwards', plan.live),
      row('Next run', plan.nextRun),
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

export function unplugDialog(app, vm, device) {
  const name = shortName(device);
  let plan = null;
  let error = null;

  const handle = dialog((close) => ({
    title: `Hot unplug memory device ${name}?`,
    body: [
      pairs(
        ['VM', vm.name],
        ['Device', `${device.alias || device.id}: ${device.kind}, ${size(device.size)}, NUMA node ${device.node}`],
      ),
      error
        ? errorAlert(error, 'This device cannot be hot unplugged now')
        : plan
          ? [afterwards(plan), notes(plan)]
          : spinner('Asking for the plan'),
      limitations(vm),
    ],
    footer: [
      button('Hot Unplug', {
        kind: 'danger',
        why: error ? error.message : plan ? undefined : 'The plan is being made',
        onclick: () => {
          close();
          unplug(app, vm, device);
        },
      }),
      button('Cancel', { kind: 'link', onclick: close, 'data-first': true }),
    ],
  }));

  get(`vms/${vm.id}/memoryplan?${query({ device: device.id })}`)
    .then(
      (body) => {
        plan = planOf(body);
      },
      (failed) => {
        error = failed;
      },
    )
    .then(handle.update);
}

// What comes of it, the page shows by the job.
async function unplug(app, vm, device) {
  const name = shortName(device);
  try {
    await ask(`vms/${vm.id}/memorydevices/${encodeURIComponent(device.id)}`, { method: 'DELETE' });
  } catch (error) {
    if (error.status !== 401) toast('danger', `${name} stays`, error.message);
  }
  app.update();
}
