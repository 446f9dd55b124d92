// SPDX-License-Identifier: Apache-2.0
// The tabs of one VM. Each is a function of the page and of the VM's view, as vm.js keeps it.

import { canGo, checkTab } from './check.js';
import { h } from './dom.js';
import { jobBody, jobLabel } from './jobs.js';
import { shortName, size, time } from './model.js';
import { button, card, deviceWords, empty, label, pairs, spinner, statusLabel, table } from './parts.js';
import { unplugDialog, whyNoUnplug } from './unplug.js';

function general(app, now) {
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

function devices(app, now) {
  const { vm } = now;
  if (vm.devices.length === 0)
    return empty(
      'There are no memory devices',
      vm.status === 'up'
        ? 'They come by hot plug, and only they can be hot unplugged. Change memory adds some, up to the maximum.'
        : 'They come by hot plug while a VM runs, and go with it when it stops.',
    );
  const sizes = (device) =>
    device.kind === 'virtio-mem' ? `${size(device.size)} of at most ${size(device.max)}` : size(device.size);
  return h(
    'div',
    { class: 'table-box' },
    table(
      'Memory devices',
      ['Type', 'Device', 'Alias', 'Size', 'Node', 'Slot', 'Address', 'State', 'Can it go', 'Action'],
      vm.devices.map((device) => ({
        key: device.id,
        cells: [
          'memory',
          device.kind,
          h('strong', null, device.alias || '–'),
          h('span', { class: 'number' }, sizes(device)),
          device.node ?? '–',
          device.slot ?? '–',
          device.address ? h('code', { class: 'nowrap' }, device.address) : (device.busAddress ?? '–'),
          stateLabel(device),
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

function jobs(app, now) {
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

// guest: it shows what the guest tells.
export const tabs = [
  { name: 'general', text: 'General', view: general },
  { name: 'devices', text: 'VM Devices', view: devices, guest: true },
  { name: 'check', text: 'Memory check', view: checkTab, guest: true },
  { name: 'events', text: 'Events', view: events },
  { name: 'jobs', text: 'Jobs', view: jobs },
];
