package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

func userTests() []test {
	return []test{
		{"what is created is read back", usersReadBack},
		{"a zero user is read back", usersZero},
		{"names are unique", usersUnique},
		{"names that differ in case only are different", usersBinary},
		{"users without a name do not collide", usersNull},
		{"an empty or strange id or identifier finds nobody", usersNobody},
		{"a list goes by id and resumes", usersList},
		{"an update changes what it names and nothing else", usersUpdate},
		{"an update writes zero values", usersUpdateZero},
		{"an update of nobody", usersUpdateNobody},
		{"an update to a taken name", usersUpdateTaken},
		{"of those who take one name one wins", usersRace},
		{"a look in a transaction holds the user", usersHeld},
		{"delete takes the sessions along", usersDelete},
	}
}

func usersReadBack(k kit) {
	u := k.user("ada")
	users := k.db.Users()
	for _, read := range []func() (user.User, error){
		func() (user.User, error) { return users.ByID(k.Context(), u.ID) },
		func() (user.User, error) { return users.ByIdentifier(k.Context(), user.Identifier{Username: "ada"}) },
		func() (user.User, error) {
			return users.ByIdentifier(k.Context(), user.Identifier{Email: "ada@example.com"})
		},
		func() (user.User, error) { return users.ByExternalID(k.Context(), "django:ada") },
	} {
		got, err := read()
		k.must(err)
		k.equal(got, u)
	}
}

func usersZero(k kit) {
	u := user.User{ID: "zero", Username: "zero"}
	k.must(k.db.Users().Create(k.Context(), u))
	got, err := k.db.Users().ByID(k.Context(), u.ID)
	k.must(err)
	k.equal(got, u)
}

func usersUnique(k kit) {
	k.user("ada")
	for _, u := range []user.User{
		{ID: "1", Username: "ada"},
		{ID: "2", Email: "ada@example.com"},
		{ID: "3", Username: "other", Email: "ada@example.com"},
		{ID: "4", Username: "other", ExternalID: "django:ada"},
	} {
		k.wantErr(k.db.Users().Create(k.Context(), u), user.ErrIdentityTaken)
	}
}

func usersBinary(k kit) {
	k.user("ada")
	k.must(k.db.Users().Create(k.Context(), user.User{ID: "1", Username: "Ada"}))
	_, err := k.db.Users().ByIdentifier(k.Context(), user.Identifier{Username: "ADA"})
	k.wantErr(err, user.ErrNotFound)
}

func usersNull(k kit) {
	for i := range 3 {
		k.must(k.db.Users().Create(k.Context(), user.User{ID: user.ID(fmt.Sprint("n", i)), Username: user.Username(fmt.Sprint("n", i))}))
		k.must(k.db.Users().Create(k.Context(), user.User{ID: user.ID(fmt.Sprint("e", i)), Email: user.Email(fmt.Sprint("e", i))}))
	}
}

func usersNobody(k kit) {
	k.user("ada")
	for _, s := range append(strange(), "") {
		_, err := k.db.Users().ByID(k.Context(), user.ID(s))
		k.wantErr(err, user.ErrNotFound)
		_, err = k.db.Users().ByIdentifier(k.Context(), user.Identifier{Username: user.Username(s)})
		k.wantErr(err, user.ErrNotFound)
		_, err = k.db.Users().ByIdentifier(k.Context(), user.Identifier{Email: user.Email(s)})
		k.wantErr(err, user.ErrNotFound)
		_, err = k.db.Users().ByExternalID(k.Context(), user.ExternalID(s))
		k.wantErr(err, user.ErrNotFound)
		disabled := true
		k.wantErr(k.db.Users().Update(k.Context(), user.ID(s), user.Change{Disabled: &disabled}), user.ErrNotFound)
		k.wantErr(k.db.Users().Delete(k.Context(), user.ID(s)), user.ErrNotFound)
	}
}

func usersList(k kit) {
	var want []user.User
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		want = append(want, k.user(name)) // ids ascend with time
	}
	var got []user.User
	var after user.ID
	for {
		page, err := k.db.Users().List(k.Context(), after, 2)
		k.must(err)
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].ID
	}
	k.equal(got, want)
}

