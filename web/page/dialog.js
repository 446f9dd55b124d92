// SPDX-License-Identifier: Apache-2.0
// A modal dialog: the browser's own, which keeps the focus inside, closes on Escape and gives the focus back. It is an
// entry of the history, so that going back closes it and leads no further.

import { h, render } from './dom.js';
import { alert, button, icon, LOST, lostAlert } from './parts.js';

const open = new Set();

/*
 * view(close) describes it: { title, body, action, over }
 *   action: { text, ... } the button that does it, as of parts.js
 *   over:   why there is nothing to do any more: it is said instead, and only Close is left
 * Returns { update(), close() }.
 */
export function dialog(app, view, { wide = false, closed } = {}) {
  const node = document.createElement('dialog');
  node.className = `modal${wide ? ' modal-wide' : ''}`;
  node.setAttribute('aria-labelledby', 'dialog-title');
  document.body.append(node);
  const close = () => {
    open.delete(handle); // the event comes later, and what it shows may not be there any more by then
    node.close();
  };
  const update = () => {
    if (!open.has(handle)) return;
    const focused = document.activeElement;
    render(node, box(app, view(close), close));
    if (node.open && focused !== document.activeElement) node.querySelector('footer button')?.focus();
  };
  const handle = { update, close };
  node.addEventListener('close', () => {
    open.delete(handle);
    node.remove();
    if (history.state?.dialog) history.back();
    closed?.();
  });
  open.add(handle);
  update();
  history.pushState({ dialog: true }, '');
  node.showModal();
  node.querySelector('[data-first]')?.focus();
  return handle;
}

function box(app, { title, body, action, over }, close) {
  const { lost } = app.state;
  return h(
    'div',
    { class: 'pf-v6-c-modal-box' },
    h(
      'div',
      { class: 'pf-v6-c-modal-box__close' },
      h(
        'button',
        { type: 'button', class: 'pf-v6-c-button pf-m-plain', 'aria-label': 'Close', onclick: close },
        h('span', { class: 'pf-v6-c-button__icon' }, icon('close')),
      ),
    ),
    h(
      'header',
      { class: 'pf-v6-c-modal-box__header' },
      h(
        'h1',
        { class: 'pf-v6-c-modal-box__title', id: 'dialog-title' },
        h('span', { class: 'pf-v6-c-modal-box__title-text' }, title),
      ),
    ),
    h(
      'div',
      { class: 'pf-v6-c-modal-box__body', tabindex: '0', role: 'group', 'aria-labelledby': 'dialog-title' },
      over
        ? h(
            'div',
            { key: 'over' },
            alert('info', 'There is nothing to do any more', { body: h('p', null, over), role: 'alert' }),
          )
        : [lost && h('div', { key: 'lost' }, lostAlert(app)), h('div', { key: 'body', class: 'dialog-body' }, body)],
    ),
    h(
      'footer',
      { class: 'pf-v6-c-modal-box__footer' },
      over
        ? button('Close', { key: 'close', onclick: close })
        : [
            doer(action, lost),
            button('Cancel', { key: 'cancel', kind: 'link', onclick: close, 'data-first': action.risky }),
          ],
    ),
  );
}

// risky: what has the focus at first is Cancel.
function doer({ text, why, risky, ...rest }, lost) {
  return button(text, { ...rest, key: 'do', kind: risky ? 'danger' : 'primary', why: lost ? LOST : why });
}

export function updateDialogs() {
  for (const handle of [...open]) handle.update();
}

export function closeDialogs() {
  for (const handle of [...open]) handle.close();
}

window.addEventListener('popstate', () => {
  if (!history.state?.dialog) closeDialogs();
});
