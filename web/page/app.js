// SPDX-License-Identifier: Apache-2.0
/*
 * WebAdmin
 * ========
 *
 * One page. The part of the address behind '#' says what it shows: '#/vms?search=...', '#/vms/ID/devices'; so going
 * back, reloading and logging in again lead to the same place. A view has state of its own and these functions:
 *
 *   render()          what is to be seen now
 *   load()            asks the API; called at the start and whenever what is shown may be old
 *   event(kind, data) something changed on the server, as /api/live tells it
 *   go(query)         optional: the same view with other parameters
 *   leave()           it is not seen any longer
 *
 * Code that changes state calls app.update(), and everything is described anew; dom.js changes only what differs.
 */

import { get, login, logout, resume, whenExpired } from './api.js';
import { closeDialogs, updateDialogs } from './dialog.js';
import { h, render } from './dom.js';
import { follow } from './live.js';
import { loginView } from './login.js';
import { empty, LOST, toast } from './parts.js';
import { applyTheme } from './theme.js';
import { shell } from './shell.js';
import { vmView } from './vm.js';
import { vmsView } from './vms.js';

const state = {
  session: null, // { user, role }
  asked: false, // whether this browser has a session
  left: false, // on purpose, though the server may not know of it
  expired: false,
  lost: false, // the live connection
  hosts: new Map(),
};

let view = null;
let viewName = '';
let live = null;
let queued = false;

export const app = {
  state,
  update() {
    if (queued) return;
    queued = true;
    queueMicrotask(draw);
  },
  // Why this user can change nothing; null: they can.
  whyViewer() {
    return state.session.role === 'admin'
      ? null
      : `${state.session.user} has the role ${state.session.role} and may look, but not change anything`;
  },
  // Why nothing can be changed at this moment; null: it can.
  whyNot: () => app.whyViewer() ?? (state.lost ? LOST : null),
  hostName: (id) => (id ? (state.hosts.get(id)?.name ?? '') : ''),
  retry: () => live?.now(),
  async login(user, password) {
    state.session = await login(user, password);
    state.left = false;
    state.expired = false;
    start();
  },
  async logout() {
    end();
    state.left = true;
    try {
      await logout();
      toast('success', 'You are logged out');
    } catch (error) {
      toast(
        'danger',
        'Your session was not ended on the server',
        `This page no longer uses it, but it was not ended: ${error.message} ` +
          'Reloading the page resumes it. It expires when unused for a while.',
      );
    }
  },
};

function draw() {
  queued = false;
  const root = document.getElementById('app');
  const focused = document.activeElement;
  drawInto(root);
  updateDialogs();
  // What had the focus may be gone, such as the row of a device: users of the keyboard go on from the heading.
  if (focused !== document.body && !focused.isConnected) root.querySelector('[autofocus], h1')?.focus();
}

function drawInto(root) {
  if (!state.asked) return;
  if (!state.session) {
    document.title = 'Log in - dimmer';
    render(root, loginView(app));
    return;
  }
  document.title = `${view.title()} - dimmer`;
  render(root, shell(app, h('div', { key: viewName ?? 'nowhere' }, view.render())));
}

// ---- the place ----

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

// name: what the view is of; null: there is no such page. An id goes into the API's paths, so it is looked at first.
function placeOf(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split('?');
  const [first = '', id = '', tab = '', ...more] = path.split('/');
  const known = (first === '' || first === 'vms') && (id === '' || UUID.test(id)) && more.length === 0;
  return {
    name: !known ? null : id ? `vms/${id.toLowerCase()}` : 'vms',
    id: id.toLowerCase(),
    tab: tab || 'general',
    query: new URLSearchParams(search),
  };
}

function viewOf(place) {
  if (place.name === null) return nowhere;
  return place.id ? vmView(app, place.id) : vmsView(app);
}

const nothing = () => {};
const nowhere = {
  title: () => 'No such page',
  render: () => [
    h('h1', { class: 'pf-v6-c-title pf-m-2xl', tabindex: '-1' }, 'There is no such page'),
    empty('There is nothing at this address', h('a', { href: '#/vms' }, 'All virtual machines')),
  ],
  load: nothing,
  event: nothing,
  go: nothing,
  leave: nothing,
};

function route() {
  if (!state.session) return;
  const place = placeOf(location.hash);
  const same = view && viewName === place.name;
  closeDialogs();
  if (!same) {
    view?.leave();
    viewName = place.name;
    view = viewOf(place);
    window.scrollTo(0, 0);
  }
  view.go(place);
  if (!same) {
    view.load();
    queueMicrotask(() => document.querySelector('h1')?.focus());
  }
  app.update();
}

// ---- a session ----

function start() {
  loadHosts();
  live = follow({
    event: onEvent,
    up(again) {
      const wasLost = state.lost;
      state.lost = false;
      if (again) loadHosts();
      view?.load(); // the first time too: what happened before the stream began was not sent
      if (wasLost) toast('success', 'Connected again');
      app.update();
    },
    down() {
      state.lost = true;
      app.update();
    },
  });
  route();
}

function end() {
  live?.stop();
  live = null;
  view?.leave();
  view = null;
  viewName = '';
  closeDialogs();
  state.session = null;
  state.lost = false;
  state.hosts = new Map();
  app.update();
  queueMicrotask(() => document.querySelector('[autofocus]')?.focus());
}

function onEvent(kind, data) {
  if (kind === 'host') state.hosts.set(data.id, data);
  view?.event(kind, data);
  app.update();
}

async function loadHosts() {
  try {
    const answer = await get('hosts');
    state.hosts = new Map((answer.host ?? []).map((host) => [host.id, host]));
    app.update();
  } catch {
    // The view's own requests tell of it.
  }
}

// Goes on in the session of this browser, which another tab may have begun.
async function goOn() {
  try {
    state.session = await resume();
  } catch {
    // The login tells of it.
  }
  state.asked = true;
  if (state.session) {
    state.expired = false;
    start();
  }
  app.update();
}

whenExpired(() => {
  if (!state.session) return;
  end();
  state.expired = true;
  goOn();
});

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && !state.session && !state.left) goOn();
});

window.addEventListener('hashchange', route);
applyTheme();
goOn();
