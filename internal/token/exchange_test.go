package token_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/token"
)

// TestMasterKeyIsExchanged has every process of an exchange read what every other
// one mints, and answer a generation with one that says the same.
func TestMasterKeyIsExchanged(t *testing.T) {
	of := func(master, other string) *token.Refresher {
		o := keyset.MasterKey{}
		if other != "" {
			o = masterKey(t, other)
		}
		return token.NewRefresher(issuer, masterKey(t, master), o)
	}
	for name, beside := range map[string][]*token.Refresher{
		"the new one becomes known":  {of("a", ""), of("a", "b")},
		"the new one comes in force": {of("a", "b"), of("b", "a")},
		"the old one leaves":         {of("b", "a"), of("b", "")},
	} {
		for _, mints := range beside {
			raw := mint(t, mints, refresh())
			for _, reads := range beside {
				got, err := reads.Read(raw)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if diff := cmp.Diff(refresh(), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		}
	}
	refused(t, of("b", ""), "minted under a key that has left", mint(t, of("a", ""), refresh()))
}

func TestTheOtherMasterKeyMintsNothing(t *testing.T) {
	both := token.NewRefresher(issuer, masterKey(t, "b"), masterKey(t, "a"))
	if got, want := mint(t, both, refresh()), mint(t, token.NewRefresher(issuer, masterKey(t, "b")), refresh()); got != want {
		t.Errorf("minted %s, want %s", got, want)
	}
}

// TestHeadersAreNotTrusted puts the header of one master key before what the other
// one signed.
func TestHeadersAreNotTrusted(t *testing.T) {
	both := token.NewRefresher(issuer, masterKey(t, "b"), masterKey(t, "a"))
	a, b := mint(t, token.NewRefresher(issuer, masterKey(t, "a")), refresh()), mint(t, both, refresh())
	headA, restA, _ := strings.Cut(a, ".")
	headB, restB, _ := strings.Cut(b, ".")
	refused(t, both, "old under the new header", headB+"."+restA)
	refused(t, both, "new under the old header", headA+"."+restB)
	refused(t, both, "no header", "."+restB)
	refused(t, both, "nothing", "")
}
