// What becomes of the requests that wait for a refresh which brings nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World, json, lost, problem, settle } from './world.js';

const bare = { locks: null, BroadcastChannel: null, storage: null };
const busy = (seconds) => () => problem(503, 'overloaded', { 'Retry-After': String(seconds) });

/** Makes the refreshes of a world wait, and returns what lets them go on. */
function hang(world) {
  let release;
  world.slow = new Promise((done) => (release = done));
  return release;
}

/** Stops the clock and returns what moves it, by seconds. */
function stopClock(t) {
  let now = 1e12;
  t.mock.method(Date, 'now', () => now);
  return (seconds) => (now += seconds * 1000);
}

for (const [name, options] of [['', {}], [' without locks', bare]]) {
  test(`requests that wait for a refresh share its failure${name}, and a login does not wait for more`, async () => {
    const world = new World().signedIn('stale');
    const client = world.tab(options);
    const release = hang(world);
    const waiting = [1, 2, 3].map(() => client.me());
    await settle();
    waiting.push(client.fetch('/api/x'), client.sessions()); // while the refresh is under way
    await settle();
    const login = client.login({ identifier: 'ada', password: 'p' });
    world.next = [lost];
    release();
    for (const { status, reason } of await Promise.allSettled(waiting)) {
      assert.equal(status, 'rejected');
      assert.equal(reason.message, 'network error');
    }
    assert.equal((await login).user.id, 'U1');
    assert.equal(world.count('POST /v1/refresh'), 1);
  });

  test(`requests that wait for a refresh share that the session is over${name}`, async () => {
    const world = new World();
    const client = world.tab(options);
    const release = hang(world);
    const waiting = [1, 2, 3].map(() => client.fetch('/api/x'));
    await settle();
    release();
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 401);
    assert.equal(world.count('POST /v1/refresh'), 1);
  });
}

test('a request that was sent before a refresh failed, and answered after, shares the failure', async () => {
  const world = new World().signedIn('stale');
  const client = world.tab();
  let release;
  world.next = [() => new Promise((done) => (release = done)), lost];
  const late = client.me();
  await settle();
  await assert.rejects(client.refresh(), TypeError);
  release(problem(401, 'invalid-token'));
  await assert.rejects(late, TypeError);
  assert.equal(world.count('POST /v1/refresh'), 1);
});

test('a request that is sent after a refresh failed asks again', async () => {
  const world = new World().signedIn('stale');
  const client = world.tab();
  world.next = [undefined, lost];
  await assert.rejects(client.me(), TypeError);
  assert.equal((await client.me()).user.id, 'U1');
  assert.equal(world.count('POST /v1/refresh'), 2);
});

test('a server that says when is not asked before, but by who asks for a refresh', async (t) => {
  const pass = stopClock(t);
  const world = new World().signedIn('stale');
  const client = world.tab();
  world.next = [undefined, busy(8)];
  await assert.rejects(client.me(), { code: 'overloaded', retryAfter: 8 });
  pass(7.9);
  await assert.rejects(client.me(), { code: 'overloaded' });
  assert.equal(world.count('POST /v1/refresh'), 1);
  world.next = [busy(8)];
  await assert.rejects(client.refresh(), { code: 'overloaded' });
  assert.equal(world.count('POST /v1/refresh'), 2);
  pass(7.9);
  await assert.rejects(client.me(), { code: 'overloaded' });
  pass(0.1);
  assert.equal((await client.me()).user.id, 'U1');
  assert.equal(world.count('POST /v1/refresh'), 3);
});

test('a server is asked again after an hour, and by a clock that was set back', async (t) => {
  for (const seconds of [3600, -1]) {
    const pass = stopClock(t);
    const world = new World().signedIn('stale');
    const client = world.tab();
    world.next = [undefined, busy(86400)];
    await assert.rejects(client.me(), { retryAfter: 86400 });
    pass(seconds);
    assert.equal((await client.me()).user.id, 'U1');
    t.mock.restoreAll();
  }
});

test('a server that was busy is asked again after a login, and after another tab was answered', async (t) => {
  for (const heal of ['login', 'refresh']) {
    const pass = stopClock(t);
    const world = new World().signedIn('stale');
    const [a, b] = [world.tab(), world.tab()];
    world.next = [undefined, busy(3600)];
    await assert.rejects(a.me(), { code: 'overloaded' });
    pass(1);
    await (heal === 'login' ? a.login({ identifier: 'ada', password: 'p' }) : b.refresh());
    await settle();
    pass(1);
    world.access = 'stale';
    assert.equal((await a.me()).user.id, 'U1');
    t.mock.restoreAll();
  }
});

test('what failed long before a request was answered is tried again', async (t) => {
  const pass = stopClock(t);
  const world = new World().signedIn('stale');
  const client = world.tab();
  let release;
  world.next = [() => new Promise((done) => (release = done)), lost];
  const late = client.me();
  await settle();
  await assert.rejects(client.refresh(), TypeError);
  pass(20);
  release(problem(401, 'invalid-token'));
  assert.equal((await late).user.id, 'U1');
  assert.equal(world.count('POST /v1/refresh'), 2);
});

test('who is not jotgate does not say when to ask again', async (t) => {
  stopClock(t);
  const world = new World().signedIn('stale');
  const client = world.tab();
  world.next = [undefined, () => new Response('maintenance', { status: 503, headers: { 'Retry-After': '3600' } })];
  await assert.rejects(client.me(), { code: 'unknown', retryAfter: 3600 });
  assert.equal((await client.me()).user.id, 'U1');
});

test('a login in another tab saves a request that was sent before the session was found to be over', async () => {
  const world = new World();
  const [a, b] = [world.tab({ locks: null }), world.tab({ locks: null })];
  let release;
  world.next = [() => new Promise((done) => (release = done))];
  const late = a.me();
  await settle();
  assert.equal(await a.refresh(), false);
  await b.login({ identifier: 'ada', password: 'p' });
  await settle();
  release(problem(401, 'no-credentials'));
  assert.equal((await late).user.id, 'U1');
  assert.equal(world.count('POST /v1/refresh'), 1);
});

for (const [name, options] of [['', {}], [' without locks', bare]]) {
  test(`an answer that comes after a refresh and takes the new cookie away costs one more${name}`, async () => {
    const world = new World().signedIn('stale');
    const client = world.tab(options);
    let release;
    world.next = [() => new Promise((done) => (release = done))];
    const late = client.fetch('/api/slow');
    await settle();
    assert.equal((await client.fetch('/api/x')).status, 200);
    await settle();
    world.access = 'none'; // as Set-Cookie says with it
    release(problem(401, 'invalid-token'));
    assert.equal((await late).status, 200);
    assert.equal(world.count('POST /v1/refresh'), 2);
    assert.equal(world.count('GET /api/slow'), 3);
  });
}

for (const [code, times] of [['no-credentials', 2], ['invalid-token', 1]]) {
  test(`a request that is answered with ${code} after each refresh is sent ${times + 1} times`, async () => {
    const world = new World().signedIn();
    const refuse = async (url, init) => ((await world.fetch(url, init)).ok && /refresh$/.test(url) ? json(200, {}) : problem(401, code));
    assert.equal((await world.tab({ fetch: refuse }).fetch('/api/x')).status, 401);
    assert.equal(world.count('POST /v1/refresh'), times);
    assert.equal(world.count('GET /api/x'), times + 1);
  });
}
