// SPDX-License-Identifier: Apache-2.0
// Scenarios, as in scenarios.mjs, of what goes wrong while the page is open, and of those who may not do everything.

import { check, equal, login, look, openVm, tell, waitFigure } from './browser.mjs';

export const trouble = {
  // What happens to the VM, and to what the page knows of it, while a dialog is open.
  async dialogs(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    const lost = 'dialog >> text=The connection to dimmerd is lost';
    const says = async (name) => {
      await page.waitForSelector('dialog [role=alert] >> text=There is nothing to do any more');
      equal(await page.locator('dialog footer button').allTextContents(), ['Close'], `${name}: what can be done`);
      await look(page, name);
      await page.click('dialog footer >> text=Close');
      await page.waitForSelector('dialog', { state: 'detached' });
    };

    await page.click('[aria-label^="Hot Unplug"]');
    await page.waitForSelector('dialog .after');
    await tell('stop');
    await page.waitForSelector(lost);
    equal(await page.getAttribute('dialog footer button', 'aria-disabled'), 'true', 'Hot Unplug while lost');
    await look(page, 'dialog-lost');
    await tell('start');
    await page.waitForSelector(lost, { state: 'detached' });
    await page.waitForSelector('dialog footer button:not([aria-disabled]) >> text=Hot Unplug');
    await tell('detach');
    await says('dialog-device-gone');

    await page.click('text=Change memory');
    await page.fill('dialog #memory', '1152');
    await page.waitForSelector('dialog .map-new');
    await tell('suspend');
    await page.waitForSelector('dialog >> text=web1 is paused now');
    await page.waitForSelector('dialog .after tr:has-text("Running VM afterwards") >> text=1024 MiB');
    await look(page, 'change-memory-paused-now');
    await page.keyboard.press('Escape');
    await page.click('text=Change memory');
    await page.waitForSelector('dialog >> text=only its next run can be changed');
    await look(page, 'change-memory-paused');
    await tell('resume');
    await page.waitForSelector('dialog #next-run');
    await tell('destroy');
    await page.fill('dialog #memory', '2048');
    await page.waitForSelector('dialog .after tr:has-text("Next run afterwards") >> text=2048 MiB');
    equal(await page.locator('dialog .after tr').count(), 3, 'rows for a VM that is off');
    equal(await page.locator('dialog .map-boot').getAttribute('title'), 'Boot memory, 2048 MiB', 'the map');
    await look(page, 'change-memory-off');
    // A plan that does not come.
    await page.clock.install();
    await page.route('**/memoryplan?*', () => {});
    const begun = page.waitForRequest('**/memoryplan?*');
    await page.fill('dialog #memory', '1536');
    await page.clock.runFor(1000);
    await begun;
    await page.clock.runFor(30000);
    await page.waitForSelector('dialog >> text=dimmerd has not answered for 20 seconds');
    await page.unroute('**/memoryplan?*');
    await page.click('dialog >> text=Try again');
    await page.waitForSelector('dialog .after tr:has-text("Next run afterwards") >> text=1536 MiB');
    await page.click('dialog footer >> text=Change');
    await page.waitForSelector('.toasts >> text=The next run of web1 is changed');
    await page.click('.toasts [aria-label^=Close]');
    await page.waitForSelector('.toasts .pf-v6-c-alert', { state: 'detached' });
    await waitFigure(page, '1536 MiB');
    await page.click('text=Change memory');
    await page.waitForSelector('dialog .after');
    await tell('undefine');
    await says('dialog-vm-gone');
    await page.waitForSelector('h1:text-is("web1 is gone")');
    await look(page, 'vm-gone');
  },

  async viewer(page) {
    await login(page, 'viewer@internal', 'battery staple');
    await openVm(page, 'web1', 'VM Devices');
    const buttons = page.locator('button:has-text("Hot Unplug"), button:has-text("Change memory")');
    equal(await buttons.count(), 2, 'buttons');
    for (const one of await buttons.all()) {
      equal(await one.getAttribute('aria-disabled'), 'true', 'disabled');
      check(/role viewer/.test(await one.getAttribute('title')), 'the button does not say why');
      await one.click({ force: true });
    }
    equal(await page.locator('dialog').count(), 0, 'dialogs');
    check(await page.isVisible('text=You can look, but not change anything'), 'the page does not say why');
    check(await page.isVisible("text=/'dimmerd user role viewer@internal admin'/"), 'the page does not say what helps');
    await look(page, 'viewer');
  },

  async expiry(page) {
    await login(page);
    await page.waitForSelector('table');
    const token = (await page.context().cookies()).find((cookie) => cookie.name.startsWith('dimmer_session')).value;
    await openVm(page, 'web1', 'VM Devices');
    await page.click('[aria-label^="Hot Unplug"]');
    await page.waitForSelector('dialog .after');
    const place = page.url();
    await tell(`expire ${token}`); // without a click: the server ends the stream
    await page.waitForSelector('text=Your session has expired');
    equal(await page.locator('dialog, table').count(), 0, 'what is left to see');
    await look(page, 'expired');
    equal(await page.inputValue('#user'), 'admin@internal', 'the name for the next login');
    equal(await page.evaluate(() => document.activeElement.id), 'password', 'what has the focus');
    await login(page);
    await page.waitForSelector('table[aria-label="Memory devices"]');
    equal(page.url(), place, 'the place after the login');
  },

  // It survives a reload and holds in a second tab, and no script can read it.
  async session(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('table[aria-label="Memory devices"]');
    const place = page.url();
    const [cookie, ...more] = await page.context().cookies();
    equal([cookie.httpOnly, cookie.sameSite, cookie.expires, more.length], [true, 'Strict', -1, 0], 'the cookie');
    equal(await page.evaluate(() => document.cookie), '', 'what a script can read');
    await page.reload();
    await page.waitForSelector('table[aria-label="Memory devices"]');
    equal(page.url(), place, 'the place after a reload');
    const tab = await page.context().newPage();
    await tab.goto(page.url_);
    await tab.waitForSelector('td >> text=web1');
    check(await tab.isVisible('text=admin@internal'), 'who it is, in the second tab');
    await tab.click('text=Log out');
    await tab.waitForSelector('#password');
    await page.waitForSelector('text=Your session has expired');
    await login(tab);
    await tab.waitForSelector('td >> text=web1');
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // as when one comes back to it
    await page.waitForSelector('table[aria-label="Memory devices"]');
    equal(page.url(), place, 'the place, logged in by the other tab');
    await tab.close();
  },

  async logging_out(page) {
    await login(page);
    await page.waitForSelector('table');
    await tell('stop');
    await page.waitForSelector('text=The connection to dimmerd is lost');
    await page.click('text=Log out');
    await page.waitForSelector('.toasts >> text=/it was not ended: dimmerd does not answer/');
    check(!(await page.isVisible('text=You are logged out')), 'the page says that the session has ended');
    await look(page, 'logout-failed');
    await page.click('.toasts [aria-label^=Close]');
    await tell('start');
    await login(page);
    await page.waitForSelector('table');
    // In the server's words, as where its database is full.
    const full = { status: 500, json: { reason: 'Operation Failed', detail: '[cannot write the database]' } };
    await page.route('**/webadmin/session', (route) => route.fulfill(full));
    await page.click('text=Log out');
    await page.waitForSelector('.toasts >> text=/it was not ended: cannot write the database/');
    await page.unroute('**/webadmin/session');
    await login(page);
    await page.waitForSelector('table');
    await page.click('text=Log out');
    await page.waitForSelector('.toasts >> text=You are logged out');
  },

  async restart(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('table[aria-label="Memory devices"]');
    await tell('stop');
    await page.waitForSelector('text=The connection to dimmerd is lost');
    check(
      /lost/.test(await page.locator('[aria-label^="Hot Unplug"]').getAttribute('title')),
      'the button does not say why',
    );
    await look(page, 'lost');
    await tell('start');
    await page.waitForSelector('text=The connection to dimmerd is lost', { state: 'detached' });
    await tell('plug');
    await page.waitForFunction(
      () => document.querySelectorAll('table[aria-label="Memory devices"] tbody tr').length === 2,
    );
  },
};
