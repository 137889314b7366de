package ratelimit

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

var errNonsense = errors.New("ratelimit: Redis answers something that is no count")

// strict is a client as redis_rate wants it. It looks at the form of each answer,
// of which redis_rate is so sure that another one makes it panic, and takes
// redis_rate's prefix off the names of counters.
type strict struct{ *redis.Client }

// Eval runs a script.
func (s strict) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return checked(s.Client.Eval(ctx, script, plain(keys), args...))
}

// EvalSha runs a script that the server knows by its hash.
func (s strict) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	return checked(s.Client.EvalSha(ctx, hash, plain(keys), args...))
}

// Del deletes counters.
func (s strict) Del(ctx context.Context, keys ...string) *redis.IntCmd {
	return s.Client.Del(ctx, plain(keys)...)
}

func plain(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = strings.TrimPrefix(k, "rate:")
	}
	return out
}

// checked is c, or an error if the answer is not two whole numbers and two texts.
func checked(c *redis.Cmd) *redis.Cmd {
	if c.Err() == nil && !isCount(c.Val()) {
		c.SetErr(errNonsense)
	}
	return c
}

func isCount(answer any) bool {
	values, ok := answer.([]any)
	if !ok || len(values) != 4 {
		return false
	}
	for i, v := range values {
		if i < 2 {
			_, ok = v.(int64)
		} else {
			_, ok = v.(string)
		}
		if !ok {
			return false
		}
	}
	return true
}
