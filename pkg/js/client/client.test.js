import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createClient, ProblemError } from './client.js';
import { ORIGIN, World, json, lost, problem, settle } from './world.js';

test('login asks for cookies and says who signed in', async () => {
  const world = new World();
  const answer = await world.tab().login({ identifier: 'ada', password: 'p' });
  assert.equal(answer.user.id, 'U1');
  assert.deepEqual(JSON.parse(world.bodies[0]), { identifier: 'ada', password: 'p', mode: 'cookie' });
});

test('an error has what the problem document says', async () => {
  const world = new World();
  world.next = [() => problem(429, 'rate-limited', { 'Retry-After': '7' })];
  await assert.rejects(world.tab().login({ identifier: 'ada', password: 'p' }), (err) => {
    assert.ok(err instanceof ProblemError);
    const { name, code, status, requestId, retryAfter } = err;
    assert.deepEqual({ name, code, status, requestId, retryAfter }, { name: 'ProblemError', code: 'rate-limited', status: 429, requestId: 'R1', retryAfter: 7 });
    assert.equal(err.errors[0].pointer, '/password');
    return true;
  });
});

test('an error of somebody else is a ProblemError too', async () => {
  for (const answer of [new Response('<html>', { status: 502 }), new Response('{', { status: 502, headers: { 'Content-Type': 'application/problem+json' } })]) {
    const world = new World();
    world.next = [() => answer];
    await assert.rejects(world.tab().register({ username: 'ada', password: 'p' }), { name: 'ProblemError', status: 502, code: 'unknown', errors: [] });
  }
});

for (const access of ['stale', 'none']) {
  test(`a request with an access cookie that is ${access} is refreshed and sent once more`, async () => {
    const world = new World().signedIn(access);
    assert.equal((await world.tab().me()).user.id, 'U1');
    assert.deepEqual(world.log, ['GET /v1/me', 'POST /v1/refresh', 'GET /v1/me']);
  });
}

test('it is sent once more, and not again', async () => {
  const world = new World().signedIn();
  const stale = () => problem(401, 'invalid-token');
  world.next = [stale, undefined, stale];
  await assert.rejects(world.tab().me(), { code: 'invalid-token' });
  assert.deepEqual(world.log, ['GET /v1/me', 'POST /v1/refresh', 'GET /v1/me']);
});

test('another 401 is not refreshed', async () => {
  const world = new World().signedIn();
  for (const other of [() => problem(401, 'bad-credentials'), () => new Response('', { status: 401 }), () => problem(403, 'invalid-token')]) {
    world.next = [other];
    await world.tab().fetch('/api/x');
  }
  assert.equal(world.count('POST /v1/refresh'), 0);
});

test('a body is sent again', async () => {
  for (const body of ['text', new URLSearchParams('a=b'), new Blob(['blob'])]) {
    const world = new World().signedIn('stale');
    const answer = await world.tab().fetch('/api/x', { method: 'POST', body });
    assert.equal(answer.status, 204);
    assert.equal(world.bodies[0], world.bodies[2]);
    assert.notEqual(world.bodies[2], '');
  }
});

test('a Request is sent again', async () => {
  const world = new World().signedIn('stale');
  const answer = await world.tab().fetch(new Request(`${ORIGIN}/api/x`, { method: 'PUT', body: 'text' }));
  assert.equal(answer.status, 204);
  assert.deepEqual(world.bodies, ['text', '', 'text']);
});

test('a stream is not sent again, and the next request finds a fresh token', async () => {
  const world = new World().signedIn('stale');
  const client = world.tab();
  const answer = await client.fetch('/api/x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' });
  assert.equal(answer.status, 401);
  assert.equal(world.count('POST /api/x'), 1);
  assert.equal((await client.fetch('/api/x')).status, 200);
  assert.equal(world.count('POST /v1/refresh'), 1);
});

test('the answer of a request that a refresh could not save can be read', async () => {
  const world = new World();
  const answer = await world.tab().fetch('/api/x');
  assert.equal((await answer.json()).code, 'no-credentials');
});

test('cookies go to the origin of the server and to no other', async () => {
  const world = new World().signedIn();
  const client = world.tab();
  for (const url of ['https://elsewhere.example.com/x', '//elsewhere.example.com/x', 'http://auth.example.com/x', new Request('https://elsewhere.example.com/')]) {
    await assert.rejects(client.fetch(url), TypeError);
  }
  assert.deepEqual(world.log, []);
});

