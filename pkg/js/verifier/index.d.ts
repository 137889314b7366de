import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a valid token says (RFC 9068, section 2.2). */
export interface Claims {
  iss: string;
  aud: string | string[];
  /** The user's id; of a client that acts for itself, client_id. */
  sub: string;
  /** jotgate for its own API. */
  client_id: string;
  /** The session. Absent if a client acts for itself (client credentials); auth_time and amr are then, too. */
  sid?: string;
  /** Names the token, unlike its text. */
  jti: string;
  /** Unix time in seconds, as exp and auth_time are. */
  iat: number;
  exp: number;
  /** When the user proved who they are. */
  auth_time?: number;
  /** How they did (RFC 8176). */
  amr?: string[];
  roles: string[];
  /** Separated by spaces. */
  scope: string;
  /** How the token has to be presented. */
  mode: 'bearer' | 'cookie';
  [name: string]: unknown;
}

export interface Options {
  /** jotgate's public URL, compared exactly with iss. */
  issuer: string;
  /** What aud must contain. jotgate's default audience is its issuer. */
  audience: string;
  /** How far the clocks of issuer and verifier may differ, in seconds: 30 by default, 60 at most. */
  leeway?: number;
  /**
   * The origins from which a request with a cookie may change something or open a WebSocket: scheme, host and port,
   * exactly as browsers send them. A service that takes no cookies leaves it out.
   */
  origins?: string[];
  /** Whether a token that is otherwise valid is to be refused. By default none is until it expires. */
  revoked?: (claims: Claims) => boolean;
  /** What followRevocations gave for the same issuer. It is followed once, for however many verifiers. */
  feed?: RevocationFeed;
  /** The clock, in milliseconds. */
  now?: () => number;
  /** Fetches metadata and keys. */
  fetch?: typeof globalThis.fetch;
}

export interface FeedOptions {
  /** jotgate's public URL, that of createVerifier. */
  issuer: string;
  /**
   * How old the knowledge of the feed may be before onStale counts, in seconds: 30 by default, within 2 and 3600. The
   * shorter it is, the more often the issuer is asked while nothing happens: three times in it, and every 25 s at least.
   */
  maxStaleness?: number;
  /**
   * What becomes of a token that is otherwise valid while the feed is stale: it is accepted until it expires, the
   * default; refused with an UnavailableError (503, as a 401 would sign people out); or asked about. What is known to be
   * revoked is refused in any case.
   */
  onStale?: 'accept' | 'refuse' | 'introspect';
  /**
   * For onStale: 'introspect': whether a token is active. It has 2 s, after which signal is aborted and nobody waits for
   * it; 32 are waited for at once at most. One that ignores signal goes on beside those. An answer is remembered for 2 s.
   */
  introspect?: (token: string, signal: AbortSignal) => Promise<boolean>;
  /**
   * For onStale: 'introspect' without introspect: an OAuth client of the issuer's with the audience that the tokens are
   * for. About tokens for other audiences the issuer says that they are not active.
   */
  clientId?: string;
  clientSecret?: string;
  /** The clock, in milliseconds. */
  now?: () => number;
  /** Fetches the feed, and asks the issuer about tokens. */
  fetch?: typeof globalThis.fetch;
  /** Closes the feed. */
  signal?: AbortSignal;
}

/** Follows what the issuer revokes, in the background, until it is closed. */
export function followRevocations(options: FeedOptions): RevocationFeed;

/** Knows what is revoked, and how old that knowledge is. */
export class RevocationFeed {
  private constructor();
  readonly issuer: string;
  /** How old the knowledge is, in seconds: a gauge. Infinity until everything is known for the first time. */
  readonly staleness: number;
  /** Whether staleness is more than maxStaleness. */
  readonly stale: boolean;
  /** Whether the feed is followed, not stale and not full (1,000,000 entries of one kind): a check. */
  readonly healthy: boolean;
  /** Why the last request failed; undefined after a good one. */
  readonly lastError: Error | undefined;
  /** How many entries are known: a gauge. */
  readonly size: number;
  /** Waits until everything is known for the first time, however often that fails. Rejects if the feed is closed. */
  ready(): Promise<void>;
  /** Whether a token with these claims, signed by kid, is revoked as far as is known. A verifier with the feed asks. */
  revoked(claims: Claims, kid: string): boolean;
  /** Ends the request that is under way, and all others. What is known stays known, and grows stale. */
  close(): void;
}

export type Middleware = (
  req: IncomingMessage & { auth?: Claims },
  res: ServerResponse,
  next: (err?: unknown) => void,
) => Promise<void>;

// Where Express is used, req.auth is there by this; without its types it is for nobody.
declare global {
  namespace Express {
    interface Request {
      /** What the token says, behind the middleware of a Verifier. */
      auth?: Claims;
    }
  }
}

/** Asks the issuer for its metadata (RFC 8414) and its keys. Rejects with IssuerError if they cannot be had. */
export function createVerifier(options: Options): Promise<Verifier>;

export class Verifier {
  private constructor();
  /** Rejects with InvalidTokenError or UnavailableError. Does not look at how the token was presented. */
  verify(token: string): Promise<Claims>;
  /** Rejects with an AuthError, which refuse answers. A request that was let in is not verified again. */
  authenticate(req: IncomingMessage): Promise<Claims>;
  /** The claims are in req.auth. */
  requireToken(): Middleware;
  /** All scopes are needed. */
  requireScope(...scopes: string[]): Middleware;
  /** One of roles is needed; no roles let nobody through. */
  requireRole(...roles: string[]): Middleware;
}

export function hasScope(claims: Claims, scope: string): boolean;

/** Answers as RFC 6750, section 3 says, with a problem document (RFC 9457). */
export function refuse(res: ServerResponse, err: AuthError): void;

/** The name of the cookie that carries the access token of a cookie session. */
export const COOKIE_NAME: '__Host-Http-jotgate-access';

/** Why a request is not let in. The message is for logs; clients are told code and title alone. */
export class AuthError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly challenge: string | undefined;
}
export class NoCredentialsError extends AuthError {}
export class MalformedRequestError extends AuthError {}
export class InvalidTokenError extends AuthError {}
export class CrossOriginError extends AuthError {}
export class ForbiddenError extends AuthError {
  readonly scope: string | undefined;
}
/** A token that cannot be judged at the moment, for want of keys or of fresh knowledge of revocations. */
export class UnavailableError extends AuthError {}

/** The issuer's metadata or keys cannot be fetched or read, for a cause that may pass: a start may try again. */
export class IssuerError extends Error {
  /** Of the document. */
  readonly url: string;
  readonly cause: Error;
}
