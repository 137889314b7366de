package telemetry

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// destination is where traces go and how, as OpenTelemetry's standard variables
// have it.
type destination struct {
	url     string
	header  map[string]string
	gzip    bool
	timeout time.Duration // of one attempt; 0 is none
	tls     *tls.Config
}

// variable returns OTEL_EXPORTER_OTLP_TRACES_<name>, or else
// OTEL_EXPORTER_OTLP_<name>. An empty one says nothing.
func variable(name string) string {
	read := func(prefix string) string {
		return strings.TrimSpace(os.Getenv(prefix + name)) //nolint:forbidigo // beside the library, which reads the others
	}
	return cmp.Or(read("OTEL_EXPORTER_OTLP_TRACES_"), read("OTEL_EXPORTER_OTLP_"))
}

// readDestination reads the variables. Its errors name them and never hold their
// values, some of which are secret.
func readDestination() (destination, error) {
	d := destination{timeout: 10 * time.Second}
	var errs [5]error
	d.url, errs[0] = endpoint()
	d.header, errs[1] = headers(variable("HEADERS"))
	switch variable("COMPRESSION") {
	case "gzip":
		d.gzip = true
	case "", "none":
	default:
		errs[2] = errors.New("OTEL_EXPORTER_OTLP_COMPRESSION: must be gzip or none")
	}
	if text := variable("TIMEOUT"); text != "" {
		ms, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			errs[3] = errors.New("OTEL_EXPORTER_OTLP_TIMEOUT: must be milliseconds")
		}
		d.timeout = time.Duration(ms) * time.Millisecond
	}
	d.tls, errs[4] = trust()
	return d, errors.Join(errs[:]...)
}

// endpoint returns the URL of traces as it is, or that of all signals with the
// path of traces. As in the library, what else is in the URL has no effect.
func endpoint() (string, error) {
	text := variable("ENDPOINT")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "", errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL such as http://localhost:4318")
	}
	where := cmp.Or(u.Path, "/")
	if strings.TrimSpace(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) == "" { //nolint:forbidigo // as above
		where = path.Join("/", u.Path, "v1/traces")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: where}).String(), nil
}

// headers parses name=value,name=value, with values percent-encoded.
func headers(list string) (map[string]string, error) {
	all := map[string]string{}
	if list == "" {
		return all, nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		name, text, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(text)
		name = strings.TrimSpace(name)
		if err != nil || !found || name == "" || strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(value, "\r\n") {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: must be name=value pairs with commas between, values percent-encoded")
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, nil
}

// trust returns whom TLS trusts and who we are there, or nil for what the machine
// trusts and nobody.
func trust() (*tls.Config, error) {
	roots, cert, key := variable("CERTIFICATE"), variable("CLIENT_CERTIFICATE"), variable("CLIENT_KEY")
	if roots == "" && cert == "" && key == "" {
		return nil, nil //nolint:nilnil // no configuration is one
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pem, err := os.ReadFile(roots) //nolint:gosec // the operator names it
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("OTEL_EXPORTER_OTLP_CERTIFICATE: holds no certificate")
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _KEY: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
