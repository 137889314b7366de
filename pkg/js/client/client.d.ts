/** What a listener is told. */
export type SignInState = 'signed-in' | 'signed-out';

export interface User {
  id: string;
  username: string | null;
  email: string | null;
  email_verified: boolean;
  roles: string[];
  /** RFC 3339, as all times. */
  created_at: string;
}

/** One sign-in on one device. */
export interface Session {
  id: string;
  mode: 'bearer' | 'cookie';
  device: string | null;
  ip: string;
  user_agent: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  /** Whether it is the one of this browser. */
  current: boolean;
}

/** The answer to a login. The tokens are in cookies, and nowhere else. */
export interface SignIn {
  /** Seconds. */
  expires_in: number;
  /** Seconds. */
  refresh_expires_in: number;
  session: Session;
  user: User;
}

/** One field of a body that has to change. */
export interface FieldError {
  /** A JSON Pointer, such as "/password"; empty for the body as a whole. */
  pointer: string;
  /** A stable word, such as "too-short". */
  code: string;
  detail: string;
}

/** An answer of the server that is an error (RFC 9457). Its message is for people. */
export class ProblemError extends Error {
  constructor(status: number, problem: object, headers: Headers);
  readonly status: number;
  /** A stable word, such as "bad-credentials"; "unknown" if somebody else answered. */
  readonly code: string;
  readonly errors: FieldError[];
  readonly requestId: string | null;
  /** Seconds from the answer on after which to try again, if the server said so. */
  readonly retryAfter: number | null;
}

export interface ClientOptions {
  /** The server's origin; the page's own if left out. Another one has to trust the page's (CORS and cookies). */
  baseURL?: string;
  fetch?: typeof globalThis.fetch;
  /** null: tabs may refresh at the same time, which the server bears with. */
  locks?: LockManager | null;
  /** null: tabs do not hear of each other. */
  BroadcastChannel?: typeof globalThis.BroadcastChannel | null;
  /** null: a lost answer to a refresh is not recovered by another tab, or after a reload. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
}

export interface Client {
  /** Registers a user, with a username, an email or both. It signs nobody in. */
  register(user: { username?: string; email?: string; password: string }): Promise<User>;
  /** Signs the browser in: this tab and all others. */
  login(credentials: { identifier: string; password: string; device?: string }): Promise<SignIn>;
  /** Ends the session and signs all tabs out. One that was over already is no error. */
  logout(): Promise<void>;
  me(): Promise<{ user: User; session: Session | null }>;
  /** The user's sessions, the one used last first. */
  sessions(): Promise<Session[]>;
  /** Ends one session of the user. If it is this one, all tabs are signed out. */
  endSession(id: string): Promise<void>;
  endOtherSessions(): Promise<void>;
  /** Changes the password, which ends every other session of the user. */
  changePassword(passwords: { currentPassword: string; newPassword: string }): Promise<void>;
  /**
   * Is fetch for any API of the origin, with the cookies; another origin is a TypeError. An answer of code
   * invalid-token or no-credentials is followed by a refresh, and the request is sent once more unless its body is a
   * stream; if it is answered no-credentials then, because a late answer took the new cookie away, there is one refresh
   * more. If the session is over, the answer is returned; if that cannot be told, what is in the way is thrown.
   * Requests of a tab that wait together share what comes of the refresh. A jotgate that says Retry-After is not asked
   * before, for an hour at most: until then the same error is thrown.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * Refreshes now, whatever came of it before, and returns whether the browser is signed in. It throws if that cannot
   * be told: without a network, from a server that is overloaded, or if it is not jotgate that answers.
   */
  refresh(): Promise<boolean>;
  /** Calls listener when somebody signs in or out, in whatever tab. Returns a function that stops it. */
  onChange(listener: (state: SignInState) => void): () => void;
  /** Stops listening to other tabs. */
  close(): void;
}

export function createClient(options?: ClientOptions): Client;
