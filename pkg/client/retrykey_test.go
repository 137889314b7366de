package client

import "testing"

// TestRetryKey differs with the token and with the secret, and is what the API
// takes: 1 to 128 printable characters.
func TestRetryKey(t *testing.T) {
	seen := map[string]bool{}
	for _, secret := range []string{newRetrySecret(), newRetrySecret()} {
		for _, refresh := range []string{"a", "b"} {
			s := State{RetrySecret: secret, RefreshToken: refresh}
			key := s.retryKey()
			if seen[key] || key != s.retryKey() || len(key) != 43 {
				t.Errorf("key = %q after %v", key, seen)
			}
			seen[key] = true
		}
	}
}
