// SPDX-License-Identifier: Apache-2.0
// The dialog that changes a VM's memory: each value that is dragged or typed is shown with its plan, which the server
// makes. Nothing here knows the rules.

import { ask, get, query } from './api.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { MIB, planOf, shortName, size } from './model.js';
import { alert, button, errorAlert, legend, memoryMap, spinner, toast } from './parts.js';
import { afterwards, limitations, notes } from './unplug.js';

const TYPING_MS = 120;
const policies = [
  ['ovirt', 'As oVirt does', 'the smallest device first, where there is none, then the rest as one'],
  ['whole', 'One device', 'it can go only as a whole'],
  ['fine', 'Many devices', 'sizes of powers of two, so that nearly any part can go again'],
];

// Fine enough to aim with a mouse, whatever the maximum.
function stepOf(max) {
  const gib = max / MIB / 1024;
  return gib <= 16 ? 64 : gib <= 256 ? 256 : 1024;
}

// next: the VM with the values of its next run. Returns { refresh(vm, next) }, for when they have changed under it.
export function changeDialog(first, firstNext) {
  let vm = first;
  let next = firstNext ?? first;
  const step = stepOf(vm.max);
  const wish = {
    memory: vm.memory / MIB,
    guaranteed: vm.guaranteed / MIB,
    follow: true,
    policy: 'ovirt',
    nextRun: vm.status !== 'up',
  };
  let plan = null;
  let error = null;
  let failed = null; // of the change itself
  let stale = true; // the plan is of an earlier wish
  let sending = false;
  let submitted = false; // by Enter, before the plan was there
  let open = true;
  let timer = null;
  let asked = null;

  const bytes = (mib) => Math.round(mib * MIB);
  const grows = () => !wish.nextRun && bytes(wish.memory) > vm.memory;
  const base = () => (wish.nextRun ? next : vm); // what the fields begin with
  const changed = () => bytes(wish.memory) !== base().memory || !wish.follow;
  // A next run of its own is replaced by whatever is set here.
  const replaces = () => vm.status === 'up' && vm.nextRun && next.memory !== vm.memory;
  // Another policy than the server's own is asked for by plugging devices.
  const plugs = () => grows() && wish.policy !== 'ovirt';

  // Guaranteed is the server's to choose until the user names it, or memory falls below it.
  const named = () => !wish.follow || bytes(wish.memory) < vm.guaranteed;
  const values = () => ({
    memory: bytes(wish.memory),
    guaranteed: named() ? bytes(wish.guaranteed) : '',
    next_run: wish.nextRun ? 'true' : '',
  });
  const policyBody = () => (named() ? { memory_policy: { guaranteed: String(bytes(wish.guaranteed)) } } : {});

  // What stands in the field.
  function guaranteed() {
    const after = wish.nextRun ? plan?.nextRun : plan?.live;
    return named() || !after ? wish.guaranteed : after.guaranteed / MIB;
  }

  async function askPlan() {
    asked?.abort();
    const mine = (asked = new AbortController());
    try {
      const parameters = plugs() ? { plug: bytes(wish.memory) - vm.memory, policy: wish.policy } : values();
      plan = planOf(await get(`vms/${vm.id}/memoryplan?${query(parameters)}`, { signal: mine.signal }));
      if (plugs() && named()) plan.live.guaranteed = bytes(wish.guaranteed); // is put after the plug
      error = null;
    } catch (wrong) {
      if (wrong.name === 'AbortError') return;
      error = wrong;
    }
    stale = false;
    handle.update();
    if (submitted && !blocked()) send(handle.close);
    submitted = false;
  }

  function later() {
    stale = true;
    failed = null;
    clearTimeout(timer);
    timer = setTimeout(askPlan, TYPING_MS);
    handle.update();
  }

  function setMemory(event) {
    const value = Number(event.target.value);
    if (event.target.value === '' || !Number.isFinite(value)) return;
    wish.memory = value;
    if (wish.follow) wish.guaranteed = Math.min(base().guaranteed / MIB, value);
    later();
  }

  function setGuaranteed(event) {
    wish.guaranteed = Number(event.target.value);
    wish.follow = false;
    later();
  }

  async function send(close) {
    sending = true;
    failed = null;
    handle.update();
    try {
      if (plugs()) {
        await ask(`vms/${vm.id}/memorydevices`, {
          method: 'POST',
          body: { size: String(bytes(wish.memory) - vm.memory), policy: wish.policy },
        });
        if (named()) await put(policyBody());
      } else {
        await put({ memory: String(bytes(wish.memory)), ...policyBody() });
      }
      close();
      if (wish.nextRun) toast('success', `The next run of ${vm.name} is changed`);
    } catch (wrong) {
      failed = wrong;
      sending = false;
      handle.update();
    }
  }

  const put = (body) =>
    ask(`vms/${vm.id}?${query({ async: 'true', next_run: wish.nextRun ? 'true' : '' })}`, { method: 'PUT', body });

  function field(name, text, value, oninput, more) {
    return h(
      'div',
      { class: 'pf-v6-c-form__group' },
      h(
        'div',
        { class: 'pf-v6-c-form__group-label' },
        h('label', { class: 'pf-v6-c-form__label', for: name }, h('span', { class: 'pf-v6-c-form__label-text' }, text)),
      ),
      h(
        'div',
        { class: 'pf-v6-c-form__group-control with-unit' },
        more,
        h(
          'span',
          { class: 'pf-v6-c-form-control mib' },
          h('input', {
            id: name,
            type: 'number',
            min: '1',
            step: 'any',
            value: String(value),
            oninput,
            'data-first': name === 'memory',
          }),
        ),
        h('span', { class: 'unit', 'aria-hidden': 'true' }, 'MiB'),
      ),
    );
  }

  function policyChoice() {
    return h(
      'fieldset',
      { class: 'policy' },
      h('legend', null, 'How it is split into devices'),
      policies.map(([name, text, why]) =>
        h(
          'div',
          { class: 'pf-v6-c-radio' },
          h('input', {
            class: 'pf-v6-c-radio__input',
            type: 'radio',
            name: 'policy',
            id: `policy-${name}`,
            checked: wish.policy === name,
            onchange: () => {
              wish.policy = name;
              later();
            },
          }),
          h(
            'label',
            { class: 'pf-v6-c-radio__label', for: `policy-${name}` },
            text,
            h('span', { class: 'hint' }, `: ${why}`),
          ),
        ),
      ),
    );
  }

  const unplugs = () => (plan?.steps ?? []).filter((planned) => planned.op !== 'plug');

  function whatHappens() {
    if (!plan || error) return null;
    const byId = new Map(vm.devices.map((device) => [device.id, device]));
    const name = (planned) => shortName(byId.get(planned.deviceId) ?? { id: planned.deviceId });
    const words = (planned) =>
      planned.op === 'plug'
        ? `A new memory device of ${size(planned.size)} is hot plugged`
        : planned.op === 'resize'
          ? `${name(planned)} is resized from ${size(planned.from)} to ${size(planned.to)}`
          : `${name(planned)} (${size(planned.size)}) is hot unplugged`;
    const marks = Object.fromEntries(
      unplugs()
        .filter((planned) => planned.op === 'unplug')
        .map((planned) => [planned.deviceId, 'goes']),
    );
    const added = plan.steps.filter((planned) => planned.op === 'plug').map((planned) => planned.size);
    return [
      memoryMap({ ...vm, guaranteed: plan.live.guaranteed }, { marks, added }),
      legend(
        'boot',
        'device',
        ...(Object.keys(marks).length ? ['goes'] : []),
        ...(added.length ? ['new'] : []),
        'mark',
        'free',
      ),
      h(
        'ul',
        { class: 'points plan', 'aria-live': 'polite', 'aria-label': 'What would happen' },
        plan.steps.length === 0
          ? h('li', null, wish.nextRun ? 'The running VM stays as it is.' : 'No memory device comes or goes.')
          : plan.steps.map((planned, i) => h('li', { key: `${planned.op} ${planned.deviceId ?? i}` }, words(planned))),
      ),
      afterwards(plan),
      notes(plan),
    ];
  }

  const deed = () => (unplugs().length > 0 ? 'Hot unplug' : grows() ? 'Hot plug' : 'Change');

  const view = (close) => ({
    title: `Change memory of ${vm.name}`,
    body: h(
      'form',
      {
        class: 'pf-v6-c-form',
        id: 'change',
        onsubmit: (event) => {
          event.preventDefault();
          submitted = stale;
          if (!blocked()) send(close);
        },
      },
      field(
        'memory',
        'Memory',
        wish.memory,
        setMemory,
        h('input', {
          type: 'range',
          class: 'slider',
          'aria-label': 'Memory, by dragging',
          'aria-valuetext': `${wish.memory} MiB`,
          min: String(step),
          max: String(vm.max / MIB),
          step: String(step),
          value: String(wish.memory),
          oninput: setMemory,
        }),
      ),
      field('guaranteed', 'Physical memory guaranteed', guaranteed(), setGuaranteed),
      vm.status === 'up' &&
        h(
          'div',
          { class: 'pf-v6-c-check' },
          h('input', {
            class: 'pf-v6-c-check__input',
            type: 'checkbox',
            id: 'next-run',
            checked: wish.nextRun,
            onchange: (event) => {
              wish.nextRun = event.target.checked;
              wish.memory = base().memory / MIB;
              wish.guaranteed = base().guaranteed / MIB;
              wish.follow = true;
              later();
            },
          }),
          h('label', { class: 'pf-v6-c-check__label', for: 'next-run' }, 'Only for the next run'),
        ),
      grows() && policyChoice(),
      replaces() &&
        !wish.nextRun &&
        alert('warning', 'The next run has values of its own', {
          body: h('p', null, `It would start with ${size(next.memory)}; what is set here takes the place of that.`),
        }),
      error && errorAlert(error, error.status ? 'This cannot be' : 'There is no plan'),
      failed && errorAlert(failed),
      !plan && !error && spinner('Asking for the plan'),
      whatHappens(),
      unplugs().length > 0 && !error && limitations(vm),
      wish.nextRun &&
        vm.status !== 'up' &&
        alert('info', 'The VM is not running', { body: h('p', null, 'Its next run takes the new values.') }),
    ),
    footer: [
      button(sending ? 'Asking' : deed(), {
        kind: unplugs().length > 0 ? 'danger' : 'primary',
        type: 'submit',
        form: 'change',
        why: blocked(),
      }),
      button('Cancel', { kind: 'link', onclick: close }),
    ],
  });

  function blocked() {
    if (sending) return 'The request is on its way';
    if (stale) return 'The plan is being made';
    if (error) return error.message;
    return changed() ? undefined : 'Nothing is changed yet';
  }

  const handle = dialog(view, {
    wide: true,
    closed: () => {
      open = false;
      clearTimeout(timer);
      asked?.abort();
    },
  });
  askPlan();
  return {
    refresh(newer, newerNext) {
      if (!open || sending) return;
      const untouched = bytes(wish.memory) === base().memory; // nobody asked for another one
      vm = newer;
      next = newerNext ?? newer;
      if (untouched) wish.memory = base().memory / MIB;
      if (wish.follow) wish.guaranteed = Math.min(base().guaranteed / MIB, wish.memory);
      later();
    },
  };
}
