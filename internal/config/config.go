// Package config is what an operator decides: one struct, its defaults, and the
// strict reading of a file, the environment and flags into it.
//
// A setting is one leaf of [Config]. Its key, variable and flag follow from the
// koanf tags on the way to it, so a name cannot differ between the three and
// none is written twice. The other tags say what a value must be:
//
//	usage  what the setting does, with its unit
//	oneof  the texts that are allowed
//	range  the least and the greatest whole number
//	check  the form of a text, or of each entry of a list; see checkText. Of a
//	       duration, off: zero is one too
//
// The package knows no other room. It opens no listener and no database and
// does not judge the master key.
package config

import (
	"runtime"
	"strings"
	"time"
)

// Config is every setting of the program. [Load] returns only values that
// passed all checks; a Config made by hand has passed none.
type Config struct { //nolint:recvcheck // what prints takes a copy
	HTTP          Listener `koanf:"http"`
	Ops           Operator `koanf:"ops"`
	PublicURL     string   `koanf:"public_url" check:"origin" usage:"origin under which clients reach the API; it is the issuer of every token"`
	DataDir       string   `koanf:"data_dir" usage:"directory of the embedded database and of the master key that is made there"`
	Database      Database `koanf:"database"`
	Redis         Redis    `koanf:"redis"`
	MasterKey     Secret   `koanf:"master_key" usage:"key that seals the signing keys, base64 or hex; required on PostgreSQL"`
	MasterKeyFile string   `koanf:"master_key_file" usage:"file that holds the master key"`
	// The other master key is there while one takes the place of the other.
	MasterKeyOther     Secret   `koanf:"master_key_other" usage:"second master key, which opens and reads what it made, and makes nothing"`
	MasterKeyOtherFile string   `koanf:"master_key_other_file" usage:"file that holds the second master key"`
	Registration       string   `koanf:"registration" oneof:"open,closed" usage:"whether strangers may register: open or closed"`
	TrustedProxies     []string `koanf:"trusted_proxies" check:"proxy" usage:"addresses or CIDR ranges of proxies whose forwarding headers count"`

	Token     Token     `koanf:"token"`
	Refresh   Refresh   `koanf:"refresh"`
	Password  Password  `koanf:"password"`
	Cookie    Cookie    `koanf:"cookie"`
	CORS      CORS      `koanf:"cors"`
	SPA       SPA       `koanf:"spa"`
	RateLimit RateLimit `koanf:"rate_limit"`
	Log       Log       `koanf:"log"`
	Audit     Audit     `koanf:"audit"`

	// Traces tells whether OpenTelemetry's standard variables ask for traces. It is
	// no setting: those variables have their own names, and other programs share them.
	Traces bool `koanf:"-"`
}

// Listener is the API's socket.
type Listener struct {
	Addr string `koanf:"addr" check:"addr" usage:"host:port on which the API listens"`
}

// Operator is the socket for metrics and profiles. Nothing on it asks for a
// credential, so it belongs on loopback or a private network.
type Operator struct {
	Addr string `koanf:"addr" check:"addr" usage:"host:port of the operations listener: metrics, profiles, health"`
}

// Database says where rows are kept. After [Load] URL is never empty.
type Database struct {
	URL     Secret `koanf:"url" check:"database" usage:"sqlite:<path> or postgres://…; left out, jotgate.db in the data directory"`
	URLFile string `koanf:"url_file" usage:"file that holds the database URL"`
}

// Redis says where processes count limits together.
type Redis struct {
	URL     Secret `koanf:"url" check:"redis" usage:"redis://, rediss:// or unix:// URL of a Redis or Valkey in which replicas share limits; left out, each counts alone"`
	URLFile string `koanf:"url_file" usage:"file that holds the URL of Redis"`
}

// Token is how access tokens are made.
type Token struct {
	Audience    string        `koanf:"audience" check:"audience" usage:"audience of access tokens; left out, the public URL"`
	Alg         string        `koanf:"alg" oneof:"ES256,EdDSA,RS256" usage:"algorithm of new signing keys: ES256, EdDSA or RS256"`
	AccessTTL   time.Duration `koanf:"access_ttl" usage:"life of an access token, rounded up to seconds, at most 24h"`
	RotateEvery time.Duration `koanf:"rotate_every" check:"off" usage:"time after which another key signs; 0 leaves rotation to the operator"`
}

// Refresh is how long a sign-in lasts.
type Refresh struct {
	Grace       time.Duration `koanf:"grace" usage:"time in which a spent refresh token gets the same child again"`
	IdleTTL     time.Duration `koanf:"idle_ttl" usage:"life of a session that is not refreshed, if absolute_ttl is not over before"`
	AbsoluteTTL time.Duration `koanf:"absolute_ttl" usage:"life of a session however often it is refreshed"`
}

