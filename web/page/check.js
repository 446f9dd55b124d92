// SPDX-License-Identifier: Apache-2.0
// What the guest tells of its memory: what can go, and what cannot and why. It is asked when somebody looks and when
// the VM has other devices, never by the clock.

import { get } from './api.js';
import { h } from './dom.js';
import { checkOf, devicesKey, isRunning, MIB, shortName, size } from './model.js';
import { button, card, errorAlert, label, pairs, spinner, table } from './parts.js';

const CALM_MS = 400; // several devices come or go at once

// Keeps what was found for a VM's view, which says in wanted() whether anybody looks.
export function checker(app, now, wanted) {
  const check = { found: null, error: null, asking: false, ask, follow, leave };
  let key = null; // of the VM as it was when it was asked
  let timer = null;
  const asked = new AbortController();

  // With the last job that ended: a guest that refused is asked why.
  const ended = () => now.jobs.find((job) => job.status !== 'started' && job.steps.length > 0)?.id;
  const keyNow = () => `${now.vm.status} ${devicesKey(now.vm)} ${ended()}`;
  // A guest speaks with one at a time, and now with the request that is under way.
  const busy = () =>
    now.jobs.some((job) => job.status === 'started' && job.steps.some((one) => /planned|asked/.test(one.state)));

  async function ask() {
    clearTimeout(timer);
    timer = null;
    if (check.asking || now.left) return;
    if (busy()) {
      key = null;
      return;
    }
    check.asking = true;
    key = keyNow();
    app.update();
    try {
      check.found = checkOf(await get(`vms/${now.vm.id}/memorycheck`, { signal: asked.signal }));
      check.error = null;
    } catch (error) {
      if (asked.signal.aborted || error.status === 401) return;
      check.error = error;
      if (!error.status) key = null; // dimmerd itself was not there: again when it is
    }
    check.asking = false;
    now.dialog?.refresh(); // plans heed what the guest tells
    follow();
    app.update();
  }

  // Something has changed: the VM, what is under way, or what is looked at.
  function follow() {
    if (!now.vm || app.state.lost || !wanted() || check.asking || busy() || key === keyNow()) return;
    clearTimeout(timer);
    timer = setTimeout(ask, check.found ? CALM_MS : 0);
  }

  function leave() {
    clearTimeout(timer);
    asked.abort();
  }

  return check;
}

const verdicts = {
  good: ['Good', 'green'],
  warning: ['Warning', 'orange'],
  bad: ['Bad', 'red'],
  unknown: ['Not known', 'grey'],
};

const verdictLabel = (verdict) => label(...(verdicts[verdict] ?? [verdict, 'grey']));

const names = {
  state: 'State of the VM',
  'hot-plugged': 'Hot plugged devices',
  room: 'Room below the maximum',
  slots: 'Memory slots',
  balloon: 'Memory balloon',
  'free-page-reporting': 'Free page reporting',
  autodeflate: 'Autodeflate',
  'huge-pages': 'Huge pages',
  vfio: 'Host devices (VFIO)',
  vhost: 'vhost devices',
  migration: 'Migration',
  request: 'Earlier requests',
  ports: 'Agent in the guest',
  'guest-os': 'Guest OS',
  onlining: 'Onlining of new memory',
  'block-size': 'Size of memory blocks',
  spare: 'Memory that the guest can spare',
  'kernel-memory': 'Memory for the kernel',
  movable: 'Can be unplugged',
  refused: 'Refused before',
  taken: 'Taken by the guest',
};

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const findingWords = (finding) => [
  h('p', null, `${capital(finding.evidence)}.`),
  finding.remedy && h('p', { class: 'remedy' }, h('strong', null, 'Remedy: '), `${finding.remedy}.`),
  finding.command && h('p', { class: 'remedy' }, "In a shell on the VM's host: ", h('code', null, finding.command)),
];

// ---- one device ----

function deviceLabel(device, findings, refused) {
  if (device.movable === false) return device.kind === 'virtio-mem' ? label('In part', 'orange') : label('No', 'red');
  if (findings.some((finding) => finding.verdict === 'bad')) return label('No', 'red');
  if (refused || findings.some((finding) => finding.check === 'refused')) return label('Refused before', 'orange');
  return device.movable ? label('Yes', 'green') : label('Not known', 'grey');
}

