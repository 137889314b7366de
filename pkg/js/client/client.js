/**
 * Signs a browser in at a jotgate server with cookies that no script can read,
 * and keeps it signed in. It never holds a token: the browser sends the cookies,
 * and this file knows only whether the server took them.
 *
 * All tabs of an origin act as one. They refresh one at a time, and each learns
 * when another one signs in or out.
 *
 * @module @jotgate/client
 */

/** How long a request may hold up the other tabs, in milliseconds; the server gives up before. */
const PATIENCE = 20_000;

/** How long a tab shows the others that it has refreshed, in milliseconds. */
const SHOWN = 10_000;

/** How long at most a server is not asked again that says when, in seconds. */
const MAX_WAIT = 3600;

/** What the server says of a session that a refresh may save. */
const STALE = ['invalid-token', 'no-credentials'];

/** What the server says when there is no session left to refresh. */
const UNAUTHORIZED = 401;

/** The type of a problem document of jotgate, up to its code. */
const PROBLEM = 'urn:jotgate:problem:';

/** The code of an error that jotgate did not write. */
const UNKNOWN = 'unknown';

/** An answer of the server that is an error (RFC 9457). */
export class ProblemError extends Error {
  /**
   * @param {number} status of the answer
   * @param {object} problem the document, or {} if the answer held none of jotgate
   * @param {Headers} headers of the answer
   */
  constructor(status, problem, headers) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.name = 'ProblemError';
    this.status = status;
    this.code = problem.code ?? UNKNOWN;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? headers.get('X-Request-Id');
    const seconds = headers.get('Retry-After');
    this.retryAfter = /^\d+$/.test(seconds ?? '') ? Number(seconds) : null;
  }
}

/**
 * Returns a client of the server at baseURL, which is the page's own origin if it
 * is left out. The other options replace what the browser has; null does without.
 *
 * @param {import('./client.js').ClientOptions} [options]
 */
export function createClient(options = {}) {
  return new Client(options);
}

class Client {
  #origin;
  #send;
  #turns;
  #retry;
  #channel = null;
  #listeners = new Set();
  #state = null; // 'signed-in', 'signed-out', or null while nobody asked
  #since = -Infinity; // the time as of which #state holds
  #session = null; // the id of the session behind the cookies, as far as known
  #outcome = null; // of the last refresh of this tab that is over

