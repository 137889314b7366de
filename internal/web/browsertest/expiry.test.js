import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ACCESS, cookies, countRefreshes, hello, newUser, open, signIn } from './kit.js';

test('an access token that expired is renewed unseen', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username);
  while ((await cookies(context))[ACCESS]) await page.waitForTimeout(100);
  const count = countRefreshes(context);
  const listed = page.waitForResponse((answer) => answer.url().endsWith('/v1/sessions') && answer.ok());
  await page.getByRole('button', { name: 'Reload' }).click();
  await listed;
  assert.ok(count.refreshes > 0);
  await hello(page, username);
  assert.equal(await page.locator('[role=alert]:visible').count(), 0);

  while ((await cookies(context))[ACCESS]) await page.waitForTimeout(100);
  await page.reload();
  await hello(page, username);
});
