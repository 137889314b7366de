import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ORIGIN, PASSWORD, bearer, cookies, hello, newUser, open, openApp, signIn } from './kit.js';

const PORT = process.env.JOTGATE_TEST_FOREIGN_PORT;

/** Pages that attack, and what the browser thinks of them. */
const PLACES = [
  { url: `http://127.0.0.1:${PORT}/`, what: 'another site' },
  { url: `http://elsewhere.localhost:${PORT}/`, what: 'another site below localhost' },
  { url: `http://localhost:${PORT}/`, what: 'another origin of the same site, which gets SameSite cookies sent' },
];

const WRITES = [
  ['POST', '/v1/logout'],
  ['POST', '/v1/refresh'],
  ['DELETE', '/v1/sessions'],
  ['DELETE', '/v1/me'],
  ['PATCH', '/v1/me'],
  ['POST', '/v1/me/password'],
  ['POST', '/v1/login'],
  ['POST', '/v1/users'],
];

/** Opens the page that attacks in the victim's browser, and notes what the API answers to it. */
async function attacker(context, url) {
  const answers = [];
  context.on('response', async (answer) => {
    const { origin, pathname } = new URL(answer.url());
    if (origin !== ORIGIN || answer.request().method() === 'GET') return;
    answers.push({ method: answer.request().method(), path: pathname, status: answer.status(), cookies: answer.headers()['set-cookie'] });
  });
  const page = await context.newPage();
  await page.goto(url);
  return { page, answers };
}

/** Fetches from the page as a script there would, in every way there is. Returns what the script learns. */
function fetches(page, method, path, body) {
  return page.evaluate(async ({ url, method, body }) => {
    const learned = [];
    for (const mode of ['cors', 'no-cors', 'same-origin']) {
      for (const type of [null, 'text/plain', 'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
        if (method === 'GET' && type) continue;
        try {
          const headers = type ? { 'Content-Type': type } : {};
          const answer = await fetch(url, { method, mode, credentials: 'include', headers, body: type ? body : undefined });
          learned.push(answer.type === 'opaque' ? 'nothing' : `${answer.status} ${await answer.text()}`);
        } catch (err) {
          learned.push('nothing');
        }
      }
    }
    return learned;
  }, { url: ORIGIN + path, method, body });
}

/** Submits a form on the page into a frame, and waits until that has loaded. */
function submits(page, path, enctype, [name, value]) {
  return page.evaluate(({ url, enctype, name, value }) => new Promise((done) => {
    const frame = document.createElement('iframe');
    frame.name = `frame-${Math.random()}`;
    document.body.append(frame);
    const form = document.createElement('form');
    Object.assign(form, { action: url, method: 'post', enctype, target: frame.name });
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    form.append(input);
    document.body.append(form);
    setTimeout(() => {
      frame.addEventListener('load', done);
      form.submit();
    });
  }), { url: ORIGIN + path, enctype, name, value });
}

for (const { url, what } of PLACES) {
  test(`a page of ${what} changes nothing for who is signed in`, async (t) => {
    const context = await open(t, { foreign: true });
    const username = await newUser('ada');
    const app = await signIn(context, username);
    await bearer(username); // another session, which could be ended
    const before = await cookies(context);
    const { page, answers } = await attacker(context, url);
    const login = JSON.stringify({ identifier: username, password: PASSWORD, mode: 'cookie' });
    for (const [method, path] of WRITES) {
      const learned = await fetches(page, method, path, path === '/v1/login' ? login : JSON.stringify({ current_password: PASSWORD, new_password: `${PASSWORD}!`, username: 'mallory' }));
      assert.deepEqual(new Set(learned), new Set(['nothing']), `${method} ${path}`);
    }
    for (const path of ['/v1/logout', '/v1/refresh', '/v1/me/password', '/v1/login']) {
      await submits(page, path, 'text/plain', [login.slice(0, -1) + ',"device":"', '"}']);
      await submits(page, path, 'application/x-www-form-urlencoded', ['refresh_token', 'x']);
      await submits(page, path, 'multipart/form-data', ['refresh_token', 'x']);
    }
    // The attack took place: the API was asked, and refused.
    for (const path of ['/v1/logout', '/v1/refresh', '/v1/login', '/v1/me/password']) {
      assert.ok(answers.filter((a) => a.path === path && a.status >= 400).length >= 3, `no attack on ${path}: ${JSON.stringify(answers)}`);
    }
    assert.deepEqual(answers.filter((a) => a.status < 400), []);
    assert.deepEqual(await cookies(context), before);
    await app.reload();
    await hello(app, username);
    assert.equal(await app.locator('#sessions li').count(), 2);
    await bearer(username); // the password is as it was
  });

  test(`a page of ${what} reads nothing`, async (t) => {
    const context = await open(t, { foreign: true });
    await signIn(context, await newUser('ada'));
    const { page } = await attacker(context, url);
    for (const path of ['/v1/me', '/v1/sessions', '/v1/forward-auth', '/app', '/openapi.json']) {
      assert.deepEqual(new Set(await fetches(page, 'GET', path)), new Set(['nothing']), path);
    }
    const framed = await page.evaluate((src) => new Promise((done) => {
      const frame = document.createElement('iframe');
      frame.addEventListener('load', () => {
        try {
          done(`read ${frame.contentDocument?.title ?? 'nothing'}`);
        } catch {
          done('read nothing');
        }
      });
      frame.src = src;
      document.body.append(frame);
    }), `${ORIGIN}/app`);
    assert.equal(framed, 'read nothing');
    assert.ok(page.frames().every((frame) => !frame.url().startsWith(ORIGIN)), 'the app is in a frame');
  });

  test(`a page of ${what} signs nobody in`, async (t) => {
    const context = await open(t, { foreign: true });
    const mallory = await newUser('mallory');
    const { page, answers } = await attacker(context, url);
    const body = JSON.stringify({ identifier: mallory, password: PASSWORD, mode: 'cookie' });
    await fetches(page, 'POST', '/v1/login', body);
    await submits(page, '/v1/login', 'text/plain', [body.slice(0, -1) + ',"device":"', '"}']);
    await submits(page, '/v1/login', 'application/x-www-form-urlencoded', ['identifier', mallory]);
    assert.ok(answers.length >= 5, JSON.stringify(answers));
    assert.deepEqual(answers.filter((a) => a.status < 400 || a.cookies), []);
    assert.deepEqual(await cookies(context), {});
    const app = await openApp(context);
    await app.getByRole('heading', { name: 'Log in' }).waitFor();
  });
}
