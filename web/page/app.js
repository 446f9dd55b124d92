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
 * Whoever changes state calls app.update(), and everything is described anew; dom.js changes only what differs.
 */

import { get, login, logout, whenExpired } from './api.js';
import { closeAll } from './dialog.js';
import { h, render } from './dom.js';
import { follow } from './live.js';
import { loginView } from './login.js';
import { toast } from './parts.js';
import { applyTheme } from './theme.js';
import { shell } from './shell.js';
import { vmView } from './vm.js';
import { vmsView } from './vms.js';

const state = {
  session: null, // { user, role }
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
  // Why nothing can be changed; null: it can.
  whyNot() {
    return state.session.role === 'admin'
      ? null
      : `${state.session.user} has the role ${state.session.role} and may look, but not change anything`;
  },
  hostName: (id) => (id ? (state.hosts.get(id)?.name ?? '') : ''),
  retry: () => live?.now(),
  async login(user, password) {
    state.session = await login(user, password);
    state.expired = false;
    start();
  },
  async logout() {
    end();
    await logout();
    toast('success', 'You are logged out');
  },
};

function draw() {
  queued = false;
  const root = document.getElementById('app');
  const focused = document.activeElement;
  drawInto(root);
  // What had the focus may be gone, such as the row of a device: whoever uses the keyboard goes on from the heading.
  if (focused !== document.body && !focused.isConnected) root.querySelector('[autofocus], h1')?.focus();
}

function drawInto(root) {
  if (!state.session) {
    document.title = 'Log in - dimmer';
    render(root, loginView(app));
    return;
  }
  document.title = `${view.title()} - dimmer`;
  render(root, shell(app, h('div', { key: viewName }, view.render())));
}

// ---- the place ----

function placeOf(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split('?');
  const [first, id, tab] = path.split('/');
  return {
    name: first === 'vms' && id ? `vms/${id}` : 'vms',
    id,
    tab: tab || 'general',
    query: new URLSearchParams(search),
  };
}

function route() {
  if (!state.session) return;
  const place = placeOf(location.hash);
  const same = view && viewName === place.name;
  if (!same) {
    view?.leave();
    closeAll();
    viewName = place.name;
    view = place.id ? vmView(app, place.id) : vmsView(app);
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
      view?.load(); // the first time too: what happened before the stream began was not told
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
  closeAll();
  state.session = null;
  state.lost = false;
  state.hosts = new Map();
  app.update();
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

whenExpired(() => {
  if (!state.session) return;
  end();
  state.expired = true;
  app.update();
});

window.addEventListener('hashchange', route);
applyTheme();
app.update();
