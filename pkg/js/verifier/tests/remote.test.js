import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { InvalidTokenError, IssuerError, UnavailableError, createVerifier } from '../index.js';
import { Issuer, newKey } from './issuer.js';

const minute = 60_000;
const [first, next] = await Promise.all([newKey('first'), newKey('next')]);

test('keys are fetched once for many tokens', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  await Promise.all(Array.from({ length: 50 }, async () => verifier.verify(await issuer.token(first))));
  assert.equal(issuer.fetches, 1);
});

test('unknown kids cause one fetch in a cool-down', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  const flood = Array.from({ length: 200 }, async (_, i) =>
    assert.rejects(verifier.verify(await issuer.token(first, {}, { kid: `unknown-${i}` })), InvalidTokenError),
  );
  await Promise.all(flood);
  assert.ok(issuer.fetches <= 2, `${issuer.fetches} fetches`);
  issuer.keys = [first, next];
  issuer.clock += 11_000;
  assert.equal((await verifier.verify(await issuer.token(next))).sub, 'u1');
});

test('keys that are there outlive the issuer', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  issuer.answers.jwks = (res) => {
    res.statusCode = 500;
    res.end();
  };
  for (let i = 0; i < 5; i++) {
    issuer.clock += 20 * minute;
    await verifier.verify(await issuer.token(first));
  }
  await assert.rejects(verifier.verify(await issuer.token(next)), UnavailableError);
});

test('tokens do not wait long for an issuer that hangs', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  issuer.answers.jwks = () => {};
  issuer.clock += 6 * minute;
  const start = performance.now();
  await Promise.all(Array.from({ length: 50 }, async () => verifier.verify(await issuer.token(first))));
  assert.ok(performance.now() - start < 3000);
});

test('a key that is gone is forgotten', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  issuer.keys = [next];
  issuer.clock += 6 * minute;
  await assert.rejects(verifier.verify(await issuer.token(first)), InvalidTokenError);
});

test('a clock that is set back makes no key last longer', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  issuer.clock -= 60 * minute;
  await verifier.verify(await issuer.token(first));
  assert.equal(issuer.fetches, 2, 'how old it is, nobody knows');
  issuer.answers.jwks = (res) => res.writeHead(500).end();
  issuer.clock -= 60 * minute;
  await verifier.verify(await issuer.token(first));
  await verifier.verify(await issuer.token(first));
  assert.equal(issuer.fetches, 3);
  issuer.answers.jwks = (res) => issuer.publish(res, [next]);
  issuer.clock -= 60 * minute;
  await assert.rejects(verifier.verify(await issuer.token(first)), InvalidTokenError);
});

test('keys are renewed ahead without a wait', async (t) => {
  const issuer = await Issuer.start(t, first);
  const verifier = await createVerifier(issuer.options());
  let answer;
  issuer.answers.jwks = (res) => {
    answer = () => issuer.publish(res, [next]);
  };
  issuer.clock += 3 * minute;
  await verifier.verify(await issuer.token(first));
  assert.equal(issuer.fetches, 1, 'in the middle of their life');
  issuer.clock += minute;
  await verifier.verify(await issuer.token(first));
  while (answer === undefined) {
    await sleep(1);
  }
  await verifier.verify(await issuer.token(first));
  answer();
  await verifier.verify(await issuer.token(next));
  await assert.rejects(verifier.verify(await issuer.token(first)), InvalidTokenError);
});

