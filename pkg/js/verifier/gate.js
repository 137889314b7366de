import { members, stringIn } from './json.js';

const maxToken = 8192; // bytes
const maxKeyID = 128; // bytes

/**
 * Looks at a token before any library does, and lets through only what jotgate could have written: three segments of
 * base64url, and a header of exactly alg, kid and typ, each a string and each once (RFC 7515, sections 4 and 5.2).
 *
 * @param {string} token
 * @returns {{alg: string, kid: string}}
 */
export function gate(token) {
  if (typeof token !== 'string' || token.length === 0 || token.length > maxToken) {
    throw new Error('not the length of a token');
  }
  if (!/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token)) {
    throw new Error('not three segments of base64url');
  }
  const [head] = token.split('.').map(decode);
  const header = members(head);
  if (header.size !== 3) {
    throw new Error('header has other members than alg, kid and typ');
  }
  const [alg, kid, typ] = ['alg', 'kid', 'typ'].map((name) => stringIn(header, name));
  if (Buffer.byteLength(kid) > maxKeyID) {
    throw new Error('kid is too long');
  }
  // RFC 9068, section 4: a media type, compared without regard to case.
  if (!['at+jwt', 'application/at+jwt'].includes(typ.toLowerCase())) {
    throw new Error('typ is not at+jwt');
  }
  return { alg, kid };
}

/**
 * Decodes base64url strictly: without padding, and without bits that no byte uses.
 *
 * @param {string} text
 */
export function decode(text) {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) {
    throw new Error('not base64url');
  }
  return bytes;
}
