// SPDX-License-Identifier: Apache-2.0
// A Chromium with the page, for scenarios.mjs. What happens outside the browser in the middle of a scenario is done by
// test_web.py: tell('restart') writes a line, and waits until the answer to it is read.

import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.DIMMER_WEB_TESTS}/package.json`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.DIMMER_SCREENSHOTS;
const url = process.env.DIMMER_URL;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

export function equal(is, expected, what) {
  check(
    JSON.stringify(is) === JSON.stringify(expected),
    `${what}: is ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`,
  );
}

export async function tell(what) {
  console.log(`> ${what}`);
  const { value } = await lines.next();
  equal(value, 'ok', what);
}

export async function open({ scheme = 'light', width = 1280, height = 800 } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.DIMMER_CHROMIUM, args: ['--no-sandbox'] });
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height } });
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.DIMMER_WEB_TIMEOUT ?? 60000));
  page.problems = [];
  page.strangers = [];
  page.on('pageerror', (error) => page.problems.push(error.stack));
  page.on('console', (message) => {
    // What the network says stands in the page; what breaks the Content-Security-Policy only here.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      page.problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) page.strangers.push(request.url());
  });
  page.url_ = url;
  return { browser, page };
}

export async function login(page, user = 'admin@internal', password = 'correct horse', hash = '') {
  if (!page.url().startsWith(url)) await page.goto(`${url}/ovirt-engine/webadmin/${hash}`);
  await page.fill('#user', user);
  await page.fill('#password', password);
  await page.click('button[type=submit]');
}

// As a person would: from the list.
export async function openVm(page, name, tab) {
  await page.click(`table a:text-is("${name}")`);
  await page.waitForSelector(`h1:text-is("${name}")`);
  if (tab) await page.click(`nav.pf-v6-c-tabs a:has-text("${tab}")`);
}

// A picture to keep, and what axe-core says of the page as it is.
export async function look(page, name) {
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .map((animation) =>
          animation.playState === 'running' && animation.effect.getComputedTiming().iterations !== Infinity
            ? animation.finished.catch(() => {})
            : null,
        ),
    ),
  );
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png` });
  const { violations } = await page.evaluate(`${axe};axe.run()`);
  const bad = violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  equal(bad, [], `axe-core on ${name}`);
}

export const deviceCount = (page) => page.locator('table[aria-label="Memory devices"] tbody tr').count();

export async function figure(page) {
  return (await page.textContent('.figure-size')).trim();
}

export async function waitFigure(page, text, options) {
  await page.waitForFunction(
    (wanted) => document.querySelector('.figure-size')?.textContent.trim() === wanted,
    text,
    options,
  );
}
