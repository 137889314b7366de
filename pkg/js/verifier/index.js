// Verifies the access tokens that jotgate issues (RFC 9068), by the same rules as its Go package pkg/bearer.

import { compactVerify } from 'jose';

import { checkClaims } from './claims.js';
import { AuthError, ForbiddenError, InvalidTokenError } from './errors.js';
import { gate } from './gate.js';
import { Remote } from './remote.js';
import { checkOrigin, fromRequest } from './request.js';

export * from './errors.js';
export { followRevocations } from './feed.js';
export { COOKIE_NAME } from './request.js';

/**
 * Asks the issuer for its metadata and its keys, and fails if they cannot be had.
 *
 * @param {import('./index.js').Options} options
 * @returns {Promise<Verifier>}
 */
export async function createVerifier(options) {
  const { issuer, audience, leeway = 30, origins = [], revoked, feed, now = Date.now, fetch = globalThis.fetch } = options;
  if (typeof issuer !== 'string' || issuer === '' || typeof audience !== 'string' || audience === '') {
    throw new TypeError('jotgate: issuer and audience are needed');
  }
  if (!Array.isArray(origins)) {
    throw new TypeError('jotgate: origins is not an array');
  }
  if (!(leeway >= 0 && leeway <= 60)) {
    throw new TypeError('jotgate: leeway is not within 0 and 60 s');
  }
  if (feed !== undefined && feed.issuer !== issuer) {
    throw new TypeError('jotgate: feed is that of another issuer');
  }
  const keys = await Remote.discover({ issuer, fetch, now, feed });
  return new Verifier({ issuer, audience, leeway, origins: [...origins], revoked, feed, now, keys });
}

/** Verifies tokens, and protects handlers of node:http and Express. Made by createVerifier. */
export class Verifier {
  #settings;
  #admitted = new WeakMap(); // the claims of requests that were let in

  constructor(settings) {
    this.#settings = settings;
  }

  /**
   * The claims of a token that is valid here and now. It does not look at how the token was presented; authenticate
   * does.
   *
   * @param {string} token
   */
  async verify(token) {
    const { keys, now, revoked, feed } = this.#settings;
    const header = refusing(() => gate(token));
    if (feed?.revokedKey(header.kid)) {
      throw new InvalidTokenError('signed by a key that is revoked');
    }
    const key = await keys.key(header.kid);
    if (key?.alg !== header.alg) {
      throw new InvalidTokenError('no such key, or alg does not fit it');
    }
    const { payload } = await compactVerify(token, key.key, { algorithms: [key.alg] }).catch((err) => {
      throw new InvalidTokenError(err.message);
    });
    const claims = refusing(() => checkClaims(payload, this.#settings, now()));
    if (revoked?.(claims) || feed?.revoked(claims, header.kid)) {
      throw new InvalidTokenError('revoked');
    }
    if (feed !== undefined && !(await feed.vouches(token, claims))) {
      throw new InvalidTokenError('no longer active');
    }
    return claims;
  }

  /**
   * The claims of the token that a request presents, in the Authorization header or else in jotgate's cookie, if it is
   * valid, was presented the way it was issued for and, from a cookie, the request shows where it comes from.
   *
   * @param {import('node:http').IncomingMessage} req
   */
  async authenticate(req) {
    const before = this.#admitted.get(req);
    if (before !== undefined) {
      return before;
    }
    const { token, mode } = fromRequest(req);
    const claims = await this.verify(token);
    if (claims.mode !== mode) {
      throw new InvalidTokenError('issued for the other way to present it');
    }
    if (mode === 'cookie') {
      checkOrigin(req, this.#settings.origins);
    }
    this.#admitted.set(req, claims);
    return claims;
  }

  /** Middleware that lets requests with a valid token through, with the claims in req.auth. */
  requireToken() {
    return this.#guard(() => {});
  }

  /**
   * Middleware like requireToken for tokens that have all scopes.
   *
   * @param {...string} scopes
   */
  requireScope(...scopes) {
    return this.#guard((claims) => {
      if (!scopes.every((scope) => hasScope(claims, scope))) {
        throw new ForbiddenError(`scope needed: ${scopes.join(' ')}`, scopes.join(' '));
      }
    });
  }

  /**
   * Middleware like requireToken for users with one of roles at least.
   *
   * @param {...string} roles
   */
  requireRole(...roles) {
    return this.#guard((claims) => {
      if (!roles.some((role) => claims.roles.includes(role))) {
        throw new ForbiddenError(`role needed: ${roles.join(' or ')}`);
      }
    });
  }

  #guard(check) {
    return async (req, res, next) => {
      try {
        const claims = await this.authenticate(req);
        check(claims);
        req.auth = claims;
      } catch (err) {
        if (err instanceof AuthError) {
          refuse(res, err);
        } else {
          next(err);
        }
        return;
      }
      next();
    };
  }
}

/**
 * Whether claims grant scope, one name.
 *
 * @param {import('./index.js').Claims} claims
 * @param {string} scope
 */
export function hasScope(claims, scope) {
  return scope !== '' && claims.scope.split(' ').includes(scope);
}

/**
 * Answers a request as RFC 6750, section 3 says, with a problem document (RFC 9457). It never tells why a token is not
 * valid.
 *
 * @param {import('node:http').ServerResponse} res
 * @param {AuthError} err
 */
export function refuse(res, err) {
  res.statusCode = err.status;
  if (err.challenge !== undefined) {
    res.setHeader('WWW-Authenticate', ['Bearer realm="jotgate"', err.challenge].filter(Boolean).join(', '));
  }
  if (err.status === 503) {
    res.setHeader('Retry-After', '10');
  }
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Content-Type', 'application/problem+json');
  const { code, title, status } = err;
  res.end(JSON.stringify({ type: `urn:jotgate:problem:${code}`, title, status, code }));
}

// Makes what a check throws an InvalidTokenError.
function refusing(check) {
  try {
    return check();
  } catch (err) {
    throw new InvalidTokenError(err.message);
  }
}