func usersUpdate(k kit) {
	want, other := k.user("ada"), k.user("eve")
	name, email, hash, disabled, verified := user.Username("countess"), user.Email("countess@example.com"), "other", true, false
	roles, after := []user.Role{"support"}, epoch().Add(1)
	for _, step := range []struct {
		change user.Change
		apply  func()
	}{
		{user.Change{}, func() {}},
		{user.Change{Username: &name}, func() { want.Username = name }},
		{user.Change{Email: &email, EmailVerified: &verified}, func() { want.Email, want.EmailVerified = email, verified }},
		{user.Change{Roles: &roles}, func() { want.Roles = roles }},
		{user.Change{PasswordHash: &hash}, func() { want.PasswordHash = hash }},
		{user.Change{Disabled: &disabled}, func() { want.Disabled = disabled }},
		{user.Change{TokensValidAfter: &after}, func() { want.TokensValidAfter = epoch() }}, // microseconds are kept
	} {
		step.apply()
		k.must(k.db.Users().Update(k.Context(), want.ID, step.change))
		got, err := k.db.Users().ByID(k.Context(), want.ID)
		k.must(err)
		k.equal(got, want)
	}
	got, err := k.db.Users().ByID(k.Context(), other.ID)
	k.must(err)
	k.equal(got, other)
}

func usersUpdateZero(k kit) {
	u := k.user("ada")
	var email user.Email
	var roles []user.Role
	var hash string
	var no bool
	k.must(k.db.Users().Update(k.Context(), u.ID, user.Change{
		Email: &email, EmailVerified: &no, Roles: &roles, PasswordHash: &hash, Disabled: &no,
	}))
	got, err := k.db.Users().ByID(k.Context(), u.ID)
	k.must(err)
	k.equal(got, user.User{
		ID: u.ID, Username: u.Username, ExternalID: u.ExternalID, CreatedAt: u.CreatedAt, TokensValidAfter: u.TokensValidAfter,
	})

	another := k.user("eve")
	k.must(k.db.Users().Update(k.Context(), another.ID, user.Change{Email: &email}))
}

func usersUpdateNobody(k kit) {
	k.user("ada")
	hash := "x"
	k.wantErr(k.db.Users().Update(k.Context(), "nobody", user.Change{PasswordHash: &hash}), user.ErrNotFound)
	k.wantErr(k.db.Users().Update(k.Context(), "nobody", user.Change{}), user.ErrNotFound)
}

func usersUpdateTaken(k kit) {
	ada, eve := k.user("ada"), k.user("eve")
	k.wantErr(k.db.Users().Update(k.Context(), eve.ID, user.Change{Username: &ada.Username}), user.ErrIdentityTaken)
	k.wantErr(k.db.Users().Update(k.Context(), eve.ID, user.Change{Email: &ada.Email}), user.ErrIdentityTaken)
	k.must(k.db.Users().Update(k.Context(), eve.ID, user.Change{Email: &eve.Email}))
}

func usersRace(k kit) {
	errs := k.race(racers, func(ctx context.Context, i int) error {
		return k.db.Users().Create(ctx, user.User{ID: user.ID(fmt.Sprint(i)), Username: "ada"})
	})
	if won, lost := count(errs, nil), count(errs, user.ErrIdentityTaken); won != 1 || lost != racers-1 {
		k.Errorf("%d created, %d taken: %v", won, lost, errs)
	}
}

// usersHeld counts up a value that each transaction reads before it writes.
func usersHeld(k kit) {
	u := k.user("ada")
	errs := k.race(racers, func(ctx context.Context, _ int) error {
		return k.db.InTx(ctx, func(ctx context.Context) error {
			u, err := k.db.Users().ByID(ctx, u.ID)
			if err != nil {
				return err
			}
			hash := u.PasswordHash + "."
			return k.db.Users().Update(ctx, u.ID, user.Change{PasswordHash: &hash})
		})
	})
	if n := count(errs, nil); n != racers {
		k.Fatalf("%d of %d transactions went through: %v", n, racers, errs)
	}
	got, err := k.db.Users().ByID(k.Context(), u.ID)
	k.must(err)
	if grown := len(got.PasswordHash) - len(u.PasswordHash); grown != racers {
		k.Errorf("%d of %d updates are left", grown, racers)
	}
}

func usersDelete(k kit) {
	ada, eve := k.user("ada"), k.user("eve")
	gone, left := k.session(ada), k.session(eve)
	k.must(k.db.Users().Delete(k.Context(), ada.ID))
	k.wantErr(k.db.Users().Delete(k.Context(), ada.ID), user.ErrNotFound)
	_, err := k.db.Users().ByID(k.Context(), ada.ID)
	k.wantErr(err, user.ErrNotFound)
	_, err = k.db.Sessions().ByID(k.Context(), gone.ID)
	k.wantErr(err, session.ErrNotFound)
	got, err := k.db.Sessions().Living(k.Context(), string(eve.ID), epoch(), 9)
	k.must(err)
	if !slices.Equal(ids(got...), ids(left)) {
		k.Errorf("sessions of the other user = %v", got)
	}
	if err := k.db.Sessions().Create(k.Context(), k.opened(ada)); err == nil || unavailable(err) {
		k.Errorf("session of a user who is gone: %v", err)
	}
}
