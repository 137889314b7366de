import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { test } from 'node:test';

import { ORIGIN, expireAccess, hello, newUser, open, signIn, text } from './kit.js';

/** Stands before the server and loses the answer to a refresh when it is told to. */
async function lossyProxy(t) {
  const proxy = { lose: false, keys: [] };
  const server = createServer((from, to) => {
    const refresh = from.url === '/v1/refresh';
    if (refresh) proxy.keys.push(from.headers['idempotency-key']);
    const onward = request(ORIGIN + from.url, { method: from.method, headers: from.headers, agent: false }, (answer) => {
      if (refresh && proxy.lose) {
        answer.destroy();
        to.destroy();
        return;
      }
      to.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(to);
    });
    from.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  proxy.origin = `http://localhost:${server.address().port}`;
  return proxy;
}

test('a refresh whose answer was lost is answered again after a reload, and in another tab', async (t) => {
  const proxy = await lossyProxy(t);
  const context = await open(t);
  const username = await newUser('ada');
  const page = await signIn(context, username, proxy.origin);
  await expireAccess(page);
  proxy.keys = [];
  proxy.lose = true;
  await page.getByRole('button', { name: 'Reload' }).click();
  await text(page.getByRole('alert'), 'The server cannot be reached.');
  proxy.lose = false;
  const other = await context.newPage();
  await other.goto(`${proxy.origin}/app`);
  await hello(other, username);
  await page.reload();
  await hello(page, username);
  assert.ok(proxy.keys.length >= 2);
  assert.equal(new Set(proxy.keys).size, 1);
});