test('requests of one tab share a refresh', async () => {
  for (const options of [{}, { locks: null, BroadcastChannel: null, storage: null }]) {
    const world = new World().signedIn('stale');
    const client = world.tab(options);
    await Promise.all([client.me(), client.sessions(), client.fetch('/api/x')]);
    assert.equal(world.count('POST /v1/refresh'), 1);
  }
});

test('tabs share a refresh', async () => {
  const world = new World().signedIn('stale');
  const [a, b] = [world.tab(), world.tab()];
  await Promise.all([a.me(), b.me()]);
  assert.equal(world.count('POST /v1/refresh'), 1);
});

test('tabs share a refresh although no message arrives in time', async () => {
  const world = new World().signedIn('stale');
  world.deaf = true;
  const [a, b] = [world.tab(), world.tab()];
  await Promise.all([a.me(), b.me()]);
  assert.equal(world.count('POST /v1/refresh'), 1);
});

test('a tab without locks hears that another one has refreshed', async () => {
  const world = new World().signedIn('stale');
  const [a, b] = [world.tab({ locks: null }), world.tab({ locks: null })];
  let release;
  // b's request is under way while a refreshes, and is refused when that is done.
  world.next = [() => new Promise((done) => (release = done))];
  const late = b.me();
  await settle();
  await a.refresh();
  await settle();
  release(problem(401, 'invalid-token'));
  await late;
  assert.deepEqual(world.log, ['GET /v1/me', 'POST /v1/refresh', 'GET /v1/me']);
});

test('a refresh that others made before the request does not count', async () => {
  const world = new World().signedIn('stale');
  const [a, b] = [world.tab(), world.tab()];
  await a.me();
  await settle();
  world.access = 'stale';
  await b.me();
  assert.equal(world.count('POST /v1/refresh'), 2);
});

test('a refresh in the future does not count', async () => {
  const world = new World().signedIn('stale');
  world.held.push({ name: `jotgate:${ORIGIN}:refreshed:${Date.now() + 1e9}` });
  const client = world.tab();
  world.channels.values().next().value.onmessage({ data: { type: 'refreshed', at: Infinity } });
  await client.me();
  assert.equal(world.count('POST /v1/refresh'), 1);
});

test('the same key comes with a refresh until its answer has come', async () => {
  const world = new World().signedIn('stale');
  const client = world.tab();
  world.next = [undefined, lost];
  await assert.rejects(client.me(), TypeError);
  world.next = [() => new Response('', { status: 504 })];
  await assert.rejects(client.refresh(), { status: 504 });
  await assert.rejects(world.tab({ fetch: async (...a) => (await world.fetch(...a), lost()) }).refresh(), TypeError);
  assert.equal(await client.refresh(), true);
  assert.equal(new Set(world.keys).size, 1);
  assert.match(world.keys[0], /^[0-9a-f]{32}$/);
  await client.refresh();
  assert.notEqual(world.keys.at(-1), world.keys[0]);
});

test('the key is kept without a storage, and beside one that is full or holds nonsense', async () => {
  const full = { getItem: () => null, setItem: lost, removeItem() {} };
  const nonsense = { getItem: () => '\u0000', setItem() {}, removeItem() {} };
  for (const [storage, same] of [[null, true], [full, true], [nonsense, false]]) {
    const world = new World().signedIn();
    const client = world.tab({ storage });
    world.next = [lost];
    await assert.rejects(client.refresh(), TypeError);
    await client.refresh();
    assert.equal(world.keys[0] === world.keys[1], same);
    assert.match(world.keys[1], /^[0-9a-f]{32}$/);
  }
});

test('a refresh that is refused signs all tabs out, once', async () => {
  const world = new World().signedIn();
  const heard = [];
  const [a, b] = [world.tab(), world.tab()];
  a.onChange((state) => heard.push(`a ${state}`));
  b.onChange((state) => heard.push(`b ${state}`));
  await Promise.all([a.me(), b.me()]);
  world.access = world.refresh = 'none';
  await assert.rejects(a.me(), { code: 'no-credentials' });
  await settle();
  assert.equal(await a.refresh(), false);
  await assert.rejects(b.me(), { code: 'no-credentials' });
  await settle();
  assert.deepEqual(heard, ['a signed-out', 'b signed-out']);
});

test('429, 503 and a lost network sign nobody out', async () => {
  const world = new World().signedIn('stale');
  const client = world.tab();
  client.onChange((state) => assert.fail(state));
  for (const [failure, want] of [
    [() => problem(429, 'rate-limited'), { code: 'rate-limited' }],
    [() => problem(503, 'overloaded'), { code: 'overloaded' }],
    [() => problem(403, 'csrf-rejected'), { code: 'csrf-rejected' }],
    [lost, { name: 'TypeError' }],
  ]) {
    world.next = [undefined, failure];
    await assert.rejects(client.me(), want);
  }
  assert.equal((await client.me()).user.id, 'U1');
});

