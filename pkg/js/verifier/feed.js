import { readDocument } from './document.js';
import { UnavailableError } from './errors.js';
import { Introspection, askIssuer } from './introspection.js';
import { Revocations, parsePage } from './revocations.js';

const maxPage = 1024 * 1024; // bytes; 1,000 entries are a tenth of it
const second = 1000;
const patience = 5 * second; // how much longer than it may be held an answer may take
const [minBackOff, maxBackOff] = [250, 5 * second];
const pace = 250; // at least between two questions, so that news come in pages and who answers early is not pressed
const sweepEvery = 30 * second;

/**
 * Follows what an issuer revokes, until close or signal ends it.
 *
 * @param {import('./index.js').FeedOptions} options
 * @returns {RevocationFeed}
 */
export function followRevocations(options) {
  const { issuer, maxStaleness = 30, onStale = 'accept', now = Date.now, fetch = globalThis.fetch } = options;
  if (typeof issuer !== 'string' || issuer === '') {
    throw new TypeError('jotgate: issuer is needed');
  }
  if (!['https:', 'http:'].includes(new URL(issuer).protocol)) {
    throw new TypeError('jotgate: issuer is not an http or https URL');
  }
  if (typeof maxStaleness !== 'number' || !(maxStaleness >= 2 && maxStaleness <= 3600)) {
    throw new TypeError('jotgate: maxStaleness is not within 2 and 3600 s');
  }
  if (!['accept', 'refuse', 'introspect'].includes(onStale)) {
    throw new TypeError("jotgate: onStale is not 'accept', 'refuse' or 'introspect'");
  }
  const ask = asker({ ...options, fetch });
  if ((ask !== undefined) !== (onStale === 'introspect')) {
    throw new TypeError("jotgate: introspect, or clientId and clientSecret, go with onStale: 'introspect' and with no other");
  }
  const introspection = ask && new Introspection(ask, now);
  const feed = new RevocationFeed({ issuer, maxStaleness, onStale, now, fetch, introspection, known: new Revocations() });
  feed.follow(options.signal);
  return feed;
}

// How to ask about a token, if the options say.
function asker({ issuer, introspect, clientId, clientSecret, fetch }) {
  const credentials = [clientId, clientSecret].filter((given) => given !== undefined);
  if (introspect === undefined && credentials.length === 0) {
    return undefined;
  }
  const whole = credentials.length === 2 && credentials.every((text) => typeof text === 'string' && text !== '');
  if (introspect === undefined && whole) {
    return askIssuer({ issuer, clientId, clientSecret, fetch });
  }
  if (typeof introspect !== 'function' || credentials.length > 0) {
    throw new TypeError('jotgate: give either introspect, a function, or clientId and clientSecret');
  }
  return introspect;
}

/** Knows what is revoked, and how old that knowledge is. Made by followRevocations. */
export class RevocationFeed {
  #settings;
  #introspection;
  #known;
  #cursor;
  #missed; // {cursor}: the first one after which there was no room for all
  #complete = false; // whether the last answer was good and left nothing behind
  /** When the issuer's knowledge was what is known here, by both clocks. */
  #asOf = { wall: -Infinity, steady: -Infinity };
  #swept = -Infinity;
  #full = false;
  #keyListeners = [];
  #request;
  #pause; // the timer between two requests
  #resume = () => {};
  #awaited = false;
  #ready = settleable();
  #ended = false;
  #endsWith;

  /** Why the last request failed, or undefined. */
  lastError;

