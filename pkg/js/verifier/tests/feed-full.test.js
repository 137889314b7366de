// What a feed does with more than there is room for.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RevocationFeed } from '../feed.js';
import { Revocations } from '../revocations.js';
import { Issuer } from './issuer.js';
import { Revoker, until } from './revoker.js';

const claims = (sid) => ({ sid, jti: `j-${sid}`, sub: 'u1', iat: Math.floor(Date.now() / 1000) - 60 });
const sids = (n, exp) => Array.from({ length: n }, (_, i) => ({ sid: `${i}-${exp}`, exp }));

// A feed with room for max of a kind.
async function start(t, max) {
  const issuer = await Issuer.start(t);
  const settings = { issuer: issuer.url, maxStaleness: 30, onStale: 'accept', now: () => issuer.clock, fetch };
  const feed = new RevocationFeed({ ...settings, known: new Revocations(max) });
  t.after(() => feed.close());
  return { issuer, revoker: new Revoker(issuer), feed };
}

describe('a feed', { concurrency: true, timeout: 300_000 }, () => {
  test('that is full is not healthy, and goes on when there is room', async (t) => {
    const { issuer, revoker, feed } = await start(t, 1500);
    const now = Math.floor(issuer.clock / 1000);
    revoker.revoke(...sids(1500, now + 600), { sid: 'late', exp: now + 6000 });
    feed.follow();
    await until(() => feed.lastError !== undefined);
    assert.match(feed.lastError.message, /more than 1500 entries/);
    assert.equal(feed.size, 1500);
    assert.equal(feed.staleness, Infinity);
    assert.ok(!feed.healthy);
    issuer.clock += 660_000;
    await until(() => feed.healthy);
    assert.ok(feed.revoked(claims('late'), 'k'));
    assert.ok(!feed.revoked(claims(`0-${now + 600}`), 'k'));

    revoker.revoke(...sids(1500, now + 6000));
    await until(() => feed.lastError !== undefined);
    assert.ok(!feed.stale);
    assert.ok(!feed.healthy, 'at once');
  });

  test('there is room for a million', () => {
    const known = new Revocations();
    const add = (from, n) => known.add(Array.from({ length: n }, (_, i) => ({ kind: 'sid', name: `${from + i}`, exp: 2 })), 1);
    for (let i = 0; i < 100; i++) {
      add(10_000 * i, 10_000);
    }
    assert.equal(add(1_000_000, 1), false);
    assert.equal(known.size, 1_000_000);
  });

  test('with no room for a session goes on with other kinds', async (t) => {
    const { issuer, revoker, feed } = await start(t, 3);
    revoker.pageSize = 2;
    const now = Math.floor(issuer.clock / 1000);
    revoker.revoke(...sids(9, now + 600), { kid: 'k1' }, { sid: 'late', exp: now + 6000 }, { kid: 'k2' });
    feed.follow();
    await until(() => feed.lastError !== undefined);
    assert.equal(feed.size, 5);
    assert.ok(feed.revokedKey('k1') && feed.revokedKey('k2'));
    revoker.revoke({ sub: 'u1', iat_before: now, exp: now + 6000 }, { all: true, iat_before: now - 3600, exp: now + 600 });
    await until(() => feed.revoked(claims('x'), 'k'));
    assert.equal(feed.size, 7);
    assert.equal(feed.staleness, Infinity);
    const asked = revoker.asked.length;
    await until(() => revoker.asked.length > asked + 2);
    assert.ok(revoker.asked.slice(asked + 1).every(({ after }) => after === '1-14'), 'what does not fit is not read all the time');
    issuer.clock += 660_000;
    await until(() => feed.healthy);
    assert.ok(feed.revoked({ ...claims('late'), sub: 'u2' }, 'k'));
  });
});
