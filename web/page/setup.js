// SPDX-License-Identifier: Apache-2.0
// The way from an ordinary VM, all of whose memory is boot memory, to one that shrinks: its next run gets hot plug, it is
// started anew, and its guest is prepared.

import { ask, query } from './api.js';
import { checkbox, mibField, readMib } from './change_fields.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { canHotPlug, isRunning, MIB, size } from './model.js';
import { alert, button, errorAlert, toast } from './parts.js';
import { plugStep } from './stops.js';
import { vmIsGone } from './unplug.js';

// What dimmer takes as a floor without force: 512 MiB, a quarter of memory, and 1/32 of the maximum at least.
function leastFloor(vm, memory, maximum) {
  const step = plugStep(vm);
  return Math.ceil(Math.max(512 * MIB, memory / 4, maximum / 32) / step) * step;
}

// Room for one device at least.
function likelyMaximum(vm, memory) {
  const step = plugStep(vm);
  return Math.max(Math.floor((4 * memory) / step), Math.ceil(memory / step) + 1) * step;
}

// The next step on that way, or nothing where it is behind the VM.
export function setupAlert(app, now) {
  const { vm, next } = now;
  if (canHotPlug(vm) || now.transient) return null;
  if (!next || !canHotPlug(next))
    return alert('info', `${vm.name} cannot hot plug memory: it has boot memory alone`, {
      body: h('p', null, 'Its next run can be set up for it, so that memory comes and goes while it runs.'),
      actions: button('Enable hot plug', {
        kind: 'link pf-m-inline',
        why: app.whyNot(),
        onclick: () => (now.dialog = enableDialog(app, now)),
      }),
    });
  return (
    isRunning(vm) &&
    alert('info', `${vm.name} can hot plug memory from its next start on`, {
      body: h('p', null, 'Stop it and start it again: rebooting inside the guest is not enough.'),
      actions: button('Power cycle', {
        kind: 'link pf-m-inline',
        why: app.whyNot(),
        onclick: () => (now.dialog = restartDialog(app, now)),
      }),
    })
  );
}

function enableDialog(app, now) {
  const memory = now.next?.memory ?? now.vm.memory;
  const wish = {
    maximum: String(likelyMaximum(now.vm, memory) / MIB),
    floor: null,
    shrinks: true,
    force: false,
  };
  let failed = null;
  let sending = false;

  const maximum = () => readMib(wish.maximum, 0);
  const least = () => leastFloor(now.vm, memory, (maximum().value ?? 0) * MIB);
  const whyNoShrinking = () =>
    memory > least()
      ? undefined
      : `At least ${size(least())} must be boot memory, and it has ${size(memory)}: nothing is left to unplug`;
  const shrinks = () => wish.shrinks && !whyNoShrinking();
  const floorText = () => wish.floor ?? String(least() / MIB);
  const floor = () => readMib(floorText(), 0);
  const problem = () => maximum().problem ?? (shrinks() ? floor().problem : undefined);

  function set(what) {
    failed = null;
    Object.assign(wish, what);
    handle.update();
  }

  async function send() {
    sending = true;
    handle.update();
    const body = { maximum: String(maximum().value * MIB) };
    if (shrinks()) body.floor = String(floor().value * MIB);
    try {
      const path = `vms/${now.vm.id}/enablehotplug?${query({ force: wish.force ? 'true' : '' })}`;
      await ask(path, { method: 'POST', body, patient: true });
      handle.close();
      toast('success', `The next run of ${now.vm.name} can hot plug memory`);
    } catch (wrong) {
      failed = wrong;
    }
    sending = false;
    handle.update();
  }

  const view = () => ({
    title: `Enable hot plug of ${now.vm.name}`,
    over: now.gone ? vmIsGone(now.vm) : undefined,
    body: h(
      'form',
      {
        class: 'pf-v6-c-form',
        id: 'enable',
        onsubmit: (event) => {
          event.preventDefault();
          if (!why()) send();
        },
      },
      h('p', null, 'Only its next run is changed. The running VM stays as it is.'),
      mibField('maximum', 'The most that memory can be raised to', wish.maximum, maximum(), (event) =>
        set({ maximum: event.target.value }),
      ),
      checkbox(
        'shrinks',
        'Set it up to shrink after every start',
        shrinks(),
        (checked) => set({ shrinks: checked }),
        whyNoShrinking(),
      ),
      shrinks() && [
        mibField('floor', 'What it starts with as boot memory', floorText(), floor(), (event) =>
          set({ floor: event.target.value }),
        ),
        h(
          'p',
          { class: 'hint' },
          `The rest of its ${size(memory)} are memory devices from the start on, which can go at any time.`,
        ),
      ],
      failed && errorAlert(failed, 'Not possible'),
      (wish.force || failed?.code === 'bad-floor') &&
        checkbox('force', 'Try anyway: its guest may not start with so little', wish.force, (force) => set({ force })),
    ),
    action: { text: sending ? 'Asking' : 'Enable hot plug', type: 'submit', form: 'enable', why: why() },
  });

  const why = () => (sending ? 'The request is on its way' : (app.whyNot() ?? problem()));
  const handle = dialog(app, view);
  return { refresh: handle.update };
}

