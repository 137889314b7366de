package storetest

import (
	"context"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/user"
)

func apiKeyTests() []test {
	return []test{
		{"a key is what was stored, found by its hash", keysRoundTrip},
		{"keys are listed newest first, each user's alone", keysList},
		{"only the owner deletes a key", keysDelete},
		{"all keys of a user go at once, and with the user", keysGoWithTheUser},
		{"a use is written once in a while", keysTouch},
		{"prune takes expired keys, in bounds", keysPrune},
	}
}

// key stores a key of u's, created d after the epoch.
func (k kit) key(u user.User, hash string, d time.Duration) apikey.Key {
	k.Helper()
	key := apikey.Key{
		ID: apikey.ID(k.id()), UserID: string(u.ID), Name: "Ärger \x01", Scopes: []string{"a", "b:c"}, Hint: "jg_abcde", CreatedAt: epoch().Add(d),
	}
	k.must(k.db.APIKeys().Create(k.Context(), key, hash))
	return key
}

func keysRoundTrip(k kit) {
	u := k.user("ada")
	want := k.key(u, "h1", 0)
	got, err := k.db.APIKeys().ByHash(k.Context(), "h1")
	k.must(err)
	k.equal(got, want)
	for _, hash := range []string{"", "h", "H1", "h1 ", "h1\x00", "\xff"} {
		_, err = k.db.APIKeys().ByHash(k.Context(), hash)
		k.wantErr(err, apikey.ErrNotFound)
	}
	full := want
	full.ID, full.Scopes, full.ExpiresAt, full.LastUsedAt = apikey.ID(k.id()), nil, epoch().Add(time.Hour), epoch().Add(time.Minute)
	k.must(k.db.APIKeys().Create(k.Context(), full, "h2"))
	got, err = k.db.APIKeys().ByHash(k.Context(), "h2")
	k.must(err)
	k.equal(got, full)
	again := full
	again.ID = apikey.ID(k.id())
	if err := k.db.APIKeys().Create(k.Context(), again, "h2"); err == nil {
		k.Error("two keys have one hash")
	}
	again.UserID = "nobody"
	if err := k.db.APIKeys().Create(k.Context(), again, "h3"); err == nil {
		k.Error("a key of nobody is stored")
	}
}

func keysList(k kit) {
	ada, bob := k.user("ada"), k.user("bob")
	first, second := k.key(ada, "h1", 0), k.key(ada, "h2", time.Second)
	k.key(bob, "h3", 2*time.Second)
	got, err := k.db.APIKeys().List(k.Context(), string(ada.ID))
	k.must(err)
	k.equal(got, []apikey.Key{second, first})
	got, err = k.db.APIKeys().List(k.Context(), "")
	k.must(err)
	k.equal(len(got), 0)
}

func keysDelete(k kit) {
	ada, bob := k.user("ada"), k.user("bob")
	key := k.key(ada, "h1", 0)
	store := k.db.APIKeys()
	k.wantErr(store.Delete(k.Context(), key.ID, string(bob.ID)), apikey.ErrNotFound)
	k.wantErr(store.Delete(k.Context(), "", string(ada.ID)), apikey.ErrNotFound)
	k.wantErr(store.Delete(k.Context(), key.ID, ""), apikey.ErrNotFound)
	errs := k.race(racers, func(ctx context.Context, _ int) error { return store.Delete(ctx, key.ID, string(ada.ID)) })
	k.equal(count(errs, nil), 1)
	k.equal(count(errs, apikey.ErrNotFound), racers-1)
}

func keysGoWithTheUser(k kit) {
	ada, bob := k.user("ada"), k.user("bob")
	k.key(ada, "h1", 0)
	k.key(ada, "h2", 0)
	k.key(bob, "h3", 0)
	n, err := k.db.APIKeys().DeleteAll(k.Context(), string(ada.ID))
	k.must(err)
	k.equal(n, 2)
	_, err = k.db.APIKeys().ByHash(k.Context(), "h3")
	k.must(err)
	k.must(k.db.Users().Delete(k.Context(), bob.ID))
	_, err = k.db.APIKeys().ByHash(k.Context(), "h3")
	k.wantErr(err, apikey.ErrNotFound)
}

