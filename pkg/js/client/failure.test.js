import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World, problem } from './world.js';

const foreign = (type) => (code) => new Response(JSON.stringify({ type, code, detail: 'D' }), { status: 401, headers: { 'Content-Type': 'application/problem+json' } });

for (const [name, answer] of [
  ['of a proxy that wants a password', () => new Response('<html>', { status: 401, headers: { 'Content-Type': 'text/html' } })],
  ['of nothing', () => new Response(null, { status: 401 })],
  ['that breaks off', () => new Response('{"type":"urn:jotgate:problem:token-reused"', { status: 401, headers: { 'Content-Type': 'application/problem+json' } })],
  ['of another service', foreign('about:blank')],
  ['without a type', foreign(undefined)],
]) {
  test(`a 401 ${name} signs nobody out of a refresh or by a logout`, async () => {
    const world = new World().signedIn();
    const client = world.tab();
    await client.me();
    client.onChange((state) => assert.fail(state));
    world.next = [() => answer('token-reused')];
    await assert.rejects(client.refresh(), { name: 'ProblemError', status: 401, code: 'unknown' });
    world.next = [() => answer('no-credentials')];
    await assert.rejects(client.logout(), { name: 'ProblemError', status: 401, code: 'unknown' });
    assert.equal(await client.refresh(), true);
    assert.equal(world.keys[1], world.keys[0]);
  });
}

test('an API may say that a token is stale with a type of its own', async () => {
  const world = new World().signedIn();
  world.next = [() => foreign('about:blank')('invalid-token')];
  assert.equal((await world.tab().fetch('/api/x')).status, 200);
  assert.equal(world.count('POST /v1/refresh'), 1);
});

const challenged = (value) => () => Response.json({ detail: 'D' }, { status: 401, headers: { 'WWW-Authenticate': value } });

for (const [challenge, refreshes, status] of [
  ['Bearer realm="jotgate"', 2, 200], // missing, and missing again
  ['Bearer realm="jotgate", error="invalid_token"', 1, 401],
  ['Bearer realm="jotgate2"', 0, 401],
  ['Bearer realm="api", error="invalid_token"', 0, 401],
  ['Basic realm="jotgate"', 0, 401],
]) {
  test(`an API that says ${challenge} and no more has a session refreshed ${refreshes} times`, async () => {
    const world = new World().signedIn();
    const refused = challenged(challenge);
    world.next = [refused, undefined, refused];
    assert.equal((await world.tab().fetch('/api/x')).status, status);
    assert.equal(world.count('POST /v1/refresh'), refreshes);
  });
}

test('a problem document says more than the challenge beside it', async () => {
  const world = new World().signedIn();
  world.next = [() => problem(401, 'bad-credentials', { 'WWW-Authenticate': 'Bearer realm="jotgate"' })];
  assert.equal((await world.tab().fetch('/v1/login', { method: 'POST' })).status, 401);
  assert.equal(world.count('POST /v1/refresh'), 0);
});
