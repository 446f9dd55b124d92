// SPDX-License-Identifier: Apache-2.0
// A request and its steps, in words.

import { findingWords } from './check.js';
import { h } from './dom.js';
import { MIB, shortName, size, stepText } from './model.js';
import { label, spinner } from './parts.js';

const nameOf = (step) => (step.deviceId ? shortName({ id: step.deviceId }) : 'a memory device');

// What came of it: an alert's kind, and the end of its title.
const outcomes = {
  done: ['success', 'done'],
  partly: ['warning', 'partly done'],
  refused: ['danger', 'refused'],
  overdue: ['warning', 'overdue'],
  kept: ['warning', 'the running VM keeps its memory'],
  'called-off': ['warning', 'called off'],
  failed: ['danger', 'failed'],
};

// How it stands, as an alert's kind and title.
export function outcome(job) {
  const some = (state) => job.steps.some((step) => step.state === state);
  const [kind, words] =
    job.status === 'started'
      ? some('overdue')
        ? outcomes.overdue
        : ['info', 'under way']
      : outcomes[job.fault ? 'failed' : (job.outcome ?? (job.status === 'failed' ? 'failed' : 'done'))];
  const refused = words === 'partly done' && job.steps.some((step) => step.deviceId && step.state === 'refused');
  return { kind, title: `${job.description}: ${refused ? 'partly refused' : words}` };
}

function stepLine(step, over) {
  return h(
    'li',
    { key: step.id, class: `step step-${step.state}` },
    step.state === 'asked' && !over ? spinner('Waiting for the guest') : null,
    h('span', null, stepTitle(step), ': ', h('strong', null, stepText(step, over))),
  );
}

const verbs = { unplug: 'Hot unplug of', resize: 'Resize of', plug: 'Hot plug of' };
const sizes = (step) =>
  step.op === 'resize' ? `${size(step.from)} to ${size(step.to)}` : size(step.op === 'plug' ? step.to : step.size);
// In whole MiB: a balloon moves by pages.
const whole = (bytes) => size(Math.floor(bytes / MIB) * MIB);
const stepTitle = (step) =>
  step.op === 'balloon'
    ? step.to < step.from
      ? `Balloon to take ${whole(step.from - step.to)}`
      : `Balloon to give ${whole(step.to - step.from)} back`
    : `${verbs[step.op] ?? ''} ${nameOf(step)}${step.size ? ` (${sizes(step)})` : ''}`;

// What the check found since of the devices that the guest refused, as far as it helps.
function remedies(job, found) {
  const refused = job.steps.filter((step) => step.deviceId && step.state === 'refused').map((step) => step.deviceId);
  const since = (found?.findings ?? []).filter((finding) => refused.includes(finding.deviceId) && finding.remedy);
  return since.filter((finding, i) => since.findIndex((one) => one.remedy === finding.remedy) === i);
}

// found: the last check of the guest; null: there was none.
export function jobBody(job, found) {
  return [
    job.fault && h('p', null, job.fault),
    job.steps.length > 0 &&
      h(
        'ul',
        { class: 'steps' },
        job.steps.map((step) => stepLine(step, job.status !== 'started')),
      ),
    remedies(job, found).map((finding) =>
      h('div', { class: 'job-remedy', key: finding.remedy }, findingWords(finding)),
    ),
    job.notes.map((note) => h('p', { class: 'hint', key: note }, note)),
  ];
}

export const jobLabel = (job) =>
  job.status === 'finished'
    ? label('Finished', 'green')
    : job.status === 'failed'
      ? label('Failed', 'red')
      : job.steps.some((step) => step.state === 'overdue')
        ? label('Overdue', 'orange')
        : label('Under way', 'blue');
