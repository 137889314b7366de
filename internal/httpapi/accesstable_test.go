package httpapi_test

import "strings"

// accessRules is what api.md says of each credential in each state, by the part of
// the API that it is presented to:
//
//	access   what routes for whoever is signed in take it for; see accessClasses
//	refresh  what POST /v1/refresh answers
//	logout   what POST /v1/logout answers: what is over already is not refused
//	client   what /oauth answers
//
// "Dead" in a row's state stands for each of deadSessions.
const accessRules = `
credential                             | state               | access  | refresh               | logout             | client
none                                   | live                | nobody  | no-credentials        | no-credentials     | invalid_client
garbage                                | live                | invalid | no-credentials        | invalid-token      | invalid_client
garbage in cookies                     | live                | invalid | invalid-refresh-token | invalid-token      | invalid_client
another scheme                         | live                | nobody  | no-credentials        | no-credentials     | invalid_client
two headers                            | live                | twice   | invalid-request       | invalid-request    | invalid_request
two cookies of a name                  | live                | twice   | invalid-request       | invalid-request    | invalid_client
access token                           | live                | user    | no-credentials        | ok                 | invalid_client
access token                           | role admin          | admin   | no-credentials        | ok                 | invalid_client
access token                           | role taken away     | invalid | no-credentials        | ok                 | invalid_client
access token                           | expired             | invalid | no-credentials        | invalid-token      | invalid_client
access token                           | dead                | invalid | no-credentials        | ok                 | invalid_client
access token                           | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
header and cookies                     | live                | user    | no-credentials        | ok                 | invalid_client
header and cookies                     | role admin          | admin   | no-credentials        | ok                 | invalid_client
header and cookies                     | role taken away     | invalid | no-credentials        | ok                 | invalid_client
header and cookies                     | expired             | invalid | no-credentials        | invalid-token      | invalid_client
header and cookies                     | dead                | invalid | no-credentials        | ok                 | invalid_client
header and cookies                     | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
access cookie                          | live                | user    | no-credentials        | ok                 | invalid_client
access cookie                          | role admin          | admin   | no-credentials        | ok                 | invalid_client
access cookie                          | role taken away     | invalid | no-credentials        | ok                 | invalid_client
access cookie                          | expired             | invalid | no-credentials        | invalid-token      | invalid_client
access cookie                          | dead                | invalid | no-credentials        | ok                 | invalid_client
access cookie                          | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
access cookie without origin           | live                | foreign | no-credentials        | csrf-rejected      | invalid_client
access cookie without origin           | role admin          | foreign | no-credentials        | csrf-rejected      | invalid_client
access cookie without origin           | role taken away     | invalid | no-credentials        | csrf-rejected      | invalid_client
access cookie without origin           | expired             | invalid | no-credentials        | csrf-rejected      | invalid_client
access cookie without origin           | dead                | invalid | no-credentials        | csrf-rejected      | invalid_client
access cookie without origin           | signing key revoked | invalid | no-credentials        | csrf-rejected      | invalid_client
access token of a cookie in the header | live                | invalid | no-credentials        | invalid-token      | invalid_client
access token of a cookie in the header | role admin          | invalid | no-credentials        | invalid-token      | invalid_client
access token of a cookie in the header | role taken away     | invalid | no-credentials        | invalid-token      | invalid_client
access token of a cookie in the header | expired             | invalid | no-credentials        | invalid-token      | invalid_client
access token of a cookie in the header | dead                | invalid | no-credentials        | invalid-token      | invalid_client
access token of a cookie in the header | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | live                | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | role admin          | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | role taken away     | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | expired             | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | dead                | invalid | no-credentials        | invalid-token      | invalid_client
access token of a header in the cookie | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
refresh token                          | live                | nobody  | ok                    | ok                 | invalid_client
refresh token                          | role admin          | nobody  | ok                    | ok                 | invalid_client
refresh token                          | role taken away     | nobody  | ok                    | ok                 | invalid_client
refresh token                          | expired             | nobody  | invalid-refresh-token | ok                 | invalid_client
refresh token                          | dead                | nobody  | invalid-refresh-token | ok                 | invalid_client
refresh token                          | spent               | nobody  | token-reused          | ok                 | invalid_client
refresh token                          | signing key revoked | nobody  | ok                    | ok                 | invalid_client
refresh cookie                         | live                | nobody  | ok                    | ok                 | invalid_client
refresh cookie                         | role admin          | nobody  | ok                    | ok                 | invalid_client
refresh cookie                         | role taken away     | nobody  | ok                    | ok                 | invalid_client
refresh cookie                         | expired             | nobody  | invalid-refresh-token | ok                 | invalid_client
refresh cookie                         | dead                | nobody  | invalid-refresh-token | ok                 | invalid_client
refresh cookie                         | spent               | nobody  | token-reused          | ok                 | invalid_client
refresh cookie                         | signing key revoked | nobody  | ok                    | ok                 | invalid_client
refresh cookie without origin          | live                | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | role admin          | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | role taken away     | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | expired             | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | dead                | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | spent               | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh cookie without origin          | signing key revoked | nobody  | csrf-rejected         | csrf-rejected      | invalid_client
refresh token of a cookie in the body  | live                | nobody  | invalid-refresh-token | invalid-token      | invalid_client
refresh token of a body in the cookie  | live                | nobody  | invalid-refresh-token | invalid-token      | invalid_client
refresh token in the header            | live                | invalid | no-credentials        | invalid-token      | invalid_client
refresh token in the access cookie     | live                | invalid | no-credentials        | invalid-token      | invalid_client
API key                                | live                | key     | no-credentials        | insufficient-scope | invalid_client
API key                                | scope admin         | keyfull | no-credentials        | insufficient-scope | invalid_client
API key                                | role taken away     | key     | no-credentials        | insufficient-scope | invalid_client
API key                                | signing key revoked | key     | no-credentials        | insufficient-scope | invalid_client
API key                                | session ended       | key     | no-credentials        | insufficient-scope | invalid_client
API key                                | expired             | invalid | no-credentials        | invalid-token      | invalid_client
API key                                | revoked             | invalid | no-credentials        | invalid-token      | invalid_client
API key                                | user disabled       | invalid | no-credentials        | invalid-token      | invalid_client
API key                                | user deleted        | invalid | no-credentials        | invalid-token      | invalid_client
API key in the cookie                  | live                | invalid | no-credentials        | invalid-token      | invalid_client
client token                           | live                | program | no-credentials        | insufficient-scope | invalid_client
client token                           | scope admin         | clientfull | no-credentials     | insufficient-scope | invalid_client
client token                           | expired             | invalid | no-credentials        | invalid-token      | invalid_client
client token                           | revoked             | invalid | no-credentials        | invalid-token      | invalid_client
client token                           | client deleted      | invalid | no-credentials        | invalid-token      | invalid_client
client token                           | secret changed      | invalid | no-credentials        | invalid-token      | invalid_client
client token                           | signing key revoked | invalid | no-credentials        | invalid-token      | invalid_client
client token in the cookie             | live                | invalid | no-credentials        | invalid-token      | invalid_client
client secret                          | live                | nobody  | no-credentials        | no-credentials     | ok
client secret                          | scope admin         | nobody  | no-credentials        | no-credentials     | ok
client secret                          | signing key revoked | nobody  | no-credentials        | no-credentials     | ok
client secret                          | client deleted      | nobody  | no-credentials        | no-credentials     | invalid_client
client secret                          | secret changed      | nobody  | no-credentials        | no-credentials     | invalid_client
client secret twice                    | live                | twice   | invalid-request       | invalid-request    | invalid_request
`