  constructor(settings) {
    this.#settings = settings;
    [this.#known, this.#introspection] = [settings.known, settings.introspection];
  }

  get issuer() {
    return this.#settings.issuer;
  }

  /**
   * How old the knowledge is, in seconds. By the clock of the wall, which goes on while a machine sleeps, and by the
   * steady one, which nobody sets: the worse counts.
   */
  get staleness() {
    const { wall, steady } = this.#clocks();
    return Math.max(wall - this.#asOf.wall, steady - this.#asOf.steady, 0) / second;
  }

  #clocks() {
    return { wall: this.#settings.now(), steady: performance.now() };
  }

  get stale() {
    return this.staleness > this.#settings.maxStaleness;
  }

  get healthy() {
    return !this.stale && !this.#full && !this.#ended;
  }

  /** How many entries are known. */
  get size() {
    return this.#known.size;
  }

  /** Waits for the first complete snapshot. A process that waits for it does not exit. */
  ready() {
    if (this.staleness === Infinity && !this.#ended) {
      this.#awaited = true;
      this.#pause?.ref();
    }
    return this.#ready.promise;
  }

  /**
   * Whether a token with these claims, signed by kid, is revoked as far as is known.
   *
   * @param {import('./index.js').Claims} claims
   * @param {string} kid
   */
  revoked(claims, kid) {
    return this.#known.has(claims, kid, this.#settings.now() / second);
  }

  /**
   * What onStale says about a token that is otherwise valid, if the knowledge is stale.
   *
   * @param {string} token
   * @param {import('./index.js').Claims} claims
   * @returns {Promise<boolean>} whether the token is good; rejects with UnavailableError if nobody can say
   */
  async vouches(token, claims) {
    if (!this.stale || this.#settings.onStale === 'accept') {
      return true;
    }
    if (this.#settings.onStale === 'refuse') {
      throw new UnavailableError(`what is known of revocations is ${this.staleness} s old`);
    }
    return this.#introspection.active(token, claims);
  }

  /** Whether kid is revoked as far as is known, and with it all that it signed. */
  revokedKey(kid) {
    return this.#known.hasKey(kid, this.#settings.now() / second);
  }

  /**
   * Has listener called with every key that is revoked from now on.
   *
   * @param {(kid: string) => void} listener
   */
  onRevokedKey(listener) {
    this.#keyListeners.push(listener);
  }

  #keyRevoked = (kid) => this.#keyListeners.forEach((listener) => listener(kid));

  /** Ends everything: the request that is under way, timers, and ready if it is waited for. */
  close() {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#endsWith?.removeEventListener('abort', this.#close);
    this.#request?.abort();
    clearTimeout(this.#pause);
    this.#resume();
    this.#ready.reject(new Error('jotgate: the feed is closed'));
  }

  #close = () => this.close();

  /**
   * Called once, by followRevocations.
   *
   * @param {AbortSignal} [signal]
   */
  follow(signal) {
    if (signal?.aborted) {
      this.close();
      return;
    }
    this.#endsWith = signal;
    signal?.addEventListener('abort', this.#close);
    this.#run();
  }

  async #run() {
    let failures = 0;
    while (!this.#ended) {
      let pause;
      try {
        pause = await this.#ask();
        failures = 0;
      } catch (thrown) {
        const err = thrown instanceof Error ? thrown : new Error(`jotgate: ${thrown}`);
        if (!this.#ended) {
          this.#failed(err);
        }
        pause = backOff(err, failures++);
      }
      this.#sweep();
      await this.#sleep(pause);
    }
  }

  #failed(err) {
    this.lastError = err;
    this.#complete = false; // the next question is not held, so that the knowledge is fresh again at once
    if (err.status === 422) {
      [this.#cursor, this.#missed] = []; // not one of this issuer's, whatever happened to it
    }
  }

  // How long the issuer may hold an answer, in seconds: three fit into maxStaleness, so that one may be lost.
  #wait() {
    return Math.floor(Math.min(Math.max(this.#settings.maxStaleness / 3, 1), 25));
  }

  // Asks once, and returns how long to wait before the next question, in milliseconds.
  async #ask() {
    const wait = this.#complete && this.#cursor !== undefined ? this.#wait() : 0;
    const asked = this.#clocks();
    const { bytes, arrived } = await this.#get(wait);
    const { cursor, more, lag, entries } = parsePage(bytes);
    if (more && (cursor === this.#cursor || entries.length === 0)) {
      throw new Error('revocation feed: there is more, and it never comes');
    }
    if (!this.#known.add(entries, asked.wall / second, this.#keyRevoked)) {
      [this.#missed, this.#full] = [this.#missed ?? { cursor: this.#cursor }, true];
    }
    this.#introspection?.forget(new Set(entries.flatMap(({ changed }) => changed ?? [])));
    this.#cursor = cursor;
    if (!more && this.#missed !== undefined) {
      throw new FullError(`revocation feed: more than ${this.#known.max} entries of one kind`);
    }
    this.#complete = !more;
    this.lastError = undefined;
    if (!more) {
      this.#full = false;
      // What took longer than an answer may be held was the way, and the answer is older than its arrival.
      const asOf = (clock) => Math.min(arrived[clock], asked[clock] + wait * second) - lag;
      this.#asOf = { wall: asOf('wall'), steady: asOf('steady') };
      this.#ready.resolve();
      this.#awaited = false;
    }
    return more || wait === 0 ? 0 : pace - (performance.now() - asked.steady);
  }

  async #get(wait) {
    const query = new URLSearchParams({ ...(this.#cursor && { after: this.#cursor }), ...(wait > 0 && { wait }) });
    let arrived;
    const fetch = async (...request) => {
      const res = await this.#settings.fetch(...request);
      arrived = this.#clocks(); // with the head; the body may take its time
      return res;
    };
    const request = new AbortController();
    const late = new Error('revocation feed: no answer in time');
    const timer = setTimeout(() => request.abort(late), wait * second + patience);
    timer.unref();
    this.#request = request;
    try {
      const { bytes } = await readDocument(fetch, `${this.issuer.replace(/\/$/, '')}/v1/revocations?${query}`, {
        max: maxPage,
        headers: { 'Cache-Control': 'no-cache' },
        signal: request.signal,
      });
      return { bytes, arrived };
    } finally {
      clearTimeout(timer);
    }
  }

  #sweep() {
    const since = this.#settings.now() - this.#swept;
    if (0 <= since && since < sweepEvery) {
      return;
    }
    if (since < 0) {
      [this.#cursor, this.#missed] = []; // the clock went back, so that entries that were dropped may count again
    }
    this.#swept = this.#settings.now();
    this.#known.sweep(this.#swept / second);
    if (this.#missed !== undefined && this.lastError instanceof FullError) {
      [this.#cursor, this.#missed] = [this.#missed.cursor, undefined]; // all was read, and there may be room now
    }
  }

  // A process that waits for nothing but the next request may exit, unless it waits for ready.
  async #sleep(milliseconds) {
    if (this.#ended || milliseconds <= 0) {
      return;
    }
    await new Promise((resolve) => {
      this.#resume = resolve;
      this.#pause = setTimeout(resolve, milliseconds);
      if (!this.#awaited) {
        this.#pause.unref();
      }
    });
  }
}

/** There was no room for some entry, so that what is known is not everything. */
class FullError extends Error {}

/**
 * How long to wait after a failure that others came before, in milliseconds: at least half of a time that doubles, so
 * that verifiers do not come back together, and what the issuer asks for, neither for more than 5 s.
 *
 * @param {Error & {retryAfter?: number}} err
 * @param {number} failures
 */
export function backOff(err, failures) {
  const most = Math.min(minBackOff * 2 ** failures, maxBackOff);
  const jittered = most * (0.5 + Math.random() / 2);
  return Math.min(Math.max(jittered, err.retryAfter ?? 0), maxBackOff);
}

// A promise to settle from outside. Nobody has to wait for it.
function settleable() {
  let settle;
  const promise = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, ...settle };
}
