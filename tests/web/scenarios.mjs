// SPDX-License-Identifier: Apache-2.0
// usage: node scenarios.mjs NAME
// What a person does with WebAdmin, each as a function; test_web.py prepares the guests and says which.

import { check, deviceCount, equal, figure, login, look, open, openVm, tell, waitFigure } from './browser.mjs';
import { choices } from './choices.mjs';
import { guest } from './guest.mjs';
import { memory } from './memory.mjs';
import { setup } from './setup.mjs';
import { trouble } from './trouble.mjs';

const scenarios = {
  ...choices,
  ...guest,
  ...memory,
  ...setup,
  ...trouble,

  async logging_in(page) {
    await page.goto(page.url_);
    check(page.url().endsWith('/ovirt-engine/webadmin/'), `/ leads to ${page.url()}`);
    await look(page, 'login');
    await login(page, 'admin@internal', 'wrong');
    await page.waitForSelector('text=The user name or password is incorrect', { state: 'attached' }).catch(() => {});
    const said = await page.textContent('[role=alert]');
    check(/Cannot authenticate user admin@internal/.test(said), `the login says: ${said}`);
    await look(page, 'login-wrong');
    await login(page, 'admin'); // the profile is added
    await page.waitForSelector('table');
    const kept = await page.evaluate(() => [
      document.cookie,
      JSON.stringify(localStorage),
      JSON.stringify(sessionStorage),
    ]);
    equal(kept, ['', '{}', '{}'], 'what the browser keeps');
    await page.click('text=Log out');
    await page.waitForSelector('#password');
    await page.reload();
    await page.waitForSelector('#password');
  },

  async list(page) {
    await login(page);
    await page.waitForSelector('table');
    const names = () => page.locator('tbody tr td:first-child').allTextContents();
    equal(await names(), ['db1', 'web1', 'web2'], 'the list');
    await look(page, 'vms');
    await page.click('th button:has-text("Memory")');
    await page.waitForFunction(() => document.querySelector('th[aria-sort=ascending]')?.textContent.includes('Memory'));
    await page.waitForFunction(() => document.querySelector('tbody td')?.textContent === 'web2');
    await page.goBack();
    await page.waitForFunction(() => document.querySelector('tbody td')?.textContent === 'db1');
    await page.fill('#search', 'name=web* and memory > 600');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    equal(await names(), ['web1'], 'what was found');
    check(page.url().includes('search=name'), `the address has no search: ${page.url()}`);
    await page.fill('#search', 'colour=green');
    await page.waitForSelector(".pf-m-danger >> text=the search 'colour=green' cannot be read at character 1");
    await look(page, 'vms-wrong-search');
    await page.fill('#search', 'nothing*');
    await page.waitForSelector('text=No VM matches');
    await page.fill('#search', '');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 3);
    await tell('define');
    await page.waitForSelector('tbody >> text=new1'); // without a reload
    const at = (hash) => page.evaluate((to) => (location.hash = to), hash);
    await at('#/vms?page=x1&sort=colour'); // nonsense in an address is as if it were not there
    await page.waitForSelector('th[aria-sort=ascending]:has-text("Name")');
    equal(await page.locator('.pf-m-danger').count(), 0, 'complaints about the address');
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    for (const odd of ['#foo/bar', '#/vms/../hosts', '#/vms/1/2/3']) {
      await at(odd);
      await page.waitForSelector('h1:text-is("There is no such page")');
    }
    equal(
      asked.filter((url) => /hosts|foo/.test(url)),
      [],
      'what odd addresses asked for',
    );
    await at('#/vms/00000000-0000-4000-8000-000000000000');
    await page.waitForSelector('h1:text-is("There is no such VM")');
    await at('#/vms');
    await page.waitForSelector('tbody >> text=new1');
    await page.click('[aria-label="Switch to dark colours"]');
    await look(page, 'vms-dark');
    await page.setViewportSize({ width: 390, height: 844 });
    await look(page, 'vms-narrow');
  },

  async example(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await waitFigure(page, '1792 MiB');
    equal(await deviceCount(page), 4, 'devices');
    await look(page, 'devices');
    await page.click('text=Change memory');
    // Dragged with the mouse first: the plan follows, and the field shows the same.
    const slider = await page.locator('dialog input[type=range]').boundingBox();
    const typed = await page.inputValue('dialog #memory');
    await page.mouse.move(slider.x + slider.width * 0.6, slider.y + slider.height / 2);
    await page.mouse.down();
    await page.mouse.move(slider.x + slider.width * 0.35, slider.y + slider.height / 2, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction((before) => document.querySelector('dialog #memory').value !== before, typed);
    await page.fill('dialog #memory', '1400');
    await page.fill('dialog #guaranteed', '900');
    await page.waitForSelector('dialog .plan >> text=/128 MiB.* is hot unplugged/');
    const rows = await page.locator('dialog .after tbody tr').allTextContents();
    equal(
      rows,
      [
        'Now1792 MiB1792 MiB4096 MiB',
        'Running VM afterwards1408 MiB900 MiB4096 MiB',
        'Next run1400 MiB900 MiB4096 MiB',
      ],
      'the plan',
    );
    equal(await page.locator('dialog .map-goes').count(), 2, 'devices that would go');
    check(
      await page.isVisible('dialog >> text=All blocks of the device must be onlined as movable'),
      'the warning is missing',
    );
    await look(page, 'change-memory');
    await page.setViewportSize({ width: 390, height: 844 });
    await look(page, 'change-memory-narrow');
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.click('dialog footer >> text=Hot unplug');
    await page.waitForSelector('dialog', { state: 'detached' });
    await waitFigure(page, '1408 MiB');
    await page.waitForFunction(
      () => document.querySelectorAll('table[aria-label="Memory devices"] tbody tr').length === 2,
    );
    await page.waitForSelector('.jobs .pf-m-success');
    const steps = await page.locator('.jobs .step').allTextContents();
    check(steps.length === 2 && steps.every((text) => /: removed after /.test(text)), `the steps say ${steps}`);
    await page.waitForSelector('.head >> text=Next run');
    await look(page, 'devices-after');
    await page.click('[aria-label="Switch to dark colours"]');
    await look(page, 'devices-dark');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '1280');
    await page.waitForSelector('dialog .map-goes');
    await look(page, 'change-memory-dark');
    await page.keyboard.press('Escape');
    await page.setViewportSize({ width: 390, height: 844 });
    await look(page, 'devices-narrow');
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.click('[aria-label="Switch to light colours"]');
    await page.click('nav.pf-v6-c-tabs >> text=General');
    await page.waitForSelector('table[aria-label=Memory] >> text=1400 MiB');
    const memory = await page.locator('table[aria-label=Memory] tbody tr').allTextContents();
    equal(memory.slice(0, 2), ['Memory1408 MiB1400 MiBdiffers', 'Physical memory guaranteed900 MiB900 MiB'], 'General');
    await look(page, 'general');
    await page.click('nav.pf-v6-c-tabs >> text=Events');
    await page.waitForSelector('text=/has been released/');
    await look(page, 'events');
    await page.click('nav.pf-v6-c-tabs >> text=Jobs');
    await page.waitForSelector('table[aria-label=Jobs] >> text=Finished');
    await look(page, 'jobs');
    await page.setViewportSize({ width: 390, height: 844 });
    await look(page, 'jobs-narrow');
  },

  async growing(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    const started = parseInt(await figure(page), 10);
    await page.click('text=Change memory');
    await page.waitForSelector('dialog .after');
    await tell('plug'); // the dialog follows what happens behind it
    const before = started + 128;
    await page.waitForSelector(`dialog .after tr:has-text("Now") >> text=${before} MiB`);
    equal(await page.inputValue('dialog #memory'), String(before), 'the memory, unchanged so far');
    const plans = [];
    page.on('request', (request) => /memoryplan/.test(request.url()) && plans.push(request.url()));
    for (const [text, said] of [
      ['', 'Type a number of MiB'],
      ['1e30', 'No VM can have so much memory'],
      ['1300.5', 'Type whole MiB'],
    ]) {
      await page.fill('dialog #memory', text);
      await page.waitForSelector(`dialog #memory-problem:text-is("${said}")`);
      equal(await page.getAttribute('dialog footer button', 'title'), said, 'why it cannot be sent');
    }
    equal(plans, [], 'what the server was asked about nonsense');
    await look(page, 'change-memory-nonsense');
    await page.fill('dialog #memory', '99999');
    await page.waitForSelector('dialog [role=alert] >> text=/above its maximum of 4096 MiB/');
    check(!/dimmer|--/.test(await page.textContent('dialog [role=alert]')), 'the page gives advice for a command line');
    await page.fill('dialog #memory', String(before + 1000));
    await page.waitForSelector('dialog [role=alert] >> text=/multiple of/');
    check(
      (await page.getAttribute('dialog footer button', 'aria-disabled')) === 'true',
      'a plan that cannot be can be sent',
    );
    await page.click(`dialog .near >> text=${before + 896} MiB`);
    await page.waitForSelector('dialog .map-new');
    equal(await page.inputValue('dialog #memory'), String(before + 896), 'the size that was offered');
    // Each stop of the slider can be had.
    await page.focus('dialog input[type=range]');
    for (const more of [1024, 1152]) {
      await page.keyboard.press('ArrowRight');
      await page.waitForSelector(`dialog .after tr:has-text("Running VM afterwards") >> text=${before + more} MiB`);
    }
    const slid = await page.locator('dialog input[type=range]').boundingBox();
    await page.mouse.click(slid.x + slid.width * 0.71, slid.y + slid.height / 2);
    equal((Number(await page.inputValue('dialog #memory')) - before) % 128, 0, 'where the slider stops');
    equal(await page.locator('dialog [role=alert]').count(), 0, 'complaints of the slider');
    await page.fill('dialog #memory', String(before + 1000));
    await page.waitForSelector('dialog .near');
    await look(page, 'change-memory-wrong');
    await page.fill('dialog #memory', String(before + 1024));
    await page.selectOption('dialog #kind', 'fine');
    // 256, 512 and 256 MiB, beside the 128 that are there
    await page.waitForFunction(() => document.querySelectorAll('dialog .map-new').length === 3);
    await look(page, 'change-memory-grow');
    // Somebody else is faster by less than an event takes.
    const faster = async (route) => {
      await tell('plug');
      await route.continue();
    };
    await page.route('**/vms/*?async=true*', faster, { times: 1 });
    await page.click('dialog footer >> text=Hot plug');
    await page.waitForSelector(`dialog [role=alert] >> text=/it is ${before + 128} MiB, expected/`);
    await page.waitForSelector(`dialog .after tr:has-text("Now") >> text=${before + 128} MiB`);
    await page.waitForFunction(() => document.querySelectorAll('dialog .map-new').length === 3);
    await page.click('dialog footer >> text=Hot plug');
    await waitFigure(page, `${before + 1024} MiB`);
    equal(await deviceCount(page), 5, 'devices');
  },

  // By keyboard alone, from the button to the outcome.
  async unplug(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('table[aria-label="Memory devices"]');
    await page.focus('[aria-label^="Hot Unplug"]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog .after');
    await look(page, 'hot-unplug');
    equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel', 'what has the focus');
    const place = page.url();
    await page.goBack();
    await page.waitForSelector('dialog', { state: 'detached' });
    equal(page.url(), place, 'the place after going back');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog .after');
    await page.keyboard.press('Escape');
    check(
      (await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? '')).startsWith('Hot Unplug'),
      'the focus did not come back',
    );
    equal(await deviceCount(page), 1, 'devices after Cancel');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog .after');
    await page.keyboard.press('Shift+Tab');
    equal(await page.evaluate(() => document.activeElement.textContent), 'Hot Unplug', 'what has the focus');
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=There are no memory devices');
    await page.waitForSelector('.jobs >> text=removed after');
    await look(page, 'hot-unplug-after');
  },

  async refusal(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('.can-go summary >> text=Yes');
    await page.click('[aria-label^="Hot Unplug"]');
    await page.waitForSelector('dialog .after');
    await page.click('dialog footer >> text=Hot Unplug');
    await page.waitForSelector('.jobs .pf-m-danger >> text=/VM web1: refused/');
    await page.waitForSelector('.jobs .step >> text=/refused after .*: the guest refused/');
    equal(await deviceCount(page), 1, 'devices');
    await page.waitForSelector('table[aria-label="Memory devices"] >> text=Present');
    equal(await page.locator('.toasts .pf-v6-c-alert').count(), 0, 'a refusal that is shown a second time');
    await page.waitForSelector('.can-go summary >> text=Refused before');
    equal(await page.locator('.can-go summary >> text=Yes').count(), 0, 'what can go, just after it was refused');
    await page.waitForSelector('.jobs .pf-m-danger >> text=/Remedy:/');
    await look(page, 'refused');
  },

  async silence(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await page.click('[aria-label^="Hot Unplug"]');
    await page.waitForSelector('dialog .after');
    await page.click('dialog footer >> text=Hot Unplug');
    await page.waitForSelector('.jobs >> text=asked; waiting for the guest');
    await page.waitForSelector('.map-out');
    await look(page, 'asked');
    await page.waitForSelector('.jobs .pf-m-warning >> text=/: overdue/');
    await page.waitForSelector('table[aria-label="Memory devices"] >> text=Overdue');
    await look(page, 'overdue');
    await page.click('[aria-label^="Hot Unplug"]');
    await page.waitForSelector('dialog >> text=/already asked to release dimm .* and has not answered yet/');
    await look(page, 'hot-unplug-again');
    await page.keyboard.press('Escape');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '1280');
    await page.waitForSelector('dialog >> text=/an earlier request to release 128 MiB is still unanswered/');
    await look(page, 'change-memory-while-going');
    await page.keyboard.press('Escape');
    await page.click('text=Virtual Machines');
    await page.waitForSelector('.bar-out');
    await look(page, 'vms-overdue');
    // With the VM the device goes, and its job says one thing.
    await openVm(page, 'web1', 'VM Devices');
    await tell('destroy');
    await page.waitForSelector('.jobs .pf-m-danger >> text=/stopped before its guest had answered/');
    equal(await page.locator('.jobs .step strong').allTextContents(), ['not done'], 'the step');
    check(!/can still/.test(await page.textContent('.jobs')), 'the job of a stopped VM waits');
    await page.waitForSelector('text=They are added by hot plug while a VM runs');
    await look(page, 'stopped');
  },

  // The two pictures of docs/; scripts/screenshots copies them there.
  async pictures(page) {
    await page.setViewportSize({ width: 1200, height: 640 });
    await login(page);
    await page.waitForSelector('.bar-out');
    await page.mouse.move(0, 0);
    await look(page, 'webadmin-vms');
    await openVm(page, 'web1', 'VM Devices');
    await page.waitForSelector('.can-go >> nth=2');
    await page.setViewportSize({ width: 1200, height: 810 });
    await page.mouse.move(0, 0);
    await look(page, 'webadmin-devices');
  },

  async many(page) {
    await page.goto(page.url_);
    const paint = await page.evaluate(
      () =>
        new Promise((resolve) => {
          new PerformanceObserver((list) => {
            const [entry] = list.getEntriesByName('first-contentful-paint');
            if (entry) resolve(entry.startTime);
          }).observe({ type: 'paint', buffered: true });
        }),
    );
    await login(page);
    let begun = Date.now();
    await page.waitForSelector('tbody tr');
    const list = Date.now() - begun;
    equal(await page.textContent('.pager [role=status]'), '1–50 of 10,000', 'the pager');
    begun = Date.now();
    await page.fill('#search', 'name=vm0999*');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 10);
    const found = Date.now() - begun;
    await page.fill('#search', '');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 50);
    begun = Date.now();
    await page.click('[aria-label="Last page"]');
    await page.waitForSelector('text=Page 200 of 200');
    await page.waitForSelector('tbody >> text=vm09999');
    const last = Date.now() - begun;
    await look(page, 'vms-10000');
    console.log(
      `10,000 VMs: first paint ${Math.round(paint)} ms, list after login ${list} ms (with the password's hash), ` +
        `search result ${found} ms (of which 250 wait for typing to end), last page ${last} ms`,
    );
  },
};

const { browser, page } = await open();
try {
  await scenarios[process.argv[2]](page);
  equal(page.problems, [], 'what the browser complains of');
  equal(page.strangers, [], 'requests that left the server');
  console.log('passed');
} catch (error) {
  await page.screenshot({ path: `${process.env.DIMMER_SCREENSHOTS}/failed-${process.argv[2]}.png` }).catch(() => {});
  console.log(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
