// What the tests stand on: a server and the cookies of one browser, in memory, so
// that a test decides what is answered when, and which messages get lost.

import { createClient } from './client.js';

export const ORIGIN = 'https://auth.example.com';

/** A server and the cookies of one browser, as all of its tabs see them. */
export class World {
  access = 'none'; // of the cookies: 'good', 'stale' or 'none'
  refresh = 'none'; // 'good' or 'none'
  log = []; // 'METHOD path', in the order of arrival
  keys = []; // the Idempotency-Key of each refresh
  bodies = [];
  next = []; // what the next requests meet, instead of their answer
  slow = null; // what a refresh waits for
  held = [];
  queue = Promise.resolve();
  stored = new Map();
  channels = new Set();
  deaf = false; // messages between tabs are lost

  /** Opens a tab. */
  tab(options = {}) {
    return createClient({ baseURL: ORIGIN, fetch: this.fetch, locks: this.locks, BroadcastChannel: channelOf(this), storage: this.storage, ...options });
  }

  signedIn(access = 'good') {
    this.access = access;
    this.refresh = 'good';
    return this;
  }

  count(line) {
    return this.log.filter((l) => l === line).length;
  }

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const path = new URL(request.url).pathname;
    this.log.push(`${request.method} ${path}`);
    const access = this.access;
    this.bodies.push(await request.text());
    if (path === '/v1/refresh') this.keys.push(request.headers.get('Idempotency-Key'));
    if (path === '/v1/refresh' && this.slow) await this.slow;
    const next = this.next.shift();
    if (next) return next(request);
    if (path === '/v1/login') return this.signedIn() && json(200, { session: { id: 'S1' }, user: { id: 'U1' } });
    if (path === '/v1/logout') return this.#logout();
    if (path === '/v1/refresh') return this.refresh === 'good' ? this.signedIn() && json(200, { session: { id: 'S1' } }) : problem(401, 'no-credentials');
    if (access !== 'good') return problem(401, access === 'none' ? 'no-credentials' : 'invalid-token');
    if (path === '/v1/me') return json(200, { user: { id: 'U1' }, session: { id: 'S1' } });
    if (path === '/v1/sessions' && request.method === 'GET') return json(200, { sessions: [{ id: 'S1', current: true }, { id: 'S2', current: false }] });
    return request.method === 'GET' ? json(200, {}) : new Response(null, { status: 204 });
  };

  #logout() {
    if (this.refresh === 'none') return problem(401, 'no-credentials');
    this.access = this.refresh = 'none';
    return new Response(null, { status: 204 });
  }

  locks = {
    request: (name, ...rest) => {
      const act = rest.at(-1);
      const run = async () => {
        const lock = { name };
        this.held.push(lock);
        try {
          return await act(lock);
        } finally {
          this.held.splice(this.held.indexOf(lock), 1);
        }
      };
      if (rest[0].mode === 'shared') return run();
      const turn = this.queue.then(run);
      this.queue = turn.catch(() => {});
      return turn;
    },
    query: async () => ({ held: [...this.held] }),
  };

  storage = {
    getItem: (name) => this.stored.get(name) ?? null,
    setItem: (name, value) => void this.stored.set(name, value),
    removeItem: (name) => void this.stored.delete(name),
  };
}

function channelOf(world) {
  return class {
    constructor(name) {
      this.name = name;
      world.channels.add(this);
    }

    postMessage(data) {
      if (world.deaf) return;
      for (const other of world.channels) {
        if (other !== this && other.name === this.name) queueMicrotask(() => other.onmessage({ data }));
      }
    }

    close() {
      world.channels.delete(this);
    }
  };
}

export function json(status, body) {
  return Response.json(body, { status });
}

export function problem(status, code, headers = {}) {
  const body = JSON.stringify({ type: `urn:jotgate:problem:${code}`, status, code, title: code, request_id: 'R1', errors: [{ pointer: '/password', code: 'too-short', detail: 'Longer.' }] });
  return new Response(body, { status, headers: { 'Content-Type': 'application/problem+json', ...headers } });
}

export function lost() {
  throw new TypeError('network error');
}

/** Lets everything run that is ready to. */
export const settle = () => new Promise((done) => setTimeout(done, 5));
