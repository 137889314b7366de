import { readDocument } from './document.js';
import { UnavailableError } from './errors.js';

const maxAnswer = 64 * 1024; // bytes
const second = 1000;
const patience = 2 * second;
const remembered = 2 * second;
const maxAnswers = 10_000;
const maxQuestions = 32; // that are waited for at once; others wait for their turn

/**
 * Asks whether single tokens are still good. One token is asked about once at a time, and not again for a moment.
 * Tokens are known by their jti: the text of a token can be written in more than one way.
 */
export class Introspection {
  #ask;
  #now;
  #patience;
  /** @type {Map<string, {sub: string, at: number, pending: boolean, active: Promise<boolean>}>} by jti, oldest first */
  #answers = new Map();
  #asking = 0;
  #waiting = []; // what to call for who waits for a turn, in their order

  /**
   * @param {(token: string, signal: AbortSignal) => Promise<boolean>} ask
   * @param {() => number} now in milliseconds
   * @param {number} [milliseconds] that an answer may take, the wait for a turn included
   */
  constructor(ask, now, milliseconds = patience) {
    [this.#ask, this.#now, this.#patience] = [ask, now, milliseconds];
  }

  /**
   * @param {string} token
   * @param {import('./index.js').Claims} claims of token
   * @returns {Promise<boolean>} rejects with UnavailableError if nobody answers
   */
  active(token, { jti, sub }) {
    const known = this.#answers.get(jti);
    const age = this.#now() - known?.at;
    if (known?.pending || (0 <= age && age < remembered)) {
      return known.active;
    }
    const answer = { sub, at: this.#now(), pending: true };
    answer.active = this.#question(token).finally(() => {
      answer.pending = false;
    });
    this.#remember(jti, answer);
    return answer.active;
  }

  /**
   * Forgets the answers about the tokens of subjects, and does not remember those that are under way.
   *
   * @param {Set<string>} subjects
   */
  forget(subjects) {
    for (const [jti, { sub }] of subjects.size > 0 ? this.#answers : []) {
      if (subjects.has(sub)) {
        this.#answers.delete(jti);
      }
    }
  }

  #remember(jti, answer) {
    this.#answers.delete(jti);
    if (this.#answers.size >= maxAnswers) {
      this.#answers.delete(this.#answers.keys().next().value);
    }
    this.#answers.set(jti, answer);
    answer.active.catch(() => {
      if (this.#answers.get(jti) === answer) {
        this.#answers.delete(jti);
      }
    });
  }

  async #question(token) {
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), this.#patience);
    const turn = await this.#turn();
    try {
      if (!turn) {
        throw new Error('too many questions at once');
      }
      const active = await Promise.race([this.#ask(token, enough.signal), aborted(enough.signal)]);
      if (typeof active !== 'boolean') {
        throw new Error('neither active nor not');
      }
      return active;
    } catch (err) {
      throw new UnavailableError(`introspection: ${err?.message ?? err}`);
    } finally {
      clearTimeout(timer);
      if (turn) {
        this.#next();
      }
    }
  }

  // Waits for a turn, and returns whether there is one. Who got one calls #next. Those before end by their own time-out,
  // which is earlier, so that nobody waits longer than for an answer.
  #turn() {
    if (this.#asking < maxQuestions) {
      this.#asking++;
      return true;
    }
    if (this.#waiting.length >= maxAnswers) {
      return false;
    }
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(true));
    });
  }

  #next() {
    const begin = this.#waiting.shift();
    if (begin === undefined) {
      this.#asking--;
      return;
    }
    begin();
  }
}

// Never kept, and broken when signal comes.
function aborted(signal) {
  return new Promise((_, reject) => {
    const late = () => reject(new Error('no answer in time'));
    if (signal.aborted) {
      late();
    }
    signal.addEventListener('abort', late);
  });
}

/**
 * Asks the issuer, as an OAuth client (RFC 7662, section 2).
 *
 * @param {{issuer: string, clientId: string, clientSecret: string, fetch: typeof globalThis.fetch}} options
 * @returns {(token: string, signal: AbortSignal) => Promise<boolean>}
 */
export function askIssuer({ issuer, clientId, clientSecret, fetch }) {
  const url = `${issuer.replace(/\/$/, '')}/oauth/introspect`;
  const credentials = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64');
  return async (token, signal) => {
    const { bytes } = await readDocument(fetch, url, {
      max: maxAnswer,
      method: 'POST',
      headers: { Authorization: `Basic ${credentials}` },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      signal,
    });
    return JSON.parse(bytes.toString())?.active;
  };
}

// RFC 6749, section 2.3.1.
const formEncoded = (text) => new URLSearchParams({ '': text }).toString().slice(1);
