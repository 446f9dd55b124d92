// SPDX-License-Identifier: Apache-2.0
// Scenarios, as in scenarios.mjs, of what a VM's memory is made of, and of what can be had: balloon, virtio-mem, sizes.

import { check, equal, login, look, openVm, tell, waitFigure } from './browser.mjs';

// Parts of the map as MiB of its maximum: { kind: [MiB...] }; what is narrower than a pixel has no place in it.
async function drawn(page, maximum, within = '') {
  return page.evaluate(
    ([most, box]) => {
      const row = document.querySelector(`${box} .map-row`).getBoundingClientRect();
      const parts = {};
      for (const part of document.querySelectorAll(`${box} .map-part, ${box} .map-ballooned`)) {
        const { left, right } = part.getBoundingClientRect();
        if (left < row.left - 0.5 || right > row.right + 0.5) throw new Error(`${part.title} is outside the map`);
        const kind = part.className.match(/map-(?!part|lit)(\w+)/)[1];
        (parts[kind] ??= []).push(Math.round(((right - left) * most) / row.width));
      }
      return parts;
    },
    [maximum, within],
  );
}

async function settled(page) {
  await page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== 'running'));
}

const near = (is, expected, most, what) =>
  check(Math.abs(is - expected) <= most, `${what}: is ${is}, expected ${expected} within ${most}`);

async function everyWidth(page, name) {
  await look(page, name);
  await page.emulateMedia({ colorScheme: 'dark' });
  await look(page, `${name}-dark`);
  await page.setViewportSize({ width: 390, height: 844 });
  await look(page, `${name}-narrow`);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 800 });
}

const rowOf = (page, name) => page.locator(`table[aria-label=Memory] tr:has(td:first-child:text-is("${name}"))`);

// Of the parts of a picture to what is around them, in both colour schemes; and that forced colours leave the picture.
async function standsOut(page) {
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    const low = await page.evaluate(() => {
      const box = document.createElement('div');
      document.querySelector('.map').append(box);
      const luminance = (name) => {
        box.style.background = `var(${name})`;
        const parts = getComputedStyle(box)
          .backgroundColor.match(/[\d.]+/g)
          .map((one) => Number(one) / 255);
        const [r, g, b] = parts.map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      const contrast = (one, other) => Math.max(one / other, other / one);
      const around = ['--dm-free', '--pf-t--global--background--color--primary--default'];
      const ratios = ['boot', 'device', 'out', 'new', 'edge', 'mark'].flatMap((part) =>
        around.map((other) => [part, other, contrast(luminance(`--dm-${part}`), luminance(other))]),
      );
      box.remove();
      return ratios.filter(([, , ratio]) => ratio < 3);
    });
    equal(low, [], `contrasts below 3 to 1, ${colorScheme}`);
  }
  await page.emulateMedia({ forcedColors: 'active' });
  const colours = await page.evaluate(() =>
    ['boot', 'device', 'free'].map((part) => getComputedStyle(document.querySelector(`.map-${part}`)).backgroundColor),
  );
  equal(new Set(colours).size, 3, `colours of ${colours} where colours are forced`);
  await page.emulateMedia({ forcedColors: 'none' });
}

