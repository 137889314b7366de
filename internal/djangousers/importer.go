package djangousers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/user"
)

// Options is what an operator decides about an import.
type Options struct {
	// Apply imports. Without it everything is tried and nothing is kept.
	Apply bool
	// SuperuserRole is given to superusers; empty gives them none. Django's flag
	// means "may do everything there", and nobody gets that here unasked.
	SuperuserRole user.Role
}

// Outcome is what became of a row.
type Outcome string

// The outcomes.
const (
	WouldImport  Outcome = "would import"
	Imported     Outcome = "imported"
	AlreadyThere Outcome = "already there"
	Skipped      Outcome = "skipped"
)

// Result is a row of which there is something to tell.
type Result struct {
	ExternalID string   `json:"external_id"`
	Username   string   `json:"username"` // as it is there
	Outcome    Outcome  `json:"outcome"`
	Reason     string   `json:"reason,omitempty"` // why it was skipped
	Notes      []string `json:"notes,omitempty"`  // what is different here
}

// Report is what an import did, or would do. It holds no hash.
type Report struct {
	Applied      bool     `json:"applied"`
	Read         int      `json:"read"`
	Imported     int      `json:"imported"` // would be, if not applied
	AlreadyThere int      `json:"already_there"`
	Skipped      int      `json:"skipped"`
	Rows         []Result `json:"rows"` // those that were skipped or have notes
}

// Into takes one user in, or only tries to, as [gate.Gate.ImportUser] does.
type Into func(ctx context.Context, u user.Import, rehearse bool) (user.User, error)

// Import hands every row of s to into. Its error is a failure of the machinery,
// beside which the report tells how far the import came; importing again goes on
// from there. A row that cannot be taken is no error.
func Import(ctx context.Context, into Into, s Source, o Options) (Report, error) {
	i := importer{into: into, options: o, owners: map[string]string{}, report: Report{Applied: o.Apply, Rows: []Result{}}}
	err := Read(ctx, s, func(r Row, bad *RowError) error { return i.take(ctx, r, bad) })
	return i.report, err
}

type importer struct {
	into    Into
	options Options
	report  Report
	// owners is who goes by a name in this import. A rehearsal leaves nobody in
	// the database for the next row to meet.
	owners map[string]string
}

func (i *importer) take(ctx context.Context, r Row, bad *RowError) error {
	i.report.Read++
	result := Result{ExternalID: "django:" + r.ID, Username: r.Username, Outcome: Skipped}
	if bad != nil {
		result.Reason = bad.Reason
		i.count(result)
		return nil //nolint:nilerr // the report tells of it
	}
	u, notes, reason := i.translate(r)
	if reason == "" {
		reason = i.rival(u)
	}
	if reason != "" {
		result.Reason = reason
		i.count(result)
		return nil
	}
	_, err := i.into(ctx, u, !i.options.Apply)
	switch {
	case errors.Is(err, gate.ErrAlreadyImported):
		result.Outcome = AlreadyThere
	case errors.Is(err, user.ErrIdentityTaken):
		result.Reason = "its username or email belongs to a user who is here already"
	case err != nil:
		return fmt.Errorf("djangousers: import %s: %w", u.ExternalID, err)
	default:
		result.Outcome, result.Notes = WouldImport, notes
		if i.options.Apply {
			result.Outcome = Imported
		}
	}
	if result.Outcome != Skipped {
		i.owners[string(u.Username)], i.owners[string(u.Email)] = r.ID, r.ID
	}
	i.count(result)
	return nil
}

func (i *importer) count(r Result) {
	switch r.Outcome {
	case Skipped:
		i.report.Skipped++
	case AlreadyThere:
		i.report.AlreadyThere++
	case WouldImport, Imported:
		i.report.Imported++
	}
	if r.Outcome == Skipped || len(r.Notes) > 0 {
		i.report.Rows = append(i.report.Rows, r)
	}
}

// rival is why u cannot be taken beside an earlier row of this import.
func (i *importer) rival(u user.Import) string {
	for _, name := range []string{string(u.Username), string(u.Email)} {
		if owner, taken := i.owners[name]; taken && name != "" {
			return fmt.Sprintf("it goes by %q, as django:%s does", name, owner)
		}
	}
	return ""
}

// translate returns the user that r is here, what is different about them, and
// why they cannot be one, if that is so.
func (i *importer) translate(r Row) (u user.Import, notes []string, reason string) {
	external, err := user.ParseExternalID("django:" + r.ID)
	if err != nil {
		return u, nil, "its id is too long, or has spaces or characters beyond ASCII"
	}
	u = user.Import{ExternalID: external, Disabled: !r.Active, CreatedAt: r.Joined}
	notes = identities(&u, r)
	if u.Username == "" && u.Email == "" {
		return u, nil, strings.Join(append(notes, "nothing is left to sign in with"), "; ")
	}
	var note string
	if u.PasswordHash, note = takeOver(r.Password); note != "" {
		notes = append(notes, note)
	}
	if u.Disabled {
		notes = append(notes, "it is inactive, and imported disabled")
	}
	switch {
	case r.Superuser && i.options.SuperuserRole != "":
		u.Roles = []user.Role{i.options.SuperuserRole}
		notes = append(notes, "it is a superuser, and gets the role "+string(i.options.SuperuserRole))
	case r.Superuser:
		notes = append(notes, "it is a superuser, which is no role here")
	case r.Staff:
		notes = append(notes, "it is staff, which is no role here")
	}
	return u, notes, ""
}

// identities sets what of r's names can be one here. Django's usernames may be
// longer and have other characters; many projects keep the email there.
func identities(u *user.Import, r Row) (notes []string) {
	var err error
	if r.Email != "" {
		if u.Email, err = user.ParseEmail(r.Email); err != nil {
			notes = append(notes, fmt.Sprintf("its email %q is not an address here", r.Email))
		}
	}
	if r.Username == "" {
		return notes
	}
	if u.Username, err = user.ParseUsername(r.Username); err == nil {
		return notes
	}
	if email, err := user.ParseEmail(r.Username); err == nil && (u.Email == "" || u.Email == email) {
		u.Email = email
		return append(notes, "its username is an address, and becomes its email")
	}
	note := fmt.Sprintf("its username %q is not 3 to 64 of a-z 0-9 . _ -", r.Username)
	if u.Email != "" {
		note += ", so it signs in with its email only"
	}
	return append(notes, note)
}

// takeOver returns the hash that is kept, or why none is.
func takeOver(encoded string) (hash, note string) {
	if encoded == "" || strings.HasPrefix(encoded, "!") {
		return "", "it has no usable password"
	}
	err := password.CheckDjango(encoded)
	switch {
	case err == nil:
		return encoded, ""
	case errors.Is(err, password.ErrForeignAlgorithm):
		return "", "its password is not taken over: hashed with " + algorithm(encoded)
	}
	return "", "its password is not taken over: the hash is damaged or asks for too much work"
}

// algorithm names one of Django's algorithms. An unknown one is not printed,
// because an old hash is all of the text.
func algorithm(encoded string) string {
	name, _, _ := strings.Cut(encoded, "$")
	switch name {
	case "md5", "sha1", "crypt", "pbkdf2_sha1", "bcrypt":
		return name
	case "argon2":
		return "an argon2 other than argon2id"
	}
	return "an unknown algorithm"
}
