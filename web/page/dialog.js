// SPDX-License-Identifier: Apache-2.0
// A modal dialog: the browser's own, which keeps the focus inside, closes on Escape and gives the focus back.

import { h, render } from './dom.js';
import { icon } from './parts.js';

const open = new Set();

// view(close): { title, body, footer }. Returns { update(), close() }.
export function dialog(view, { wide = false, closed } = {}) {
  const node = document.createElement('dialog');
  node.className = `modal${wide ? ' modal-wide' : ''}`;
  node.setAttribute('aria-labelledby', 'dialog-title');
  document.body.append(node);
  const close = () => node.close();
  const update = () => {
    const { title, body, footer } = view(close);
    render(
      node,
      h(
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
          body,
        ),
        h('footer', { class: 'pf-v6-c-modal-box__footer' }, footer),
      ),
    );
  };
  const handle = { update, close };
  node.addEventListener('close', () => {
    open.delete(handle);
    node.remove();
    closed?.();
  });
  open.add(handle);
  update();
  node.showModal();
  node.querySelector('[data-first]')?.focus();
  return handle;
}

export function closeAll() {
  for (const handle of [...open]) handle.close();
}
