package client

import (
	"net/http"
	"testing"
	"time"
)

// TestConnectionsArePinged, so that an HTTP/2 one that died is given up before a request
// on it is.
func TestConnectionsArePinged(t *testing.T) {
	for name, given := range map[string]*http.Client{"none": nil, "without a transport": {Timeout: time.Minute}} {
		c := withoutRedirects(given)
		transport, ok := c.Transport.(*http.Transport)
		if !ok || transport.HTTP2 == nil || transport.HTTP2.SendPingTimeout <= 0 || transport.HTTP2.SendPingTimeout+transport.HTTP2.PingTimeout >= c.Timeout {
			t.Errorf("%s: %#v does not ping in time", name, c.Transport)
		}
	}
	own := &http.Transport{}
	if got := withoutRedirects(&http.Client{Transport: own}); got.Transport != own {
		t.Error("the caller's transport was replaced")
	}
}
