// SPDX-License-Identifier: Apache-2.0
// What the dialog that changes memory is filled in with.

import { h } from './dom.js';
import { MIB } from './model.js';

const policies = [
  ['ovirt', 'As oVirt does', 'the smallest device first, where there is none, then the rest as one'],
  ['whole', 'One device', 'it can go only as a whole'],
  ['fine', 'Many devices', 'sizes of powers of two, so that nearly any part can go again'],
];

// Fine enough to aim with a mouse, whatever the maximum.
export function stepOf(max) {
  const gib = max / MIB / 1024;
  return gib <= 16 ? 64 : gib <= 256 ? 256 : 1024;
}

// What was typed, as MiB, or why it is none. now: the value as it is, which need not be whole MiB.
export function readMib(text, now) {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return { problem: 'Type a number of MiB' };
  if (value === now) return { value };
  if (!Number.isInteger(value)) return { problem: 'Type whole MiB' };
  if (value < 1) return { problem: 'Type 1 MiB or more' };
  return value * MIB > Number.MAX_SAFE_INTEGER ? { problem: 'No VM can have so much memory' } : { value };
}

// is: what readMib() made of the value.
export function mibField(name, text, value, is, oninput, more) {
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
        { class: `pf-v6-c-form-control mib${is.problem ? ' pf-m-error' : ''}` },
        h('input', {
          id: name,
          type: 'number',
          min: '1',
          step: 'any',
          value,
          oninput,
          'aria-invalid': is.problem ? 'true' : undefined,
          'aria-describedby': is.problem ? `${name}-problem` : undefined,
          'data-first': name === 'memory',
        }),
      ),
      h('span', { class: 'unit', 'aria-hidden': 'true' }, 'MiB'),
      is.problem && h('span', { class: 'problem', id: `${name}-problem`, role: 'alert' }, is.problem),
    ),
  );
}

export function policyChoice(chosen, choose) {
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
          checked: chosen === name,
          onchange: () => choose(name),
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

// take(checked)
export function checkbox(id, text, checked, take) {
  return h(
    'div',
    { class: 'pf-v6-c-check' },
    h('input', {
      class: 'pf-v6-c-check__input',
      type: 'checkbox',
      id,
      checked,
      onchange: (event) => take(event.target.checked),
    }),
    h('label', { class: 'pf-v6-c-check__label', for: id }, text),
  );
}
