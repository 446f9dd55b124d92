// SPDX-License-Identifier: Apache-2.0
// Light or dark: what the system prefers, until somebody chooses.

const KEY = 'dimmer-theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');

function chosen() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden
  }
}

export function isDark() {
  const choice = chosen();
  return choice ? choice === 'dark' : system.matches;
}

export function applyTheme() {
  document.documentElement.classList.toggle('pf-v6-theme-dark', isDark());
}

export function toggleTheme() {
  const next = isDark() ? 'light' : 'dark';
  try {
    localStorage.setItem(KEY, next);
  } catch {
    document.documentElement.classList.toggle('pf-v6-theme-dark', next === 'dark');
    return;
  }
  applyTheme();
}

system.addEventListener('change', applyTheme);
