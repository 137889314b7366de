import { readDocument } from './document.js';
import { IssuerError, UnavailableError } from './errors.js';
import { parseKeys } from './keys.js';

const maxDocument = 64 * 1024; // bytes
const second = 1000;
const fetchTimeout = 5 * second;
const coolDown = 10 * second; // how long after a fetch an unknown kid causes no other one
const patience = second; // how long a token waits for newer keys if those that are there have outlived their life
const [minMaxAge, defaultMaxAge, maxMaxAge] = [60 * second, 300 * second, 3600 * second];

/**
 * The keys of an issuer. They are fetched when a token needs it: in the last quarter of the life that the issuer gave
 * them, without making that token wait, and for an unknown kid at most once in a cool-down, however many tokens ask.
 * Keys that are there stay good while the issuer is away; past their life, or once the clock was set back to before
 * they came, they are used once the issuer had a second to replace them. There is no timer to stop.
 */
export class Remote {
  #url;
  #fetch;
  #now;
  #revoked; // whether the feed knows that a kid is revoked
  #keys = { byKID: new Map(), since: 0, renew: 0, expires: 0 };
  #fetching = null;
  #tried = -Infinity;
  #dropped = -Infinity; // when a key that is revoked last ended the cool-down
  #failed = null;

  /**
   * Finds the issuer's keys through its metadata (RFC 8414, section 3).
   *
   * @param {{issuer: string, fetch: typeof fetch, now: () => number, feed?: import('./feed.js').RevocationFeed}} options
   */
  static async discover({ issuer, fetch, now, feed }) {
    const at = new URL(issuer);
    if (!['https:', 'http:'].includes(at.protocol)) {
      throw new Error('jotgate: issuer is not an http or https URL');
    }
    const r = new Remote();
    [r.#fetch, r.#now] = [fetch, now];
    r.#revoked = (kid) => feed?.revokedKey(kid) ?? false;
    const path = at.pathname.replace(/\/$/, '');
    const url = `${at.origin}/.well-known/oauth-authorization-server${path}`;
    const { bytes } = await ofIssuer(url, () => r.#get(url));
    const metadata = await ofIssuer(url, () => parseMetadata(bytes));
    if (metadata.issuer !== issuer) {
      throw new Error(`jotgate: the issuer asked for is "${issuer}", and ${url} is that of ${JSON.stringify(metadata.issuer)}`);
    }
    const keys = new URL(metadata.jwks_uri);
    if (keys.protocol !== 'https:' && keys.origin !== at.origin) {
      throw new Error("jotgate: jwks_uri is neither https nor the issuer's own");
    }
    r.#url = keys.href;
    await r.#load();
    feed?.onRevokedKey((kid) => r.#drop(kid));
    [...r.#keys.byKID.keys()].filter(r.#revoked).forEach((kid) => r.#drop(kid)); // between that fetch and now
    return r;
  }

  /**
   * @param {string} kid
   * @returns {Promise<{alg: string, key: CryptoKey} | undefined>}
   */
  async key(kid) {
    const known = this.#keys.byKID.get(kid);
    const now = this.#now();
    if (known === undefined) {
      return this.#newKey(kid);
    }
    if (now >= this.#keys.expires || now < this.#keys.since) {
      const over = this.#refresh();
      await withTimeout(over, patience - (now - this.#tried));
      return this.#keys.byKID.get(kid);
    }
    if (now >= this.#keys.renew) {
      this.#refresh();
    }
    return known;
  }

  // Drops a key that was taken back: keys are used while the issuer is away, and who stole this one goes on signing. The
  // next token, whoever signed it, has the keys fetched, so that the successor is there; a flood of such entries causes
  // no flood of fetches.
  #drop(kid) {
    const drop = () => {
      const byKID = new Map(this.#keys.byKID);
      byKID.delete(kid);
      this.#keys = { ...this.#keys, byKID, renew: -Infinity };
    };
    drop();
    this.#fetching?.then(drop); // it may bring what was true before
    const now = this.#now();
    const since = now - this.#dropped;
    if (since < 0 || since >= coolDown) {
      [this.#dropped, this.#tried] = [now, -Infinity];
    }
  }

  async #newKey(kid) {
    await this.#refresh();
    const key = this.#keys.byKID.get(kid);
    if (key === undefined && this.#failed !== null) {
      throw new UnavailableError(this.#failed.message); // it may be the issuer's next one
    }
    return key;
  }

  // Has the keys fetched, unless that is under way or was tried just now. The promise is kept when no fetch is under
  // way; it is never broken.
  #refresh() {
    const since = this.#now() - this.#tried;
    if (this.#fetching !== null || (0 <= since && since < coolDown)) {
      return this.#fetching ?? Promise.resolve();
    }
    this.#tried = this.#now();
    this.#fetching = this.#load().then(
      () => {
        this.#failed = null;
      },
      (err) => {
        this.#failed = err;
        const now = this.#now();
        this.#keys = { ...this.#keys, since: now, renew: now + coolDown, expires: now + maxMaxAge };
      },
    ).finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #load() {
    const { life, byKID } = await ofIssuer(this.#url, async (url) => {
      const { bytes, life } = await this.#get(url);
      return { life, byKID: await parseKeys(bytes) };
    });
    const now = this.#now();
    for (const kid of [...byKID.keys()].filter(this.#revoked)) {
      // The replica that answered has not heard of it, nor of the successor.
      byKID.delete(kid);
      this.#tried = now + second - coolDown;
    }
    this.#keys = { byKID, since: now, renew: now + life * 0.75, expires: now + life };
  }

  // Reads a small document, and how long it may be kept.
  async #get(url) {
    const { headers, bytes } = await readDocument(this.#fetch, url, {
      max: maxDocument,
      signal: AbortSignal.timeout(fetchTimeout),
    });
    return { bytes, life: maxAge(headers.get('Cache-Control') ?? '') };
  }
}

function parseMetadata(bytes) {
  try {
    return Object(JSON.parse(bytes.toString()));
  } catch (cause) {
    throw new Error('the answer is something else than metadata', { cause });
  }
}

// Makes what goes wrong with a document an IssuerError.
async function ofIssuer(url, act) {
  try {
    return await act(url);
  } catch (err) {
    throw new IssuerError(url, err);
  }
}

async function withTimeout(promise, milliseconds) {
  let timer;
  const enough = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, enough]);
  clearTimeout(timer);
}

// max-age (RFC 9111, section 5.2.2.1) within the bounds that keep both the issuer and the verifier well.
function maxAge(cacheControl) {
  const found = /(?:^|,)\s*max-age=(\d+)\s*(?:,|$)/i.exec(cacheControl);
  return found ? Math.min(Math.max(Number(found[1]) * second, minMaxAge), maxMaxAge) : defaultMaxAge;
}
