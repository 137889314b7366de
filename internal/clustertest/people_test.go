package clustertest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"testing"
	"time"
)

const (
	// patience is how long one operation may be tried, in storms and after them.
	patience = 2 * time.Minute
	// retryPause is shorter than any Retry-After, so that a storm has something to
	// blow at.
	retryPause = 200 * time.Millisecond
)

// person is one user with two devices: a phone, whose session lasts, and laptops,
// which come and go. Each of their operations is repeated until its outcome is
// known, as a client does that wants it done.
type person struct {
	t        *testing.T
	site     *site
	name     string
	password string
	previous string // the password before, which opens nothing
	phone    device
	lost     bool // something went wrong that must not; they take no further part
}

func newPerson(t *testing.T, s *site) *person {
	t.Helper()
	return &person{t: t, site: s, name: "user-" + rand.Text()[:16], password: rand.Text()}
}

// live does what people do until stop is closed.
func (p *person) live(stop <-chan struct{}) {
	p.arrive()
	for !p.lost {
		select {
		case <-stop:
			return
		default:
		}
		p.day()
	}
}

func (p *person) arrive() {
	p.register(p.name, p.password)
	p.phone = p.login()
}

func (p *person) register(name, password string) {
	// Somebody else's name is not taken: that it is means that the try before counted.
	p.do(register(name, password), http.StatusCreated, http.StatusConflict)
	if !p.lost {
		p.site.book.registered()
	}
}

func (p *person) login() (d device) {
	return p.tokens(p.do(login(p.name, p.password), http.StatusOK))
}

func (p *person) tokens(a answer) (d device) {
	if p.lost {
		return d
	}
	d, err := a.device()
	if err != nil {
		p.violated("%v", err)
	}
	return d
}

// refresh exchanges the token of a device for the next one.
func (p *person) refresh(d *device) {
	if p.lost {
		return
	}
	next := p.tokens(p.do(refresh(*d), http.StatusOK))
	if !p.lost && (next.Refresh == d.Refresh || next.Session.ID != d.Session.ID) {
		p.violated("a refresh of session %s brings a token of %s; new: %t", d.Session.ID, next.Session.ID, next.Refresh != d.Refresh)
	}
	next.refreshes = d.refreshes + 1
	*d = next
}

func (p *person) day() {
	laptop := p.login()
	for range 1 + roll(3) {
		p.refresh(&p.phone)
		p.do(me(p.phone), http.StatusOK)
		p.do(forwardAuth(laptop), http.StatusNoContent)
		p.refresh(&laptop)
		p.do(me(laptop), http.StatusOK)
	}
	switch roll(8) {
	case 0:
		p.register("user-"+rand.Text()[:16], rand.Text())
	case 1:
		p.do(clientToken(p.site.program), http.StatusOK)
	}
	p.part(laptop)
	p.intrude()
}

// part ends the laptop's session in one of the ways there are.
func (p *person) part(laptop device) {
	if p.lost {
		return
	}
	how := ""
	switch roll(5) {
	case 0:
		how = "logout"
		p.do(logout(laptop), http.StatusNoContent)
	case 1:
		how = "logout by refresh token"
		p.do(logoutByRefresh(laptop), http.StatusNoContent)
	case 2:
		how = "ended from the phone"
		// That it is not there means that the try before counted.
		p.do(endSession(p.phone, laptop.Session.ID), http.StatusNoContent, http.StatusNotFound)
	case 3:
		how = "all others ended"
		p.do(endOthers(p.phone), http.StatusNoContent)
	case 4:
		how = "password changed"
		p.changePassword()
	}
	if !p.lost {
		p.site.book.bury(grave{laptop, how})
	}
}

func (p *person) changePassword() {
	next := rand.Text()
	// That the password is not the current one means that the try before counted.
	p.do(changePassword(p.phone, p.password, next), http.StatusNoContent, http.StatusForbidden)
	p.previous, p.password = p.password, next
}

// intrude tries what must not work, whatever is away.
func (p *person) intrude() {
	wrong := p.previous
	if wrong == "" {
		wrong = rand.Text()
	}
	p.do(intrusion(login(p.name, wrong)), http.StatusUnauthorized)
	if dead := p.site.book.graves(); len(dead) > 0 {
		g := dead[roll(len(dead))]
		p.do(intrusion(refresh(g.device)), http.StatusUnauthorized)
		p.do(intrusion(me(g.device)), http.StatusUnauthorized)
	}
}

func intrusion(r request) request {
	r.operation = "intrusion"
	return r
}

// do repeats a request until it is answered with wanted, or with again where an
// earlier try may have counted already.
func (p *person) do(r request, wanted int, again ...int) answer {
	if p.lost {
		return answer{}
	}
	expected := []int{wanted}
	for began := time.Now(); ; {
		a := p.site.front.send(r)
		o := a.outcome(expected...)
		p.site.book.count(r.operation, o)
		if o == fine {
			return a
		}
		if !p.site.weather.forgives(o, a.sent, a.got) {
			p.violated("%s is %s: %s%s", r.operation, o, a, p.site.logged(a))
			return a
		}
		if len(expected) == 1 {
			p.site.book.unknown()
			expected = append(expected, again...)
		}
		if time.Since(began) > patience {
			p.violated("%s was tried for %s: %s", r.operation, patience, a)
			return a
		}
		time.Sleep(retryPause)
	}
}

func (p *person) violated(format string, args ...any) {
	p.lost = true
	p.site.book.violated(p.t, "%s: %s", p.name, fmt.Sprintf(format, args...))
}

// roll returns a number below n.
func roll(n int) int {
	r, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // the system has no randomness
	}
	return int(r.Int64())
}
