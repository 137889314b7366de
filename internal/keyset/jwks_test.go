package keyset_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
)

// TestJWKSHasPublicMembersOnly is K1 and K2 of the security requirements.
func TestJWKSHasPublicMembersOnly(t *testing.T) {
	s := newSet(t, &memory{})
	for _, k := range []struct {
		text string
		alg  keyset.Algorithm
	}{{ecJWK(t), keyset.ES256}, {rfc8037Key, keyset.EdDSA}, {rfc7517Key, keyset.RS256}} {
		if _, err := s.Import(t.Context(), []byte(k.text), k.alg); err != nil {
			t.Fatal(err)
		}
	}
	body, etag := s.JWKS()
	var set map[string][]map[string]string
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if len(set) != 1 || len(set["keys"]) != 3 {
		t.Fatalf("JWKS = %s", body)
	}
	members := map[string][]string{
		"ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"},
		"EdDSA": {"alg", "crv", "kid", "kty", "use", "x"},
		"RS256": {"alg", "e", "kid", "kty", "n", "use"},
	}
	for i, k := range set["keys"] {
		if diff := cmp.Diff(members[k["alg"]], slices.Sorted(maps.Keys(k))); diff != "" {
			t.Errorf("members of the %q key (-want +got):\n%s", k["alg"], diff)
		}
		info := s.List()[i]
		if k["use"] != "sig" || k["kid"] != info.KID || k["alg"] != string(info.Algorithm) {
			t.Errorf("key %d is %v, want the order of List: %v", i, k, info)
		}
	}
	if !regexp.MustCompile(`^"[A-Za-z0-9_-]{22}"$`).MatchString(etag) {
		t.Errorf("etag = %s", etag)
	}
}

func TestJWKSOfNoKeys(t *testing.T) {
	body, etag := newSet(t, &memory{}).JWKS()
	if string(body) != `{"keys":[]}` || etag == "" {
		t.Errorf("JWKS = %s, %s", body, etag)
	}
}

func TestJWKSIsBuiltOncePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, &memory{})
		var seen []string
		check := func(when string, changes bool) {
			t.Helper()
			body, etag := s.JWKS()
			if again, tag := s.JWKS(); &again[0] != &body[0] || tag != etag {
				t.Errorf("%s: built twice", when)
			}
			if slices.Contains(seen, etag) == changes {
				t.Errorf("%s: etag changed: %t, want %t", when, !changes, changes)
			}
			seen = append(seen, etag)
		}
		ensure(t, s, keyset.ES256)
		check("first key", true)
		rotate(t, s, keyset.EdDSA)
		check("second key is published", true)
		time.Sleep(publishAhead)
		check("second key signs", false)
		time.Sleep(retain)
		check("first key is gone", true)
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("nothing new", false)
	})
}
