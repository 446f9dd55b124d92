// SPDX-License-Identifier: Apache-2.0
// The REST API, in JSON. The token lives in this module and nowhere else: with the page it is gone.

const BASE = '/ovirt-engine/api';
const LIMIT_MS = 20000;

let token = null;
let onExpired = () => {};

// What the server said, in its words.
export class ApiError extends Error {
  constructor(status, reason, detail, job) {
    super(detail || reason);
    this.status = status;
    this.reason = reason;
    this.job = job; // the id of the job that tells of it as well
  }
}

export class Offline extends Error {
  constructor(text = 'dimmerd does not answer.') {
    super(text);
  }
}

// Called when a token that was good is good no longer.
export function whenExpired(callback) {
  onExpired = callback;
}

async function reach(url, options) {
  try {
    return await fetch(url, { cache: 'no-store', credentials: 'omit', ...options });
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

async function sendForm(path, fields, signal) {
  return reach(path, {
    method: 'POST',
    headers: { Accept: 'application/json' },
    body: new URLSearchParams(fields),
    signal,
  });
}

function formFault(answer, body, reason) {
  return new ApiError(answer.status, reason, body.error || body.error_code || answer.statusText);
}

// { user, role }
export async function login(username, password) {
  const answer = await sendForm('/ovirt-engine/sso/oauth/token', {
    grant_type: 'password',
    scope: 'ovirt-app-api',
    username,
    password,
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw formFault(answer, body, 'Login failed');
  token = body.access_token;
  const root = await get('');
  const self = await get(root.authenticated_user.href.slice(BASE.length + 1));
  return { user: self.user_name, role: self.roles?.role?.[0]?.name ?? 'viewer' };
}

// The page forgets the token in any case. Throws where the server did not revoke it.
export async function logout() {
  const old = token;
  token = null;
  if (!old) return;
  const fields = { scope: 'ovirt-app-api', token: old };
  const run = async (until) => {
    const answer = await sendForm('/ovirt-engine/services/sso-logout', fields, until);
    return [answer, await answer.json().catch(() => ({}))];
  };
  const [answer, body] = await limited(null, run);
  if (!answer.ok) throw formFault(answer, body, 'Logout failed');
}

function faultOf(status, body, statusText) {
  const fault = body?.fault ?? body ?? {};
  const detail = (fault.detail ?? '').replace(/^\[([^]*)\]$/, '$1');
  const reason = fault.reason ?? `${status} ${statusText}`;
  return new ApiError(status, reason, detail || noDetail(status, statusText), body?.job?.id);
}

function noDetail(status, statusText) {
  return status === 404 ? 'There is no such object any more.' : `The server answered ${status} ${statusText}.`;
}

export async function raw(path, { method = 'GET', body, signal, accept = 'application/json' } = {}) {
  const used = token;
  const headers = { Accept: accept, Authorization: `Bearer ${used}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await reach(path ? `${BASE}/${path}` : BASE, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) {
    if (token === used && used !== null) {
      token = null;
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
