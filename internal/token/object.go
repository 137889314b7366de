package token

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object that is written member by member. Every refresh writes four of
// them, for which an encoder would have to find out what a struct has.
type object struct {
	text []byte
	err  error // of any member
}

// member begins a member; name needs no escaping.
func (o *object) member(name string) {
	open := byte(',')
	if len(o.text) == 0 {
		open = '{'
	}
	o.text = append(append(append(o.text, open, '"'), name...), `":`...)
}

func (o *object) quote(v string) {
	text, err := jsontext.AppendQuote(o.text, v)
	if err != nil {
		o.err = err
	}
	o.text = text
}

func (o *object) string(name, v string) {
	o.member(name)
	o.quote(v)
}

func (o *object) number(name string, v int64) {
	o.member(name)
	o.text = strconv.AppendInt(o.text, v, 10)
}

func (o *object) strings(name string, list []string) {
	o.member(name)
	o.text = append(o.text, '[')
	for i, v := range list {
		if i > 0 {
			o.text = append(o.text, ',')
		}
		o.quote(v)
	}
	o.text = append(o.text, ']')
}

// segment ends the object and returns it as a part of a token (RFC 7515, section 7.1).
func (o *object) segment() (string, error) { return encode(append(o.text, '}')), o.err }
