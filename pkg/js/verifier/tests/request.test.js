import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';

import { AuthError, COOKIE_NAME, createVerifier, hasScope, refuse } from '../index.js';
import { Issuer, newKey, serve } from './issuer.js';

const key = await newKey('k');

// Asks url with headers as they are given, names and values in turn, and returns the answer.
function ask(url, method, rawHeaders) {
  return new Promise((resolve, reject) => {
    const req = request(url, { method, headers: ['Host', 'api.example.com', ...rawHeaders] }, (res) => {
      res.resume();
      res.on('end', () => resolve(res));
    });
    req.on('error', reject);
    req.end();
  });
}

async function service(t, protect, more) {
  const issuer = await Issuer.start(t, key);
  const verifier = await createVerifier(issuer.options({ origins: ['https://app.example.com'], ...more }));
  const guards = protect(verifier);
  const url = await serve(t, (req, res) => {
    const run = (i) => (err) => {
      if (err || i === guards.length) {
        res.statusCode = err ? 500 : 200;
        res.setHeader('X-Subject', req.auth?.sub ?? '');
        res.end();
        return;
      }
      guards[i](req, res, run(i + 1));
    };
    run(0)();
  });
  return { issuer, url };
}

const challenges = {
  none: undefined,
  realm: 'Bearer realm="jotgate"',
  token: 'Bearer realm="jotgate", error="invalid_token"',
  twice: 'Bearer realm="jotgate", error="invalid_request"',
};