// Password is what hashing costs and what a password must be. One hash holds
// MemoryKiB while it runs.
type Password struct {
	MemoryKiB uint32 `koanf:"memory_kib" range:"64..262144" usage:"argon2id memory of one hash, in KiB"`
	Passes    uint32 `koanf:"passes" range:"1..10" usage:"argon2id passes over that memory"`
	Parallel  int    `koanf:"parallel" range:"0..64" usage:"hashes at once; 0 means one for each CPU"`
	Queue     int    `koanf:"queue" range:"1..1000000" usage:"hashes that may wait, 5 s each; beyond it the answer is 503"`
	MinLength int    `koanf:"min_length" range:"8..256" usage:"shortest password, in code points"`
}

// Slots returns how many hashes may run at once, which is at least one.
func (p Password) Slots() int {
	if p.Parallel > 0 {
		return p.Parallel
	}
	return runtime.GOMAXPROCS(0)
}

// Cookie is what cookie sessions accept.
type Cookie struct {
	TrustedOrigins []string `koanf:"trusted_origins" check:"origin" usage:"other origins from which cookie sessions may write"`
}

// CORS is which other origins may read answers.
type CORS struct {
	AllowedOrigins []string `koanf:"allowed_origins" check:"origin" usage:"origins whose scripts may call the API with credentials"`
}

// SPA is the sample single-page app.
type SPA struct {
	Enabled string `koanf:"enabled" oneof:"auto,true,false" usage:"whether the sample app is under /app: true, false, or auto, which is true while the public URL is plain http"`
}

// SampleApp reports whether the sample app is served. By default it is where
// people develop, which is where there is no TLS.
func (c *Config) SampleApp() bool {
	switch c.SPA.Enabled {
	case "true", "false":
		return c.SPA.Enabled == "true"
	}
	return strings.HasPrefix(c.PublicURL, "http://")
}

// RateLimit is how often one user, address or session may try.
type RateLimit struct {
	Enabled                 bool          `koanf:"enabled" usage:"whether requests are limited"`
	UserFailures            int           `koanf:"user_failures" range:"1..1000000" usage:"wrong passwords of one user before tries are spaced"`
	UserRecovery            time.Duration `koanf:"user_recovery" usage:"time after which such a user has one more try"`
	LoginsPerMinute         int           `koanf:"logins_per_minute" range:"1..1000000" usage:"login attempts of one address in a minute"`
	RegistrationsPerHour    int           `koanf:"registrations_per_hour" range:"1..1000000" usage:"registrations from one address in an hour"`
	RefreshesPerMinute      int           `koanf:"refreshes_per_minute" range:"1..1000000" usage:"refreshes of one session in a minute"`
	PasswordChecksPerMinute int           `koanf:"password_checks_per_minute" range:"1..1000000" usage:"times in a minute that one user may present current_password"`
}

// Log is what is written to standard error.
type Log struct {
	Level  string `koanf:"level" oneof:"debug,info,warn,error" usage:"least level that is logged: debug, info, warn or error"`
	Format string `koanf:"format" oneof:"json,text" usage:"form of a log line: json or text"`
}

// Audit is how long security events are kept.
type Audit struct {
	Retention time.Duration `koanf:"retention" usage:"time that audit events are kept"`
}

// Default returns the settings of a program that was told nothing.
func Default() Config {
	c := fixed()
	c.derive()
	return c
}

// fixed returns the defaults that follow from no other setting.
func fixed() Config {
	return Config{
		HTTP:         Listener{Addr: "127.0.0.1:8080"},
		Ops:          Operator{Addr: "127.0.0.1:9090"},
		PublicURL:    "http://localhost:8080",
		DataDir:      "data",
		Registration: "open",
		Token:        Token{Alg: "ES256", AccessTTL: 10 * time.Minute, RotateEvery: 90 * 24 * time.Hour},
		Refresh:      Refresh{Grace: 10 * time.Second, IdleTTL: 30 * 24 * time.Hour, AbsoluteTTL: 90 * 24 * time.Hour},
		Password:     Password{MemoryKiB: 19 * 1024, Passes: 2, Queue: 256, MinLength: 15},
		SPA:          SPA{Enabled: "auto"},
		RateLimit: RateLimit{
			Enabled: true, UserFailures: 10, UserRecovery: 30 * time.Second,
			LoginsPerMinute: 30, RegistrationsPerHour: 10, RefreshesPerMinute: 60, PasswordChecksPerMinute: 10,
		},
		Log:   Log{Level: "info", Format: "json"},
		Audit: Audit{Retention: 90 * 24 * time.Hour},
	}
}

// derive fills the settings whose default is another setting.
func (c *Config) derive() {
	if !c.Database.URL.Set() {
		c.Database.URL = NewSecret("sqlite:" + strings.TrimRight(c.DataDir, "/") + "/jotgate.db")
	}
	if c.Token.Audience == "" {
		c.Token.Audience = c.PublicURL
	}
	if part := c.Token.AccessTTL % time.Second; part > 0 && c.Token.AccessTTL < maxAccessTTL { // as the times in a token are
		c.Token.AccessTTL += time.Second - part
	}
}
