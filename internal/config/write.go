package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// WriteYAML writes the settings as a configuration file, in the order of
// [Config]. A secret is written as [redacted], so such a file does not load.
func (c Config) WriteYAML(w io.Writer) error {
	var b strings.Builder
	section := ""
	for _, f := range fields() {
		group, name, grouped := strings.Cut(f.Key, ".")
		if !grouped {
			group, name = "", f.Key
		}
		if group != section && grouped {
			fmt.Fprintf(&b, "%s:\n", group)
		}
		section = group
		if grouped {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s: %s\n", name, yamlText(reflect.ValueOf(c).FieldByIndex(f.index)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yamlText(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Secret:
		return fmt.Sprintf("%q", value.mask())
	case time.Duration:
		return durationText(value)
	case []string:
		quoted := make([]string, len(value))
		for i, s := range value {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		return fmt.Sprintf("%q", value)
	default:
		return fmt.Sprint(value)
	}
}