test('a request presents one credential, in the way it was issued for', async (t) => {
  const { issuer, url } = await service(t, (v) => [v.requireToken()]);
  const token = await issuer.token(key);
  const cookieToken = await issuer.token(key, { mode: 'cookie' });
  const header = ['Authorization', `Bearer ${token}`];
  const cookie = ['Cookie', `${COOKIE_NAME}=${cookieToken}`];
  const handshake = ['Upgrade', 'websocket', 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='];
  const cases = [
    ['header', 'POST', header, 200, 'none'],
    ['scheme in another case', 'GET', ['Authorization', `bEaReR ${token}`], 200, 'none'],
    ['cookie that reads', 'GET', cookie, 200, 'none'],
    ['cookie among others', 'HEAD', ['Cookie', `a=b; ${cookie[1]}; c=d`], 200, 'none'],
    ['header over cookie', 'POST', [...cookie, ...header], 200, 'none'],
    ['bad header hides the cookie', 'GET', [...cookie, 'Authorization', 'Bearer'], 401, 'token'],
    ['another scheme hides the cookie', 'GET', [...cookie, 'Authorization', 'Basic eA=='], 401, 'realm'],
    ['nothing', 'GET', [], 401, 'realm'],
    ['garbage', 'GET', ['Authorization', 'Bearer x'], 401, 'token'],
    ['two spaces', 'GET', ['Authorization', `Bearer  ${token}`], 401, 'token'],
    ['comma', 'GET', ['Authorization', `Bearer ${token},${token}`], 401, 'token'],
    ['two headers', 'GET', [...header, ...header], 400, 'twice'],
    ['two headers, one of another scheme', 'GET', [...header, 'Authorization', 'Basic eA=='], 400, 'twice'],
    ['cookie twice', 'GET', [...cookie, ...cookie], 400, 'twice'],
    ['cookie twice in one header', 'GET', ['Cookie', `${cookie[1]}; ${cookie[1]}`], 400, 'twice'],
    ['cookie behind a no-break space', 'GET', ['Cookie', `a=b; \u00a0${cookie[1]}`], 401, 'realm'],
    ["cookie's token in the header", 'GET', ['Authorization', `Bearer ${cookieToken}`], 401, 'token'],
    ["header's token in the cookie", 'GET', ['Cookie', `${COOKIE_NAME}=${token}`], 401, 'token'],
    ['token in the query', 'GET', [], 401, 'realm', `/?access_token=${token}`],
    ['cookie that writes, same origin', 'POST', [...cookie, 'Sec-Fetch-Site', 'same-origin'], 200, 'none'],
    ['cookie that writes, listed origin', 'DELETE', [...cookie, 'Origin', 'https://app.example.com'], 200, 'none'],
    ['cookie that writes, silent', 'POST', cookie, 403, 'none'],
    ['cookie that writes, same site', 'POST', [...cookie, 'Sec-Fetch-Site', 'same-site'], 403, 'none'],
    ['cookie that writes, said twice', 'POST', [...cookie, 'Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Site', 'cross-site'], 403, 'none'],
    ['cookie that writes, another origin', 'PUT', [...cookie, 'Origin', 'https://app.example.com.evil.example'], 403, 'none'],
    ['cookie that writes, null', 'PATCH', [...cookie, 'Origin', 'null'], 403, 'none'],
    ['cookie that opens a WebSocket, silent', 'GET', [...cookie, ...handshake], 403, 'none'],
    ['cookie that opens a WebSocket, same site', 'GET', [...cookie, ...handshake, 'Origin', 'https://b.example.com'], 403, 'none'],
    ['cookie that opens a WebSocket, listed origin', 'GET', [...cookie, ...handshake, 'Origin', 'https://app.example.com'], 200, 'none'],
    ['cookie that opens a WebSocket, same origin', 'GET', [...cookie, ...handshake, 'Sec-Fetch-Site', 'same-origin'], 200, 'none'],
    ['header that opens a WebSocket', 'GET', [...header, ...handshake], 200, 'none'],
    ['cookie with the version of a WebSocket alone', 'GET', [...cookie, 'sec-websocket-version', '13'], 403, 'none'],
    ['cookie with the key of a WebSocket alone', 'HEAD', [...cookie, 'Sec-WebSocket-Key', 'x'], 403, 'none'],
    ['cookie that upgrades to one of a list', 'GET', [...cookie, 'Upgrade', 'h2c', 'Upgrade', 'x,\tWebSocket'], 403, 'none'],
    ['cookie that upgrades to something else', 'GET', [...cookie, 'Upgrade', 'h2c, websockets'], 200, 'none'],
  ];
  for (const [name, method, headers, status, challenge, path = '/'] of cases) {
    await t.test(name, async () => {
      const res = await ask(url + path, method, headers);
      assert.equal(res.statusCode, status);
      assert.equal(res.headers['www-authenticate'], challenges[challenge]);
      assert.equal(res.headers['x-subject'], status === 200 ? 'u1' : undefined);
      if (status >= 400) {
        assert.equal(res.headers['content-type'], 'application/problem+json');
        assert.equal(res.headers['cache-control'], 'no-store');
      }
    });
  }
});

test('scopes and roles are demanded', async (t) => {
  const cases = [
    ['all scopes', (v) => [v.requireScope('a', 'b')], 200],
    ['a scope is missing', (v) => [v.requireScope('a', 'c')], 403, 'error="insufficient_scope", scope="a c"'],
    ['part of a scope', (v) => [v.requireScope('a b')], 403, 'error="insufficient_scope", scope="a b"'],
    ['one of the roles', (v) => [v.requireRole('owner', 'admin')], 200],
    ['no such role', (v) => [v.requireRole('adm')], 403, 'error="insufficient_scope"'],
    ['no role would do', (v) => [v.requireRole()], 403, 'error="insufficient_scope"'],
    ['scope, then role', (v) => [v.requireScope('a'), v.requireRole('admin')], 200],
    ['scope, then no such role', (v) => [v.requireScope('a'), v.requireRole('owner')], 403, 'error="insufficient_scope"'],
  ];
  for (const [name, protect, status, error] of cases) {
    await t.test(name, async (t) => {
      let verified = 0;
      const { issuer, url } = await service(t, protect, { revoked: () => { verified++; return false; } });
      const res = await ask(url, 'GET', ['Authorization', `Bearer ${await issuer.token(key)}`]);
      assert.equal(res.statusCode, status);
      assert.equal(res.headers['www-authenticate'], error && `Bearer realm="jotgate", ${error}`);
      assert.equal(verified, 1, 'a request is verified once');
      assert.equal((await ask(url, 'GET', [])).statusCode, 401);
    });
  }
  assert.equal(hasScope({ scope: '' }, ''), false);
});

test('what was revoked is refused', async (t) => {
  const { issuer, url } = await service(t, (v) => [v.requireToken()], { revoked: (claims) => claims.sid === 's1' });
  assert.equal((await ask(url, 'GET', ['Authorization', `Bearer ${await issuer.token(key)}`])).statusCode, 401);
  assert.equal((await ask(url, 'GET', ['Authorization', `Bearer ${await issuer.token(key, { sid: 's2' })}`])).statusCode, 200);
});

test('a fault is no refusal', async (t) => {
  const { issuer, url } = await service(t, (v) => [v.requireToken()], { revoked: () => { throw new Error('a fault'); } });
  assert.equal((await ask(url, 'GET', ['Authorization', `Bearer ${await issuer.token(key)}`])).statusCode, 500);
});

test('an answer never tells why a token is not valid', async (t) => {
  const issuer = await Issuer.start(t, key);
  const verifier = await createVerifier(issuer.options());
  const url = await serve(t, async (req, res) => {
    await assert.rejects(verifier.authenticate(req), (err) => {
      refuse(res, err);
      return err instanceof AuthError;
    });
  });
  const answers = new Set();
  for (const token of ['x', await issuer.token(key, { exp: 1 }), await issuer.token(key, { iss: 'x' }), await issuer.token(key, {}, { typ: 'JWT' })]) {
    const res = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    answers.add(`${res.status} ${res.headers.get('WWW-Authenticate')} ${await res.text()}`);
  }
  assert.equal(answers.size, 1);
});