func keysTouch(k kit) {
	key := k.key(k.user("ada"), "h1", 0)
	for _, tt := range []struct{ at, want time.Duration }{
		{time.Hour, time.Hour},
		{time.Hour + 59*time.Second, time.Hour},
		{time.Hour + time.Minute, time.Hour + time.Minute},
		{time.Minute, time.Minute}, // the clock has stepped back
	} {
		at := epoch().Add(tt.at)
		k.must(k.db.APIKeys().Touch(k.Context(), key.ID, at, at.Add(-time.Minute)))
		got, err := k.db.APIKeys().ByHash(k.Context(), "h1")
		k.must(err)
		k.equal(got.LastUsedAt, epoch().Add(tt.want))
	}
	k.must(k.db.APIKeys().Touch(k.Context(), "gone", epoch(), epoch()))
}

func keysPrune(k kit) {
	u := k.user("ada")
	for i, life := range []time.Duration{0, time.Minute, 2 * time.Minute, time.Hour} {
		key := apikey.Key{ID: apikey.ID(k.id()), UserID: string(u.ID), Name: "k", CreatedAt: epoch()}
		if life > 0 {
			key.ExpiresAt = epoch().Add(life)
		}
		k.must(k.db.APIKeys().Create(k.Context(), key, string(rune('a'+i))))
	}
	for _, want := range []int{1, 1, 0} {
		n, err := k.db.APIKeys().Prune(k.Context(), epoch().Add(time.Hour), 1)
		k.must(err)
		k.equal(n, want)
	}
	left, err := k.db.APIKeys().List(k.Context(), string(u.ID))
	k.must(err)
	k.equal(len(left), 2)
}

func clientTests() []test {
	return []test{
		{"a client is what was stored", clientsRoundTrip},
		{"clients are listed in pages", clientsList},
		{"secrets are replaced", clientsSetSecret},
		{"a deleted client is gone", clientsDelete},
	}
}

func (k kit) client(name string) client.Client {
	k.Helper()
	c := client.Client{
		ID: client.ID("client-" + k.id()), Name: name, Scopes: []string{"a"}, Audiences: []string{"https://a.example.com"},
		CreatedAt: epoch(), SecretHash: "h1",
	}
	k.must(k.db.Clients().Create(k.Context(), c))
	return c
}

func (k kit) wantClient(want client.Client) {
	k.Helper()
	got, err := k.db.Clients().ByID(k.Context(), want.ID)
	k.must(err)
	k.equal(got, want)
}

func clientsRoundTrip(k kit) {
	k.wantClient(k.client("one"))
	full := client.Client{
		ID: "client-x", Name: "two", Audiences: []string{"a", "b"}, CreatedAt: epoch(), SecretHash: "h1", PreviousHash: "h0",
		PreviousUntil: epoch().Add(time.Hour), TokensValidAfter: epoch().Truncate(time.Second),
	}
	k.must(k.db.Clients().Create(k.Context(), full))
	k.wantClient(full)
	for _, id := range []client.ID{"", "client-X", "client-x\x00", "\xff"} {
		_, err := k.db.Clients().ByID(k.Context(), id)
		k.wantErr(err, client.ErrNotFound)
	}
	if err := k.db.Clients().Create(k.Context(), full); err == nil {
		k.Error("two clients have one id")
	}
}

func clientsList(k kit) {
	one, two, three := k.client("one"), k.client("two"), k.client("three")
	page, err := k.db.Clients().List(k.Context(), "", 2)
	k.must(err)
	k.equal(page, []client.Client{one, two})
	page, err = k.db.Clients().List(k.Context(), two.ID, 2)
	k.must(err)
	k.equal(page, []client.Client{three})
}

func clientsSetSecret(k kit) {
	c, other := k.client("one"), k.client("two")
	c.SecretHash, c.PreviousHash, c.PreviousUntil, c.TokensValidAfter = "h2", "h1", epoch().Add(time.Hour), epoch().Truncate(time.Second)
	k.must(k.db.Clients().SetSecret(k.Context(), c))
	k.wantClient(c)
	c.PreviousHash, c.PreviousUntil = "", time.Time{}
	k.must(k.db.Clients().SetSecret(k.Context(), c))
	k.wantClient(c)
	k.wantClient(other)
	c.ID = ""
	k.wantErr(k.db.Clients().SetSecret(k.Context(), c), client.ErrNotFound)
}

func clientsDelete(k kit) {
	c, other := k.client("one"), k.client("two")
	errs := k.race(racers, func(ctx context.Context, _ int) error { return k.db.Clients().Delete(ctx, c.ID) })
	k.equal(count(errs, nil), 1)
	k.equal(count(errs, client.ErrNotFound), racers-1)
	k.wantClient(other)
	k.wantErr(k.db.Clients().Delete(k.Context(), ""), client.ErrNotFound)
}
