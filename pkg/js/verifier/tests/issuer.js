// An issuer for tests, on the network.

import { createServer } from 'node:http';

import { SignJWT, exportJWK, generateKeyPair } from 'jose';

/** A key of the issuer's, with its public half as a JWK. */
export async function newKey(kid) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}

/** Serves a handler on loopback until the test ends. */
export async function serve(t, handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** An issuer whose answers a test may exchange. */
export class Issuer {
  fetches = 0;
  clock = Date.now();
  answers = {
    metadata: (res) => res.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/jwks.json` })),
    jwks: (res) => this.publish(res, this.keys),
  };

  static async start(t, ...keys) {
    const issuer = new Issuer();
    issuer.keys = keys;
    issuer.url = await serve(t, (req, res) => {
      const { pathname } = new URL(req.url, issuer.url);
      const other = {
        '/.well-known/oauth-authorization-server': 'metadata', '/v1/revocations': 'revocations', '/oauth/introspect': 'introspect',
      }[pathname];
      if (other !== undefined) {
        issuer.answers[other](res, req);
        return;
      }
      issuer.fetches++;
      issuer.answers.jwks(res, req);
    });
    return issuer;
  }

  publish(res, keys) {
    res.setHeader('Cache-Control', 'public, max-age=300');
    res.end(JSON.stringify({ keys: keys.map((key) => key.jwk) }));
  }

  /** What createVerifier is given. */
  options(more) {
    return { issuer: this.url, audience: 'https://api.example.com', now: () => this.clock, ...more };
  }

  /** A good token under a key, with some claims and header members replaced. */
  token(key, claims = {}, header = {}) {
    const now = Math.floor(this.clock / 1000);
    return new SignJWT({
      iss: this.url, aud: 'https://api.example.com', sub: 'u1', client_id: 'jotgate', sid: 's1', jti: 'j1', iat: now,
      exp: now + 600, auth_time: now, amr: ['pwd'], roles: ['admin'], scope: 'a b', mode: 'bearer', ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'at+jwt', ...header })
      .sign(key.privateKey);
  }
}