test('a failure in its turn does not stop the turns of others', async () => {
  for (const options of [{}, { locks: null }]) {
    const world = new World().signedIn();
    const client = world.tab(options);
    world.next = [lost];
    const [failed, went] = await Promise.allSettled([client.refresh(), client.refresh()]);
    assert.equal(failed.status, 'rejected');
    assert.equal(went.value, true);
  }
});

test('login and logout reach all tabs', async () => {
  const world = new World();
  const [a, b] = [world.tab(), world.tab()];
  const heard = [];
  b.onChange((state) => heard.push(state));
  await a.login({ identifier: 'ada', password: 'p' });
  await settle();
  await a.logout();
  await settle();
  assert.deepEqual(heard, ['signed-in', 'signed-out']);
});

test('login waits for a refresh that is under way', async () => {
  const world = new World().signedIn();
  let release;
  world.slow = new Promise((done) => (release = done));
  const [a, b] = [world.tab(), world.tab()];
  const both = [a.refresh(), b.login({ identifier: 'grace', password: 'p' })];
  await settle();
  assert.deepEqual(world.log, ['POST /v1/refresh']);
  release();
  await Promise.all(both);
  assert.deepEqual(world.log, ['POST /v1/refresh', 'POST /v1/login']);
});

test('a message that comes after what it tells of has passed changes nothing', async () => {
  const world = new World();
  const client = world.tab();
  const [channel] = world.channels;
  const before = Date.now() - 1;
  await client.login({ identifier: 'ada', password: 'p' });
  client.onChange((state) => assert.fail(state));
  for (const data of [{ type: 'signed-out', at: before }, { type: 'signed-in', at: before }, { type: 'signed-out' }, null, 'signed-out', { type: 'x', at: Date.now() }]) {
    channel.onmessage({ data });
  }
});

test('logout of a session that is over is no error, and one that fails is', async () => {
  const world = new World();
  await world.tab().logout();
  world.signedIn().next = [() => problem(503, 'unavailable')];
  const client = world.tab();
  await client.me().catch(() => {});
  client.onChange((state) => assert.fail(state));
  world.next = [() => problem(503, 'unavailable')];
  await assert.rejects(client.logout(), { code: 'unavailable' });
});

test('ending another session signs nobody out, ending this one does', async () => {
  const world = new World().signedIn();
  const client = world.tab();
  const heard = [];
  client.onChange((state) => heard.push(state));
  const [mine, other] = await client.sessions();
  await client.endSession(other.id);
  await client.endOtherSessions();
  assert.deepEqual(heard, []);
  await client.endSession(mine.id);
  assert.deepEqual(heard, ['signed-out']);
  assert.equal(world.count('DELETE /v1/sessions/S2'), 1);
});

test('an id cannot name another route', async () => {
  const world = new World().signedIn();
  await world.tab().endSession('../me');
  assert.deepEqual(world.log, ['DELETE /v1/sessions/..%2Fme']);
});

test('changing the password sends both', async () => {
  const world = new World().signedIn('stale');
  await world.tab().changePassword({ currentPassword: 'a', newPassword: 'b' });
  assert.deepEqual(JSON.parse(world.bodies.at(-1)), { current_password: 'a', new_password: 'b' });
});

test('a listener that was taken away, and a client that was closed, hear nothing', async () => {
  const world = new World();
  const [a, b, c] = [world.tab(), world.tab(), world.tab()];
  b.onChange((state) => assert.fail(state))();
  c.onChange((state) => assert.fail(state));
  c.close();
  await a.login({ identifier: 'ada', password: 'p' });
  await settle();
  assert.equal(world.channels.size, 2);
});

test('a listener that throws does not make a login fail', async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((err) => thrown.push(err.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const client = new World().tab();
  client.onChange(() => {
    throw new Error('in a listener');
  });
  await client.login({ identifier: 'ada', password: 'p' });
  assert.deepEqual(thrown, ['in a listener']);
});

test('outside a page the origin has to be given', () => {
  assert.throws(() => createClient(), /baseURL is missing/);
});

test('it keeps no token, whatever the server answers', async () => {
  const world = new World().signedIn();
  world.next = [() => json(200, { session: { id: 'S1' }, user: {}, access_token: 'canary', refresh_token: 'canary' })];
  await world.tab().refresh();
  assert.doesNotMatch(JSON.stringify([...world.stored, ...world.held]), /canary/);
});
