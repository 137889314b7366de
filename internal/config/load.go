package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	// testPrefix is of variables that steer the tests of this program.
	testPrefix = envPrefix + "TEST_"
	maxSecret  = 4 << 10 // bytes of a file that holds one
)

// Source is where settings come from, the later the stronger: the defaults, the
// file, the environment, the flags.
type Source struct {
	File    string         // path of a YAML file, or empty
	Environ []string       // as [os.Environ] returns it
	Flags   *pflag.FlagSet // what [RegisterFlags] prepared, parsed; or nil
}

// errUnread is a file whose settings are not known.
var errUnread = errors.New("read configuration file")

// Load returns the settings in s. Its error names every mistake, one in a line,
// and where it was made; no line holds a secret.
func Load(s Source) (Config, error) {
	given, err := gather(s)
	c := fixed() // what others follow from may be given
	wrong, mistaken := c.take(given)
	errs := []error{err, mistaken}
	c.Traces, mistaken = traces(s.Environ)
	errs = append(errs, mistaken, c.readSecrets(wrong))
	c.derive()
	if !errors.Is(err, errUnread) {
		errs = append(errs, c.check(wrong))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// take sets what is given, and returns the keys of what is no value for its setting.
func (c *Config) take(given map[string]value) (wrong map[string]bool, err error) {
	wrong = map[string]bool{}
	var errs []error
	for _, f := range fields() {
		v, ok := given[f.Key]
		if !ok {
			continue
		}
		if err := f.set(reflect.ValueOf(c).Elem().FieldByIndex(f.index), v.raw); err != nil {
			wrong[f.Key] = true
			errs = append(errs, fmt.Errorf("%s: %w", v.origin, err))
		}
	}
	return wrong, errors.Join(errs...)
}

// value is what one source says of a setting, and how a person would name the
// place where it says so.
type value struct {
	raw    any
	origin string
}

// gather returns the strongest value of each key that some source sets, and an
// error for everything that is no setting.
func gather(s Source) (map[string]value, error) {
	given := map[string]value{}
	return given, errors.Join(fromFile(s.File, given), fromEnviron(s.Environ, given), fromFlags(s.Flags, given))
}

func fromFile(path string, given map[string]value) error {
	if path == "" {
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("%w %s: %s", errUnread, path, oneLine(err))
	}
	known := map[string]bool{}
	var names []string
	for _, f := range fields() {
		known[f.Key] = true
		names = append(names, f.Key)
	}
	var errs []error
	for key, raw := range k.All() {
		switch {
		case raw == nil: // an empty line says nothing
		case known[key]:
			given[key] = value{raw, path + ": " + key}
		default:
			errs = append(errs, fmt.Errorf("%s: %s: %s", path, key, unknown("setting", key, names)))
		}
	}
	return sorted(errs)
}

func fromEnviron(environ []string, given map[string]value) error {
	keys := map[string]string{}
	var names []string
	for _, f := range fields() {
		keys[f.Env] = f.Key
		names = append(names, f.Env)
	}
	var errs []error
	take := func(name, text string) (string, any) {
		key, known := keys[name]
		switch {
		case strings.HasPrefix(name, testPrefix):
		case !known:
			errs = append(errs, fmt.Errorf("%s: %s", name, unknown("variable", name, names)))
		case text != "": // an empty variable says nothing
			given[key] = value{text, name}
		}
		return "", nil
	}
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix: envPrefix, TransformFunc: take, EnvironFunc: func() []string { return environ },
	}), nil)
	return errors.Join(err, sorted(errs))
}

func fromFlags(fs *pflag.FlagSet, given map[string]value) error {
	if fs == nil {
		return nil
	}
	for _, f := range fields() {
		if f.Flag == "" || !fs.Changed(f.Flag) {
			continue
		}
		text, err := fs.GetString(f.Flag)
		if err != nil {
			return fmt.Errorf("--%s: %w", f.Flag, err)
		}
		given[f.Key] = value{text, "--" + f.Flag}
	}
	return nil
}

// readSecrets takes the secrets that are given as files. The master key is left
// where it is: keyset reads that file, and minds its mode. What cannot be taken
// goes into wrong.
func (c *Config) readSecrets(wrong map[string]bool) error {
	var errs []error
	if c.MasterKey.Set() && c.MasterKeyFile != "" {
		errs = append(errs, errors.New("master_key and master_key_file are both given; keep one"))
	}
	if c.MasterKeyOther.Set() && c.MasterKeyOtherFile != "" {
		errs = append(errs, errors.New("master_key_other and master_key_other_file are both given; keep one"))
	}
	err := readURL("database.url", &c.Database.URL, c.Database.URLFile)
	wrong["database.url"] = wrong["database.url"] || err != nil
	return errors.Join(append(errs, err, readURL("redis.url", &c.Redis.URL, c.Redis.URLFile))...)
}

// readURL reads the setting at key from path, if one is given.
func readURL(key string, into *Secret, path string) error {
	if path == "" {
		return nil
	}
	if into.Set() {
		return fmt.Errorf("%s and %s_file are both given; keep one", key, key)
	}
	text, err := readSecret(path)
	if err != nil {
		return fmt.Errorf("%s_file: %w", key, err)
	}
	if err := fieldOf(key).checkText(text); err != nil {
		return fmt.Errorf("%s_file: the text in %s: %w", key, path, err)
	}
	*into = NewSecret(text)
	return nil
}

func readSecret(path string) (text string, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxSecret:
		return "", fmt.Errorf("%s is too long to hold a secret", path)
	}
	text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("%s does not hold one line", path)
	}
	return text, nil
}

func fieldOf(key string) field {
	for _, f := range fields() {
		if f.Key == key {
			return f
		}
	}
	panic("config: no setting " + key)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
