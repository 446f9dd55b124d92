// SPDX-License-Identifier: Apache-2.0
// The dialog that changes a VM's memory: each value that is dragged or typed is shown with its plan, which the server
// makes. Nothing here knows the rules.

import { anywayChoice, anywayFlags, planFor } from './anyway.js';
import { ask, query } from './api.js';
import { checkbox, mibField, policyChoice, readMib, stepOf } from './change_fields.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { isOut, MIB, shortName, size, statusWords } from './model.js';
import { alert, errorAlert, legend, memoryMap, spinner, toast } from './parts.js';
import { afterwards, limitations, noPlan, notes, vmIsGone } from './unplug.js';

const TYPING_MS = 120;
// now: the VM's view, of which vm and next change while the dialog is open. Returns { refresh() }, for when they have.
export function changeDialog(app, now) {
  // What was typed; null: nothing yet, it is as it is, or for the server to choose.
  const wish = { memory: null, guaranteed: null, policy: 'ovirt', nextRun: false, anyway: false };
  const ranAtFirst = now.vm.status === 'up';
  let plan = null;
  let seen = 0; // the memory that the plan was made for
  let error = null;
  let failed = null; // of the change itself
  let stale = true; // the plan is of an earlier wish
  let sending = false;
  let submitted = false; // by Enter, before the plan was there
  let open = true;
  let timer = null;
  let asked = null;

  const running = () => now.vm.status === 'up';
  const onlyNextRun = () => wish.nextRun || !running();
  const base = () => (onlyNextRun() ? (now.next ?? now.vm) : now.vm); // what the fields begin with
  const memory = () => readMib(wish.memory ?? String(base().memory / MIB), base().memory / MIB);
  const bytes = () => memory().value * MIB;
  const grows = () => !onlyNextRun() && bytes() > now.vm.memory;
  const falls = () => !onlyNextRun() && bytes() < now.vm.memory;
  const tries = () => wish.anyway && falls();
  // A next run of its own is replaced by whatever is set here.
  const replaces = () => !onlyNextRun() && now.vm.nextRun && now.next && now.next.memory !== now.vm.memory;

  // Guaranteed is the server's to choose until the user names it, or memory falls below it.
  const named = () => wish.guaranteed !== null || bytes() < base().guaranteed;
  const guaranteed = () =>
    readMib(wish.guaranteed ?? String(Math.min(base().guaranteed, bytes()) / MIB), base().guaranteed / MIB);
  const problem = () => memory().problem ?? guaranteed().problem;
  const changed = () => bytes() !== base().memory || (named() && guaranteed().value * MIB !== base().guaranteed);

  // What stands in the field.
  function guaranteedText() {
    const after = onlyNextRun() ? plan?.nextRun : plan?.live;
    if (wish.guaranteed !== null) return wish.guaranteed;
    if (memory().problem) return String(base().guaranteed / MIB);
    return String(named() || !after ? guaranteed().value : after.guaranteed / MIB);
  }

  async function askPlan() {
    asked?.abort();
    const mine = (asked = new AbortController());
    const mineSeen = base().memory;
    const parameters = {
      memory: bytes() !== base().memory ? bytes() : '',
      guaranteed: named() ? guaranteed().value * MIB : '',
      next_run: onlyNextRun() ? 'true' : '',
      policy: wish.policy,
    };
    try {
      plan = await planFor(now.vm.id, parameters, tries(), mine.signal);
      seen = onlyNextRun() ? mineSeen : plan.now.memory;
      error = null;
    } catch (wrong) {
      if (mine.signal.aborted) return;
      error = wrong;
    }
    stale = false;
    handle.update();
    if (submitted && !blocked()) send(handle.close);
    submitted = false;
  }

  // What is wrong by itself, or changes nothing, is no question for the server.
  function later() {
    clearTimeout(timer);
    asked?.abort();
    stale = !problem() && changed();
    if (stale) {
      timer = setTimeout(askPlan, TYPING_MS);
    } else {
      error = null;
      plan = problem() ? null : unchanged(now);
    }
    handle.update();
  }

  function set(what) {
    failed = null;
    Object.assign(wish, what);
    later();
  }

  async function send(close) {
    sending = true;
    failed = null;
    handle.update();
    const nextRun = onlyNextRun();
    const body = bytes() !== base().memory ? { memory: String(bytes()) } : {};
    if (named()) body.memory_policy = { guaranteed: String(guaranteed().value * MIB) };
    const parameters = {
      async: 'true',
      next_run: nextRun ? 'true' : '',
      policy: grows() ? wish.policy : '',
      if_memory: seen,
      ...anywayFlags(tries()),
    };
    try {
      await ask(`vms/${now.vm.id}?${query(parameters)}`, { method: 'PUT', body });
      close();
      if (nextRun) toast('success', `The next run of ${now.vm.name} is changed`);
    } catch (wrong) {
      failed = wrong;
    }
    sending = false;
    if (open) later();
  }

  const unplugs = () => (plan?.steps ?? []).filter((planned) => planned.op !== 'plug');

  // What the VM is made of afterwards: the running one, or its next run.
  function picture() {
    if (onlyNextRun()) {
      const after = plan.nextRun ?? plan.live;
      return [
        h('p', { class: 'hint' }, 'The next run:'),
        memoryMap({ ...now.vm, ...after, boot: after.memory, devices: [] }),
        legend('boot', 'mark', 'free'),
      ];
    }
    const goes = unplugs().filter((planned) => planned.op === 'unplug');
    const marks = Object.fromEntries(goes.map((planned) => [planned.deviceId, 'goes']));
    const added = plan.steps.filter((planned) => planned.op === 'plug').map((planned) => planned.size);
    const out = now.vm.devices.some((device) => isOut(device) && !marks[device.id]);
    return [
      memoryMap({ ...now.vm, guaranteed: plan.live.guaranteed }, { marks, added }),
      legend(
        'boot',
        now.vm.devices.length > 0 && 'device',
        out && 'out',
        goes.length > 0 && 'goes',
        added.length > 0 && 'new',
        'mark',
        'free',
      ),
    ];
  }

  function words(planned) {
    const device = now.vm.devices.find((one) => one.id === planned.deviceId) ?? { id: planned.deviceId };
    if (planned.op === 'plug') return `A new memory device of ${size(planned.size)} is hot plugged`;
    return planned.op === 'resize'
      ? `${shortName(device)} is resized from ${size(planned.from)} to ${size(planned.to)}`
      : `${shortName(device)} (${size(planned.size)}) is hot unplugged`;
  }

  function whatHappens() {
    if (!plan || error) return null;
    const none = onlyNextRun() ? 'The running VM stays as it is.' : 'No memory device comes or goes.';
    const lines = plan.steps.length > 0 ? plan.steps.map(words) : now.vm.status === 'down' ? [] : [none];
    return [
      picture(),
      h(
        'ul',
        { class: 'points plan', 'aria-live': 'polite', 'aria-label': 'What would happen' },
        lines.map((line, i) => h('li', { key: `${i} ${line}` }, line)),
      ),
      afterwards(now.vm, plan),
      notes(plan),
    ];
  }

  function powerAlert() {
    if (running()) return null;
    const name = statusWords[now.vm.status]?.toLowerCase() ?? now.vm.status;
    return ranAtFirst
      ? alert('warning', `${now.vm.name} is ${name} now`, {
          body: h('p', null, 'What is set here is for its next run.'),
          role: 'alert',
        })
      : alert('info', `${now.vm.name} is ${name}`, {
          body: h(
            'p',
            null,
            now.vm.status === 'down'
              ? 'Its next run takes the new values.'
              : 'Its guest cannot answer, so only its next run can be changed.',
          ),
        });
  }

  const typed = (event) => event.target.value;

  const guaranteedField = () =>
    mibField(
      'guaranteed',
      'Physical memory guaranteed',
      guaranteedText(),
      memory().problem ? {} : guaranteed(),
      (event) => set({ guaranteed: typed(event) }),
    );

  const nextRunChoice = () =>
    checkbox('next-run', 'Only for the next run', wish.nextRun, (nextRun) =>
      set({ nextRun, memory: null, guaranteed: null }),
    );

  // Worth offering where a rule stands in the way, or a device that would help is left out.
  const mayTry = () => falls() && (wish.anyway || error?.anyway || now.vm.devices.some((one) => one.movable === false));

  const deed = () => (unplugs().length > 0 ? 'Hot unplug' : grows() ? 'Hot plug' : 'Change');

  const view = (close) => ({
    title: `Change memory of ${now.vm.name}`,
    over: now.gone ? vmIsGone(now.vm) : undefined,
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
      powerAlert(),
      mibField(
        'memory',
        'Memory',
        wish.memory ?? String(base().memory / MIB),
        memory(),
        (event) => set({ memory: typed(event) }),
        h('input', {
          type: 'range',
          class: 'slider',
          'aria-label': 'Memory, by dragging',
          'aria-valuetext': `${memory().value ?? 'no'} MiB`,
          min: String(stepOf(base().max)),
          max: String(base().max / MIB),
          step: String(stepOf(base().max)),
          value: String(memory().value ?? base().memory / MIB),
          oninput: (event) => set({ memory: typed(event) }),
        }),
      ),
      h('div', { class: 'side-by-side' }, guaranteedField(), running() && nextRunChoice()),
      grows() && policyChoice(wish.policy, (policy) => set({ policy })),
      replaces() &&
        alert('warning', 'The next run has values of its own', {
          body: h('p', null, `It would start with ${size(now.next.memory)}; what is set here takes the place of that.`),
        }),
      error && noPlan(error, 'This cannot be', askPlan),
      mayTry() && anywayChoice(wish.anyway, (anyway) => set({ anyway })),
      failed && errorAlert(failed),
      !plan && !error && !problem() && spinner('Asking for the plan'),
      whatHappens(),
      unplugs().length > 0 && !error && limitations(now.vm),
    ),
    action: {
      text: sending ? 'Asking' : deed(),
      risky: unplugs().length > 0,
      type: 'submit',
      form: 'change',
      why: blocked(),
    },
  });

  function blocked() {
    if (sending) return 'The request is on its way';
    if (app.whyNot()) return app.whyNot();
    if (now.vm.status === 'unknown') return 'The host of this VM cannot be reached';
    if (problem()) return problem();
    if (stale) return 'The plan is being made';
    if (error) return error.message;
    return changed() ? undefined : 'Nothing is changed yet';
  }

  const handle = dialog(app, view, {
    wide: true,
    closed: () => {
      open = false;
      clearTimeout(timer);
      asked?.abort();
    },
  });
  later();
  now.check.ask();
  return {
    refresh() {
      if (open && !sending) later();
    },
  };
}

// The plan of no change.
const unchanged = ({ vm, next }) => ({ now: vm, live: vm, nextRun: next ?? undefined, steps: [], notes: [] });
