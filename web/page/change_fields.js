// SPDX-License-Identifier: Apache-2.0
// What the dialog that changes memory is filled in with.

import { h } from './dom.js';
import { MIB } from './model.js';

// [name, text, why, parameters]
const kinds = [
  ['', 'As its host is set up', 'by plug-kind and plug-policy of dimmerd, else DIMMs as oVirt does', {}],
  [
    'auto',
    'What suits the VM',
    'virtio-mem where its guest can drive it and nothing speaks against it, else DIMMs',
    { kind: 'auto' },
  ],
  ['virtio-mem', 'virtio-mem', 'one device that grows and shrinks in small steps', { kind: 'virtio-mem' }],
  [
    'ovirt',
    'DIMMs, as oVirt does',
    'the smallest first, where there is none, then the rest as one',
    { kind: 'dimm', policy: 'ovirt' },
  ],
  ['whole', 'One DIMM', 'it can go only as a whole', { kind: 'dimm', policy: 'whole' }],
  [
    'fine',
    'Many DIMMs',
    'sizes of powers of two, so that nearly any part can go again',
    { kind: 'dimm', policy: 'fine' },
  ],
];

const kindOf = (chosen) => kinds.find(([name]) => name === chosen);

// Of a plan or a change that adds memory.
export const kindParameters = (chosen) => kindOf(chosen)[3];

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

export function kindChoice(chosen, choose) {
  return h(
    'div',
    { class: 'pf-v6-c-form__group kind' },
    h(
      'div',
      { class: 'pf-v6-c-form__group-label' },
      h(
        'label',
        { class: 'pf-v6-c-form__label', for: 'kind' },
        h('span', { class: 'pf-v6-c-form__label-text' }, 'New devices'),
      ),
    ),
    h(
      'div',
      { class: 'pf-v6-c-form__group-control with-unit' },
      h(
        'span',
        { class: 'pf-v6-c-form-control kind-select' },
        h(
          'select',
          {
            id: 'kind',
            'aria-describedby': 'kind-why',
            onchange: (event) => choose(event.target.value),
            value: chosen,
          },
          kinds.map(([name, text]) => h('option', { key: name, value: name }, text)),
        ),
      ),
      h('span', { class: 'hint', id: 'kind-why' }, kindOf(chosen)[2]),
    ),
  );
}

// take(checked); why: it cannot be changed, and that is the reason.
export function checkbox(id, text, checked, take, why) {
  return h(
    'div',
    { class: 'pf-v6-c-check' },
    h('input', {
      class: 'pf-v6-c-check__input',
      type: 'checkbox',
      id,
      checked,
      disabled: Boolean(why),
      'aria-describedby': why ? `${id}-why` : undefined,
      onchange: (event) => take(event.target.checked),
    }),
    h('label', { class: 'pf-v6-c-check__label', for: id }, text),
    why && h('span', { class: 'pf-v6-c-check__description', id: `${id}-why` }, why),
  );
}
