// Package internal holds jotgate's rooms; this file is their map and word list.
//
// # The law
//
// Nouns do not know each other; flows know nouns; edges know flows (and the
// types and errors of nouns and tools); only app knows all. What needs two nouns is a flow. Technology
// lives only at the edges: Gin in httpapi, oauthapi and ginbearer, GORM in store.
// imports_test.go holds the same map as a table and fails on a package or an
// import that is not in it, and on a permission for one package that is not used.
//
// # The rooms
//
//	cmd/jotgate            the program: cobra commands over app and config
//	pkg/bearer             verifies jotgate's access tokens in any Go service; knows nothing of this module
//	pkg/bearer/ginbearer   the same as Gin middleware; jotgate itself uses it
//	pkg/js/verifier        the same for Node, as the npm package @jotgate/verifier; one vector file holds both
//	pkg/js                 the client for browsers, @jotgate/client; knows nothing of this module
//	pkg/client             keeps a native app signed in; knows the HTTP API and nothing of this module
//
//	app          wiring    builds the program from a Config and runs it; no decisions
//	door         edge in   the connections of a server, which closes without losing anybody
//	config                 what an operator decides, loaded strictly
//	httpapi      edge in   the first-party JSON API on Gin, the OpenAPI document and its page
//	oauthapi     edge in   the OAuth 2 wire: forms, and errors as RFC 6749 has them
//	djangousers  edge in   the users of a Django project: its table or a dump of it, read row by row
//	web/spa      edge in   the files of the sample single-page app, which httpapi serves
//	flow                   what flows have in common: a request as they see it, and the ledger in which they commit
//	gate         flow      register, login, refresh, logout, change password, close; an operator's acts on users, imports among them
//	oauth        flow      client credentials, introspection, revocation; registering clients
//	user         noun      who may sign in, and the only path on which a password is checked
//	session      noun      how long a sign-in lasts: rotation, reuse, devices
//	revocation   noun      what verifiers must no longer accept, as an ordered feed
//	apikey       noun      long-lived credentials of programs that act for a user
//	client       noun      registered OAuth clients: programs that act for themselves
//	audit        noun      security events, append-only
//	store        edge out  GORM on SQLite and PostgreSQL, one file per noun; migrations; the copy from one to the other; storetest
//	opaque       tool      makes and checks the secrets that programs keep
//	scope        tool      the syntax of scopes
//	password     tool      argon2id with bounded work, and Django's hashes; password rules; the list of common passwords
//	token        tool      mints access tokens, mints and reads refresh tokens
//	keyset       tool      signing keys sealed at rest, pending -> active -> retiring -> gone, or revoked; JWKS
//	ratelimit    tool      GCRA per key, in memory or in a Redis that replicas share
//	telemetry    tool      logging, metrics and tracing set-up
//
//	store/storetest        says how a store must behave; both databases pass it
//	password/commonlist    builds the list of common passwords again
//	needs                  skips or fails a test whose machine lacks something
//	pgtest                 gives tests a PostgreSQL database of their own
//	redistest              gives tests a Redis of their own, to be taken away and brought back
//	apptest                runs the whole program within a test
//	proxytest              runs nginx with configs/nginx.conf in front of the whole program
//	clustertest            runs three replicas behind nginx, and takes away one after another of what they need
//	deploytest             holds what configs/ says of running the program to the program
//	djangotest             runs it beside a real Django project, with the files of configs/django
//	web/browsertest        drives the sample app in Chromium
//	interop                asks other people's libraries what they think of our tokens
//	bench                  measures, beside the floor and beside other programs, and keeps ratios
//	torture                breaks what the program stands on, and compares what is left with what it acknowledged
//	mutants                takes guards away, one at a time, to see a test fail
//	tools                  a module of its own that pins the developers' tools
//
// Three things differ from the first sketch of the house. store imports keyset
// besides the nouns, because it keeps the sealed keys and their record is
// keyset's. A signing key's state is not stored: it follows from the times at
// which the keys start to sign, so nothing has to move it along.
// httpapi imports oauthapi, which mounts its routes into httpapi's engine, so that
// both share one set of middleware and one place where all routes are listed.
//
// # The words
//
//	user            a person who can sign in
//	identifier      what a user types to say who they are: a username or an email
//	session         one sign-in on one device; it has one row for its whole life
//	mode            how a session's tokens travel, bearer or cookie; fixed at login
//	generation      the ordinal of a refresh token within its session; one generation is current
//	child, parent   the generation after, or before, another one
//	refresh token   a signed pointer (session, generation) without authority of its own
//	access token    a short-lived signed JWT that any verifier can check by itself
//	subject         the user id inside a token
//	API key         an opaque credential of a program that acts for a user
//	client          a program with an account of its own (OAuth), which acts for itself
//	scope           the name of something that a program may do
//	external id     whom another system knew a user as, kept when the user is imported
//	end             to make a session over, for whatever reason
//	key set         the signing keys and their public halves
//	rotate          to make the next signing key, which is published before it signs
//	revoke          to take a signing key, or what it or a session brought, out of use at once
//	retire          what a signing key does when the next one signs; it still verifies
//	master key      seals the signing keys and signs refresh tokens; outside the database
//	reseal          to seal under the master key what the other one sealed
//	lead            to do what one process does for all that share the database, while it does it
//	revocation feed the ordered record of what ended before its tokens expired
package internal
