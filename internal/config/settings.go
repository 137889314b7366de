package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

const envPrefix = "JOTGATE_"

// Setting is how one leaf of [Config] is known outside.
type Setting struct {
	Key     string // in the file: the path, joined by dots
	Env     string // the variable
	Flag    string // the flag without its dashes; empty for a secret, which a process list would show
	Default string // empty where there is none
	Usage   string
	Secret  bool
}

// Settings lists every setting in the order of [Config].
func Settings() []Setting {
	all := fields()
	out := make([]Setting, len(all))
	for i, f := range all {
		out[i] = f.Setting
	}
	return out
}

// RegisterFlags adds a flag for every setting that is not a secret to fs, which
// [Load] then takes in its [Source]. Help shows the few that a first start may
// need; the others are in the example file.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, f := range fields() {
		if f.Flag == "" {
			continue
		}
		fs.String(f.Flag, f.Default, f.Usage)
		fs.Lookup(f.Flag).Hidden = !slices.Contains([]string{"http.addr", "ops.addr", "public-url", "data-dir", "registration"}, f.Flag)
		if f.kind.Kind() == reflect.Bool {
			fs.Lookup(f.Flag).NoOptDefVal = "true"
		}
	}
}

// field is a Setting with its place in Config and the rules for its value.
type field struct {
	Setting

	index    []int
	kind     reflect.Type
	oneOf    []string
	check    string
	min, max int64
	needed   bool // empty text would be no value
}

func fields() []field {
	all := walk(reflect.ValueOf(Default()), nil, nil)
	for i, defaults := 0, reflect.ValueOf(fixed()); i < len(all); i++ {
		all[i].needed = !defaults.FieldByIndex(all[i].index).IsZero()
	}
	return all
}

// walk lists the leaves of the struct group, which is at index in Config and
// under path in the file.
func walk(group reflect.Value, index []int, path []string) []field {
	var out []field
	for i := range group.NumField() {
		tags := group.Type().Field(i)
		if tags.Tag.Get("koanf") == "-" {
			continue
		}
		at := append(slices.Clip(index), i)
		names := append(slices.Clip(path), tags.Tag.Get("koanf"))
		value := group.Field(i)
		if value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[Secret]() {
			out = append(out, walk(value, at, names)...)
			continue
		}
		out = append(out, newField(value, tags.Tag, at, strings.Join(names, ".")))
	}
	return out
}

func newField(value reflect.Value, tag reflect.StructTag, index []int, key string) field {
	f := field{
		Setting: Setting{
			Key:    key,
			Env:    envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			Flag:   strings.ReplaceAll(key, "_", "-"),
			Usage:  tag.Get("usage"),
			Secret: value.Type() == reflect.TypeFor[Secret](),
		},
		index: index,
		kind:  value.Type(),
		check: tag.Get("check"),
	}
	if f.Secret {
		f.Flag = ""
	}
	f.Default = defaultText(value)
	if words := tag.Get("oneof"); words != "" {
		f.oneOf = strings.Split(words, ",")
	}
	if limits := tag.Get("range"); limits != "" {
		if _, err := fmt.Sscanf(limits, "%d..%d", &f.min, &f.max); err != nil {
			panic("config: range tag of " + key + ": " + err.Error())
		}
	}
	return f
}

// defaultText writes a default as an operator would. Defaults hold no secret, so
// the database URL, which is only secret for the password it may carry, is shown.
func defaultText(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case Secret:
		return v.Reveal()
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return durationText(v)
	default:
		return fmt.Sprint(v)
	}
}

// durationText is d without the zero units at its end: 10m, not 10m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// unknown describes a name that no setting has, with the nearest of known if
// one is near enough to be meant.
func unknown(what, name string, known []string) string {
	best, distance := "", len(name)/3+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return "unknown " + what
	}
	return "unknown " + what + "; did you mean " + best + "?"
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
