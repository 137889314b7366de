import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ACCESS, PASSWORD, REFRESH, api, bearer, cookies, field, fillLogin, hello, loggedOut, newUser, open, openApp, signIn, text } from './kit.js';

test('who registers is signed in, and still is after a reload', async (t) => {
  const context = await open(t);
  const page = await openApp(context);
  await page.getByRole('button', { name: 'Register' }).click();
  const username = `ada-${process.pid}`;
  await field(page, 'Username').fill(username);
  await field(page, 'Email (optional)').fill(`${username}@example.com`);
  await field(page, 'Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Register' }).click();
  await hello(page, username);
  await page.reload();
  await hello(page, username);
  assert.equal(new URL(page.url()).pathname, '/app');
  await text(page.getByRole('definition'), `${username}@example.com`);
});

test('the browser keeps the cookies from scripts, from other hosts and from clear text', async (t) => {
  const context = await open(t);
  const page = await signIn(context, await newUser('ada'));
  const kept = await cookies(context);
  assert.deepEqual(Object.keys(kept).sort(), [ACCESS, REFRESH]);
  for (const cookie of Object.values(kept)) {
    const { httpOnly, secure, sameSite, path, domain } = cookie;
    // A domain without a dot before it is of a cookie for this host alone.
    assert.deepEqual({ httpOnly, secure, sameSite, path, domain }, { httpOnly: true, secure: true, sameSite: 'Strict', path: '/', domain: 'localhost' });
    assert.ok(cookie.expires > Date.now() / 1000);
  }
  assert.equal(await page.evaluate(() => document.cookie), '');
  const stored = await page.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, await indexedDB.databases(), await caches.keys()]));
  assert.doesNotMatch(stored, /eyJ/);
});

test('a script can neither read nor replace the cookies', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username);
  const before = await cookies(context);
  await page.evaluate((names) => {
    for (const name of names) {
      document.cookie = `${name}=x; path=/; secure`;
      document.cookie = `${name}=; path=/; secure; max-age=0`;
    }
  }, [ACCESS, REFRESH]);
  assert.deepEqual(await cookies(context), before);
});

test('a wrong password is said aloud, and nothing else is', async (t) => {
  const page = await openApp(await open(t));
  await fillLogin(page, await newUser('ada'), 'not the password of ada');
  const alert = page.locator('#login form > [role=alert]');
  await text(alert, 'Identifier or password is wrong.');
  await page.locator('#login-password:focus').waitFor();
  assert.equal(await page.locator('[role=alert]:visible').count(), 1);
});

test('what is wrong with a field is tied to it', async (t) => {
  const page = await openApp(await open(t));
  await page.getByRole('button', { name: 'Register' }).click();
  await page.getByRole('button', { name: 'Register' }).click();
  const username = field(page, 'Username');
  const password = field(page, 'Password');
  assert.match(await described(username), /^Please fill this in\.$/);
  assert.equal(await username.getAttribute('aria-invalid'), 'true');
  await page.locator('#register-username:focus').waitFor();

  await username.fill(await newUser('ada'));
  await password.fill('short');
  await page.getByRole('button', { name: 'Register' }).click();
  await page.locator('#register-password[aria-invalid]').waitFor();
  assert.equal(await username.getAttribute('aria-invalid'), null);
  assert.match(await described(password), /15 characters.*Long beats complicated/);
  assert.equal(await page.locator('#register-password-error').getAttribute('role'), 'alert');
});

/** Returns the description that assistive technology reads for a field. */
function described(field) {
  return field.evaluate((e) => e.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id).textContent).join(' '));
}

test('the keyboard is enough', async (t) => {
  const context = await open(t);
  const page = await openApp(context);
  const username = await newUser('ada');
  await tabTo(page, 'login-identifier');
  await page.keyboard.type(username);
  await tabTo(page, 'login-password');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await hello(page, username);
  await page.locator('#hello:focus').waitFor();
  await page.keyboard.press('Shift+Tab');
  await page.locator('#logout:focus-visible').waitFor();
  await page.keyboard.press('Enter');
  await loggedOut(page);
  await page.locator('#login-title:focus').waitFor();
  assert.deepEqual(await cookies(context), {});
});

async function tabTo(page, id) {
  for (let i = 0; i < 10; i++) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement.id)) === id) return;
  }
  assert.fail(`Tab does not reach ${id}`);
}

test('a session that ended elsewhere is noticed at the next act', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username);
  const token = await bearer(username);
  const { json } = await api('GET', '/v1/sessions', { token });
  const [here] = json.sessions.filter((s) => s.mode === 'cookie');
  assert.equal((await api('DELETE', `/v1/sessions/${here.id}`, { token })).status, 204);
  await page.getByRole('button', { name: 'Reload' }).click();
  await loggedOut(page);
  await text(page.getByRole('status'), 'You are logged out.');
  assert.deepEqual(await cookies(context), {});
});

test('one session is ended, then all others, and this one goes on', async (t) => {
  const username = await newUser('ada');
  const page = await signIn(await open(t), username);
  const other = await signIn(await open(t, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }), username);
  await bearer(username);
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.getByRole('button', { name: /^End the session of Firefox on Linux/ }).click();
  await text(page.getByRole('status'), 'The session has ended.');
  await other.getByRole('button', { name: 'Reload' }).click();
  await loggedOut(other);
  await page.getByRole('button', { name: 'End all others' }).click();
  await text(page.getByRole('status'), 'Every other session has ended.');
  assert.equal(await page.locator('#sessions li').count(), 1);
  await page.reload();
  await hello(page, username);
});

test('a changed password ends the other sessions and is the one that counts', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username);
  const other = await signIn(await open(t), username);
  const change = async (current, next) => {
    await field(page, 'Current password').fill(current);
    await field(page, 'New password').fill(next);
    await page.getByRole('button', { name: 'Change it' }).click();
  };
  const next = 'tr0ub4dor and some more words';
  await change('not the password of ada', next);
  await page.locator('#current-password:focus').waitFor();
  await text(page.locator('#password [role=alert]'), 'wrong');
  await change(PASSWORD, next);
  await text(page.getByRole('status'), 'Your password is changed');
  assert.equal(await field(page, 'New password').inputValue(), '');
  await other.getByRole('button', { name: 'Reload' }).click();
  await loggedOut(other);
  await bearer(username, next);
});

test('a server that is away signs nobody out', async (t) => {
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username);
  await context.setOffline(true);
  await page.getByRole('button', { name: 'Reload' }).click();
  await text(page.getByRole('alert'), 'The server cannot be reached.');
  await context.setOffline(false);
  await page.route('**/v1/me', (route) => route.abort());
  await page.reload();
  await text(page.getByRole('alert'), 'The server cannot be reached.');
  await page.unroute('**/v1/me');
  await page.getByRole('button', { name: 'Try again' }).click();
  await hello(page, username);
});
