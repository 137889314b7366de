import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { backOff } from '../feed.js';
import { followRevocations } from '../index.js';
import { Revocations, parsePage } from '../revocations.js';
import { Issuer, serve } from './issuer.js';
import { Revoker, later, page, until } from './revoker.js';

async function start(t) {
  const issuer = await Issuer.start(t);
  return { issuer, revoker: new Revoker(issuer) };
}

// A feed that ends with the test. Its clock is the issuer's.
function follow(t, issuer, more) {
  const feed = followRevocations({ issuer: issuer.url, now: () => issuer.clock, ...more });
  t.after(() => feed.close());
  return feed;
}

const claims = (sid) => ({ sid, jti: `j-${sid}`, sub: 'u1', iat: Math.floor(Date.now() / 1000) - 60 });
const json = (value) => (res) => res.end(JSON.stringify(value));

// They wait more than they work.
describe('a feed', { concurrency: true, timeout: 300_000 }, () => {
  test('vectors', async (t) => {
    const { now, cases } = JSON.parse(readFileSync(new URL('../../../../testdata/vectors/feed.json', import.meta.url), 'utf8'));
    assert.ok(cases.length > 30);
    for (const { name, entries, claims, kid, revoked } of cases) {
      await t.test(name, () => {
        const known = new Revocations();
        known.add(parsePage(Buffer.from(JSON.stringify(page('1-1', entries)))).entries, now);
        assert.equal(known.has(claims, kid, now), revoked);
        known.sweep(now);
        assert.equal(known.has(claims, kid, now), revoked, 'swept');
      });
    }
  });

  test('a snapshot is read page by page, then what is new', async (t) => {
    const { issuer, revoker } = await start(t);
    revoker.pageSize = 2;
    revoker.revoke(...['a', 'b', 'c', 'd', 'e'].map((sid) => ({ sid })));
    const feed = follow(t, issuer);
    assert.equal(feed.staleness, Infinity);
    assert.equal(feed.healthy, false);
    await feed.ready();
    assert.equal(feed.size, 5);
    assert.ok(feed.healthy);
    assert.ok(['a', 'c', 'e'].every((sid) => feed.revoked(claims(sid), 'k')));
    assert.ok(!feed.revoked(claims('f'), 'k'));
    await until(() => revoker.held === 1);
    assert.deepEqual(revoker.asked.map(({ after, wait }) => [after, wait]), [[null, null], ['1-2', null], ['1-4', null], ['1-5', '10']]);
    revoker.revoke({ sid: 'f' });
    await until(() => feed.revoked(claims('f'), 'k'));
  });

  test('the wait is a third of maxStaleness, within 1 and 25 s', async (t) => {
    for (const [maxStaleness, wait] of [[2, '1'], [10, '3'], [75, '25'], [3600, '25']]) {
      const { issuer, revoker } = await start(t);
      follow(t, issuer, { maxStaleness });
      await until(() => revoker.held === 1);
      assert.equal(revoker.asked.at(-1).wait, wait);
    }
  });

  test('half a snapshot is none', async (t) => {
    const { issuer, revoker } = await start(t);
    const rest = [];
    const half = json(page('1-1', [{ sid: 'a', exp: later() }], { more: true }));
    revoker.instead = (res) => (revoker.asked.length === 1 ? half(res) : rest.push(res));
    const feed = follow(t, issuer);
    await until(() => rest.length === 1);
    assert.equal(feed.staleness, Infinity);
    assert.ok(!feed.healthy);
    assert.ok(feed.revoked(claims('a'), 'k'), 'what is known counts');
    json(page('1-2', []))(rest[0]);
    await feed.ready();
    assert.ok(feed.healthy);
  });

  test('knowledge is as old as the question, and the lag is added', async (t) => {
    const { issuer, revoker } = await start(t);
    revoker.lag = 20_000;
    revoker.instead = (res) => setTimeout(() => revoker.answer(res, {}), 500);
    const feed = follow(t, issuer);
    await feed.ready();
    assert.ok(feed.staleness >= 20.49, `${feed.staleness}`);
    issuer.clock += 60_000;
    assert.ok(feed.staleness >= 80, 'the machine slept');
    issuer.clock -= 3600_000;
    assert.ok(feed.staleness >= 20.49, 'the clock was set back');
  });

  // Each is answered once, to the question after the snapshot.
  const bad = {
    'a fault': (res) => res.writeHead(500).end(),
    'an overload': (res) => res.writeHead(503, { 'Retry-After': '1' }).end(),
    'another status': (res) => json(page('9-9', []))(res.writeHead(203)),
    'a page': (res) => res.end('<html>'),
    nothing: (res) => res.end(),
    'half an answer': (res) => {
      res.writeHead(200, { 'Content-Length': 1000 });
      res.write('{"cursor":"9-9","revocations":[', () => res.destroy());
    },
    'no connection': (res) => res.destroy(),
    null: json(null),
    'a list': json([]),
    'no cursor': json({ ...page('9-9', []), cursor: undefined }),
    'an empty cursor': json(page('', [])),
    'a cursor that is no word': json(page('9 9', [])),
    'a long cursor': json(page('9'.repeat(65), [])),
    'a cursor that is a number': json({ ...page('9-9', []), cursor: 9 }),
    'more that is text': json(page('9-9', [], { more: 'false' })),
    'more without any': json(page('9-9', [], { more: true })),
    'more at the same cursor': json(page('1-1', [{ sid: 'x', exp: later() }], { more: true })),
    'a negative lag': json(page('9-9', [], { lag_ms: -1 })),
    'an endless lag': (res) => res.end('{"cursor":"9-9","more":false,"lag_ms":1e999,"revocations":[]}'),
    'no lag': json(page('9-9', [], { lag_ms: undefined })),
    'no list': json(page('9-9', undefined)),
    'an object as a list': json(page('9-9', {})),
    'an entry of null': json(page('9-9', [null])),
    'an entry of text': json(page('9-9', ['s1'])),
    'a sid that is a number': json(page('9-9', [{ sid: 1, exp: later() }])),
    'an empty sid': json(page('9-9', [{ sid: '', exp: later() }])),
    'a long sid': json(page('9-9', [{ sid: 's'.repeat(256), exp: later() }])),
    'an entry with two names': json(page('9-9', [{ sid: 's', kid: 'k', exp: later() }])),
    'an entry with a name and all': json(page('9-9', [{ sid: 's', all: true, iat_before: later(), exp: later() }])),
    'an entry without exp': json(page('9-9', [{ sid: 's' }])),
    'an exp that is text': json(page('9-9', [{ sid: 's', exp: `${later()}` }])),
    'an exp without end': (res) => res.end('{"cursor":"9-9","more":false,"lag_ms":0,"revocations":[{"sid":"s","exp":1e999}]}'),
    'a subject without iat_before': json(page('9-9', [{ sub: 'u', exp: later() }])),
    'all without iat_before': json(page('9-9', [{ all: true, exp: later() }])),
    'bytes that are no text': (res) => res.end(Buffer.from(JSON.stringify(page('9-9', [], { x: '\xff' })), 'latin1')),
    'too much': (res) => res.end(JSON.stringify(page('9-9', [])) + ' '.repeat(1024 * 1024)),
    'no end': (res) => {
      const more = () => res.write(' '.repeat(64 * 1024), more);
      res.on('error', () => {});
      more();
    },
  };

  test('what is known outlives', { concurrency: true }, async (t) => {
    await Promise.all(Object.entries(bad).map(([name, answer]) => t.test(name, (t) => outlives(t, answer))));
  });

  async function outlives(t, answer) {
    const { issuer, revoker } = await start(t);
    revoker.revoke({ sid: 'a' });
    const feed = follow(t, issuer);
    await until(() => revoker.held === 1);
    const before = revoker.asked.length;
    revoker.instead = (res, req) => {
      revoker.instead = undefined;
      answer(res, req);
    };
    revoker.drain();
    await until(() => feed.lastError !== undefined);
    assert.ok(feed.revoked(claims('a'), 'k'));
    revoker.revoke({ sid: 'b' });
    await until(() => feed.revoked(claims('b'), 'k'));
    assert.equal(feed.lastError, undefined);
    const [first, again] = revoker.asked.slice(before).map(({ after, wait }) => [after, wait]);
    assert.deepEqual([first, again], [['1-1', '10'], ['1-1', null]]);
  }

  test('a fetch that fails with nothing is an error', async (t) => {
    const { issuer } = await start(t);
    let failed = false;
    const feed = follow(t, issuer, {
      fetch: (...request) => {
        if (failed) {
          return fetch(...request);
        }
        failed = true;
        return Promise.reject();
      },
    });
    await until(() => feed.lastError !== undefined);
    await feed.ready();
  });

  test('a redirect is not followed', async (t) => {
    const { issuer, revoker } = await start(t);
    let elsewhere = 0;
    const url = await serve(t, (_, res) => {
      elsewhere++;
      json(page('1-1', []))(res);
    });
    revoker.instead = (res) => res.writeHead(307, { Location: url }).end();
    const feed = follow(t, issuer);
    await until(() => feed.lastError !== undefined);
    assert.match(feed.lastError.message, /status 307/);
    assert.equal(elsewhere, 0);
  });

  test('who fails is asked less and less, and when they say, within bounds', () => {
    const [fault, busy, day] = [{}, { retryAfter: 2000 }, { retryAfter: 86_400_000 }];
    for (let failures = 0; failures < 2000; failures++) {
      const most = Math.min(250 * 2 ** failures, 5000);
      const pause = backOff(fault, failures);
      assert.ok(most / 2 <= pause && pause <= most, `${failures}: ${pause}`);
    }
    assert.equal(backOff(busy, 0), 2000);
    assert.equal(backOff(day, 0), 5000);
    assert.notEqual(backOff(fault, 0), backOff(fault, 0));
  });

  test('Retry-After counts', async (t) => {
    const { issuer, revoker } = await start(t);
    const answers = ['2', 'Fri, 31 Dec 2100 23:59:59 GMT', '-1', '99999999999999999999'];
    for (const [i, after] of [2000, undefined, undefined, undefined].entries()) {
      revoker.instead = (res) => res.writeHead(503, { 'Retry-After': answers[i] }).end();
      const feed = follow(t, issuer);
      await until(() => feed.lastError !== undefined);
      assert.equal(feed.lastError.retryAfter || undefined, after, answers[i]);
    }
  });

  // How long the first n questions took, in milliseconds, without a network in between.
  async function took(t, n, answer) {
    const begin = [];
    const feed = followRevocations({
      issuer: 'http://127.0.0.1:1',
      fetch: async () => {
        begin.push(performance.now());
        return answer();
      },
    });
    t.after(() => feed.close());
    await until(() => begin.length > n);
    return begin[n] - begin[0];
  }

  test('requests are spaced out', async (t) => {
    const away = await took(t, 5, () => new Response('', { status: 500 }));
    assert.ok(away >= 3700, `${away}`); // at least half of 250 + 500 + 1000 + 2000 + 4000
    const wait = await took(t, 1, () => new Response('', { status: 503, headers: { 'Retry-After': '2' } }));
    assert.ok(wait >= 1900, `${wait}`);
    const early = await took(t, 5, () => Response.json(page('1-1', [])));
    assert.ok(early >= 900, `${early}`); // 4 times 250, after the snapshot
  });

  test('an answer that never comes is given up', async (t) => {
    const { issuer, revoker } = await start(t);
    revoker.instead = () => {
      revoker.instead = undefined;
    };
    const feed = follow(t, issuer);
    await until(() => feed.healthy);
    assert.ok(revoker.asked.length >= 2);
  });

  test('an issuer that begins again adds to what is known', async (t) => {
    const { issuer, revoker } = await start(t);
    revoker.revoke({ sid: 'a' }, { sid: 'b' });
    const feed = follow(t, issuer);
    await until(() => revoker.held === 1);
    [revoker.epoch, revoker.log] = [2, []];
    revoker.revoke({ sid: 'c' });
    await until(() => feed.revoked(claims('c'), 'k'));
    assert.equal(feed.size, 3);
    revoker.revoke({ sid: 'd' });
    await until(() => feed.revoked(claims('d'), 'k'));
    assert.equal(revoker.asked.at(-1).after.split('-')[0], '2');
  });

  for (const [name, lose] of [
    ['a cursor that is refused', ({ revoker }) => {
      revoker.instead = (res) => {
        revoker.instead = undefined;
        res.writeHead(422).end();
      };
    }],
    ['a clock that is set back', ({ issuer }) => {
      issuer.clock -= 60_000;
    }],
  ]) {
    test(`${name} has the snapshot read again`, async (t) => {
      const service = await start(t);
      const { issuer, revoker } = service;
      revoker.revoke({ sid: 'a' });
      const feed = follow(t, issuer);
      await until(() => revoker.held === 1);
      lose(service);
      revoker.drain();
      await until(() => revoker.asked.filter(({ after }) => after === null).length === 2);
      await until(() => revoker.held === 1);
      assert.ok(feed.revoked(claims('a'), 'k'));
    });
  }

  test('entries leave when no token can be touched any more', async (t) => {
    const { issuer, revoker } = await start(t);
    const exp = Math.floor(issuer.clock / 1000) + 100;
    revoker.revoke({ sid: 'a', exp }, { sub: 'u1', iat_before: exp, exp }, { kid: 'k', exp }, { all: true, iat_before: exp, exp });
    revoker.revoke({ sid: 'b', exp: exp + 600 });
    const feed = follow(t, issuer);
    await feed.ready();
    assert.equal(feed.size, 5);
    issuer.clock = (exp + 59) * 1000;
    for (const touched of [[claims('a'), 'x'], [claims('x'), 'k'], [claims('x'), 'x']]) {
      assert.ok(feed.revoked(...touched), 'a verifier may be lenient for a minute');
    }
    issuer.clock = (exp + 60) * 1000;
    assert.ok(!feed.revoked(claims('a'), 'k'));
    await until(() => revoker.held === 1);
    revoker.drain();
    await until(() => feed.size === 1);
    assert.ok(feed.revoked(claims('b'), 'x'));
  });

  test('close and signal end the request that is under way', async (t) => {
    for (const end of ['close', 'signal']) {
      const { issuer, revoker } = await start(t);
      const life = new AbortController();
      const feed = follow(t, issuer, { signal: life.signal });
      await until(() => revoker.held === 1);
      assert.ok(feed.healthy);
      if (end === 'close') {
        feed.close();
      } else {
        life.abort();
      }
      await until(() => revoker.held === 0);
      assert.ok(!feed.healthy);
      await feed.ready();
      const asked = revoker.asked.length;
      await sleep(500);
      assert.equal(revoker.asked.length, asked, end);
    }
  });

  test('close aborts the request at once', async () => {
    let signal;
    const feed = followRevocations({
      issuer: 'http://127.0.0.1:1',
      fetch: (_, init) => new Promise(() => {
        ({ signal } = init);
      }),
    });
    await until(() => signal !== undefined);
    assert.equal(signal.aborted, false);
    feed.close();
    assert.equal(signal.aborted, true);
  });

  test('ready ends with the feed', async (t) => {
    const { issuer, revoker } = await start(t);
    revoker.instead = () => {};
    const feed = follow(t, issuer);
    let ended;
    feed.ready().catch((err) => {
      ended = err;
    });
    feed.close();
    await until(() => ended !== undefined);
    assert.match(ended.message, /closed/);
    const asked = revoker.asked.length;
    await assert.rejects(follow(t, issuer, { signal: AbortSignal.abort() }).ready(), /closed/);
    assert.equal(revoker.asked.length, asked);
  });

  test('settings that are not safe are refused', () => {
    const issuer = 'http://127.0.0.1:1';
    const unsafe = [
      { issuer: undefined }, { issuer: 'auth.example.com' }, { issuer: 'file:///etc/passwd' },
      { maxStaleness: 1 }, { maxStaleness: NaN }, { maxStaleness: 3601 }, { maxStaleness: '30' },
      { onStale: 'ignore' }, { onStale: 'introspect' }, { onStale: 'introspect', introspect: true },
      { onStale: 'introspect', clientId: 'c' }, { onStale: 'introspect', clientId: 'c', clientSecret: '' },
      { onStale: 'refuse', introspect: async () => true }, { clientId: 'c', clientSecret: 's' },
      { onStale: 'introspect', introspect: async () => true, clientId: 'c', clientSecret: 's' },
    ];
    assert.throws(() => followRevocations({}), /issuer is needed/);
    for (const more of unsafe) {
      assert.throws(() => followRevocations({ issuer, ...more, signal: AbortSignal.abort() }), TypeError, JSON.stringify(more));
    }
  });
});