  constructor({
    baseURL = globalThis.location?.origin,
    fetch = globalThis.fetch,
    locks = globalThis.navigator?.locks,
    BroadcastChannel = globalThis.BroadcastChannel,
    storage = storageOfPage(),
  }) {
    if (!baseURL) throw new TypeError('jotgate: baseURL is missing, and there is no page to take it from');
    this.#origin = new URL(baseURL).origin;
    this.#send = (url, init) => fetch(url, init);
    const scope = `jotgate:${this.#origin}`;
    this.#turns = new Turns(scope, locks);
    this.#retry = new RetryKey(`${scope}:retry-key`, storage);
    if (BroadcastChannel) {
      this.#channel = new BroadcastChannel(scope);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    }
  }

  /** Registers a user. It signs nobody in. */
  register({ username, email, password }) {
    return this.#call('POST', '/v1/users', { username, email, password });
  }

  /** Signs the browser in: this tab and all others. */
  login({ identifier, password, device }) {
    return this.#turns.take(async () => {
      const answer = await this.#call('POST', '/v1/login', { identifier, password, device, mode: 'cookie' });
      this.#retry.drop();
      this.#turns.refreshed();
      this.#session = answer.session.id;
      this.#become('signed-in');
      return answer;
    });
  }

  /** Ends the session and signs all tabs out. One that was over already is no error. */
  logout() {
    return this.#turns.take(async () => {
      try {
        await this.#call('POST', '/v1/logout');
      } catch (err) {
        if (!(err instanceof ProblemError && STALE.includes(err.code))) throw err;
      }
      this.#signOut();
    });
  }

  /** Returns the signed-in user and the session. */
  async me() {
    const sent = Date.now();
    const answer = await this.#authorized('GET', '/v1/me');
    this.#know(answer.session, sent);
    return answer;
  }

  /** Returns the user's sessions, the one used last first. */
  async sessions() {
    const sent = Date.now();
    const { sessions } = await this.#authorized('GET', '/v1/sessions');
    const current = sessions.find((s) => s.current);
    if (current) this.#know(current, sent);
    return sessions;
  }

  /** Ends one session of the user. If it is this one, all tabs are signed out. */
  async endSession(id) {
    await this.#authorized('DELETE', `/v1/sessions/${encodeURIComponent(id)}`);
    if (id === this.#session) this.#signOut();
  }

  /** Ends every session of the user but this one. */
  endOtherSessions() {
    return this.#authorized('DELETE', '/v1/sessions?except=current');
  }

  /** Changes the password, which ends every other session of the user. */
  changePassword({ currentPassword, newPassword }) {
    return this.#authorized('POST', '/v1/me/password', { current_password: currentPassword, new_password: newPassword });
  }

  /**
   * Is fetch for any API of the origin, with the cookies. An answer that says that
   * the access token is missing or not valid is followed by a refresh, and the
   * request is sent once more unless its body is a stream; and again after a second
   * refresh if the token is missing then: an answer that was late has taken the new
   * cookie away. If a refresh says that the session is over, the answer is returned;
   * if it fails for another reason, that is thrown, until a Retry-After is over.
   */
  async fetch(input, init = {}) {
    const request = input instanceof Request ? input : null;
    const url = new URL(request ? request.url : input, this.#origin);
    if (url.origin !== this.#origin) throw new TypeError(`jotgate: ${url.origin} is not ${this.#origin}`);
    const stream = typeof ReadableStream !== 'undefined' && init.body instanceof ReadableStream;
    let sent = Date.now();
    for (const saved of [STALE, ['no-credentials'], []]) {
      const before = this.#outcome;
      const answer = await this.#send(request ? request.clone() : url.href, { ...init, credentials: 'include' });
      if (!saved.includes(await refusalOf(answer)) || !(await this.#renew(sent, before)) || stream) return answer;
      sent = Date.now() + 1; // the refresh before it may be of the same millisecond
    }
  }

  /**
   * Refreshes now, and returns whether the browser is signed in. It throws if that
   * cannot be told: without a network, from a server that is overloaded, or if it is
   * not jotgate that answers.
   */
  refresh() {
    return this.#turns.take(() => this.#refresh());
  }

  /**
   * Calls listener with 'signed-in' or 'signed-out' when that changes, in whatever
   * tab. 'signed-in' comes again when somebody signs in over a session. Returns a
   * function that stops it.
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops listening to other tabs. */
  close() {
    this.#channel?.close();
    this.#channel = null;
    this.#listeners.clear();
  }

  /**
   * Refreshes for a request that was sent at the time sent, when before was the
   * outcome, and returns whether there is a session. A refresh that has come to its
   * end since then counts for the request too, and so does one after which the server
   * wants to be left alone.
   */
  #renew(sent, before) {
    return this.#turns.take(async () => {
      if (await this.#turns.refreshedSince(sent)) return true;
      const fresh = this.#outcome !== before && Date.now() - this.#outcome.at < PATIENCE;
      const shared = fresh || (await this.#isTooEarly());
      return shared ? this.#outcome.result : this.#refresh();
    });
  }

  /** Reports whether the server has said to come later, and nobody had a better answer since. */
  async #isTooEarly() {
    const { at, wait } = this.#outcome ?? {};
    const since = Date.now() - at;
    return since >= 0 && since < wait && !(await this.#turns.refreshedSince(at));
  }

  /** Refreshes, and keeps the outcome for the requests that are waiting. */
  async #refresh() {
    const result = this.#exchange();
    const [{ reason }] = await Promise.allSettled([result]);
    const seconds = reason?.code === UNKNOWN ? 0 : (reason?.retryAfter ?? 0); // of jotgate alone
    this.#outcome = { result, at: Date.now(), wait: Math.min(seconds, MAX_WAIT) * 1000 };
    return result;
  }

  async #exchange() {
    const headers = { 'Idempotency-Key': this.#retry.take() };
    const sent = Date.now();
    try {
      const answer = await this.#call('POST', '/v1/refresh', undefined, headers);
      this.#retry.drop();
      const at = this.#turns.refreshed();
      this.#tell('refreshed', at);
      this.#know(answer.session, sent);
      return true;
    } catch (err) {
      if (!(err instanceof ProblemError && err.status === UNAUTHORIZED && err.code !== UNKNOWN)) throw err;
      this.#retry.drop();
      this.#signOut();
      return false;
    }
  }

  async #authorized(method, path, body) {
    return read(await this.fetch(path, requestInit(method, body)));
  }

  /** Makes a request that is not repeated, in a bounded time. */
  async #call(method, path, body, headers) {
    const init = requestInit(method, body, headers);
    return read(await this.#send(this.#origin + path, { ...init, credentials: 'include', signal: AbortSignal.timeout(PATIENCE) }));
  }

  #signOut() {
    this.#session = null;
    if (this.#state !== 'signed-out') this.#become('signed-out');
  }

  /**
   * Notes the session of an answer, which is no news to anybody. The request was sent
   * at the time sent: who signed in or out later may have changed what it found.
   */
  #know(session, sent) {
    if (sent < past(this.#since)) return;
    this.#session = session?.id ?? null;
    this.#state = 'signed-in';
    this.#since = sent;
  }

  /** Tells the other tabs and the listeners here. */
  #become(state) {
    const at = Date.now();
    this.#tell(state, at);
    this.#set(state, at);
  }

  #set(state, at) {
    this.#state = state;
    this.#since = at;
    for (const listener of this.#listeners) {
      // By itself, so that what a listener throws is no failure of a login.
      queueMicrotask(() => this.#listeners.has(listener) && listener(state));
    }
  }

  #tell(type, at) {
    this.#channel?.postMessage({ type, at });
  }

  /** Takes a message of another tab, which may come after what this one did later. */
  #hear(message) {
    const { type, at } = message ?? {};
    if (type === 'refreshed' || type === 'signed-in') this.#turns.heard(at);
    if (!(at >= past(this.#since))) return;
    if (type !== 'signed-in' && type !== 'signed-out') return;
    this.#session = null; // another one, or none
    if (type === 'signed-in' || this.#state !== type) this.#set(type, at);
  }
}

/**
 * Lets one tab at a time change the cookies, and knows when that last gave new
 * ones. A tab that waited for its turn must know what the one before it did, and a
 * message may come too late for that. So a tab that has refreshed holds, for a
 * while, a lock whose name is the time: who has a turn sees it.
 */
class Turns {
  #name;
  #shown;
  #locks;
  #last = -Infinity; // of the refreshes known here
  #queue = Promise.resolve(); // of the turns in this tab, where there are no locks

  constructor(scope, locks) {
    this.#name = `${scope}:turn`;
    this.#shown = `${scope}:refreshed:`;
    this.#locks = locks;
  }

  /** Runs act while no other tab has a turn. */
  take(act) {
    if (this.#locks) return this.#locks.request(this.#name, act);
    const turn = this.#queue.then(act);
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Notes that there are new cookies as of now, which it returns. To be called in a turn. */
  refreshed() {
    const at = Date.now();
    this.heard(at);
    this.#locks
      ?.request(this.#shown + at, { mode: 'shared' }, () => new Promise((done) => setTimeout(done, SHOWN).unref?.()))
      .catch(() => {}); // the page goes, or the browser refuses: then others refresh once more
    return at;
  }

  /** Notes that there are new cookies as of the time at. */
  heard(at) {
    if (Number.isFinite(at) && at <= Date.now()) this.#last = Math.max(past(this.#last), at);
  }

  /** Reports whether there are newer cookies than a request had that was sent at the time sent. */
  async refreshedSince(sent) {
    this.#last = past(this.#last);
    if (this.#last < sent && this.#locks?.query) {
      const { held = [] } = await this.#locks.query();
      for (const { name } of held) {
        if (name.startsWith(this.#shown)) this.heard(Number(name.slice(this.#shown.length)));
      }
    }
    return this.#last >= sent;
  }
}

/**
 * The Idempotency-Key of a refresh whose answer has not come yet. It outlives the
 * page, and all tabs present the same one: if the answer was lost, the server
 * then gives it again, instead of taking the spent token for a stolen one.
 */
class RetryKey {
  #name;
  #storage;
  #value = null;

  constructor(name, storage) {
    this.#name = name;
    this.#storage = storage;
  }

  take() {
    const kept = this.#storage?.getItem(this.#name) ?? this.#value;
    this.#value = /^[0-9a-f]{32}$/.test(kept ?? '') ? kept : randomKey();
    try {
      this.#storage?.setItem(this.#name, this.#value);
    } catch {
      // A full storage: the key lives as long as the page.
    }
    return this.#value;
  }

  drop() {
    this.#value = null;
    this.#storage?.removeItem(this.#name);
  }
}

/** Returns the time at, or -Infinity if a clock that was set back has put it into the future. */
function past(at) {
  return at > Date.now() ? -Infinity : at;
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Returns what keeps a text for all tabs, or null where the browser has none or refuses it. */
function storageOfPage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

function requestInit(method, body, headers = {}) {
  if (body === undefined) return { method, headers };
  return { method, headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}

/** Returns the code with which a credential was refused, if it was. An API may say so by jotgate's challenge alone. */
async function refusalOf(answer) {
  if (answer.status !== UNAUTHORIZED) return null;
  const { code } = await problemOf(answer.clone());
  const challenge = answer.headers.get('WWW-Authenticate') ?? '';
  if (code || !challenge.startsWith('Bearer realm="jotgate"')) return code;
  return challenge.includes('error="invalid_token"') ? 'invalid-token' : 'no-credentials';
}

/** Returns what a good answer of jotgate says, and throws what another one says. */
async function read(answer) {
  if (!answer.ok) {
    const problem = await problemOf(answer);
    throw new ProblemError(answer.status, problem.type === PROBLEM + problem.code ? problem : {}, answer.headers);
  }
  return answer.status === 204 ? undefined : answer.json();
}

async function problemOf(answer) {
  if (!/^application\/problem\+json\b/i.test(answer.headers.get('Content-Type') ?? '')) return {};
  return (await answer.json().catch(() => null)) ?? {};
}
