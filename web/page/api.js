// SPDX-License-Identifier: Apache-2.0
// The REST API, in JSON. The session's token is in a cookie, out of this page's reach; with each request goes what proves
// that it is this page's: see src/api/session.c.

const BASE = '/ovirt-engine/api';
const SESSION = '/ovirt-engine/webadmin/session';
const LIMIT_MS = 20000;

let csrf = null;
let onExpired = () => {};

// What the server said, in its words.
export class ApiError extends Error {
  constructor(status, reason, detail, job, code) {
    super(detail || reason);
    this.status = status;
    this.reason = reason;
    this.code = code; // stable: see docs/api.md
    this.job = job; // the id of the job that tells of it as well
  }
}

export class Offline extends Error {
  constructor(text = 'dimmerd does not answer.') {
    super(text);
  }
}

// Called when a session that was good is good no longer.
export function whenExpired(callback) {
  onExpired = callback;
}

async function reach(url, options) {
  try {
    return await fetch(url, { cache: 'no-store', credentials: 'same-origin', ...options });
  } catch (error) {
    throw error.name === 'AbortError' || error instanceof Offline ? error : new Offline();
  }
}

// Runs what asks and reads the answer, and ends it when it has taken too long. signal: the caller's own, or none.
async function limited(signal, run) {
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Offline(`dimmerd has not answered for ${LIMIT_MS / 1000} seconds.`)),
    LIMIT_MS,
  );
  try {
    return await run(signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
  } finally {
    clearTimeout(timer);
  }
}

// { user, role } of what the server answered; null: there is no session.
async function sessionOf(answer) {
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw faultOf(answer.status, body, answer.statusText);
  csrf = body.csrf_token;
  return { user: body.user_name, role: body.role };
}

export async function login(username, password) {
  const body = new URLSearchParams({ username, password });
  return sessionOf(await reach(SESSION, { method: 'POST', headers: { Accept: 'application/json' }, body }));
}

// The session of this browser, as after a reload or in a second tab; null: none.
export async function resume() {
  return limited(null, async (signal) => sessionOf(await reach(SESSION, { signal })));
}

// The page leaves the session in any case. Throws where the server did not end it.
export async function logout() {
  const headers = { Accept: 'application/json', 'X-CSRF-Token': csrf };
  csrf = null;
  await limited(null, async (signal) => sessionOf(await reach(SESSION, { method: 'DELETE', headers, signal })));
}

function faultOf(status, body, statusText) {
  const fault = body?.fault ?? body ?? {};
  const detail = (fault.detail ?? '').replace(/^\[([^]*)\]$/, '$1');
  const reason = fault.reason ?? `${status} ${statusText}`;
  return new ApiError(status, reason, detail || noDetail(status, statusText), body?.job?.id, fault.code);
}

function noDetail(status, statusText) {
  return status === 404 ? 'There is no such object any more.' : `The server answered ${status} ${statusText}.`;
}

export async function raw(path, { method = 'GET', body, signal, accept = 'application/json' } = {}) {
  const used = csrf;
  const headers = { Accept: accept, 'X-CSRF-Token': used };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await reach(path ? `${BASE}/${path}` : BASE, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) {
    if (csrf === used && used !== null) {
      csrf = null;
      onExpired();
    }
    throw new ApiError(401, 'Not logged in', 'Your session has expired.');
  }
  return answer;
}

// { body, status, headers }. patient: it may take its time.
export async function ask(path, { patient = false, signal, ...options } = {}) {
  const run = async (until) => {
    const got = await raw(path, { ...options, signal: until });
    return [got, await got.text()];
  };
  const [answer, text] = await (patient ? run(signal) : limited(signal, run));
  let body = {};
  try {
    body = text ? JSON.parse(text) : {};
  } catch {
    throw new ApiError(answer.status, 'Not JSON', `The server answered ${answer.status}, and not in JSON.`);
  }
  if (!answer.ok) throw faultOf(answer.status, body, answer.statusText);
  return { body, status: answer.status, headers: answer.headers };
}

export async function get(path, options) {
  return (await ask(path, options)).body;
}

export function query(parameters) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  return new URLSearchParams(kept).toString();
}
