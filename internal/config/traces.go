package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// samplers are the values of OTEL_TRACES_SAMPLER that OpenTelemetry's library
// for Go knows. It would take another one for "all", and say so on standard
// error in a form of its own.
//
//nolint:gochecknoglobals // a table
var samplers = []string{
	"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

// traces reports whether OpenTelemetry's standard variables ask for traces: they
// do when one of them names where to send them, and none of them says not to.
// Only that is decided here, and that nothing is asked for which would be
// silently done otherwise. The library itself reads these variables and the
// others, which are no settings of this program: the same ones steer all
// programs of an installation.
func traces(environ []string) (bool, error) {
	v := otelVariables(environ)
	exporter := strings.ToLower(v["OTEL_TRACES_EXPORTER"])
	if strings.EqualFold(v["OTEL_SDK_DISABLED"], "true") || exporter == "none" {
		return false, nil
	}
	var errs []error
	if exporter != "" && exporter != "otlp" {
		errs = append(errs, errors.New("OTEL_TRACES_EXPORTER: must be otlp, or none for no traces"))
	}
	if v["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" && v["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "" {
		return false, errors.Join(errs...)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if text := v[name]; text != "" && !isEndpoint(text) {
			errs = append(errs, fmt.Errorf("%s: must be a URL such as http://localhost:4318", name))
		}
	}
	protocol := cmp.Or(v["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"], v["OTEL_EXPORTER_OTLP_PROTOCOL"])
	if protocol != "" && protocol != "http/protobuf" {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf, which collectors take on port 4318"))
	}
	return true, errors.Join(append(errs, checkSampler(v["OTEL_TRACES_SAMPLER"], v["OTEL_TRACES_SAMPLER_ARG"]))...)
}

// otelVariables returns the variables of OpenTelemetry. As its specification has
// it, an empty one says nothing.
func otelVariables(environ []string) map[string]string {
	v := map[string]string{}
	for _, entry := range environ {
		if name, text, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OTEL_") {
			v[name] = strings.TrimSpace(text)
		}
	}
	return v
}

// isEndpoint reports whether text is a URL that the library takes. It is never
// printed: it may hold a password.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func checkSampler(name, arg string) error {
	if name == "" {
		return nil
	}
	name = strings.ToLower(name)
	if !slices.Contains(samplers, name) {
		return fmt.Errorf("OTEL_TRACES_SAMPLER: must be one of %s", strings.Join(samplers, ", "))
	}
	if !strings.HasSuffix(name, "ratio") || arg == "" {
		return nil
	}
	if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) { // nor NaN
		return errors.New("OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1")
	}
	return nil
}
