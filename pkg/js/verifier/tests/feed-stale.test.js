// What a verifier does with the feed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RevocationFeed } from '../feed.js';
import { InvalidTokenError, UnavailableError, createVerifier, followRevocations } from '../index.js';
import { Introspection } from '../introspection.js';
import { Revocations } from '../revocations.js';
import { Issuer, newKey, serve } from './issuer.js';
import { Revoker, later, page, until } from './revoker.js';

const [key, next] = await Promise.all([newKey('k'), newKey('next')]);

// A verifier with a feed that is fresh. more is what followRevocations is given beside, or makes the feed itself.
async function start(t, more) {
  const issuer = await Issuer.start(t, key);
  const revoker = new Revoker(issuer);
  const options = { issuer: issuer.url, now: () => issuer.clock };
  const feed = typeof more === 'function' ? more(options) : followRevocations({ ...options, ...more });
  t.after(() => feed.close());
  await feed.ready();
  await until(() => revoker.held === 1);
  return { issuer, revoker, feed, verifier: await createVerifier(issuer.options({ feed })) };
}

// Takes the feed away, and has its knowledge grow stale.
async function grow({ issuer, revoker, feed }) {
  assert.ok(feed.healthy);
  revoker.instead = (res) => res.writeHead(500).end();
  revoker.drain();
  await until(() => feed.lastError !== undefined);
  issuer.clock += 31_000;
  assert.ok(!feed.healthy);
}

const answered = (verifier, token) =>
  verifier.verify(token).then(
    () => 200,
    (err) => {
      assert.ok(err instanceof InvalidTokenError || err instanceof UnavailableError, err);
      return err.status;
    },
  );

const policies = {
  'onStale: accept': [{ onStale: 'accept' }, 200],
  'the default': [{}, 200],
  'onStale: refuse': [{ onStale: 'refuse' }, 503],
  'introspection that says yes': [{ onStale: 'introspect', introspect: async () => true }, 200],
  'introspection that says no': [{ onStale: 'introspect', introspect: async () => false }, 401],
  'introspection that fails': [{ onStale: 'introspect', introspect: async () => { throw new Error('away'); } }, 503],
  'introspection that throws at once': [{ onStale: 'introspect', introspect: () => { throw new Error('away'); } }, 503],
  'introspection that says neither': [{ onStale: 'introspect', introspect: async () => ({ active: true }) }, 503],
  'introspection that hangs': [{ onStale: 'introspect', introspect: () => new Promise(() => {}) }, 503],
};

