package djangousers

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// dumped is one object of "manage.py dumpdata" in JSON.
type dumped struct {
	Model  string         `json:"model"`
	PK     jsontext.Value `json:"pk"`
	Fields jsontext.Value `json:"fields"`
}

// dumpedUser is the fields of a user model that are read; there are others.
type dumpedUser struct {
	Username    string  `json:"username"`
	Email       string  `json:"email"`
	Password    *string `json:"password"`
	IsActive    *bool   `json:"is_active"`
	IsStaff     bool    `json:"is_staff"`
	IsSuperuser bool    `json:"is_superuser"`
	DateJoined  string  `json:"date_joined"`
}

var integer = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)

// readDump reads one object after the other, so that a dump may be larger than
// memory. What is not JSON ends it: nobody knows where the next row begins.
func readDump(in io.Reader, table string, each func(Row, *RowError) error) error {
	d := jsontext.NewDecoder(in)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.New("djangousers: the source is neither an SQLite database nor a dump in JSON")
	}
	users := 0
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return notJSON(d, err)
		}
		var o dumped
		if err := json.Unmarshal(value, &o); err != nil {
			return fmt.Errorf("djangousers: the dump has something else than rows before byte %d", d.InputOffset())
		}
		if strings.ReplaceAll(o.Model, ".", "_") != table {
			continue
		}
		users++
		if err := each(fromDump(o)); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return notJSON(d, err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("djangousers: the dump goes on after its end at byte %d", d.InputOffset())
	}
	if users == 0 {
		return fmt.Errorf("djangousers: the dump has no rows of a model whose table is %s", table)
	}
	return nil
}

// notJSON says where, and not what: the decoder's error may quote the text.
func notJSON(d *jsontext.Decoder, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("djangousers: the dump is cut off")
	}
	return fmt.Errorf("djangousers: the dump is not JSON at byte %d", d.InputOffset())
}

func fromDump(o dumped) (Row, *RowError) {
	r := Row{Active: true}
	switch text := string(o.PK); {
	case integer.MatchString(text):
		r.ID = text
	case o.PK.Kind() == '"':
		if err := json.Unmarshal(o.PK, &r.ID); err != nil {
			return r, &RowError{Reason: "its pk is not text"}
		}
	default:
		return r, &RowError{Reason: "it has no pk; dump without --natural-primary"}
	}
	var u dumpedUser
	if err := json.Unmarshal(o.Fields, &u); err != nil || u.Password == nil {
		return r, &RowError{ID: r.ID, Reason: "its fields are not those of a user"}
	}
	r.Username, r.Email, r.Password, r.Staff, r.Superuser = u.Username, u.Email, *u.Password, u.IsStaff, u.IsSuperuser
	if u.IsActive != nil {
		r.Active = *u.IsActive
	}
	if bad := r.check(); bad != nil {
		return r, bad
	}
	var ok bool
	if r.Joined, ok = parseTime(u.DateJoined); !ok {
		return r, &RowError{ID: r.ID, Reason: "date_joined is not a time"}
	}
	return r, nil
}
