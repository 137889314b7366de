package bearer

import (
	"net/http"
	"time"
)

// clientOf returns a client that follows no redirect: keys come from where the
// issuer said.
func clientOf(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Timeout == 0 || client.Timeout > fetchTimeout {
		client.Timeout = fetchTimeout
	}
	if client.Transport == nil {
		client.Transport = attentive()
	}
	return &client
}

// attentive returns a transport that gives a connection up on which nothing comes any
// more. HTTP/2 has one for everything: without that, each try that times out is followed by
// another one on the same connection, until TCP gives up.
func attentive() http.RoundTripper {
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t := shared.Clone()
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter}
	return t
}

const pingAfter = 5 * time.Second
