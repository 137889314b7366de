// What becomes of the keys of a verifier when the feed says that one is revoked.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { InvalidTokenError, UnavailableError, createVerifier, followRevocations } from '../index.js';
import { Issuer, newKey } from './issuer.js';
import { Revoker, until } from './revoker.js';

const [key, other, next] = await Promise.all([newKey('k'), newKey('other'), newKey('next')]);

async function start(t, ...keys) {
  const issuer = await Issuer.start(t, ...keys);
  const revoker = new Revoker(issuer);
  const feed = followRevocations({ issuer: issuer.url, now: () => issuer.clock });
  t.after(() => feed.close());
  await feed.ready();
  return { issuer, revoker, feed, verifier: await createVerifier(issuer.options({ feed })) };
}

// Revokes kids, and waits until the feed knows.
async function revoke({ revoker, feed }, ...kids) {
  revoker.revoke(...kids.map((kid) => ({ kid })));
  await until(() => kids.every((kid) => feed.revokedKey(kid)));
}

describe('a verifier whose key is revoked', { concurrency: true, timeout: 300_000 }, () => {
  // Who stole it can sign tokens when its entry has long expired.
  test('does not take it back from an issuer that still publishes it', async (t) => {
    const service = await start(t, key, other);
    const { issuer, feed, verifier } = service;
    await revoke(service, 'k');
    const late = await createVerifier(issuer.options({ feed }));
    const fetches = issuer.fetches;
    await verifier.verify(await issuer.token(other));
    await until(() => issuer.fetches === fetches + 1);
    await verifier.verify(await issuer.token(other));
    issuer.answers.jwks = (res) => res.writeHead(500).end();
    for (let i = 0; i < 3; i++) {
      issuer.clock += 15 * 60_000;
      for (const one of [verifier, late]) {
        await one.verify(await issuer.token(other));
        await assert.rejects(one.verify(await issuer.token(key)), (err) => err instanceof UnavailableError || err instanceof InvalidTokenError);
      }
    }
    assert.ok(!feed.revokedKey('k'), 'the entry is gone');
  });

  test('has its successor at once, and a flood of such entries fetches no more', async (t) => {
    const service = await start(t, key);
    const { issuer, verifier } = service;
    await assert.rejects(verifier.verify(await issuer.token(key, {}, { kid: 'unknown' })), InvalidTokenError); // begins a cool-down
    issuer.keys = [next];
    const fetches = issuer.fetches;
    await revoke(service, 'k');
    await assert.rejects(verifier.verify(await issuer.token(key)), InvalidTokenError);
    assert.equal(issuer.fetches, fetches, 'nobody looks for a key that is revoked');
    await verifier.verify(await issuer.token(next));
    assert.equal(issuer.fetches, fetches + 1);
    for (let i = 0; i < 5; i++) {
      await revoke(service, `${i}`);
      await verifier.verify(await issuer.token(next));
    }
    await verifier.verify(await issuer.token(next));
    assert.equal(issuer.fetches, fetches + 1);
  });

  test('asks a replica again soon that still publishes it', async (t) => {
    const service = await start(t, key);
    const { issuer, verifier } = service;
    await revoke(service, 'k');
    await assert.rejects(verifier.verify(await issuer.token(next)), InvalidTokenError);
    issuer.keys = [next];
    issuer.clock += 1001;
    await verifier.verify(await issuer.token(next));
  });
});
