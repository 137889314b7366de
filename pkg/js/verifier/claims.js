import { members, stringIn } from './json.js';

const maxLife = 24 * 60 * 60; // seconds of an access token; jotgate issues none that lives longer
const latest = 2 ** 40; // seconds since 1970; no arithmetic goes wrong below it
const firstParty = 'jotgate'; // client_id of jotgate's own API

/**
 * Checks the claims of a token whose signature is right (RFC 9068, sections 2.2 and 4).
 *
 * @param {Uint8Array} payload
 * @param {{issuer: string, audience: string, leeway: number}} expected
 * @param {number} now in milliseconds
 */
export function checkClaims(payload, expected, now) {
  const all = members(payload);
  const read = {
    text: (name) => stringIn(all, name),
    time: (name) => time(all, name),
    list: (name) => list(all, name),
  };
  for (const name of ['iss', 'sub', 'client_id', 'jti', 'mode']) {
    read.text(name);
  }
  if (all.get('scope') !== '""') {
    read.text('scope');
  }
  const roles = read.list('roles');
  const claims = JSON.parse(Buffer.from(payload).toString());
  if (claims.mode !== 'bearer' && claims.mode !== 'cookie') {
    throw new Error('mode is neither bearer nor cookie');
  }
  if (all.has('sid')) {
    read.text('sid');
    read.time('auth_time');
    read.list('amr');
  } else {
    checkClient(claims, all, roles);
  }
  checkTimes(read.time('iat'), read.time('exp'), all.has('nbf') ? read.time('nbf') : 0, expected.leeway, now);
  if (claims.iss !== expected.issuer) {
    throw new Error('another issuer');
  }
  if (!audience(all).includes(expected.audience)) {
    throw new Error('for another audience');
  }
  return claims;
}

// A token without a session is that of a client that acts for itself (RFC 9068, section 2.2): nobody signed in, so
// nothing tells when or how, and there are no roles. firstParty acts for users alone.
function checkClient(claims, all, roles) {
  if (claims.sub !== claims.client_id || claims.client_id === firstParty) {
    throw new Error('sid is missing, and the subject is not the client');
  }
  if (all.has('auth_time') || all.has('amr') || claims.mode !== 'bearer' || roles.length > 0) {
    throw new Error('a client that has signed in, is in a cookie or has roles');
  }
}

function checkTimes(iat, exp, nbf, leeway, now) {
  const life = exp - iat;
  if (life <= 0 || life > maxLife) {
    throw new Error(`a life of ${life} s`);
  }
  if (now >= (exp + leeway) * 1000) {
    throw new Error('expired');
  }
  if (now < (Math.max(iat, nbf) - leeway) * 1000) {
    throw new Error('issued in the future, or not valid yet');
  }
}

// A NumericDate in whole seconds, as jotgate writes them.
function time(all, name) {
  const raw = all.get(name);
  if (raw === undefined || !/^[1-9][0-9]{0,12}$/.test(raw) || Number(raw) > latest) {
    throw new Error(`${name} is missing, or not a time in whole seconds`);
  }
  return Number(raw);
}

function list(all, name) {
  const elements = all.get(name)?.[0] === '[' ? JSON.parse(all.get(name)) : null;
  if (elements === null || !elements.every((e) => typeof e === 'string' && e !== '')) {
    throw new Error(`${name} is missing, or not an array of strings with something in them`);
  }
  return elements;
}

// aud is a string or an array of some (RFC 7519, section 4.1.3).
function audience(all) {
  return all.get('aud')?.[0] === '[' ? list(all, 'aud') : [stringIn(all, 'aud')];
}
