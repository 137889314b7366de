import { importJWK } from 'jose';

import { decode } from './gate.js';
import { members } from './json.js';

const secrets = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const strings = ['kid', 'kty', 'alg', 'use', 'crv', 'x', 'y', 'n', 'e'];

/**
 * Reads a JWK set. Keys of other algorithms and uses are passed over. A set is refused whole for one that claims to be
 * usable here and is not, for a kid that is there twice, and for a secret made public, in whatever key.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<Map<string, {alg: string, key: CryptoKey}>>} by kid
 */
export async function parseKeys(bytes) {
  members(bytes);
  const { keys } = JSON.parse(Buffer.from(bytes).toString());
  if (!Array.isArray(keys)) {
    throw new Error('JWK set: not a list of keys');
  }
  const byKID = new Map();
  const seen = new Set();
  for (const jwk of keys) {
    checkShape(jwk);
    if (jwk.kid && seen.has(jwk.kid)) {
      throw new Error('JWK set: a kid is there twice');
    }
    seen.add(jwk.kid);
    if (!verifiesHere(jwk)) {
      continue;
    }
    checkKey(jwk);
    byKID.set(jwk.kid, { alg: jwk.alg, key: await importJWK(publicHalf(jwk), jwk.alg) });
  }
  if (byKID.size === 0) {
    throw new Error('JWK set: no key to verify with');
  }
  return byKID;
}

function checkShape(jwk) {
  if (typeof jwk !== 'object' || jwk === null || strings.some((name) => typeof (jwk[name] ?? '') !== 'string')) {
    throw new Error('JWK set: not a key');
  }
  if (secrets.some((name) => Object.hasOwn(jwk, name))) {
    throw new Error('JWK set: a key has private members');
  }
}

// Whether the key says that it verifies an algorithm of ours. One without alg fits several, and so none.
function verifiesHere(jwk) {
  const ops = jwk.key_ops ?? [];
  return ['ES256', 'EdDSA', 'RS256'].includes(jwk.alg) && ['', 'sig'].includes(jwk.use ?? '') && Array.isArray(ops) && ops.every((op) => op === 'verify');
}

function checkKey(jwk) {
  const fits =
    (jwk.alg === 'ES256' && jwk.kty === 'EC' && jwk.crv === 'P-256' && bytes(jwk.x) === 32 && bytes(jwk.y) === 32) ||
    (jwk.alg === 'EdDSA' && jwk.kty === 'OKP' && jwk.crv === 'Ed25519' && bytes(jwk.x) === 32) ||
    (jwk.alg === 'RS256' && jwk.kty === 'RSA' && jwk.e === 'AQAB' && isModulus(decode(jwk.n ?? '')));
  if (!fits || !jwk.kid) {
    throw new Error('JWK set: a key does not fit its alg, or has no kid');
  }
}

const bytes = (text) => decode(text ?? '').length;

// 2048 to 4096 bits (RFC 7518, section 3.3), and odd.
function isModulus(n) {
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  return n[0] !== 0 && bits >= 2048 && bits <= 4096 && n.at(-1) % 2 === 1;
}

function publicHalf({ kty, crv, x, y, n, e }) {
  return Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined));
}
