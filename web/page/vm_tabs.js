// SPDX-License-Identifier: Apache-2.0
// The tabs of one VM. Each is a function of the page and of the VM's view, as vm.js keeps it.

import { canGo, checkTab } from './check.js';
import { h } from './dom.js';
import { jobBody, jobLabel } from './jobs.js';
import { isRunning, shortName, size, time, usable } from './model.js';
import { button, card, deviceWords, empty, label, pairs, spinner, statusLabel, table } from './parts.js';
import { preparedAlert } from './setup.js';
import { unplugDialog, whyNoUnplug } from './unplug.js';

const balloonWords = {
  ask: 'Yes, used where it is asked for',
  never: 'Yes, set up never to be used',
  allow: 'Yes, used for what no memory device can give',
};

function general(app, now) {
  const { vm, next } = now;
  const running = isRunning(vm) || vm.status === 'paused';
  const value = (one, key) => (key === 'usable' ? one.ballooned !== null && usable(one) : one[key]);
  const text = (bytes) => (bytes === null || bytes === false ? 'Not known' : size(bytes));
  const row = (name, key) => {
    const differs = next && value(next, key) !== value(vm, key);
    return {
      key,
      cells: [
        name,
        h('span', { class: 'number' }, text(value(vm, key))),
        next
          ? h(
              'span',
              { class: differs ? 'number differs' : 'number' },
              text(value(next, key)),
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
        [
          row('Memory', 'memory'),
          ...(vm.ballooning && [vm, next].some((one) => one && one.ballooned !== 0)
            ? [row('Ballooned', 'ballooned'), row('The guest can use', 'usable')]
            : []),
          row('Physical memory guaranteed', 'guaranteed'),
          row('Maximum memory', 'max'),
        ],
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
        [
          'Memory devices',
          vm.status === 'down' && vm.memory > vm.boot
            ? `${size(vm.memory - vm.boot)} from its start on`
            : `${vm.devices.length}, ${size(vm.memory - vm.boot)}`,
        ],
        ['Memory balloon', vm.ballooning ? (balloonWords[vm.balloonUse] ?? 'Yes') : 'No'],
        ['Id', h('code', null, vm.id)],
      ),
    ),
  );
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

// What the guest does with it, as an agent reported it.
const uses = {
  'online-movable': 'Movable',
  'online-kernel': 'By the kernel',
  partly: 'In part',
  offline: label('Offline', 'orange', 'The guest has it, and has not onlined it'),
  'not-taken': label('Not taken', 'orange', 'The guest has taken nothing of it, as if it had no driver'),
};
const useText = (device) => uses[device.use] ?? 'Not known';

function devices(app, now) {
  const { vm } = now;
  if (vm.devices.length === 0)
    return empty(
      'There are no memory devices',
      isRunning(vm)
        ? 'They are added by hot plug, and only they can be hot unplugged. Change memory adds some, up to the maximum.'
        : 'They are added by hot plug while a VM runs, and go with it when it stops.',
    );
  const more = (device) => [
    device.size !== device.requested && `${size(device.requested)} requested`,
    `of at most ${size(device.max)}`,
  ];
  const sizes = (device) => [
    h('div', { class: 'number' }, size(device.size)),
    device.kind === 'virtio-mem' &&
      more(device)
        .filter(Boolean)
        .map((text) => h('div', { class: 'hint number' }, text)),
  ];
  return h(
    'div',
    { class: 'table-box table-acts' },
    table(
      'Memory devices',
      ['Device', 'Alias', 'Size', 'Node', 'Slot', 'Address', 'State', 'In use', 'Can be unplugged', 'Action'],
      vm.devices.map((device) => ({
        key: device.id,
        class: now.lit.id === device.id ? 'lit' : '',
        on: { onmouseenter: () => now.lit.set(device.id), onmouseleave: () => now.lit.set(null) },
        cells: [
          h('span', { class: 'nowrap' }, device.kind),
          h('strong', { title: device.alias }, device.alias ? shortName(device) : '–'),
          h('div', null, sizes(device)),
          device.node ?? '–',
          device.slot ?? '–',
          device.address ? h('code', { class: 'nowrap' }, device.address) : (device.busAddress ?? '–'),
          stateLabel(device),
          useText(device),
          canGo(now, device),
          button('Hot Unplug', {
            kind: 'secondary pf-m-small pf-m-danger',
            why: whyNoUnplug(app, now, device),
            'aria-label': `Hot Unplug ${shortName(device)}`,
            onclick: () => (now.dialog = unplugDialog(app, now, device)),
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

function events(app, now) {
  if (now.events.length === 0) return empty('There are no events', 'Events of this VM appear here.');
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

function jobs(app, now) {
  if (now.jobs.length === 0)
    return empty('There are no jobs', 'Requests that change this VM, since the daemon started, are listed here.');
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

// guest: it shows what the guest tells.
export const tabs = [
  { name: 'general', text: 'General', view: general },
  { name: 'devices', text: 'VM Devices', view: devices, guest: true },
  {
    name: 'check',
    text: 'Memory check',
    view: (app, now) => checkTab(app, now, preparedAlert(now.preparation)),
    guest: true,
  },
  { name: 'events', text: 'Events', view: events },
  { name: 'jobs', text: 'Jobs', view: jobs },
];
