package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/door"
)

const (
	// drainDelay is how long requests still come after readiness is gone: load
	// balancers notice with a delay.
	drainDelay = time.Second
	// drainGrace is longer than the longest request may take.
	drainGrace = 20 * time.Second
	// operationsGrace is enough for a scrape.
	operationsGrace = time.Second
	// StopsWithin is how long requests are waited for once the context of Run has
	// ended. Whoever supervises the process waits for longer.
	StopsWithin = drainDelay + drainGrace
)

// Listening is where a running program can be reached.
type Listening struct{ API, Operations net.Addr }

// Run listens and serves until ctx ends, and then lets the requests that are
// under way finish. started is told once both listeners are open. What Run
// started is over when it returns.
func (a *App) Run(ctx context.Context, started func(Listening)) error {
	if err := a.noteLife(ctx); err != nil {
		return err
	}
	a.noted = time.Now()
	a.tellAlgorithm(ctx)
	api, err := listen(ctx, "http.addr", a.config.HTTP.Addr)
	if err != nil {
		return err
	}
	ops, err := listen(ctx, "ops.addr", a.config.Ops.Addr)
	if err != nil {
		return errors.Join(err, api.Close())
	}
	operations := a.server(a.Operations)
	operations.WriteTimeout = 0 // a profile takes as long as it was asked to
	doors := []*door.Door{door.New(api, a.server(a.API)), door.New(ops, operations)}
	failed := make(chan error, len(doors))
	var serving sync.WaitGroup
	for _, d := range doors {
		serving.Go(func() { failed <- d.Serve() })
	}
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { a.work(working) })
	for _, d := range doors {
		work.Go(func() { d.Patrol(working) })
	}
	if a.shared != nil {
		a.shared.Probe(ctx) // an outage is in the log from the start
	}
	started(Listening{API: api.Addr(), Operations: ops.Addr()})

	select {
	case err = <-failed:
	case <-ctx.Done():
		err = nil
		a.drain(ctx)
	}
	close(a.stopping) // before the doors wait for answers that are held
	err = errors.Join(err, shutdown(context.WithoutCancel(ctx), doors[0], doors[1]))
	stopWork()
	work.Wait()
	serving.Wait()
	return err
}

func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w; stop what uses it or set another address", setting, addr, rootCause(err))
	}
	return l, nil
}

func rootCause(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           a.retire(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		// Or OPTIONS * is answered without the handler, and without its headers.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // what clients do wrong
	}
}

// retire has a program that drains give up its connections answer by answer. A
// proxy keeps some open for its next requests: one that is just on its way when a
// connection is closed is lost, and the proxy must not send it again. A request in
// chunks is the last of its connection: net/http does not tell whether it had a
// Content-Length besides, after which the server must close (RFC 9112, section 6.1).
func (a *App) retire(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// drain tells load balancers to send nothing more, and gives them time to.
func (a *App) drain(ctx context.Context) {
	a.draining.Store(true)
	a.log.InfoContext(ctx, "draining")
	time.Sleep(drainDelay)
}

// shutdown waits for requests of the API, and for those of operations only a moment: a
// profile takes as long as it was asked to.
func shutdown(ctx context.Context, api, operations *door.Door) error {
	ctx, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	err := api.Close(ctx)
	if err != nil {
		err = fmt.Errorf("requests did not end in %s: %w", drainGrace, err)
	}
	moment, cancel := context.WithTimeout(ctx, operationsGrace)
	defer cancel()
	if other := operations.Close(moment); !errors.Is(other, context.DeadlineExceeded) {
		err = errors.Join(err, other)
	}
	return err
}
