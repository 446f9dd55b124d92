// SPDX-License-Identifier: Apache-2.0
// A scenario, as in scenarios.mjs: the way from an ordinary VM to one that shrinks.

import { check, equal, login, look, openVm, tell, waitFigure } from './browser.mjs';

async function enable(page) {
  await page.click('text=Enable hot plug');
  equal(await page.inputValue('dialog #maximum'), '4096', 'the maximum that is proposed');
  equal(await page.inputValue('dialog #floor'), '512', 'the floor that is proposed');
  await page.fill('dialog #maximum', '');
  equal(await page.getAttribute('dialog footer button', 'title'), 'Type a number of MiB', 'why it cannot be sent');
  await page.fill('dialog #maximum', '4096');
  await page.fill('dialog #floor', '256');
  await page.click('dialog footer >> text=Enable hot plug');
  await page.waitForSelector('dialog [role=alert] >> text=/256 MiB.*512 MiB/');
  check(await page.isVisible('dialog #force'), 'who knows better cannot insist');
  await look(page, 'enable-hot-plug-low');
  await page.fill('dialog #floor', '512');
  await page.setViewportSize({ width: 390, height: 844 });
  await look(page, 'enable-hot-plug-narrow');
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.click('dialog footer >> text=Enable hot plug');
  await page.waitForSelector('.toasts >> text=The next run of web1 can hot plug memory');
  await page.waitForSelector('text=web1 can hot plug memory from its next start on');
  equal(await page.locator('dialog').count(), 0, 'dialogs');
  await look(page, 'hot-plug-next');
}

export const setup = {
  async setting_up(page) {
    await login(page);
    await page.waitForSelector('td >> text=No hot plug');
    await openVm(page, 'web1', 'General');
    await page.waitForSelector('text=web1 cannot hot plug memory: it has boot memory alone');
    await look(page, 'no-hot-plug');
    await enable(page);

    await page.click('text=Power cycle');
    await page.waitForSelector('dialog >> text=/Its guest is asked to shut down/');
    equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel', 'what has the focus');
    await page.click('dialog footer >> text=Power cycle');
    await tell('go_down');
    const boots = { timeout: 90000 }; // emulated, on a busy machine
    await page.waitForSelector('text=web1 can hot plug memory from its next start on', { ...boots, state: 'detached' });
    await waitFigure(page, '1024 MiB', boots);
    await page.waitForSelector('.map-device', boots);
    await tell('agent'); // its driver comes long before its agent
    await look(page, 'born-shrinkable');

    await page.click('nav.pf-v6-c-tabs a:has-text("Memory check")');
    await page.click('text=Prepare guest');
    await page.waitForSelector('[role=status] >> text=/What is hot plugged from now on can be hot unplugged/', boots);
    await look(page, 'guest-prepared');
    await tell('lower');
    await waitFigure(page, '512 MiB', boots);
  },
};
