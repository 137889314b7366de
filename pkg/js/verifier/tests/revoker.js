// GET /v1/revocations of an issuer for tests, which speaks the wire.

import { setTimeout as sleep } from 'node:timers/promises';

const deadline = 120_000; // generous: a busy machine is no failure

/** Waits until condition holds. */
export async function until(condition, what = condition) {
  for (const start = performance.now(); !(await condition()); ) {
    if (performance.now() - start > deadline) {
      throw new Error(`never: ${what}`);
    }
    await sleep(5);
  }
}

/** A token's life from now on, in seconds since 1970. */
export const later = () => Math.floor(Date.now() / 1000) + 600;

export class Revoker {
  log = [];
  asked = []; // {after, wait, at} of every request
  pageSize = 1000;
  epoch = 1;
  lag = 0;
  /** What to answer instead, as long as it is there: a handler that gets the response and the request. */
  instead;
  #held = new Set();

  /** @param {import('./issuer.js').Issuer} issuer */
  constructor(issuer) {
    issuer.answers.revocations = (res, req) => {
      const query = new URL(req.url, issuer.url).searchParams;
      const asked = { after: query.get('after'), wait: query.get('wait'), at: performance.now() };
      this.asked.push(asked);
      (this.instead ?? (() => this.answer(res, asked)))(res, req);
    };
  }

  /** Adds entries, and wakes who waits for them. */
  revoke(...entries) {
    this.log.push(...entries.map((entry) => ({ exp: later(), ...entry })));
    for (const wake of this.#held) {
      wake();
    }
  }

  get held() {
    return this.#held.size;
  }

  /** Wakes who waits, with nothing. */
  drain() {
    for (const wake of this.#held) {
      wake();
    }
  }

  answer(res, { after, wait }) {
    const [epoch, seq] = (after ?? `${this.epoch}-0`).split('-').map(Number);
    const start = epoch === this.epoch ? seq : 0;
    if (start < this.log.length || !wait) {
      this.page(res, start);
      return;
    }
    const wake = () => {
      clearTimeout(timer);
      this.#held.delete(wake);
      this.answer(res, { after });
    };
    const timer = setTimeout(wake, Number(wait) * 1000);
    this.#held.add(wake);
    res.on('close', () => {
      clearTimeout(timer);
      this.#held.delete(wake);
    });
  }

  page(res, start) {
    const entries = this.log.slice(start, start + this.pageSize);
    const end = start + entries.length;
    res.setHeader('Cache-Control', 'no-store');
    res.end(JSON.stringify(page(`${this.epoch}-${end}`, entries, { more: end < this.log.length, lag_ms: this.lag })));
  }
}

/** The body of an answer. */
export function page(cursor, revocations, more) {
  return { cursor, more: false, time: new Date().toISOString(), lag_ms: 0, revocations, ...more };
}
