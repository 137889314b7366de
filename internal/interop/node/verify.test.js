// Asks jose, and jsonwebtoken with jwks-rsa, about what a running jotgate issues.
// What is asked comes in the environment, from ../verify_test.go.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import jwksRsa from 'jwks-rsa'

const { JOTGATE_ISSUER: issuer, JOTGATE_AUDIENCE: audience, JOTGATE_JWKS: jwks, JOTGATE_ALG: alg, JOTGATE_SUBJECT: subject } = process.env

/** @type {{name: string, token: string, good: boolean}[]} */
const exhibits = JSON.parse(process.env.JOTGATE_EXHIBITS)

/** @returns {(token: string) => Promise<string>} a verifier that returns the subject, or rejects */
function withJose() {
  const keys = createRemoteJWKSet(new URL(jwks))
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', requiredClaims: ['exp', 'sub'] })
    return payload.sub
  }
}

/** @returns {(token: string) => Promise<string>} a verifier that returns the subject, or rejects */
function withJsonwebtoken() {
  const client = jwksRsa({ jwksUri: jwks })
  const verify = promisify(jsonwebtoken.verify)
  const key = (header, done) => client.getSigningKey(header.kid, (err, found) => done(err, found?.getPublicKey()))
  return async (token) => (await verify(token, key, { issuer, audience, algorithms: ['ES256', 'RS256'] })).sub
}

const verifiers = { jose: withJose() }
if (alg !== 'EdDSA') { // which jsonwebtoken does not know
  verifiers.jsonwebtoken = withJsonwebtoken()
}

test('there is something to ask', () => assert.ok(exhibits.some((e) => e.good) && exhibits.some((e) => !e.good)))

for (const [name, verify] of Object.entries(verifiers)) {
  describe(name, () => {
    for (const e of exhibits) {
      test(e.name, async () => {
        if (e.good) {
          assert.equal(await verify(e.token), subject)
        } else {
          await assert.rejects(verify(e.token))
        }
      })
    }
  })
}
