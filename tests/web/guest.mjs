// SPDX-License-Identifier: Apache-2.0
// Scenarios, as in scenarios.mjs, of what the guest tells: what can go, and what cannot and why.

import { check, deviceCount, equal, login, look, openVm, tell } from './browser.mjs';

const row = (name) => `table[aria-label=Findings] tr:has-text("${name}")`;
const checks = (page) => {
  const asked = [];
  page.on('request', (request) => /memorycheck/.test(request.url()) && asked.push(request.url()));
  return asked;
};

// For an administrator with a shell on the host, as text to copy: apart from the words for everybody.
async function command(page, within) {
  await page.waitForSelector(`${within} >> text=/In a shell on the VM's host: dimmer -c .* guest prepare web1/`);
  const printed = await page.textContent(`${within} .remedy code`);
  equal(printed.replace(/-c '.*' /, ''), 'dimmer guest prepare web1', 'the command');
}

// A device that stays, by keyboard as far as its reason; and that it is requested only when the user insists.
async function stays(page) {
  await page.waitForSelector('.can-go summary >> text=No');
  await page.focus('.can-go summary');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.can-go[open] >> text=/128 MiB of its 128 MiB are online in a kernel zone/');
  await page.waitForSelector('.can-go[open] >> text=/Remedy: prepare the guest, which makes as much/');
  await command(page, '.can-go[open]');
  await page.waitForSelector('.can-go[open] >> text=Reported by qemu-guest-agent');
  await page.waitForSelector('table[aria-label="Memory devices"] td:text-is("By the kernel")');
  await look(page, 'can-it-go');
  await page.click('[aria-label^="Hot Unplug"]');
  await page.waitForSelector('dialog [role=alert] >> text=/would stay: its guest has 128 MiB of it in a kernel zone/');
  equal(await page.getAttribute('dialog footer button', 'aria-disabled'), 'true', 'Hot Unplug of what stays');
  await look(page, 'hot-unplug-stays');
  await page.check('dialog #anyway');
  await page.waitForSelector('dialog >> text=/will probably refuse to release it/');
  await look(page, 'hot-unplug-anyway');
  await page.uncheck('dialog #anyway');
  await page.waitForSelector('dialog [role=alert] >> text=/would stay/');
  await page.check('dialog #anyway');
  await page.waitForSelector('dialog .after');
  const request = page.waitForRequest((one) => one.method() === 'DELETE');
  await page.click('dialog footer >> text=Hot Unplug');
  check(/\?try_unmovable=true&force=true$/.test((await request).url()), 'the request says nothing of trying');
  await page.waitForSelector('.jobs .step >> text=/refused after .*: the guest refused/');
  equal(await deviceCount(page), 1, 'devices');
}

async function leftOut(page) {
  await page.click('text=Change memory');
  await page.fill('dialog #memory', '512');
  await page.waitForSelector('dialog >> text=/left out, as the guest has memory of it in a kernel zone/');
  equal(await page.locator('dialog .map-goes').count(), 0, 'devices that would go');
  await page.check('dialog #anyway');
  await page.waitForSelector('dialog .map-goes');
  const plan = page.waitForRequest(/memoryplan.*memory=671088640/);
  await page.fill('dialog #memory', '640'); // what it is: nothing is to go, and nothing to try
  await page.waitForSelector('dialog #anyway', { state: 'detached' });
  plan.catch(() => {});
  await page.keyboard.press('Escape');
}

