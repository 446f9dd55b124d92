// SPDX-License-Identifier: Apache-2.0
// What is around each view: the masthead, and banners about connections.
import { h } from './dom.js';
import { alert, button, icon, logo, lostAlert } from './parts.js';
import { isDark, toggleTheme } from './theme.js';

function masthead(app) {
  const { user, role } = app.state.session;
  const other = isDark() ? 'light' : 'dark';
  return h(
    'header',
    { class: 'masthead' },
    h('a', { class: 'brand', href: '#/vms' }, logo(), 'dimmer', h('span', { class: 'brand-more' }, ' WebAdmin')),
    h(
      'div',
      { class: 'masthead-end' },
      h(
        'span',
        { class: 'masthead-user' },
        user,
        role !== 'admin' && h('span', { class: 'masthead-role' }, ` (${role})`),
      ),
      h(
        'button',
        {
          type: 'button',
          class: 'pf-v6-c-button pf-m-plain',
          'aria-label': `Switch to ${other} colours`,
          title: `Switch to ${other} colours`,
          onclick: () => {
            toggleTheme();
            app.update();
          },
        },
        h('span', { class: 'pf-v6-c-button__icon' }, icon(other === 'light' ? 'sun' : 'moon')),
      ),
      button('Log out', { kind: 'secondary', onclick: () => app.logout() }),
    ),
  );
}

function banners(app) {
  const down = [...app.state.hosts.values()].filter((host) => host.status === 'non_responsive');
  return h(
    'div',
    { class: 'banners', key: 'banners' },
    app.state.lost &&
      h('div', { key: 'lost' }, lostAlert(app)),
    down.map((host) =>
      h(
        'div',
        { key: host.id },
        alert('danger', `Host ${host.name} cannot be reached`, { body: h('p', null, host.status_detail ?? '') }),
      ),
    ),
    app.whyViewer() &&
      h(
        'div',
        { key: 'viewer' },
        alert('info', 'You can look, but not change anything', {
          body: h('p', null, [
            `${app.whyViewer()}. On dimmerd's host, 'dimmerd user role ${app.state.session.user} admin' `,
            'and a reload of dimmerd change that.',
          ]),
        }),
      ),
  );
}

export function shell(app, content) {
  return h(
    'div',
    { key: 'shell', class: 'page' },
    h(
      'a',
      {
        class: 'pf-v6-c-skip-to-content pf-v6-c-button pf-m-primary skip',
        href: '#main',
        onclick: (event) => {
          event.preventDefault();
          document.querySelector('h1')?.focus();
        },
      },
      'Skip to content',
    ),
    masthead(app),
    h('main', { id: 'main', class: 'content' }, banners(app), content),
  );
}
