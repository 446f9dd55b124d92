// SPDX-License-Identifier: Apache-2.0
// A request and its steps, in words.

import { h } from './dom.js';
import { shortName, size, stepText } from './model.js';
import { label, spinner } from './parts.js';

const nameOf = (step) => (step.deviceId ? shortName({ id: step.deviceId }) : 'a memory device');

// How it stands, as an alert's kind and title.
export function outcome(job) {
  const some = (state) => job.steps.filter((step) => step.state === state).length;
  const refused = some('refused');
  const overdue = some('overdue');
  if (job.status === 'started')
    return overdue > 0
      ? { kind: 'warning', title: `${job.description}: overdue` }
      : { kind: 'info', title: `${job.description}: under way` };
  if (job.fault) return { kind: 'danger', title: `${job.description}: failed` };
  if (refused > 0 && refused === job.steps.length) return { kind: 'danger', title: `${job.description}: refused` };
  if (refused > 0) return { kind: 'warning', title: `${job.description}: partly refused` };
  return { kind: job.status === 'failed' ? 'danger' : 'success', title: `${job.description}: done` };
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
const stepTitle = (step) => `${verbs[step.op] ?? ''} ${nameOf(step)}${step.size ? ` (${size(step.size)})` : ''}`;

export function jobBody(job) {
  return [
    job.fault && h('p', null, job.fault),
    job.steps.length > 0 && h(
        'ul',
        { class: 'steps' },
        job.steps.map((step) => stepLine(step, job.status !== 'started')),
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
