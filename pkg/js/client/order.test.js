// Which of two tabs is right about the session, if their news cross.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World, json, settle } from './world.js';

/** A clock that stands, and two tabs of which the first has a listener and hears messages only from the test. */
function cross(t) {
  let now = 1e12;
  t.mock.method(Date, 'now', () => now);
  const world = new World().signedIn();
  const [a, b] = [world.tab(), world.tab()];
  const [channel] = world.channels;
  world.deaf = true;
  const heard = [];
  a.onChange((state) => heard.push(state));
  return { world, a, b, heard, pass: () => ++now, tell: (type, at) => channel.onmessage({ data: { type, at } }) };
}

/** Lets the next request be answered by the world in its turn, and the answer come when it is let go. */
function delay(world, status, body) {
  let release;
  world.next = [() => new Promise((done) => (release = () => done(json(status, body))))];
  return () => release();
}

const session = { id: 'S1', current: true };
for (const [name, answer, ask] of [
  ['me', { user: {}, session }, (tab) => tab.me()],
  ['sessions', { sessions: [session] }, (tab) => tab.sessions()],
  ['refresh', { session }, (tab) => tab.refresh()],
]) {
  test(`an answer to ${name} that was asked before a sign-out does not hide it`, async (t) => {
    const { world, a, heard, pass, tell } = cross(t);
    const release = delay(world, 200, answer);
    const asked = ask(a);
    await settle();
    const out = pass();
    pass();
    release();
    await asked;
    tell('signed-out', out);
    await settle();
    assert.deepEqual(heard, ['signed-out']);
  });

  test(`an answer to ${name} that comes after a sign-out does not undo it`, async (t) => {
    const { world, a, heard, pass, tell } = cross(t);
    const release = delay(world, 200, answer);
    const asked = ask(a);
    await settle();
    tell('signed-out', pass());
    pass();
    release();
    await asked;
    await a.endSession('S1');
    world.access = world.refresh = 'none';
    assert.equal(await a.refresh(), false);
    await settle();
    assert.deepEqual(heard, ['signed-out']);
  });

  test(`ending the session before, which ${name} had told of, does not end a new one of another tab`, async (t) => {
    for (const late of [false, true]) {
      const { world, a, heard, pass, tell } = cross(t);
      const release = delay(world, 200, answer);
      const asked = ask(a);
      await settle();
      const login = pass();
      if (late) tell('signed-in', login);
      release();
      await asked;
      if (!late) tell('signed-in', login);
      pass();
      await a.endSession('S1');
      await settle();
      assert.deepEqual(heard, ['signed-in']);
      t.mock.restoreAll();
    }
  });
}
