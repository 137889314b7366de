// What the tests share: one browser, contexts that are watched for errors, and a
// way to the API beside the browser.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

export const ORIGIN = process.env.JOTGATE_TEST_URL;
export const PASSWORD = process.env.JOTGATE_TEST_PASSWORD;
export const ACCESS = '__Host-Http-jotgate-access';
export const REFRESH = '__Host-Http-jotgate-refresh';

const PATIENCE = 30_000;
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

let browser;
let users = 0;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.JOTGATE_TEST_CHROMIUM, headless: true, args: FLAGS });
});

after(() => browser?.close());

/**
 * Opens a browser context for the test t, as Playwright's options say. An error that a page does not catch fails the
 * test, and so does what a policy stops, unless foreign pages are there to be stopped.
 */
export async function open(t, { foreign = false, ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  const complaints = [];
  context.setDefaultTimeout(PATIENCE);
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    if (/Content Security Policy|Trusted Type/i.test(message.text()) && !foreign) complaints.push(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  return context;
}

/** Opens the app in a new tab. */
export async function openApp(context, origin = ORIGIN) {
  const page = await context.newPage();
  await page.goto(`${origin}/app`);
  await page.locator('h1:visible').waitFor();
  return page;
}

/** Registers a user of that name, made unique, beside the browser. */
export async function newUser(name) {
  const username = `${name}-${++users}-${process.pid}`;
  const { status } = await api('POST', '/v1/users', { body: { username, password: PASSWORD } });
  assert.equal(status, 201);
  return username;
}

/** Opens the app in context and signs username in. */
export async function signIn(context, username, origin) {
  const page = await openApp(context, origin);
  await fillLogin(page, username, PASSWORD);
  await hello(page, username);
  return page;
}

/** Returns the visible field of that label. */
export function field(page, label) {
  return page.getByRole('textbox', { name: label, exact: true });
}

export async function fillLogin(page, username, password) {
  await field(page, 'Username or email').fill(username);
  await field(page, 'Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Waits until the page greets username. */
export function hello(page, username) {
  return page.getByRole('heading', { name: `Hello, ${username}` }).waitFor();
}

/** Waits until the page shows the way in. */
export function loggedOut(page) {
  return page.getByRole('heading', { name: 'Log in' }).waitFor();
}

/** Waits for an element to have this text, and returns it. */
export function text(locator, wanted) {
  return locator.filter({ hasText: wanted }).first().waitFor();
}

/** Returns the cookies of the API by name. */
export async function cookies(context) {
  const all = await context.cookies(ORIGIN);
  return Object.fromEntries(all.map((cookie) => [cookie.name, cookie]));
}

/** Lets the browser forget the access cookie, as it does when that expires. */
export async function expireAccess(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.deleteCookies', { name: ACCESS, url: ORIGIN });
  await devtools.detach();
  assert.equal((await cookies(page.context()))[ACCESS], undefined);
}

/** Counts the refreshes that the pages of a context ask for from now on. */
export function countRefreshes(context) {
  const count = { refreshes: 0 };
  context.on('request', (request) => {
    if (new URL(request.url()).pathname === '/v1/refresh') count.refreshes++;
  });
  return count;
}

/** Calls the API beside the browser. */
export async function api(method, path, { token, body } = {}) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(ORIGIN + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: answer.status, json: answer.status === 204 ? null : await answer.json() };
}

/** Signs in beside the browser and returns the access token. */
export async function bearer(username, password = PASSWORD) {
  const { status, json } = await api('POST', '/v1/login', { body: { identifier: username, password } });
  assert.equal(status, 200);
  return json.access_token;
}
