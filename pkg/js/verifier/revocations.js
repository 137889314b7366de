const maxEntries = 1_000_000;
const maxName = 255; // characters of a sid, sub or kid; jotgate's have 36
const latest = 2 ** 40; // seconds since 1970, as in claims.js
const leeway = 60; // seconds that a verifier may accept a token past its exp; an entry stays as long

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads one answer of GET /v1/revocations. Members that it does not know are for later versions. What it knows has to
 * be as it should be, or nothing of the answer counts: an entry that is passed over is a token that is let in.
 *
 * @typedef {{kind?: 'sid' | 'sub' | 'kid' | 'all', name?: string, before?: number, exp?: number, changed?: string}} Entry
 * @param {Uint8Array} bytes
 * @returns {{cursor: string, more: boolean, lag: number, entries: Entry[]}} lag is in milliseconds
 */
export function parsePage(bytes) {
  const { cursor, more, lag_ms: lag, revocations } = JSON.parse(utf8.decode(bytes)) ?? {};
  if (typeof cursor !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(cursor) || typeof more !== 'boolean') {
    throw new Error('revocation feed: cursor or more is not what it should be');
  }
  if (!(Number.isFinite(lag) && lag >= 0)) {
    throw new Error('revocation feed: lag_ms is not a duration');
  }
  if (!Array.isArray(revocations)) {
    throw new Error('revocation feed: not a list of revocations');
  }
  return { cursor, more, lag, entries: revocations.map(checkEntry) };
}

const kinds = ['sid', 'sub', 'kid'];

// Returns what an entry says, or nothing for one of a later version.
function checkEntry(entry) {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw new Error('revocation feed: not an entry');
  }
  const { changed, iat_before: before, exp } = entry;
  const named = [...kinds.filter((kind) => Object.hasOwn(entry, kind)), ...(entry.all === true ? ['all'] : [])];
  if (named.length === 0) {
    return isName(changed) ? { changed } : {};
  }
  const [kind] = named;
  const dated = kind === 'sub' || kind === 'all';
  if (named.length > 1 || (kind !== 'all' && !isName(entry[kind])) || (dated && !isTime(before)) || !isTime(exp)) {
    throw new Error(`revocation feed: an entry is not what it should be: ${named}`);
  }
  return { kind, name: entry[kind], before, exp: exp + leeway };
}

function isName(value) {
  return typeof value === 'string' && value !== '' && value.length <= maxName;
}

function isTime(value) {
  return Number.isInteger(value) && value > 0 && value <= latest;
}

const none = Object.freeze({ before: -Infinity, exp: -Infinity });

/**
 * What is revoked, until nothing can be touched by it any more. It only ever refuses.
 */
export class Revocations {
  // exp is that of the entry and leeway.
  #sessions = new Map(); // exp by sid, or by jti
  #keys = new Map(); // exp by kid
  #subjects = new Map(); // {before, exp} by sub
  #all = none;

  /** @param {number} [max] entries of one kind, so that none crowds out another */
  constructor(max = maxEntries) {
    this.max = max;
  }

  get size() {
    return this.#sessions.size + this.#keys.size + this.#subjects.size + (this.#all === none ? 0 : 1);
  }

  /**
   * Adds the entries of a page, as far as there is room.
   *
   * @param {Entry[]} entries
   * @param {number} now in seconds
   * @param {(kid: string) => void} [onKey] is called with each key that was not known to be revoked
   * @returns {boolean} whether there was room for all
   */
  add(entries, now, onKey = () => {}) {
    let fits = true;
    for (const entry of entries) {
      if (entry.kind !== undefined && entry.exp > now) {
        fits = this.#put(entry, onKey) && fits;
      }
    }
    return fits;
  }

  #put({ kind, name, before, exp }, onKey) {
    const kept = { sid: this.#sessions, kid: this.#keys, sub: this.#subjects }[kind];
    if (kept !== undefined && !kept.has(name) && kept.size >= this.max) {
      return false;
    }
    switch (kind) {
      case 'sid':
        this.#sessions.set(name, Math.max(exp, this.#sessions.get(name) ?? 0));
        break;
      case 'kid':
        this.#addKey(name, exp, onKey);
        break;
      case 'sub':
        this.#subjects.set(name, wider({ before, exp }, this.#subjects.get(name) ?? none));
        break;
      case 'all':
        this.#all = wider({ before, exp }, this.#all);
    }
    return true;
  }

  #addKey(kid, exp, onKey) {
    const known = this.#keys.get(kid);
    this.#keys.set(kid, Math.max(exp, known ?? 0));
    if (known === undefined) {
      onKey(kid);
    }
  }

  /**
   * Whether a token with these claims, signed by kid, is no longer good.
   *
   * @param {import('./index.js').Claims} claims
   * @param {string} kid
   * @param {number} now in seconds
   */
  has(claims, kid, now) {
    return (
      now < this.#sessions.get(claims.sid ?? claims.jti) ||
      this.hasKey(kid, now) ||
      (this.#subjects.size > 0 && touches(this.#subjects.get(claims.sub) ?? none, claims, now)) ||
      touches(this.#all, claims, now)
    );
  }

  /** Whether all that kid signed is no longer good. */
  hasKey(kid, now) {
    return this.#keys.size > 0 && now < this.#keys.get(kid);
  }

  /**
   * Forgets what nothing can be touched by any more.
   *
   * @param {number} now in seconds
   */
  sweep(now) {
    for (const kept of [this.#sessions, this.#keys, this.#subjects]) {
      for (const [name, value] of kept) {
        if ((value.exp ?? value) <= now) {
          kept.delete(name);
        }
      }
    }
    if (this.#all.exp <= now) {
      this.#all = none;
    }
  }
}

function touches({ before, exp }, claims, now) {
  return claims.iat < before && now < exp;
}

// An entry never takes back what another one ended.
function wider(a, b) {
  return { before: Math.max(a.before, b.before), exp: Math.max(a.exp, b.exp) };
}
