package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

const (
	// mostMessages bounds the messages of one operation that are looked for.
	mostMessages = 80
	// lateness is after how long a message arrives whose sender has been cut off.
	lateness = 300 * time.Millisecond
)

// cutPostgres cuts the connection to PostgreSQL at each message of each operation:
// before it arrives, after it was carried out and before that is told, and so that
// it arrives when its sender has given up.
func (tt *torture) cutPostgres(ctx context.Context, t *tally) (err error) {
	cluster, err := pgtest.StartCluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	behind, err := url.Parse(cluster.URL())
	if err != nil {
		return err
	}
	p, err := newProxy(behind.Host, readPostgres)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	behind.Host = p.addr()
	s, err := tt.newPostgresSite(ctx, t, behind.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	reached := 0
	for _, m := range []manner{unsent, unanswered, late} {
		for i, op := range everyOperation {
			w := walk{op: op, how: m, first: 1, step: 1}
			// Few messages, and the commits. A refresh has few in any case, and none is a commit:
			// its transaction is one statement.
			if !tt.long && op != refresh {
				w.step, w.commits = map[manner]int{unsent: 15, unanswered: 1, late: 1}[m], m != unsent
				w.first += 2 * i % w.step
			}
			last, err := s.cutEach(ctx, p, w)
			if err != nil {
				return err
			}
			reached = max(reached, last)
		}
	}
	s.crowd.compare(ctx, true)
	t.remark = fmt.Sprintf("up to message %d", reached)
	return nil
}

// walk is the messages of an operation at which a connection breaks.
type walk struct {
	op          operation
	how         manner
	first, step int
	commits     bool
}

// cutEach does the operation again for each message, and returns the last there was. A walk
// that meets none has tried nothing, and says so.
func (s *site) cutEach(ctx context.Context, p *proxy, w walk) (last int, err error) {
	for n := w.first; n <= mostMessages; n += w.step {
		hit, err := s.cutOne(ctx, p, w.op, cut{w.how, n, w.commits})
		if err != nil {
			return last, fmt.Errorf("%s at message %d, %s: %w", w.op, n, w.how, err)
		}
		if !hit {
			break
		}
		s.tally.points++
		last = n
	}
	if last == 0 {
		s.tally.add(odd, "%s was cut at no message, %s", w.op, w.how)
	}
	return last, nil
}

// cutOne does op while c happens, and says whether it did.
func (s *site) cutOne(ctx context.Context, p *proxy, op operation, c cut) (bool, error) {
	person, a := s.prepare(ctx, op)
	before := person.password
	p.arm(c)
	s.crowd.ledger.perform(ctx, person, a)
	hit := p.disarm()
	if hit && op == change && c.how == late {
		s.meanwhile(ctx, person, before)
	}
	s.crowd.compare(ctx, false)
	return hit, ctx.Err()
}

// meanwhile logs in with the old password while a change of it may still come, and
// sees that the session is over if it did.
func (s *site) meanwhile(ctx context.Context, p *person, before string) {
	got := s.crowd.ledger.wire.send(ctx, login(p.name, before))
	pause(ctx, 2*lateness)
	s.crowd.ledger.settle(ctx, p)
	pair, err := got.tokens()
	if got.unknown() || err != nil || p.password == before {
		return // nobody came in, or the change did not come
	}
	s.crowd.ledger.compareEnded(ctx, p, &device{tokens: pair, ended: true})
}
