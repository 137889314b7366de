package config_test

import (
	"strings"
	"testing"
)

func TestStandardVariablesAskForTraces(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"
	tests := []struct {
		name    string
		environ []string
		traces  bool
		err     string // what the error must hold; "" for none
	}{
		{"nothing", nil, false, ""},
		{"an endpoint", []string{endpoint}, true, ""},
		{"an endpoint of traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://user:s3cret@example.com/v1/traces"}, true, ""},
		{"an empty endpoint", []string{"OTEL_EXPORTER_OTLP_ENDPOINT="}, false, ""},
		{"a name alone", []string{"OTEL_SERVICE_NAME=auth"}, false, ""},
		{"otlp in so many words", []string{endpoint, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, true, ""},
		{"no exporter", []string{endpoint, "OTEL_TRACES_EXPORTER=none"}, false, ""},
		{"disabled", []string{endpoint, "OTEL_SDK_DISABLED=TRUE", "OTEL_TRACES_EXPORTER=zipkin"}, false, ""},
		{"not disabled", []string{endpoint, "OTEL_SDK_DISABLED=1"}, true, ""},
		{"another exporter", []string{"OTEL_TRACES_EXPORTER=console"}, false, "OTEL_TRACES_EXPORTER: must be otlp"},
		{"gRPC", []string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf"},
		{"gRPC for traces", []string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"}, false, "must be http/protobuf"},
		{"the stronger protocol", []string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, true, ""},
		{"gRPC for nothing", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, false, ""},
		{"no scheme", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=s3cret:4318"}, false, "OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL"},
		{"no host", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http:///v1/traces"}, false, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must be a URL"},
		{"a sampler", []string{endpoint, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}, true, ""},
		{"an unknown sampler", []string{endpoint, "OTEL_TRACES_SAMPLER=sometimes"}, false, "OTEL_TRACES_SAMPLER: must be one of"},
		{"an impossible ratio", []string{endpoint, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2"}, false, "OTEL_TRACES_SAMPLER_ARG: must be a number"},
		{"no number", []string{endpoint, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"}, false, "OTEL_TRACES_SAMPLER_ARG: must be a number"},
		{"an argument that nobody reads", []string{endpoint, "OTEL_TRACES_SAMPLER=always_on", "OTEL_TRACES_SAMPLER_ARG=x"}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, "", tt.environ)
			if c.Traces != tt.traces || (err != nil) != (tt.err != "") {
				t.Fatalf("traces = %t, error %v; want %t, %q", c.Traces, err, tt.traces, tt.err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("error = %v, want one with %q", err, tt.err)
			}
		})
	}
}