// By the reboot of the API, which power cycles a VM where a next run waits.
function restartDialog(app, now) {
  const view = (close) => ({
    title: `Power cycle ${now.vm.name}?`,
    over: now.gone ? vmIsGone(now.vm) : undefined,
    body: h(
      'p',
      null,
      'Its guest is asked to shut down, and the VM is started with the values of its next run. Where its guest does not ' +
        'shut down, nothing changes.',
    ),
    action: {
      text: 'Power cycle',
      risky: true,
      why: app.whyNot(),
      onclick: () => {
        close();
        restart(now);
      },
    },
  });
  const handle = dialog(app, view);
  return { refresh: handle.update };
}

async function restart(now) {
  try {
    await ask(`vms/${now.vm.id}/reboot`, { method: 'POST', body: {}, patient: true });
    toast('info', `${now.vm.name} was asked to shut down, and is started again then`);
  } catch (error) {
    if (error.status !== 401) toast('danger', `${now.vm.name} runs on`, error.message);
  }
}

// ---- the guest ----

const ENDED = ['20011', '20012']; // events: it was prepared, or could not be

// Keeps what came of preparing the guest, for the VM's view.
export function preparer(app, now) {
  const state = { under: false, done: null, error: null, prepare, follow, close };
  let known = new Set(); // events of earlier ones

  function close() {
    Object.assign(state, { done: null, error: null });
    app.update();
  }

  // Something has happened. What was done to a guest goes when that is shut down.
  function follow() {
    if (['down', 'reboot_in_progress'].includes(now.vm?.status)) state.done = null;
    if (!state.done?.pending) return;
    const ended = now.events.find(({ id, code }) => ENDED.includes(code) && !known.has(id));
    if (!ended) return;
    state.done = { ended };
    now.check.ask();
  }

  async function prepare() {
    Object.assign(state, { under: true, done: null, error: null });
    known = new Set(now.events.map(({ id }) => id));
    app.update();
    try {
      const { body } = await ask(`vms/${now.vm.id}/prepareguest`, { method: 'POST', body: {}, patient: true });
      state.done = {
        pending: body.status === 'pending',
        ready: body.ready === 'true',
        did: body.did?.sentence ?? [],
        left: body.left?.sentence ?? [],
      };
      now.check.ask();
    } catch (error) {
      if (error.status !== 401) state.error = error;
    }
    state.under = false;
    follow();
    app.update();
  }

  return state;
}

const sentences = (text, list) =>
  list.length > 0 && [
    h('p', null, text),
    h(
      'ul',
      { class: 'points' },
      list.map((one) => h('li', { key: one }, one)),
    ),
  ];

const READY = 'What is hot plugged from now on can be hot unplugged';
const LEFT = 'Something is left to do';
const FAILED = 'The guest was not prepared';

// Of one that took longer than its answer.
function endedAlert({ severity, text }, close) {
  const [kind, title] =
    severity === 'error' ? ['danger', FAILED] : severity === 'warning' ? ['warning', LEFT] : ['success', READY];
  return alert(kind, title, { role: 'status', close, body: h('p', null, text) });
}

export function preparedAlert({ done, error, close }) {
  if (error) return alert('danger', FAILED, { role: 'alert', close, body: h('p', null, error.message) });
  if (!done) return null;
  if (done.ended) return endedAlert(done.ended, close);
  if (done.pending)
    return alert('info', 'The guest is being prepared', {
      close,
      body: h('p', null, 'This can take minutes. The result appears here.'),
    });
  return alert(done.ready ? 'success' : 'warning', done.ready ? READY : LEFT, {
    role: 'status',
    close,
    body: [sentences('Done:', done.did), sentences('Left to do by hand:', done.left)],
  });
}
