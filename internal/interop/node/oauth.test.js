// Uses a running jotgate as an OAuth 2 authorization server with openid-client and
// oauth4webapi, by nothing but its issuer. The client's id and secret come in the
// environment, from ../oauth_test.go.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const {
  JOTGATE_ISSUER: issuer, JOTGATE_AUDIENCE: audience, JOTGATE_CLIENT_ID: clientId, JOTGATE_CLIENT_SECRET: secret,
  JOTGATE_USER_TOKEN: userToken, JOTGATE_SUBJECT: user,
} = process.env

const insecure = { [oauth.allowInsecureRequests]: true } // the issuer is on loopback

/**
 * A library, set up for one way to authenticate (RFC 6749, section 2.3.1).
 * @typedef {object} Library
 * @property {() => Promise<object>} metadata of the server (RFC 8414)
 * @property {() => Promise<object>} grant of client_credentials (RFC 6749, section 4.4)
 * @property {(grant: string) => Promise<object>} other grant
 * @property {(token: string) => Promise<object>} introspect (RFC 7662)
 * @property {(token: string) => Promise<void>} revoke (RFC 7009)
 */

/** @returns {Library} */
function withOpenidClient(authentication) {
  const discovered = openid.discovery(new URL(issuer), clientId, undefined, authentication, {
    algorithm: 'oauth2', execute: [openid.allowInsecureRequests],
  })
  discovered.catch(() => {}) // each test sees it
  return {
    metadata: async () => (await discovered).serverMetadata(),
    grant: async () => openid.clientCredentialsGrant(await discovered),
    other: async (grant) => openid.genericGrantRequest(await discovered, grant, {}),
    introspect: async (token) => openid.tokenIntrospection(await discovered, token),
    revoke: async (token) => openid.tokenRevocation(await discovered, token),
  }
}

/** @returns {Library} */
function withOauth4webapi(authentication) {
  const client = { client_id: clientId }
  const server = oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure })
    .then((response) => oauth.processDiscoveryResponse(new URL(issuer), response))
  server.catch(() => {})
  return {
    metadata: () => server,
    grant: async () => {
      const response = await oauth.clientCredentialsGrantRequest(await server, client, authentication, {}, insecure)
      return oauth.processClientCredentialsResponse(await server, client, response)
    },
    other: async (grant) => {
      const response = await oauth.genericTokenEndpointRequest(await server, client, authentication, grant, {}, insecure)
      return oauth.processGenericTokenEndpointResponse(await server, client, response)
    },
    introspect: async (token) => {
      const response = await oauth.introspectionRequest(await server, client, authentication, token, insecure)
      return oauth.processIntrospectionResponse(await server, client, response)
    },
    revoke: async (token) => {
      const response = await oauth.revocationRequest(await server, client, authentication, token, insecure)
      return oauth.processRevocationResponse(response)
    },
  }
}

const libraries = [
  ['openid-client, Basic', (s) => withOpenidClient(openid.ClientSecretBasic(s))],
  ['openid-client, post', (s) => withOpenidClient(openid.ClientSecretPost(s))],
  ['oauth4webapi, Basic', (s) => withOauth4webapi(oauth.ClientSecretBasic(s))],
  ['oauth4webapi, post', (s) => withOauth4webapi(oauth.ClientSecretPost(s))],
]

for (const [name, library] of libraries) {
  describe(name, () => {
    const right = library(secret)
    const wrong = library(secret + 'x')

    test('discovers what there is', async () => {
      const m = await right.metadata()
      assert.equal(m.issuer, issuer)
      assert.ok(m.grant_types_supported.includes('client_credentials'))
      for (const of of ['token', 'introspection', 'revocation']) {
        assert.equal(new URL(m[`${of}_endpoint`]).origin, new URL(issuer).origin)
        for (const method of ['client_secret_basic', 'client_secret_post']) {
          assert.ok(m[`${of}_endpoint_auth_methods_supported`].includes(method), `${of}: ${method}`)
        }
      }
    })

    test('is granted a token of the client', async () => {
      const granted = await right.grant()
      assert.equal(granted.token_type, 'bearer') // in lower case, to both libraries
      assert.ok(granted.expires_in > 0)
      assert.equal(granted.refresh_token, undefined) // RFC 6749, section 4.4.3
      const keys = createRemoteJWKSet(new URL((await right.metadata()).jwks_uri))
      const { payload } = await jwtVerify(granted.access_token, keys, { issuer, audience, typ: 'at+jwt' })
      assert.equal(payload.client_id, clientId)
      assert.equal(payload.sub, clientId) // RFC 9068, section 2.2
    })

    test('introspects', async () => {
      const { access_token: token } = await right.grant()
      const own = await right.introspect(token)
      assert.equal(own.active, true)
      assert.equal(own.client_id, clientId)
      const users = await right.introspect(userToken)
      assert.equal(users.active, true)
      assert.equal(users.sub, user)
      for (const bad of [token + 'x', 'x', token.slice(0, -8)]) {
        assert.deepEqual(await right.introspect(bad), { active: false }) // and no more
      }
    })

    test('revokes', async () => {
      const { access_token: token } = await right.grant()
      const { access_token: another } = await right.grant()
      await right.revoke(token)
      assert.deepEqual(await right.introspect(token), { active: false })
      await right.revoke(token)
      await right.revoke('no token at all') // RFC 7009, section 2.2
      assert.equal((await right.introspect(another)).active, true)
    })

    test('is refused with a wrong secret', async () => {
      for (const ask of [() => wrong.grant(), () => wrong.introspect(userToken), () => wrong.revoke(userToken)]) {
        await assert.rejects(ask(), { status: 401 })
      }
      assert.equal((await right.introspect(userToken)).active, true)
    })

    test('is told that there are no other grants', async () => {
      await assert.rejects(right.other('password'), { status: 400, error: 'unsupported_grant_type' })
    })
  })
}
