// Against the real program, whose URL is in JOTGATE_URL.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AuthError, InvalidTokenError, createVerifier, followRevocations, hasScope, refuse } from '../index.js';
import { serve } from './issuer.js';
import { until } from './revoker.js';

const issuer = process.env.JOTGATE_URL;
const { JOTGATE_IDENTIFIER: identifier, JOTGATE_PASSWORD: password } = process.env;

async function login(mode) {
  const res = await fetch(`${issuer}/v1/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Origin: issuer },
    body: JSON.stringify({ identifier, password, mode }),
  });
  assert.equal(res.status, 200);
  const cookie = res.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  return { cookie, ...(await res.json()) };
}

test('a service verifies what the program issues', { skip: !issuer && 'JOTGATE_URL is not set' }, async (t) => {
  const verifier = await createVerifier({ issuer, audience: issuer });
  const url = await serve(t, async (req, res) => {
    try {
      const claims = await verifier.authenticate(req);
      res.end(JSON.stringify({ sub: claims.sub, sid: claims.sid, mode: claims.mode, reads: hasScope(claims, 'read') }));
    } catch (err) {
      assert.ok(err instanceof AuthError, err);
      refuse(res, err);
    }
  });
  const bearer = await login('bearer');
  const browser = await login('cookie');
  const ask = async (method, headers) => {
    const res = await fetch(url, { method, headers });
    return { status: res.status, body: await res.json() };
  };
  const header = { Authorization: `Bearer ${bearer.access_token}` };

  assert.deepEqual((await ask('POST', header)).body, {
    sub: bearer.user.id, sid: bearer.session.id, mode: 'bearer', reads: false,
  });
  assert.deepEqual((await ask('GET', { Cookie: browser.cookie })).body, {
    sub: browser.user.id, sid: browser.session.id, mode: 'cookie', reads: false,
  });
  assert.equal((await ask('POST', { Cookie: browser.cookie, 'Sec-Fetch-Site': 'same-origin' })).status, 200);
  assert.equal((await ask('POST', { Cookie: browser.cookie, Origin: 'https://evil.example' })).body.code, 'csrf-rejected');
  const raw = /jotgate-access=([^;]+)/.exec(browser.cookie)[1];
  assert.equal((await ask('GET', { Authorization: `Bearer ${raw}` })).body.code, 'invalid-token');
  assert.equal((await ask('GET', {})).body.code, 'no-credentials');

  await assert.rejects(verifier.verify(bearer.refresh_token), InvalidTokenError);
  const neighbour = await createVerifier({ issuer, audience: 'https://other.example.com' });
  await assert.rejects(neighbour.verify(bearer.access_token), InvalidTokenError);
});

test('a service learns of a logout', { skip: !issuer && 'JOTGATE_URL is not set' }, async (t) => {
  const feed = followRevocations({ issuer, onStale: 'refuse' });
  t.after(() => feed.close());
  await feed.ready();
  const verifier = await createVerifier({ issuer, audience: issuer, feed });
  const [leaving, staying] = [await login('bearer'), await login('bearer')];
  await verifier.verify(leaving.access_token);
  const headers = { Authorization: `Bearer ${leaving.access_token}` };
  assert.equal((await fetch(`${issuer}/v1/logout`, { method: 'POST', headers })).status, 204);
  await until(() => verifier.verify(leaving.access_token).then(() => false, (err) => err instanceof InvalidTokenError));
  assert.equal((await verifier.verify(staying.access_token)).sid, staying.session.id);
  assert.equal(feed.lastError, undefined);
});