// The last request for it was refused.
export function wasRefused({ jobs }, device) {
  const last = jobs.find((job) => job.steps.some((step) => step.deviceId === device.id));
  return Boolean(last?.steps.some((step) => step.deviceId === device.id && step.state === 'refused'));
}

// Whether it can go, and behind that, why.
export function canGo(now, device) {
  const { found, asking } = now.check;
  const findings = (found?.findings ?? []).filter((finding) => finding.deviceId === device.id);
  const refused = wasRefused(now, device);
  if (findings.length === 0)
    return asking && device.movable === null ? spinner('Asking the guest') : deviceLabel(device, findings, refused);
  return h(
    'details',
    { class: 'can-go' },
    h(
      'summary',
      null,
      deviceLabel(device, findings, refused),
      h('span', { class: 'hidden' }, `: why, of ${shortName(device)}`),
    ),
    findings.map((finding) =>
      h(
        'div',
        { class: 'can-go-why', key: finding.check },
        findingWords(finding),
        finding.source && h('p', { class: 'hint' }, `Reported by ${finding.source}`),
      ),
    ),
  );
}

// ---- the tab ----

function guestWords({ guest, answers }) {
  const system = [guest.os, guest.kernel && `kernel ${guest.kernel}`].filter(Boolean).join(', ');
  return system || (answers.length > 0 ? 'Unknown' : 'No agent in the guest answers');
}

const whole = (bytes) => size(Math.floor(bytes / MIB) * MIB);

const summary = (found) =>
  pairs(
    ['Guest', guestWords(found)],
    ['Who answers', found.answers.join(', ') || '–'],
    [
      'Can spare',
      found.spare === null ? 'Not known' : `${whole(found.spare)} of ${whole(found.guest.available)} available`,
    ],
    ['Memory block', found.guest.block ? size(found.guest.block) : 'Not known'],
    ...found.notes.map((note) => ['Note', `${capital(note)}.`]),
  );

function subject(now, finding) {
  const text = names[finding.check] ?? finding.check;
  if (!finding.deviceId) return text;
  const device = now.vm.devices.find((one) => one.id === finding.deviceId) ?? { id: finding.deviceId };
  return [`${text}: `, h('strong', { class: 'nowrap' }, shortName(device))];
}

const findingsTable = (now, found) =>
  h(
    'div',
    { class: 'table-box findings' },
    table(
      'Findings',
      ['Verdict', 'Check', 'Evidence', 'Reported by'],
      found.findings.map((finding) => ({
        key: `${finding.check} ${finding.deviceId ?? ''}`,
        cells: [
          verdictLabel(finding.verdict),
          h('span', null, subject(now, finding)),
          h('div', null, findingWords(finding)),
          h('span', { class: 'nowrap' }, finding.source ?? '–'),
        ],
      })),
    ),
  );

function whyNoPreparing(app, now) {
  if (now.preparation.under) return 'The guest is being prepared';
  return app.whyNot() ?? (isRunning(now.vm) ? undefined : 'Only the guest of a running VM can be prepared');
}

// prepared: what came of preparing the guest.
export function checkTab(app, now, prepared) {
  const { found, error, asking, ask } = now.check;
  const { preparation } = now;
  return h(
    'div',
    { class: 'checked' },
    card(
      'Memory check',
      h(
        'div',
        { class: 'check-head' },
        h(
          'span',
          { class: 'state', role: 'status' },
          asking && spinner('Asking the guest'),
          asking
            ? 'The guest is being asked'
            : found
              ? ['Altogether:', verdictLabel(found.verdict)]
              : 'Nothing is known of this guest yet',
        ),
        h(
          'div',
          { class: 'check-actions' },
          button(preparation.under ? 'Preparing' : 'Prepare guest', {
            kind: 'secondary',
            title: 'Has hot plugged memory come online as movable, so that it can be hot unplugged',
            why: whyNoPreparing(app, now),
            onclick: preparation.prepare,
          }),
          button('Check again', {
            kind: 'secondary',
            why: asking ? 'The guest is being asked' : app.state.lost ? 'dimmerd cannot be reached' : undefined,
            onclick: ask,
          }),
        ),
      ),
      found && h('div', { class: 'check-summary' }, summary(found)),
    ),
    prepared,
    error && errorAlert(error, 'The guest could not be checked'),
    found && findingsTable(now, found),
  );
}
