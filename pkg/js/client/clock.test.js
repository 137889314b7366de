// What tabs make of times that are not what they were.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World, json, problem, settle } from './world.js';

/** Stops the clock and returns what sets it. */
function stopClock(t) {
  let now = Date.parse('2026-03-04T12:00:00Z');
  t.mock.method(Date, 'now', () => now);
  return (time) => (now = Date.parse(`2026-03-04T${time}Z`));
}

for (const [name, options] of [['', {}], [' without locks', { locks: null }]]) {
  test(`a refresh that a clock set back puts into the future does not count${name}`, async (t) => {
    const set = stopClock(t);
    const world = new World().signedIn('stale');
    const [a, b] = [world.tab(options), world.tab(options)];
    await a.refresh();
    await settle();
    set('11:00:00');
    for (const client of [a, b]) {
      world.access = 'stale';
      assert.equal((await client.me()).user.id, 'U1');
      set('11:30:00');
    }
    assert.equal(world.count('POST /v1/refresh'), 3);
  });
}

test('a tab whose clock was set back hears of a logout', async (t) => {
  const set = stopClock(t);
  const world = new World().signedIn();
  const [a, b] = [world.tab(), world.tab()];
  const heard = [];
  b.onChange((state) => heard.push(state));
  await b.refresh();
  set('11:00:00');
  await a.logout();
  await settle();
  assert.deepEqual(heard, ['signed-out']);
});

test('a refresh after the clock was set back counts for who waits', async (t) => {
  const set = stopClock(t);
  const world = new World().signedIn('stale');
  const [a, b] = [world.tab({ locks: null }), world.tab({ locks: null })];
  await b.refresh();
  set('11:00:00');
  let release;
  world.access = 'stale';
  world.next = [() => new Promise((done) => (release = done))];
  const late = b.me();
  await settle();
  await a.refresh();
  await settle();
  release(problem(401, 'invalid-token'));
  await late;
  assert.equal(world.count('POST /v1/refresh'), 2);
});

test('a tab whose clock was set back learns of another session', async (t) => {
  const set = stopClock(t);
  const world = new World().signedIn();
  const client = world.tab();
  const heard = [];
  client.onChange((state) => heard.push(state));
  await client.refresh();
  set('11:00:00');
  world.next = [() => json(200, { user: {}, session: { id: 'S9' } })];
  await client.me();
  await client.endSession('S9');
  assert.deepEqual(heard, ['signed-out']);
});
