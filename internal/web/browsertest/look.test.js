import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { bearer, field, fillLogin, newUser, open, openApp, signIn } from './kit.js';

const DIR = process.env.JOTGATE_TEST_ARTEFACTS;
const NARROW = { width: 320, height: 640 };
const WIDE = { width: 900, height: 900 };

for (const [name, options] of Object.entries({
  light: { colorScheme: 'light', viewport: WIDE },
  dark: { colorScheme: 'dark', viewport: WIDE },
  narrow: { colorScheme: 'light', viewport: NARROW },
})) {
  test(`it can be looked at: ${name}`, async (t) => {
    const context = await open(t, options);
    const username = await newUser('ada');
    const page = await openApp(context);
    const picture = async (view) => {
      await page.screenshot({ path: join(DIR, `${name}-${view}.png`), fullPage: true });
      const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(inner <= outer, `${view} is ${inner} wide on ${outer}`);
      assert.deepEqual(await page.evaluate(faint), [], view);
    };
    await picture('login');
    await fillLogin(page, username, 'not the password of ada');
    await page.locator('#login form > [role=alert]:not(:empty)').waitFor();
    await picture('refused');
    await page.getByRole('button', { name: 'Register' }).click();
    await field(page, 'Username').fill(username);
    await field(page, 'Password').fill('short');
    await page.getByRole('button', { name: 'Register' }).click();
    await page.locator('[aria-invalid]').first().waitFor();
    await picture('register');
    await signIn(await open(t, { userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1' }), username);
    await bearer(username);
    await page.getByRole('button', { name: 'Log in' }).click();
    await fillLogin(page, username, process.env.JOTGATE_TEST_PASSWORD);
    await page.getByRole('button', { name: 'End all others' }).waitFor();
    await picture('home');
  });
}

/** Returns the visible texts whose contrast is below 4.5 to 1 (WCAG 2.2, success criterion 1.4.3). */
function faint() {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = rgba(color).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (e) => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (rgba(color)[3] === 255) return color;
    }
    return 'white';
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim() !== '');
    if (!own || !e.checkVisibility()) continue;
    const [a, b] = [luminance(getComputedStyle(e).color), luminance(background(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${e.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return found;
}
