package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// set writes raw, as a file or a text gives it, into the setting at v.
func (f field) set(v reflect.Value, raw any) error {
	switch f.kind {
	case reflect.TypeFor[time.Duration]():
		d, err := f.duration(raw)
		v.SetInt(int64(d))
		return err
	case reflect.TypeFor[Secret]():
		text, err := f.text(raw)
		v.Set(reflect.ValueOf(NewSecret(text)))
		return err
	case reflect.TypeFor[[]string]():
		list, err := f.list(raw)
		v.Set(reflect.ValueOf(list))
		return err
	}
	switch f.kind.Kind() { //nolint:exhaustive // settings are of few kinds; TestExampleIsComplete sets each
	case reflect.Bool:
		b, err := parseBool(raw)
		v.SetBool(b)
		return err
	case reflect.String:
		text, err := f.text(raw)
		v.SetString(text)
		return err
	default:
		n, err := f.number(raw)
		if v.CanUint() {
			v.SetUint(uint64(n)) //nolint:gosec // within the setting's range, which has no negative number
		} else {
			v.SetInt(n)
		}
		return err
	}
}

func (f field) text(raw any) (string, error) {
	if b, ok := raw.(bool); ok && len(f.oneOf) > 0 {
		raw = strconv.FormatBool(b) // what YAML makes of true without quotes
	}
	s, ok := raw.(string)
	if !ok {
		return "", errors.New("must be text; put it in quotes")
	}
	if s == "" {
		return "", f.checkEmpty()
	}
	if len(f.oneOf) > 0 && !slices.Contains(f.oneOf, s) {
		return "", fmt.Errorf("%q is not one of %s", s, strings.Join(f.oneOf, ", "))
	}
	return s, f.checkText(s)
}

// checkEmpty refuses empty text for what has no meaning without one. An address of
// none would be a port of the system's choice on all interfaces.
func (f field) checkEmpty() error {
	switch {
	case !f.needed:
		return nil
	case f.check == "addr":
		return fmt.Errorf("must be host:port; a listener cannot be turned off, and left out it is on %s", f.Default)
	}
	return fmt.Errorf("must not be empty; left out it is %s", f.Default)
}

func (f field) list(raw any) ([]string, error) {
	var entries []string
	switch v := raw.(type) {
	case string:
		for entry := range strings.SplitSeq(v, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok || s == "" {
				return nil, errors.New("must be a list of texts")
			}
			entries = append(entries, s)
		}
	default:
		return nil, errors.New("must be a list")
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, f.checkText(e))
	}
	return entries, errors.Join(errs...)
}

func (f field) number(raw any) (int64, error) {
	var n int64
	var err error
	switch v := raw.(type) {
	case int:
		n = int64(v)
	case string:
		n, err = strconv.ParseInt(v, 10, 64)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || n < f.min || n > f.max {
		return f.min, fmt.Errorf("must be a whole number from %d to %d", f.min, f.max)
	}
	return n, nil
}

func parseBool(raw any) (bool, error) {
	switch raw {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

func (f field) duration(raw any) (time.Duration, error) {
	s, ok := raw.(string)
	d, err := time.ParseDuration(s)
	if off := f.check == "off"; off && (raw == 0 || ok && err == nil && d == 0) {
		return 0, nil
	}
	if !ok || err != nil || d <= 0 {
		return 0, errors.New("must be a duration above zero, such as 90s, 10m or 720h")
	}
	return d, nil
}

// checkText checks the form that the setting's check tag names. Only an entry
// that holds no secret is repeated in the error.
func (f field) checkText(s string) error {
	switch f.check {
	case "origin":
		return checkOrigin(s)
	case "addr":
		return checkAddr(s)
	case "audience":
		return checkAudience(s)
	case "proxy":
		return checkProxy(s)
	case "database":
		return checkDatabase(s)
	case "redis":
		return checkRedis(s)
	}
	return nil
}

// checkOrigin wants an origin exactly as browsers write one (RFC 6454, section
// 6.2), and TLS wherever the traffic leaves the machine. What no browser sends would
// pass for an origin that is allowed, and match nothing.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != s || strings.ToLower(s) != s {
		return fmt.Errorf("%q is not an origin such as https://auth.example.com: lower-case scheme, host and port, and no path", s)
	}
	switch {
	case !isHost(u.Hostname()):
		return fmt.Errorf("%q has no host as browsers send it: each origin is listed by itself, and names are in ASCII (xn--...)", s)
	case strings.HasSuffix(u.Host, ":"+u.Port()) && !isPort(u.Port()):
		return fmt.Errorf("%q has no port from 1 to 65535, without leading zeros", s)
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return fmt.Errorf("%q names the port that the scheme has anyway, which browsers leave out", s)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%q is neither https nor http", s)
	case !isLoopback(u.Hostname()):
		return fmt.Errorf("%q would send credentials over the network in clear text; use https (http is for localhost)", s)
	}
	return nil
}

// isHost says whether host, in lower case, is an address in its one spelling or a
// name of ASCII labels. Browsers take a name that ends in a number for an address.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String() == host && !a.Is4In6()
	}
	last := ""
	for last = range strings.SplitSeq(host, ".") {
		if len(last) < 1 || len(last) > 63 || strings.Trim(last, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return false
		}
	}
	digits, hex := strings.CutPrefix(last, "0x")
	return strings.Trim(digits, "0123456789") != "" && (!hex || strings.Trim(digits, "0123456789abcdef") != "")
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil && port[0] != '0'
}

func isLoopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func checkAddr(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080 or :8080", s)
	}
	return nil
}

// checkAudience wants what a token may say of itself (RFC 7519, section 2): a word,
// or with a colon a URI. It has no fragment, no space and no letter beyond ASCII, as
// no other audience of a client has.
func checkAudience(s string) error {
	u, err := url.Parse(s)
	wrong := strings.Contains(s, ":") && (err != nil || !u.IsAbs())
	if wrong || len(s) > maxAudience || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) >= 0 {
		return fmt.Errorf("%q is not an audience: a word such as orders-api, or an absolute URI without a fragment", s)
	}
	return nil
}

func checkProxy(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", s)
	}
	if p.Bits() == 0 {
		return fmt.Errorf("%q would trust everybody's forwarding headers", s)
	}
	return nil
}

func checkDatabase(s string) error {
	scheme, rest, _ := strings.Cut(s, ":")
	switch scheme {
	case "sqlite":
		if path := strings.TrimPrefix(rest, "//"); path != "" && path != ":memory:" {
			return nil
		}
		return errors.New("must name a file: sqlite:<path>")
	case "postgres", "postgresql":
		if strings.HasPrefix(rest, "//") {
			return nil
		}
	}
	return errors.New("must begin with sqlite: or postgres://")
}

// checkRedis takes the URLs of one server, as all clients of Redis write them, and
// no parameters: what they would change is not left to an operator, least of all
// whether a certificate is looked at.
func checkRedis(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("is not a URL such as redis://user:password@host:6379/0; write %40 for an @ within the password")
	}
	switch {
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("must end with the path; it takes no parameters")
	case u.Scheme == "unix":
		if u.Host != "" || len(u.Path) < 2 {
			return errors.New("must name a socket: unix:///path/to/socket")
		}
		return nil
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return errors.New("must begin with redis://, rediss:// or unix://")
	case u.Hostname() == "":
		return errors.New("must name a host: redis://host:6379")
	}
	if _, err := strconv.ParseUint(cmp.Or(u.Port(), "0"), 10, 16); err != nil {
		return errors.New("must have a port from 1 to 65535, or none")
	}
	if number := strings.Trim(u.Path, "/"); number != "" {
		if _, err := strconv.ParseUint(number, 10, 16); err != nil {
			return errors.New("must have the number of a database for its path, or none")
		}
	}
	return nil
}

const (
	maxAudience  = 512 // bytes
	maxAccessTTL = 24 * time.Hour
	// publishing is ample for a key to be published before it signs; app's TestEveryKeySigns
	// holds it to the time that takes.
	publishing = 30 * time.Minute
)

// check is what no setting can tell by itself. It judges nothing by what is wrong
// already.
func (c *Config) check(wrong map[string]bool) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	right := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return wrong[key] })
	}
	if c.Token.AccessTTL > maxAccessTTL {
		fail("token.access_ttl: %s is more than %s: an access token cannot be taken back everywhere at once", durationText(c.Token.AccessTTL), durationText(maxAccessTTL))
	}
	if every := c.Token.RotateEvery; every != 0 && every < c.Token.AccessTTL+publishing && right("token.access_ttl") {
		fail("token.rotate_every: %s is less than token.access_ttl and %s, in which the next key is published; 0 turns it off", durationText(every), durationText(publishing))
	}
	if c.HTTP.Addr == c.Ops.Addr && !strings.HasSuffix(c.HTTP.Addr, ":0") && right("http.addr", "ops.addr") {
		fail("ops.addr: %s is http.addr too: metrics and profiles are not for the public", c.Ops.Addr)
	}
	if !strings.HasPrefix(c.Database.URL.Reveal(), "sqlite:") && !c.MasterKey.Set() && c.MasterKeyFile == "" && right("database.url", "master_key", "master_key_file") {
		fail("master_key_file: PostgreSQL needs a master key that all replicas share; make one with: openssl rand -base64 32")
	}
	return errors.Join(errs...)
}

func sorted(errs []error) error {
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