async function findings(page) {
  await page.click('nav.pf-v6-c-tabs a:has-text("Memory check")');
  await page.waitForSelector(`${row('Onlining of new memory')} >> text=Bad`);
  await page.waitForSelector(`${row('Onlining of new memory')} >> text=/online_kernel/`);
  await page.waitForSelector(`${row('Onlining of new memory')} >> text=Remedy:`);
  await command(page, row('Onlining of new memory'));
  await page.waitForSelector('.checked dl >> text=/kernel \\d/');
  await page.waitForSelector('.check-head >> text=Bad');
  const first = await page.locator('table[aria-label=Findings] tbody tr:first-child td:first-child').textContent();
  equal(first, 'Bad', 'what is read first');
  await page.locator('.checked').scrollIntoViewIfNeeded();
  await page.setViewportSize({ width: 1280, height: 1400 });
  await look(page, 'memory-check');
  await page.click('[aria-label="Switch to dark colours"]');
  await look(page, 'memory-check-dark');
  await page.setViewportSize({ width: 390, height: 844 });
  await look(page, 'memory-check-narrow');
  await page.click('nav.pf-v6-c-tabs a:has-text("VM Devices")');
  await page.click('.can-go summary');
  await page.waitForSelector('.can-go[open] >> text=Remedy:');
  await page.locator('.can-go').scrollIntoViewIfNeeded();
  await look(page, 'can-it-go-narrow');
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.click('[aria-label="Switch to light colours"]');
}

export const guest = {
  async guest_tells(page) {
    const asked = checks(page);
    await login(page);
    await openVm(page, 'web1');
    await page.waitForSelector('table[aria-label=Memory]');
    equal(asked, [], 'what the guest was asked for the tab General');
    await page.click('nav.pf-v6-c-tabs a:has-text("VM Devices")');
    await stays(page);
    await leftOut(page);
    await findings(page);

    await tell('prepare');
    await page.click('nav.pf-v6-c-tabs a:has-text("Memory check")');
    await page.focus('button:has-text("Check again")');
    await page.keyboard.press('Enter');
    await page.waitForSelector(`${row('Onlining of new memory')} >> text=Good`);
    await page.click('nav.pf-v6-c-tabs a:has-text("VM Devices")');
    await tell('plug');
    await page.waitForSelector('tr:has(.can-go) >> nth=1');
    await page.waitForSelector('.can-go summary >> text=Yes');
    equal(await page.locator('.can-go summary .pf-v6-c-label').allTextContents(), ['No', 'Yes'], 'what can go');
    const uses = await page.locator('table[aria-label="Memory devices"] td[data-label="In use"]').allTextContents();
    equal(uses, ['By the kernel', 'Movable'], 'how they are used');
    await look(page, 'can-it-go-prepared');

    await tell('fill');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '640');
    await page.waitForSelector('dialog [role=alert] >> text=/web1 can spare .* force it to try anyway/');
    await look(page, 'change-memory-needed');
    await page.check('dialog #anyway');
    await page.waitForSelector('dialog >> text=/forced beyond that/');
    await page.waitForSelector('dialog .map-goes');
    await look(page, 'change-memory-anyway');
    const request = page.waitForRequest((one) => one.method() === 'PUT');
    await page.click('dialog footer >> text=Hot unplug');
    check(/try_unmovable=true&force=true/.test((await request).url()), 'the request says nothing of trying');
    await page.waitForSelector('.jobs .step');
    check(asked.length < 12, `the guest was asked ${asked.length} times`);
  },

  async guest_is_silent(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('.table-box [aria-label="Asking the guest"]');
    await page.click('nav.pf-v6-c-tabs a:has-text("Memory check")');
    await page.waitForSelector('[role=status] >> text=The guest is being asked');
    await look(page, 'memory-check-asking');
    await page.waitForSelector('[role=alert] >> text=/the guest of web1.* did not answer within 4 s; ask again/');
    await look(page, 'memory-check-failed');
    await page.click('nav.pf-v6-c-tabs a:has-text("VM Devices")');
    await page.waitForSelector('table[aria-label="Memory devices"] >> text=Not known');
    await page.click('nav.pf-v6-c-tabs a:has-text("Memory check")');
    await tell('wake');
    for (let tries = 0; tries < 5 && (await page.locator(`${row('Can be unplugged')} >> text=Good`).count()) === 0; tries++) {
      await page.click('text=Check again');
      await page.waitForSelector('.check-head button:not([aria-disabled])');
    }
    await page.waitForSelector(`${row('Can be unplugged')} >> text=Good`);
    equal(await page.locator('[role=alert]').count(), 0, 'an error that is over');
  },
};
