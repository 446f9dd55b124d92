// SPDX-License-Identifier: Apache-2.0
import { h } from './dom.js';
import { alert, button, logo } from './parts.js';

// The name stays for the next login, as after a session that has expired.
const form = { user: '', error: null, busy: false };

async function submit(app, event) {
  event.preventDefault();
  if (form.busy) return;
  const fields = event.target.elements;
  form.busy = true;
  form.error = null;
  app.update();
  try {
    await app.login(withProfile(fields.user.value.trim()), fields.password.value);
    form.error = null;
  } catch (error) {
    form.error = error;
    fields.password.value = '';
    fields.password.focus();
  }
  form.busy = false;
  app.update();
}

const withProfile = (name) => (name === '' || name.includes('@') ? name : `${name}@internal`);

function field(name, text, props) {
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
      { class: 'pf-v6-c-form__group-control' },
      h(
        'span',
        { class: 'pf-v6-c-form-control pf-m-required' },
        h('input', { id: name, name, required: true, ...props }),
      ),
    ),
  );
}

export function loginView(app) {
  return h(
    'main',
    { key: 'login', class: 'login' },
    h(
      'div',
      { class: 'pf-v6-c-card login-card' },
      h(
        'div',
        { class: 'pf-v6-c-card__title' },
        h(
          'h1',
          { class: 'pf-v6-c-card__title-text', tabindex: '-1' },
          h('span', { class: 'brand' }, logo(), 'dimmer', h('span', { class: 'brand-more' }, ' WebAdmin')),
        ),
      ),
      h(
        'div',
        { class: 'pf-v6-c-card__body' },
        app.state.expired &&
          !form.error &&
          alert('info', 'Your session has expired', {
            body: h('p', null, 'Log in again, and you are back where you were.'),
            role: 'alert',
          }),
        form.error &&
          alert('danger', 'You are not logged in', { body: h('p', null, form.error.message), role: 'alert' }),
        h(
          'form',
          { class: 'pf-v6-c-form', onsubmit: (event) => submit(app, event) },
          field('user', 'User name', {
            type: 'text',
            autocomplete: 'username',
            autofocus: form.user === '',
            value: form.user,
            oninput: (event) => {
              form.user = event.target.value;
            },
            spellcheck: 'false',
            autocapitalize: 'none',
            placeholder: 'admin@internal',
          }),
          field('password', 'Password', {
            type: 'password',
            autocomplete: 'current-password',
            autofocus: form.user !== '',
          }),
          h(
            'div',
            { class: 'pf-v6-c-form__group pf-m-action' },
            button(form.busy ? 'Logging in' : 'Log in', { type: 'submit', kind: 'primary pf-m-block' }),
          ),
        ),
      ),
    ),
  );
}