function rsa(options) {
  return { ...generateKeyPairSync('rsa', options).publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256' };
}

const json = (value) => (res) => res.end(JSON.stringify(value));

const unsafe = {
  'calls itself otherwise': { metadata: (res, issuer) => json({ issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/jwks.json` })(res) },
  'answers no JSON': { metadata: (res) => res.end('<html>') },
  'has no keys': { jwks: json({ keys: [] }) },
  'has a list of nothing': { jwks: json({ keys: [null] }) },
  'has no list': { jwks: json({}) },
  'answers too much': { jwks: (res) => res.end(' '.repeat(65 * 1024) + JSON.stringify({ keys: [first.jwk] })) },
  'answers without an end': {
    jwks: (res) => {
      const more = () => res.write(' '.repeat(16 * 1024), more);
      res.on('error', () => {});
      more();
    },
  },
  'answers 404': {
    jwks: (res) => {
      res.statusCode = 404;
      res.end(JSON.stringify({ keys: [first.jwk] }));
    },
  },
  redirects: {
    jwks: (res, _, req) => {
      if (req.url.endsWith('?elsewhere')) {
        json({ keys: [first.jwk] })(res);
        return;
      }
      res.writeHead(302, { Location: `${req.url}?elsewhere` }).end();
    },
  },
  'has a kid twice': { jwks: json({ keys: [first.jwk, first.jwk] }) },
  'has a member twice': { jwks: (res) => res.end(`{"keys":[],"keys":[${JSON.stringify(first.jwk)}]}`) },
  'has no kid': { jwks: json({ keys: [{ ...first.jwk, kid: undefined }] }) },
  'publishes a private key': { jwks: json({ keys: [{ ...first.jwk, d: 'AA' }] }) },
  'publishes a secret beside': { jwks: json({ keys: [first.jwk, { kty: 'oct', kid: 's', k: 'AA' }] }) },
  'has a point off the curve': { jwks: json({ keys: [{ ...first.jwk, y: first.jwk.x }] }) },
  'has another curve': { jwks: json({ keys: [{ ...first.jwk, crv: 'P-384' }] }) },
  'has a short coordinate': { jwks: json({ keys: [{ ...first.jwk, x: first.jwk.x.slice(4) }] }) },
  'has a small RSA key': { jwks: json({ keys: [rsa({ modulusLength: 1024 })] }) },
  'has an RSA key with exponent 3': { jwks: json({ keys: [rsa({ modulusLength: 2048, publicExponent: 3 })] }) },
};

for (const [name, answers] of Object.entries(unsafe)) {
  test(`an issuer is refused that ${name}`, async (t) => {
    const issuer = await Issuer.start(t, first);
    for (const [document, answer] of Object.entries(answers)) {
      issuer.answers[document] = (res, req) => answer(res, issuer, req);
    }
    await assert.rejects(createVerifier(issuer.options()));
  });
}

test('who sets the issuer wrong is told what it should be', async (t) => {
  const issuer = await Issuer.start(t, first);
  issuer.answers.metadata = json({ issuer: 'https://auth.example.com' });
  await assert.rejects(createVerifier(issuer.options()), (err) => err.message.includes(issuer.url) && err.message.includes('"https://auth.example.com"'));
});

for (const [name, document, answer, says] of [
  ['is away', 'metadata', (res) => res.destroy(), 'fetch failed'],
  ['answers an error', 'metadata', (res) => res.writeHead(502).end(), 'status 502'],
  ['answers HTML', 'metadata', (res) => res.end('<html>'), 'something else than metadata'],
  ['has no keys', 'jwks', (res) => res.writeHead(404).end(), 'status 404'],
  ['has keys in HTML', 'jwks', (res) => res.end('<html>'), 'JSON'],
]) {
  test(`a start may try again if the issuer ${name}`, async (t) => {
    const issuer = await Issuer.start(t, first);
    const well = issuer.answers[document];
    issuer.answers[document] = answer;
    await assert.rejects(createVerifier(issuer.options()), (err) => {
      assert.ok(err instanceof IssuerError && err.name === 'IssuerError' && err.cause instanceof Error);
      assert.ok(err.url.startsWith(`${issuer.url}/`) && err.message.includes(err.url) && err.message.includes(says), err.message);
      assert.equal(err.message.split(err.url).length, 2, err.message);
      return true;
    });
    issuer.answers[document] = well;
    await createVerifier(issuer.options());
  });
}

test('keys come from the issuer itself, or over https', async (t) => {
  const elsewhere = await Issuer.start(t, first);
  const issuer = await Issuer.start(t, first);
  issuer.answers.metadata = (res) => json({ issuer: issuer.url, jwks_uri: `${elsewhere.url}/jwks.json` })(res);
  await assert.rejects(createVerifier(issuer.options()));
  assert.equal(elsewhere.fetches, 0);
});

test('keys that are not for here are passed over', async (t) => {
  const { kty, crv, x, y } = first.jwk;
  const others = [
    { kty, crv, x, y, kid: 'any' }, { kty, crv, x, y, kid: 'enc', alg: 'ES256', use: 'enc' }, { kty: 'oct', kid: 'oct', alg: 'HS256' },
    { kty, crv, x, y, kid: 'signs', alg: 'ES256', key_ops: ['sign'] }, { kty: 'EC', crv: 'P-384', kid: 'p384', alg: 'ES384' },
    rsa({ modulusLength: 2048 }),
  ];
  const issuer = await Issuer.start(t, first, ...others.map((jwk) => ({ jwk })));
  const verifier = await createVerifier(issuer.options());
  await verifier.verify(await issuer.token(first));
  for (const { kid } of others) {
    await assert.rejects(verifier.verify(await issuer.token(first, {}, { kid })), InvalidTokenError);
  }
});

test('settings that are not safe are refused', async (t) => {
  const issuer = await Issuer.start(t, first);
  for (const more of [{ origins: 'https://x.example' }, { issuer: '' }, { audience: '' }, { audience: undefined }, { leeway: -1 }, { leeway: 61 }, { leeway: NaN }]) {
    await assert.rejects(createVerifier(issuer.options(more)), TypeError);
  }
  await assert.rejects(createVerifier(issuer.options({ issuer: 'file:///etc/passwd' })));
  assert.equal(issuer.fetches, 0);
});