export const memory = {
  // An ordinary VM: what nothing else can take, the balloon can.
  async balloon(page) {
    await login(page);
    await openVm(page, 'web1', 'General');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '512');
    await page.waitForSelector('dialog .plan >> text=/Nothing of the running VM can be unplugged/');
    await page.check('dialog #balloon');
    check(await page.isChecked('dialog #live'), 'an ordinary VM would have no way up: its next run stays');
    await page.waitForSelector(
      'dialog .plan >> text=/The balloon takes 512 MiB from the guest: .* can use 512 MiB then/',
    );
    equal(
      await page.locator('dialog .after tbody tr').allTextContents(),
      [
        'Now1024 MiB1024 MiB1024 MiB1024 MiB',
        'Running VM afterwards1024 MiB512 MiB1024 MiB1024 MiB',
        'Next run1024 MiB1024 MiB1024 MiB1024 MiB',
      ],
      'the plan',
    );
    await settled(page);
    equal((await drawn(page, 1024, 'dialog')).ballooned, [512], 'what the balloon would hold');
    await everyWidth(page, 'change-memory-balloon');
    const request = page.waitForRequest((one) => one.method() === 'PUT');
    await page.click('dialog footer >> text=Take by balloon');
    check(/live=true&balloon=true/.test((await request).url()), 'the request says nothing of the balloon');
    await page.waitForSelector('.figure-usable >> text=/the guest can use 512 MiB/');
    await waitFigure(page, '1024 MiB'); // memory is what it has
    await page.waitForSelector('.jobs .pf-m-success >> text=/Balloon to take 512 MiB: done/');
    equal(await rowOf(page, 'Ballooned').textContent(), 'Ballooned512 MiB0 MiBdiffers', 'General');
    equal(await rowOf(page, 'The guest can use').textContent(), 'The guest can use512 MiB1024 MiBdiffers', 'General');
    await settled(page);
    equal(await drawn(page, 1024), { boot: [1024], ballooned: [512] }, 'the map');
    await everyWidth(page, 'ballooned');
    await page.click('text=Virtual Machines');
    await page.waitForSelector('.ballooned >> text=512 MiB ballooned');
    const bar = await page.getAttribute('.bar', 'aria-label');
    check(/ballooned 512 MiB/.test(bar), `the bar says ${bar}`);
    near(await barPart(page, 'ballooned'), 0.5, 0.01, 'the bar');
    await everyWidth(page, 'vms-ballooned');

    await openVm(page, 'web1', 'General');
    await page.click('text=Change memory');
    await page.waitForSelector('dialog >> text=/The balloon holds 512 MiB: the guest can use 512 MiB/');
    await page.click('dialog >> text=Deflate it fully');
    await page.waitForSelector('dialog .plan >> text=/The balloon gives 512 MiB back/');
    await look(page, 'change-memory-give-back');
    await page.click('dialog footer >> text=Change');
    await page.waitForSelector('.figure-usable', { state: 'detached' });
    await page.waitForSelector('.map-ballooned', { state: 'detached' });

    // More than the guest can spare: it is told as it is.
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '64');
    await page.check('dialog #balloon');
    await page.click('dialog footer >> text=Take by balloon');
    await page.waitForSelector('.jobs .pf-m-warning >> text=/to 64 MiB: partly done/');
    await page.waitForSelector(
      '.jobs .step >> text=/Balloon to take 960 MiB: stopped short.*: stopped at .*can spare/',
    );
    await page.waitForSelector('.figure-usable');
    await look(page, 'balloon-partly');

    await tell('never');
    await page.waitForSelector('text=/Yes, set up never to be used/');
    await page.click('text=Change memory');
    await page.fill('dialog #memory', '512');
    await page.waitForSelector('dialog >> text=This VM is set up never to use its balloon');
    check(await page.isDisabled('dialog #balloon'), 'the balloon of such a VM can be asked for');
  },

  // Each state that a virtio-mem device can be in. It counts what it holds, and is drawn so.
  async virtio_mem(page) {
    const pictured = ['asked', 'shrinking'];
    const shown = async (figure, parts, bar, name) => {
      await waitFigure(page, `${figure} MiB`);
      for (const kind of ['device', 'asked', 'out', 'overdue'])
        await page.waitForSelector(`.map-${kind}`, { state: parts[kind] ? 'attached' : 'detached' });
      await settled(page);
      const is = await drawn(page, 2048);
      for (const kind of Object.keys(parts)) near(is[kind][0], parts[kind], 3, `${name}: ${kind} in the map`);
      if (pictured.includes(name)) await everyWidth(page, `virtio-mem-${name}`);
      await page.click('text=Virtual Machines');
      await page.waitForSelector(`td >> text="${figure} MiB"`);
      for (const [kind, mib] of Object.entries(bar))
        near((await barPart(page, kind)) * 2048, mib, 3, `${name}: ${kind} in the list`);
      if (pictured.includes(name)) await look(page, `vms-virtio-mem-${name}`);
      await openVm(page, 'web1', 'VM Devices');
    };
    const cell = async (text) => {
      await page.waitForSelector(`table[aria-label="Memory devices"] td:has-text("${text}")`);
    };
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    await tell('plug 256');
    await cell('0 MiB256 MiB requestedof at most 1024 MiB');
    await cell('Not taken');
    await shown(256, { boot: 256, asked: 256 }, { boot: 256, asked: 256, device: 0 }, 'asked');
    await tell('load');
    await cell('256 MiBof at most 1024 MiB');
    await shown(512, { boot: 256, device: 256 }, { boot: 256, device: 256, asked: 0 }, 'taken');
    await tell('set 256');
    await cell('0 MiBof at most 1024 MiB');
    await shown(256, { boot: 256 }, { boot: 256, device: 0, out: 0 }, 'empty');
    await tell('kernel'); // what comes from now on, its kernel uses for itself
    await tell('set 512');
    await shown(512, { boot: 256, device: 256 }, { device: 256 }, 'grown');
    await tell('pin');
    await tell('set 256');
    await page.waitForSelector('.map-overdue');
    await cell('requestedof at most 1024 MiB');
    const left = parseInt(await page.textContent('.figure-size'), 10) - 256;
    check(left >= 64 && left < 256, `the device holds ${left} MiB`);
    await shown(256 + left, { boot: 256, overdue: left }, { boot: 256, out: left, device: 0 }, 'shrinking');
  },

  // 64 devices of a quarter of the maximum.
  async to_scale(page) {
    await login(page);
    await openVm(page, 'web1', 'VM Devices');
    for (const [width, one] of [
      [1280, 26],
      [390, 83],
    ]) {
      await page.setViewportSize({ width, height: 800 });
      await settled(page);
      const { boot, device, free } = await drawn(page, 32768); // one: MiB of a pixel, at least
      equal(device.length, 1, 'parts that 64 slivers are drawn as');
      near(device[0], 8192, one, `all devices at ${width}`);
      near(boot[0], 1024, one, `boot memory at ${width}`);
      near(free[0], 23552, one, `free at ${width}`);
      await look(page, `to-scale-${width}`);
    }
    for (const width of [1024, 768]) {
      await page.setViewportSize({ width, height: 800 });
      const button = await page.locator('[aria-label^="Hot Unplug"]').first().boundingBox();
      check(button.x + button.width < width, `Hot Unplug is cut off at ${width}`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await standsOut(page);
    await page.hover('table[aria-label="Memory devices"] tbody tr:nth-child(3)');
    equal(await page.locator('.map-lit').count(), 1, 'parts of the row that is pointed at');
    await page.hover('.map-device');
    await page.waitForSelector('tr.lit');
  },
};

// The width of a part of the list's first bar, of all of it.
const barPart = (page, kind) =>
  page.evaluate((part) => {
    const bar = document.querySelector('tbody .bar');
    const found = bar.querySelector(`.bar-${part}`);
    return found
      ? found.getBoundingClientRect().width / bar.querySelector('.bar-free').getBoundingClientRect().width
      : 0;
  }, kind);
