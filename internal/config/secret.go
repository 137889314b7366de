package config

import (
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is a text that does not print: not through fmt with any verb, not
// through encoding/json, YAML or slog. The zero Secret is no secret at all.
//
// The text is behind a pointer because fmt ignores methods on values that it
// reaches through an unexported field; there it prints an address.
type Secret struct{ text *string }

// NewSecret returns s as a Secret. An empty s is the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the text, empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Set reports whether there is a secret.
func (s Secret) Set() bool { return s.text != nil }

// Equal reports whether both hold the same text. Its running time depends on
// the texts: it is for comparing settings, not for checking a credential.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// Format implements [fmt.Formatter] for every verb.
func (s Secret) Format(f fmt.State, _ rune) {
	if _, err := io.WriteString(f, s.mask()); err != nil {
		return // fmt.State buffers; what fmt does with the buffer is its caller's error
	}
}

// MarshalText implements [encoding.TextMarshaler], which JSON, YAML and slog's
// handlers use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.mask()), nil }

func (s Secret) mask() string {
	if s.Set() {
		return redacted
	}
	return ""
}
