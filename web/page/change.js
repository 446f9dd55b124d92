// SPDX-License-Identifier: Apache-2.0
// The dialog that changes a VM's memory: each value that is dragged or typed is shown with its plan, which the server
// makes. Nothing here knows the rules.

import { anywayChoice, anywayFlags, planFor } from './anyway.js';
import { ask, query } from './api.js';
import { checkbox, kindChoice, kindParameters, mibField, readMib } from './change_fields.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { devicesKey, isRunning, MIB, shortName, size, statusWords, usable } from './model.js';
import { alert, button, legendOf, memoryMap, spinner, toast, errorAlert } from './parts.js';
import { neighbours, stopSlider, stopsOf, stopsOfNextRun } from './stops.js';
import { afterwards, limitations, noPlan, notes, vmIsGone } from './unplug.js';

const TYPING_MS = 120;
// now: the VM's view, of which vm and next change while the dialog is open. Returns { refresh() }, for when they have.
export function changeDialog(app, now) {
  // What was typed; null: nothing yet, it is as it is, or for the server to choose.
  const wish = {
    memory: null,
    guaranteed: null,
    kind: '',
    nextRun: false,
    live: null,
    balloon: false,
    anyway: false,
  };
  const ranAtFirst = isRunning(now.vm);
  let plan = null;
  let seen = 0; // the memory that the plan was made for
  let error = null;
  let failed = null; // of the change itself
  let stale = true; // the plan is of an earlier wish
  let madeOf = null; // what the plan depends on, as it was when it was asked for
  let sending = false;
  let submitted = false; // by Enter, before the plan was there
  let open = true;
  let timer = null;
  let asked = null;

  const running = () => isRunning(now.vm);
  const onlyNextRun = () => wish.nextRun || !running();
  const base = () => (onlyNextRun() ? (now.next ?? now.vm) : now.vm); // what the fields begin with
  const memory = () => readMib(wish.memory ?? String(base().memory / MIB), base().memory / MIB);
  const bytes = () => memory().value * MIB;
  const grows = () => !onlyNextRun() && bytes() > now.vm.memory;
  const falls = () => !onlyNextRun() && bytes() < now.vm.memory;
  const tries = () => wish.anyway && falls();
  // A next run of its own is replaced by whatever is set here.
  const replaces = () =>
    !onlyNextRun() && !liveOnly() && now.vm.nextRun && now.next && now.next.memory !== now.vm.memory;

  // What the balloon holds is given back when memory is asked for, though it is what the VM has already.
  const inflated = () => !onlyNextRun() && now.vm.ballooned > 0;
  const balloons = () => !onlyNextRun() && now.vm.ballooning && (wish.balloon || now.vm.balloonUse === 'allow');

  // A VM that cannot hot plug has no way up again while it runs, so its next run better stays where the balloon takes.
  const livesOn = () => wish.balloon && balloons() && falls() && now.vm.max <= now.vm.memory;
  const liveOnly = () => !onlyNextRun() && (wish.live ?? livesOn());

  // Guaranteed is the server's to choose until the user names it, or memory falls below it, by more than a balloon.
  const named = () => wish.guaranteed !== null || (bytes() < base().guaranteed && !balloons());
  const guaranteed = () =>
    readMib(wish.guaranteed ?? String(Math.min(base().guaranteed, bytes()) / MIB), base().guaranteed / MIB);
  const problem = () => memory().problem ?? guaranteed().problem;
  const asks = () => bytes() !== base().memory || (inflated() && wish.memory !== null);
  const changed = () => asks() || (named() && guaranteed().value * MIB !== base().guaranteed);

  // What stands in the field.
  function guaranteedText() {
    const after = onlyNextRun() ? plan?.nextRun : plan?.live;
    if (wish.guaranteed !== null) return wish.guaranteed;
    if (memory().problem) return String(base().guaranteed / MIB);
    return String(named() || !after ? guaranteed().value : after.guaranteed / MIB);
  }

  // How it is to be done: of the plan, and of the change.
  const ways = () => ({
    next_run: onlyNextRun() ? 'true' : '',
    live: liveOnly() ? 'true' : '',
    balloon: wish.balloon && balloons() && asks() ? 'true' : '',
    ...(grows() ? kindParameters(wish.kind) : {}),
  });

  async function askPlan() {
    asked?.abort();
    const mine = (asked = new AbortController());
    const mineSeen = base().memory;
    const parameters = {
      memory: asks() ? bytes() : '',
      guaranteed: named() ? guaranteed().value * MIB : '',
      ...ways(),
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
    madeOf = planKey(now);
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
    const body = asks() ? { memory: String(bytes()) } : {};
    if (named()) body.memory_policy = { guaranteed: String(guaranteed().value * MIB) };
    const parameters = {
      async: 'true',
      ...ways(),
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

  // Steps of the devices that are there, and those of them that take memory from the guest.
  const moves = () => (plan?.steps ?? []).filter((planned) => planned.op !== 'plug');
  const releases = () => moves().filter(({ op, from, to }) => op === 'unplug' || to < from);

  const going = () => now.vm.devices.filter((one) => releases().some((planned) => planned.deviceId === one.id));

  // What the VM is made of afterwards: the running one, or its next run.
  function picture() {
    if (onlyNextRun()) {
      const after = { ...now.vm, ...(plan.nextRun ?? plan.live), devices: [], ballooned: 0 };
      return [h('p', { class: 'hint' }, 'The next run:'), memoryMap(after), legendOf(after)];
    }
    const marks = Object.fromEntries(moves().map((planned) => [planned.deviceId, markOf(planned)]));
    const added = plan.steps.filter((planned) => planned.op === 'plug').map((planned) => planned.size);
    const some = (what) => Object.values(marks).some((mark) => mark[what] > 0);
    return [
      memoryMap(
        { ...now.vm, guaranteed: plan.live.guaranteed },
        { marks, added, ballooned: plan.ballooned, end: plan.live.memory },
      ),
      legendOf(
        { ...now.vm, ballooned: plan.ballooned },
        some('goes') && 'goes',
        (added.length > 0 || some('comes')) && 'new',
      ),
    ];
  }

  function markOf({ op, deviceId, to }) {
    const has = now.vm.devices.find((one) => one.id === deviceId)?.size ?? 0;
    return op === 'unplug' ? { goes: has, comes: 0 } : { goes: Math.max(has - to, 0), comes: Math.max(to - has, 0) };
  }

  // What the balloon does, in words.
  function balloonWords({ from, to }) {
    const can = `the guest can use ${size(plan.live.memory - plan.ballooned)} then`;
    return from > to
      ? `The balloon takes ${size(from - to)} from the guest: ${can}`
      : `The balloon gives ${size(to - from)} back: ${can}`;
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
    const none = onlyNextRun()
      ? 'The running VM stays as it is.'
      : falls()
        ? 'Nothing of the running VM can be unplugged: it keeps its memory.'
        : 'No memory device comes or goes.';
    const done = [...plan.steps.map(words), ...(plan.balloon ? [balloonWords(plan.balloon)] : [])];
    const lines = done.length > 0 ? done : now.vm.status === 'down' ? [] : [none];
    return [
      picture(),
      h(
        'ul',
        { class: 'points plan', 'aria-live': 'polite', 'aria-label': 'What would happen' },
        lines.map((line, i) => h('li', { key: `${i} ${line}` }, line)),
      ),
      afterwards(now.vm, plan, now.next),
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
      set({ nextRun, live: null, balloon: false, memory: null, guaranteed: null }),
    );

  const liveChoice = () =>
    !onlyNextRun() &&
    now.next &&
    checkbox('live', 'Only while it runs: the next run stays as it is', liveOnly(), (live) => set({ live }));

  function balloonChoice() {
    const { ballooning, balloonUse } = now.vm;
    if (onlyNextRun() || !ballooning || !(falls() || inflated())) return null;
    const text = 'Let the balloon take what no memory device can give';
    const why =
      balloonUse === 'never'
        ? 'This VM is set up never to use its balloon'
        : balloonUse === 'allow'
          ? 'This VM is set up to use its balloon'
          : undefined;
    return checkbox('balloon', text, balloons() && balloonUse !== 'never', (balloon) => set({ balloon }), why);
  }

  const inflatedAlert = () =>
    inflated() &&
    alert('info', `The balloon holds ${size(now.vm.ballooned)}: the guest can use ${size(usable(now.vm))}`, {
      actions:
        now.vm.balloonUse !== 'never' &&
        button('Deflate it fully', {
          kind: 'link pf-m-inline',
          onclick: () => set({ memory: String(now.vm.memory / MIB), guaranteed: null, balloon: true }),
        }),
    });

  const stops = () => (onlyNextRun() ? stopsOfNextRun(base()) : stopsOf(now.vm, { balloon: balloons() }));

  // Sizes that can be had instead.
  function near() {
    const all = stops();
    if (!error?.status || all.includes(bytes())) return null;
    const sizes = neighbours(all, bytes()).filter((stop) => stop !== undefined);
    return (
      sizes.length > 0 &&
      h(
        'p',
        { class: 'near' },
        'The nearest sizes: ',
        sizes.map((stop) =>
          button(size(stop), {
            kind: 'link pf-m-inline',
            key: String(stop),
            onclick: () => set({ memory: String(stop / MIB) }),
          }),
        ),
      )
    );
  }

  // Worth offering where a rule stands in the way, or a device that would help is left out.
  const mayTry = () => falls() && (wish.anyway || error?.anyway || now.vm.devices.some((one) => one.movable === false));

  const takes = () => plan?.balloon && plan.balloon.from > plan.balloon.to;

  const deed = () =>
    !error && releases().length > 0
      ? 'Hot unplug'
      : !error && takes()
        ? 'Take by balloon'
        : grows()
          ? 'Hot plug'
          : 'Change';

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
        stopSlider({
          stops: stops(),
          bytes: memory().problem ? base().memory : bytes(),
          vm: onlyNextRun() ? null : now.vm,
          balloon: balloons(),
          take: (to) => set({ memory: String(to / MIB) }),
        }),
      ),
      inflatedAlert(),
      h(
        'div',
        { class: 'side-by-side' },
        guaranteedField(),
        running() && !now.transient && [nextRunChoice(), liveChoice()],
      ),
      balloonChoice(),
      grows() && kindChoice(wish.kind, (kind) => set({ kind })),
      replaces() &&
        alert('warning', 'The next run has values of its own', {
          body: h('p', null, `It would start with ${size(now.next.memory)}; what is set here replaces that.`),
        }),
      error && noPlan(error, 'Not possible', askPlan, near()),
      mayTry() && anywayChoice(wish.anyway, (anyway) => set({ anyway })),
      failed && errorAlert(failed),
      !plan && !error && !problem() && spinner('Asking for the plan'),
      whatHappens(),
      releases().length > 0 && !error && limitations(now, going()),
    ),
    action: {
      text: sending ? 'Asking' : deed(),
      risky: !error && releases().length > 0,
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
    // A plan can itself have the VM told of anew, as it may ask the guest: only what changes it is worth another.
    refresh() {
      if (!open || sending) return;
      if (passing(error) || madeOf !== planKey(now)) later();
      else handle.update();
    },
  };
}

// Why there is no plan, where the next event may be the end of that.
const passing = (error) => error && (!error.status || error.code === 'busy');

// What a plan depends on: the VM, its next run, and what its guest tells.
function planKey({ vm, next, check }) {
  const values = (one) => one && [one.memory, one.boot, one.guaranteed, one.max, one.ballooned, one.balloonUse];
  const devices = vm.devices.map((one) => [one.requested, one.state, one.use, one.movable]);
  return JSON.stringify([vm.status, values(vm), devicesKey(vm), devices, values(next), check.found]);
}

// The plan of no change.
const unchanged = ({ vm, next }) => ({
  now: vm,
  live: vm,
  ballooned: vm.ballooned ?? 0,
  nextRun: next ?? undefined,
  steps: [],
  notes: [],
});
