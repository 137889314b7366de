import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ORIGIN, countRefreshes, expireAccess, fillLogin, hello, loggedOut, newUser, open, openApp, signIn, PASSWORD } from './kit.js';

/** Reloads the list of sessions in a page and waits until it is there. */
async function act(page) {
  const listed = page.waitForResponse((answer) => answer.url() === `${ORIGIN}/v1/sessions` && answer.ok());
  await page.getByRole('button', { name: 'Reload' }).click();
  await listed;
}

test('tabs that refresh together do it once, and stay signed in', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const tabs = [await signIn(context, username), await openApp(context)];
  const count = countRefreshes(context);
  for (let round = 1; round <= 5; round++) {
    await expireAccess(tabs[0]);
    await Promise.all(tabs.map(act));
    assert.equal(count.refreshes, round);
  }
  await Promise.all(tabs.map((page) => page.reload()));
  await Promise.all(tabs.map((page) => hello(page, username)));
});

test('tabs that were not told do it once as well', async (t) => {
  const context = await open(t);
  await context.addInitScript(() => delete globalThis.BroadcastChannel);
  const tabs = [await signIn(context, await newUser('ada')), await openApp(context)];
  const count = countRefreshes(context);
  for (let round = 1; round <= 5; round++) {
    await expireAccess(tabs[0]);
    await Promise.all(tabs.map(act));
    assert.equal(count.refreshes, round);
  }
});

test('tabs without locks stay signed in', async (t) => {
  const context = await open(t);
  await context.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
  const username = await newUser('ada');
  const tabs = [await signIn(context, username), await openApp(context)];
  for (let round = 1; round <= 5; round++) {
    await expireAccess(tabs[0]);
    await Promise.all(tabs.map(act));
  }
  await tabs[1].reload();
  await hello(tabs[1], username);
});

test('who logs out, and in, in one tab does so in the other', async (t) => {
  const context = await open(t);
  const [ada, grace] = [await newUser('ada'), await newUser('grace')];
  const tabs = [await signIn(context, ada), await openApp(context)];
  await hello(tabs[1], ada);
  await tabs[0].getByRole('button', { name: 'Log out' }).click();
  await Promise.all(tabs.map(loggedOut));
  await fillLogin(tabs[1], grace, PASSWORD);
  await Promise.all(tabs.map((page) => hello(page, grace)));
});