// They wait more than they work.
describe('a verifier with a feed', { concurrency: true, timeout: 300_000 }, () => {
  for (const [name, [more, status]] of Object.entries(policies)) {
    test(`a verifier whose feed is stale: ${name}`, async (t) => {
      const service = await start(t, more);
      const { issuer, revoker, feed, verifier } = service;
      const good = await issuer.token(key);
      const ended = await issuer.token(key, { sid: 'ended' });
      revoker.revoke({ sid: 'ended' });
      await until(async () => (await answered(verifier, ended)) === 401);
      assert.equal(await answered(verifier, good), 200, 'while the feed is fresh');

      await grow(service);
      await until(async () => (await answered(verifier, good)) === status, `${status}`);
      assert.equal(await answered(verifier, ended), 401, 'what is known counts in every state');
      assert.equal(await answered(verifier, await issuer.token(key, { exp: Math.floor(issuer.clock / 1000) - 31 })), 401);

      revoker.instead = undefined;
      await until(() => feed.healthy);
      assert.equal(await answered(verifier, good), 200, 'fresh again');
    });
  }

  test('before the first snapshot is stale', async (t) => {
    const issuer = await Issuer.start(t, key);
    new Revoker(issuer).instead = () => {};
    const feed = followRevocations({ issuer: issuer.url, onStale: 'refuse' });
    t.after(() => feed.close());
    const verifier = await createVerifier(issuer.options({ feed }));
    assert.equal(await answered(verifier, await issuer.token(key)), 503);
  });

  test('each kind of entry is refused', async (t) => {
    const { issuer, revoker, verifier } = await start(t);
    const now = Math.floor(issuer.clock / 1000);
    const client = { sub: 'c1', client_id: 'c1', sid: undefined, auth_time: undefined, amr: undefined, roles: [], jti: 'j2' };
    issuer.keys.push(next);
    const kinds = [
      [{ sid: 's2' }, await issuer.token(key, { sid: 's2' })],
      [{ sid: 'j2' }, await issuer.token(key, client)],
      [{ sub: 'u2', iat_before: now }, await issuer.token(key, { sub: 'u2', iat: now - 1 })],
      [{ kid: 'next' }, await issuer.token(next)],
      [{ all: true, iat_before: now }, await issuer.token(key, { iat: now - 1 })],
    ];
    for (const [entry, token] of kinds) {
      assert.equal(await answered(verifier, token), 200);
      revoker.revoke(entry);
      await until(async () => (await answered(verifier, token)) === 401);
    }
    assert.equal(await answered(verifier, await issuer.token(key)), 200);
  });

  test('a request is answered 503 while nobody can say', async (t) => {
    const service = await start(t, { onStale: 'refuse' });
    const { issuer, verifier } = service;
    const guard = verifier.requireToken();
    const url = await serve(t, (req, res) => guard(req, res, () => res.end()));
    await grow(service);
    const res = await fetch(url, { headers: { Authorization: `Bearer ${await issuer.token(key)}` } });
    assert.equal(res.status, 503);
    assert.equal(res.headers.get('Retry-After'), '10');
    assert.equal(res.headers.get('WWW-Authenticate'), null);
    assert.equal((await res.json()).code, 'unavailable');
  });

  test('a key that is revoked has the keys fetched again, once the cool-down is over', async (t) => {
    const { issuer, revoker, feed, verifier } = await start(t);
    revoker.revoke({ kid: 'gone' });
    await until(() => feed.size === 1);
    const good = await issuer.token(key);
    await verifier.verify(good);
    await until(() => issuer.fetches === 2);
    revoker.revoke({ kid: 'gone' }, { kid: 'gone too' });
    await until(() => feed.size === 2);
    await verifier.verify(good);
    assert.equal(issuer.fetches, 2, 'in the cool-down');
    issuer.clock += 11_000;
    await verifier.verify(good);
    await until(() => issuer.fetches === 3);
    revoker.revoke({ kid: 'gone' }, { sid: 'x' });
    await until(() => feed.size === 3);
    issuer.clock += 11_000;
    await verifier.verify(good);
    assert.equal(issuer.fetches, 3, 'nothing new');
  });

  test('a key that is revoked is never good again', async (t) => {
    const service = await start(t);
    const { issuer, revoker, verifier } = service;
    const exp = Math.floor(issuer.clock / 1000) + 600;
    assert.equal(await answered(verifier, await issuer.token(key)), 200);
    issuer.answers.jwks = (res) => res.writeHead(500).end();
    revoker.revoke({ kid: 'k', exp });
    await until(async () => (await answered(verifier, await issuer.token(key))) !== 200);
    for (const clock of [issuer.clock / 1000 + 11, exp, exp + 59]) {
      issuer.clock = clock * 1000;
      assert.equal(await answered(verifier, await issuer.token(key)), 401);
    }
    assert.equal(issuer.fetches, 1, 'nobody asks for a key that is revoked');
    issuer.clock = (exp + 60) * 1000;
    assert.equal(await answered(verifier, await issuer.token(key)), 503, 'the keys are away, and this one is none of them');
  });

  test('a key that is revoked while the keys are under way is dropped', async (t) => {
    const { issuer, revoker, feed, verifier } = await start(t);
    const good = await issuer.token(key);
    let answer;
    issuer.answers.jwks = (res) => {
      answer = () => issuer.publish(res, [key, next]);
    };
    issuer.clock += 4 * 60_000; // in the last quarter of their life
    await verifier.verify(good);
    await until(() => answer !== undefined);
    revoker.revoke({ kid: 'gone' });
    await until(() => feed.size === 1);
    answer();
    await until(async () => (await answered(verifier, await issuer.token(next))) === 200);
    issuer.answers.jwks = (res) => issuer.publish(res, [key]);
    issuer.clock += 11_000;
    await verifier.verify(good);
    await until(() => issuer.fetches === 3);
  });

  // A service that asks questions, which are answered when the test says.
  async function asking(t) {
    const questions = [];
    const introspect = (token) => new Promise((resolve, reject) => questions.push({ token, resolve, reject }));
    const service = await start(t, ({ issuer, now }) => {
      const introspection = new Introspection(introspect, now, 100_000);
      const known = new Revocations();
      const feed = new RevocationFeed({ issuer, maxStaleness: 30, onStale: 'introspect', now, fetch, introspection, known });
      feed.follow();
      return feed;
    });
    await grow(service);
    return { ...service, questions };
  }

  test('a token is asked about once at a time, and not again for a moment', async (t) => {
    const { issuer, verifier, questions } = await asking(t);
    const token = await issuer.token(key);
    const verify = () => Promise.all(Array.from({ length: 50 }, () => answered(verifier, token)));
    const first = verify();
    await until(() => questions.length > 0);
    assert.equal(questions[0].token, token);
    questions[0].resolve(true);
    assert.deepEqual(new Set(await first), new Set([200]));
    issuer.clock += 1000;
    await verify();
    assert.equal(questions.length, 1);
    issuer.clock += 1001;
    const second = verify();
    await until(() => questions.length > 1);
    questions[1].resolve(false);
    assert.deepEqual(new Set(await second), new Set([401]));
    assert.deepEqual(new Set(await verify()), new Set([401]));
    assert.equal(questions.length, 2);
  });

  test('no answer is not remembered', async (t) => {
    const { issuer, verifier, questions } = await asking(t);
    const token = await issuer.token(key);
    for (const [settle, status] of [['reject', 503], ['resolve', 200]]) {
      const answer = answered(verifier, token);
      await until(() => questions.length > 0);
      questions.shift()[settle](settle === 'resolve' || new Error('away'));
      assert.equal(await answer, status);
    }
  });

  test('few questions are asked at once, and others wait for their turn', async () => {
    const questions = [];
    const ask = () => new Promise((resolve) => { questions.push(resolve); });
    const introspection = new Introspection(ask, Date.now, 100_000);
    const answers = Array.from({ length: 70 }, (_, i) => introspection.active('token', { jti: `j${i}`, sub: 'u1' }));
    for (let i = 0; i < 70; i++) {
      await until(() => questions.length === Math.min(i + 32, 70));
      questions[i](true);
    }
    assert.deepEqual(new Set(await Promise.all(answers)), new Set([true]));
  });

  test('who waits too long gives up, and leaves no turn behind', async () => {
    const questions = [];
    const ask = (_, signal) => new Promise((resolve) => { questions.push({ resolve, signal }); });
    const introspection = new Introspection(ask, Date.now, 200);
    const active = (jti) => introspection.active('token', { jti, sub: 'u1' });
    await Promise.all(Array.from({ length: 70 }, (_, i) => assert.rejects(active(`j${i}`), UnavailableError)));
    assert.ok(questions.every(({ signal }) => signal.aborted));
    const asked = questions.length;
    const late = assert.rejects(active('k'), UnavailableError);
    await until(() => questions.length === asked + 1);
    await late;
  });

  test('answers are forgotten when their subject has changed', async (t) => {
    const { issuer, revoker, feed, verifier, questions } = await asking(t);
    const token = Object.fromEntries(
      await Promise.all(['u1', 'u2', 'u3'].map(async (sub) => [sub, await issuer.token(key, { sub, jti: sub })])),
    );
    // Asks whether a token is good, and returns how many questions that took.
    const ask = async (sub) => {
      const before = questions.length;
      const answer = answered(verifier, token[sub]);
      const done = answer.then(() => true);
      await until(async () => questions.length > before || Promise.race([done, false]));
      questions[before]?.resolve(true);
      assert.equal(await answer, 200);
      return questions.length - before;
    };
    assert.deepEqual([await ask('u1'), await ask('u2')], [1, 1]);
    assert.deepEqual([await ask('u1'), await ask('u2')], [0, 0]);
    const underWay = answered(verifier, token.u3);
    await until(() => questions.length === 3);

    // A page that is not the last one, so that the knowledge stays stale.
    const rest = [];
    const changes = ['u1', 'u3'].map((changed) => ({ changed, exp: later() }));
    revoker.instead = (res) => {
      if (rest.push(res) === 1) {
        res.end(JSON.stringify(page('1-9', changes, { more: true })));
      }
    };
    await until(() => rest.length === 2);
    assert.ok(feed.stale);
    questions[2].resolve(true);
    assert.equal(await underWay, 200);
    assert.deepEqual([await ask('u1'), await ask('u2'), await ask('u3')], [1, 0, 1]);
  });

  test('the issuer is asked as an OAuth client', async (t) => {
    const service = await start(t, { onStale: 'introspect', clientId: 'a b:c', clientSecret: 's&ü' });
    const { issuer, verifier } = service;
    const asked = [];
    let answer = (res) => res.end('{"active":true}');
    issuer.answers.introspect = async (res, req) => {
      const parts = await req.toArray();
      const form = new URLSearchParams(Buffer.concat(parts).toString());
      asked.push({ method: req.method, authorization: req.headers.authorization, form });
      answer(res);
    };
    await grow(service);
    let n = 0;
    // A machine that is too busy to answer within 2 s is asked again.
    const next = async () => answered(verifier, await issuer.token(key, { jti: `j${n++}` }));
    const become = (status) => until(async () => (await next()) === status, `${status}`);

    await become(200);
    assert.equal(asked[0].method, 'POST');
    assert.equal(asked[0].authorization, `Basic ${Buffer.from('a+b%3Ac:s%26%C3%BC').toString('base64')}`);
    assert.equal(asked[0].form.get('token').split('.').length, 3);
    answer = (res) => res.end('{"active":false}');
    await become(401);
    const none = {
      'another secret': (res) => res.writeHead(401).end('{"error":"invalid_client"}'),
      'a fault': (res) => res.writeHead(500).end('{"active":true}'),
      'another place': (res) => res.writeHead(307, { Location: '/elsewhere' }).end(),
      'no JSON': (res) => res.end('<html>'),
      null: (res) => res.end('null'),
      text: (res) => res.end('{"active":"true"}'),
      'too much': (res) => res.end(`{"active":true,"x":"${'x'.repeat(64 * 1024)}"}`),
      'no connection': (res) => res.destroy(),
      'no end': (res) => res.write('{"active":true'),
    };
    for (const [name, give] of Object.entries(none)) {
      await t.test(name, async () => {
        answer = give;
        assert.equal(await next(), 503);
      });
    }
  });

  test('a feed is that of the issuer', async (t) => {
    const { issuer, feed } = await start(t);
    await assert.rejects(createVerifier(issuer.options({ issuer: `${issuer.url}/`, feed })), TypeError);
  });
});
