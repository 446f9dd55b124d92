// SPDX-License-Identifier: Apache-2.0
// Scenarios, as in scenarios.mjs, of what the dialogs propose and when they ask the server again.

import { check, equal, login, look, openVm, tell } from './browser.mjs';

const MIB = 1024 * 1024;
const doer = 'dialog footer button:not([aria-disabled])';

// A plan in which a virtio-mem device of a VM that has 1152 MiB is resized.
const resizing = (from, to) => {
  const memory = String((1152 - from + to) * MIB);
  const guaranteed = String(1024 * MIB);
  const now = { boot: guaranteed, memory: String(1152 * MIB), guaranteed, max: String(4096 * MIB) };
  const step = { op: 'resize', device: { id: 'memory' }, from: String(from * MIB), to: String(to * MIB), node: '0' };
  return { memory, guaranteed, now, next_run: { ...now, memory }, ballooned: '0', steps: { step: [step] } };
};

async function resized(page, from, to) {
  await page.route('**/memoryplan?*', (route) => route.fulfill({ json: resizing(from, to) }), { times: 1 });
  await page.fill('dialog #memory', String(1152 - from + to));
  await page.waitForSelector(`dialog .plan >> text=/is resized from ${from} MiB to ${to} MiB/`);
  const button = page.locator('dialog footer button').first();
  return {
    deed: await button.textContent(),
    risky: /pf-m-danger/.test(await button.getAttribute('class')),
    limitations: await page.locator('dialog >> text=/The guest (decides|reports)/').count(),
  };
}

export const choices = {
  // The plan of a change is asked for once, and anew where it can be another.
  async plans(page) {
    const plans = [];
    await login(page);
    await openVm(page, 'web1', 'General');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '1280');
    await page.waitForSelector(`${doer} >> text=Hot plug`);
    page.on('request', (request) => /memoryplan/.test(request.url()) && plans.push(request.url()));
    await tell('describe');
    await page.waitForSelector('dd >> text=described anew', { state: 'attached' });
    await page.waitForTimeout(1000); // a plan is asked for within 120 ms
    equal(plans, [], 'plans that were asked for where nothing of the memory has changed');
    await tell('plug');
    await page.waitForSelector('dialog .after tr:has-text("Now") >> text=1152 MiB');
    equal(plans.length > 0, true, 'a plan for the VM as it is now');
    await page.waitForSelector(`${doer} >> text=Hot plug`);

    equal(
      await resized(page, 128, 256),
      { deed: 'Hot plug', risky: false, limitations: 0 },
      'a virtio-mem device that grows',
    );
    equal(
      await resized(page, 128, 0),
      { deed: 'Hot unplug', risky: true, limitations: 1 },
      'a virtio-mem device that shrinks',
    );
  },

  // An ordinary VM, whose next run stays as it is where the balloon takes from it.
  async balloon_choices(page) {
    const chosen = async () => [await page.isChecked('dialog #balloon'), await page.isChecked('dialog #live')];
    await login(page);
    await openVm(page, 'web1', 'General');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '512');
    equal(await chosen(), [false, false], 'balloon and live at first');
    await page.check('dialog #balloon');
    equal(await chosen(), [true, true], 'balloon and live with the balloon');
    await page.uncheck('dialog #balloon');
    equal(await chosen(), [false, false], 'balloon and live without the balloon');
    await page.check('dialog #balloon');
    await page.check('dialog #next-run');
    await page.uncheck('dialog #next-run');
    await page.fill('dialog #memory', '512');
    equal(await chosen(), [false, false], 'balloon and live after the next run alone');
    await page.check('dialog #live');
    await page.check('dialog #balloon');
    await page.uncheck('dialog #balloon');
    equal(await chosen(), [false, true], 'live as the user has chosen it');
  },

  // It has no next run, so nothing is offered that needs one.
  async transient(page) {
    await login(page);
    await openVm(page, 'web1', 'General');
    await page.click('text=Change memory');
    await page.waitForSelector('dialog #guaranteed');
    equal(await page.locator('dialog #next-run, dialog #live').count(), 0, 'choices of a next run');
    await page.keyboard.press('Escape');
    equal(await page.locator('text=Enable hot plug').count(), 0, 'ways to a next run');
    await look(page, 'transient');
    await tell('define');
    await page.waitForSelector('text=Enable hot plug');
  },

  // What is proposed to small VMs, and to those of odd sizes, is taken.
  async small(page) {
    await login(page);
    await openVm(page, 'web1', 'General');
    await page.click('text=Enable hot plug');
    equal(await page.inputValue('dialog #maximum'), '1024', 'the maximum that is proposed');
    check(await page.isDisabled('dialog #shrinks'), 'a VM that is too small can be chosen to shrink');
    check(!(await page.isChecked('dialog #shrinks')), 'a VM that is too small is to shrink');
    equal(await page.locator('dialog #floor').count(), 0, 'floors');
    await page.waitForSelector('dialog #shrinks-why >> text=/512 MiB .*256 MiB/');
    await look(page, 'enable-hot-plug-small');
    await page.click('dialog footer >> text=Enable hot plug');
    await page.waitForSelector('.toasts >> text=The next run of web1 can hot plug memory');

    await page.route(/\/vms\/[^/]*\?(follow|next_run)=/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), memory: '1024000000' } });
    });
    await page.click('text=Virtual Machines');
    await openVm(page, 'web2', 'General');
    await page.click('text=Enable hot plug');
    equal(await page.inputValue('dialog #maximum'), '3840', 'the maximum that is proposed to 976.56 MiB');
    equal(await page.inputValue('dialog #floor'), '512', 'the floor that is proposed to 976.56 MiB');
    equal(await page.getAttribute('dialog footer button', 'title'), null, 'why it cannot be sent');
  },

  // It takes longer than its answer; an event tells how it ends.
  async preparing(page) {
    const under = 'text=The guest is being prepared';
    await login(page);
    await openVm(page, 'web1', 'Memory check');
    await page.route('**/prepareguest', (route) => route.fulfill({ json: { status: 'pending' } }));
    await page.click('text=Prepare guest');
    await page.waitForSelector(under);
    await page.click('[aria-label="Close: The guest is being prepared"]');
    await page.waitForSelector(under, { state: 'detached' });
    await page.click('text=Prepare guest');
    await page.waitForSelector(under);
    await tell('prepare');
    await page.waitForSelector(under, { state: 'detached' });
    await page.waitForSelector('.checked [role=status] >> text=/of VM web1 /');
    await look(page, 'guest-prepared-later');
    await tell('destroy');
    await page.waitForSelector('.checked [role=status] >> text=/of VM web1 /', { state: 'detached' });
  },
};
