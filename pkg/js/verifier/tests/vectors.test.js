// The tokens of testdata/vectors, on which every verifier has to agree.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { COOKIE_NAME, InvalidTokenError, createVerifier } from '../index.js';

const vectors = JSON.parse(readFileSync(new URL('../../../../testdata/vectors/access-tokens.json', import.meta.url), 'utf8'));

// The issuer on the network.
const issuer = async (url) =>
  Response.json(
    String(url).includes('/oauth-authorization-server')
      ? { issuer: vectors.issuer, jwks_uri: `${vectors.issuer}/.well-known/jwks.json` }
      : vectors.jwks,
  );

const presented = {
  bearer: (token) => ({ method: 'GET', rawHeaders: ['Authorization', `Bearer ${token}`] }),
  cookie: (token) => ({ method: 'GET', rawHeaders: ['Cookie', `${COOKIE_NAME}=${token}`] }),
};

test('vectors', async (t) => {
  const { audience, leeway } = vectors;
  const verifier = await createVerifier({ issuer: vectors.issuer, audience, leeway, now: () => vectors.now * 1000, fetch: issuer });
  assert.ok(vectors.tests.length > 400);
  for (const { name, token, mode, valid, why } of vectors.tests) {
    await t.test(name, async () => {
      const claims = mode ? verifier.authenticate(presented[mode](token)) : verifier.verify(token);
      if (valid) {
        assert.equal((await claims).iss, vectors.issuer, why);
      } else {
        await assert.rejects(claims, InvalidTokenError, why);
      }
    });
  }
});
