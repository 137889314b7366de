// What keeps a request out. A message says what was wrong with a token and is for
// logs; clients are told code and title alone.

/** Why a request is not let in. Each kind has a class of its own. */
export class AuthError extends Error {
  /**
   * @param {number} status of the answer
   * @param {string} code of the problem document
   * @param {string} title for clients
   * @param {string} [why] for logs
   */
  constructor(status, code, title, why = title) {
    super(`jotgate: ${why}`);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.title = title;
    /** @type {string | undefined} what follows the realm in WWW-Authenticate (RFC 6750, section 3) */
    this.challenge = undefined;
  }
}

/** A request that presents nothing that this package reads. */
export class NoCredentialsError extends AuthError {
  constructor() {
    super(401, 'no-credentials', 'Sign in first');
    this.challenge = '';
  }
}

/** A request that presents credentials twice. */
export class MalformedRequestError extends AuthError {
  constructor() {
    super(400, 'invalid-request', 'Credentials were presented twice');
    this.challenge = 'error="invalid_request"';
  }
}

/** A token that is not valid, for whatever reason. */
export class InvalidTokenError extends AuthError {
  /** @param {string} why */
  constructor(why) {
    super(401, 'invalid-token', 'The access token is not valid', why);
    this.challenge = 'error="invalid_token"';
  }
}

/** A request with a cookie that would change something and does not show that it comes from an origin that may. */
export class CrossOriginError extends AuthError {
  constructor() {
    super(403, 'csrf-rejected', 'The request does not show that it comes from this site');
  }
}

/** A valid token without a scope or role that is needed. */
export class ForbiddenError extends AuthError {
  /**
   * @param {string} why
   * @param {string} [scope] the scopes needed, separated by spaces
   */
  constructor(why, scope) {
    super(403, 'insufficient-scope', 'The credential may not do this', why);
    this.scope = scope;
    this.challenge = `error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`;
  }
}

/**
 * A token that cannot be judged, because the issuer's keys are not there and cannot be fetched, or because what is known
 * of revocations is too old.
 */
export class UnavailableError extends AuthError {
  /** @param {string} why */
  constructor(why) {
    super(503, 'unavailable', 'Tokens cannot be verified at the moment', why);
  }
}

/** The issuer's metadata or keys cannot be fetched or read, for a cause that may pass. */
export class IssuerError extends Error {
  /**
   * @param {string} url of the document
   * @param {Error} cause
   */
  constructor(url, cause) {
    super(`jotgate: ${url}: ${cause.message.replace(`jotgate: ${url}: `, '')}`, { cause });
    this.name = 'IssuerError';
    this.url = url;
  }
}
