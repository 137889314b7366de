package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	maxUserAgent = 256 // bytes that are kept
	keyVisit     = "visit"
)

// visit returns the request as flows see it: one for each request, so that its
// quota reaches the answer.
func (s *server) visit(c *gin.Context) *flow.Visit {
	if v, ok := c.Get(keyVisit); ok {
		if v, ok := v.(*flow.Visit); ok {
			return v
		}
	}
	s.warnOfProxy(c.Request)
	addr := s.clientAddress(c.Request)
	v := &flow.Visit{
		Origin: audit.Origin{
			IP: addressText(addr), UserAgent: truncate(plainText(c.Request.UserAgent()), maxUserAgent),
			RequestID: requestIDOf(c),
		},
		AddressKey: ratelimit.AddressKey(addr),
	}
	c.Set(keyVisit, v)
	return v
}

// showQuota tells the client what is left of its limit, if the request was counted
// against one: of that of a user who has to wait, if err says so, whatever is left for
// the address.
func showQuota(c *gin.Context, err error) {
	found, _ := c.Get(keyVisit)
	v, ok := found.(*flow.Visit)
	if !ok || v.Quota == nil {
		return
	}
	quota := *v.Quota
	if e, locked := errors.AsType[*user.TooManyAttemptsError](err); locked {
		a := e.Allowance
		whole := e.RetryAfter + time.Duration(a.Burst-1)*a.Recovery
		quota = ratelimit.Result{
			Name: "user", Limit: ratelimit.Limit{Burst: a.Burst, Period: time.Duration(a.Burst) * a.Recovery}, ResetAfter: whole,
		}
	}
	c.Header("RateLimit-Policy", quota.Policy())
	c.Header("RateLimit", quota.Header())
}

// clientAddress returns where the request comes from: the socket's peer, or if
// that is a trusted proxy the nearest address before it in X-Forwarded-For that
// is none. What a client writes into that header itself is further left.
func (s *server) clientAddress(r *http.Request) netip.Addr {
	peer := peerAddress(r)
	if !s.trusted(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	nearest := peer
	for _, text := range slices.Backward(hops) {
		hop, err := parseHop(strings.TrimSpace(text))
		if err != nil {
			return nearest // beyond here somebody wrote what they liked
		}
		nearest = hop.Unmap().WithZone("")
		if !s.trusted(nearest) {
			return nearest
		}
	}
	return nearest
}

// warnOfProxy says once that what looks like a proxy is not trusted, so that all who
// come through it are one client with one client's limits. A stranger on the internet
// may send the headers too, and gets no line.
func (s *server) warnOfProxy(r *http.Request) {
	if s.warned.Load() || r.Header["X-Forwarded-For"] == nil && r.Header["Forwarded"] == nil {
		return
	}
	peer := peerAddress(r)
	if s.trusted(peer) || !peer.IsLoopback() && !peer.IsPrivate() || s.warned.Swap(true) {
		return
	}
	s.Log.WarnContext(r.Context(), "a proxy is not in trusted_proxies: all its clients share one address and its limits", slog.String("proxy", peer.String()))
}

// parseHop reads an address as proxies write it: alone, with the client's port, or in
// the brackets that IPv6 has before a port.
func parseHop(text string) (netip.Addr, error) {
	if p, err := netip.ParseAddrPort(text); err == nil {
		return p.Addr(), nil
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && strings.Contains(text, ":") {
		text = text[1 : len(text)-1]
	}
	return netip.ParseAddr(text)
}

func (s *server) throughProxy(r *http.Request) bool {
	return len(s.TrustedProxies) > 0 && s.trusted(peerAddress(r))
}

func (s *server) trusted(a netip.Addr) bool {
	for _, p := range s.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// peerAddress returns the zero Addr for a peer that has none, as on a Unix socket.
func peerAddress(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// plainText is s with what is not UTF-8 in it replaced: a header may have any byte
// above 0x7f, and PostgreSQL stores no text that is none.
func plainText(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// truncate cuts s to at most n bytes, not within a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