// accessClasses is what each class of route answers to each of the above. Those in
// no row answer alike everywhere: nobody no-credentials, invalid invalid-token,
// twice invalid-request, and foreign what user does where it only reads, and
// csrf-rejected where it writes.
//
//	forward  GET /v1/forward-auth, whoever it is
//	demand   the same where the scope admin is demanded
//	self     GET /v1/me
//	manage   what users do with what is theirs, and no program for them
//	grant    POST /v1/api-keys for a key with the scope admin
//	admin    what the scope admin is for
const accessClasses = `
class   | user               | admin              | key                | keyfull            | program            | clientfull
forward | ok                 | ok                 | ok                 | ok                 | ok                 | ok
demand  | insufficient-scope | insufficient-scope | insufficient-scope | ok                 | insufficient-scope | ok
self    | ok                 | ok                 | ok                 | ok                 | insufficient-scope | insufficient-scope
manage  | ok                 | ok                 | insufficient-scope | insufficient-scope | insufficient-scope | insufficient-scope
grant   | insufficient-scope | ok                 | insufficient-scope | insufficient-scope | insufficient-scope | insufficient-scope
admin   | insufficient-scope | insufficient-scope | insufficient-scope | ok                 | insufficient-scope | ok
`

// deadSessions is how a session comes to an end before its tokens do.
func deadSessions() []string { return []string{"session ended", "user disabled", "user deleted"} }

// accessStates is every state that is told apart.
func accessStates() []string {
	return append(deadSessions(), "live", "role admin", "scope admin", "role taken away", "expired", "spent", "revoked", "client deleted", "secret changed", "signing key revoked")
}

// unreachable says why a credential is never in a state, or "" for one that can be.
func unreachable(credential, state string) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.HasPrefix(credential, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("none", "garbage", "another scheme", "two"):
		return "it is refused, or seen to be none, before anything is looked up"
	case has("client secret twice", "refresh token of", "refresh token in", "API key in", "client token in"):
		return "it is refused where it is while it lives; that it has died too opens nothing"
	case has("API key", "client") && state == "role admin":
		return "programs have no roles; scope admin is what they have of it"
	case has("access", "header", "refresh") && (state == "scope admin" || state == "revoked"):
		return "the scope of a session is empty, and a session ends, which is another state"
	case has("access", "header") && state == "spent":
		return "only refresh tokens are spent"
	case has("access", "header", "refresh", "API key") && (state == "client deleted" || state == "secret changed"):
		return "it is of a user, not of a client"
	case has("API key", "client") && state == "spent":
		return "it is not exchanged for another one"
	case has("client secret") && (state == "expired" || state == "revoked"):
		return "a secret ends when it is changed or its client is deleted"
	case has("client"):
		return "a client is no user, has no role and no session"
	}
	return ""
}
