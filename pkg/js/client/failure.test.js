import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World } from './world.js';

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
