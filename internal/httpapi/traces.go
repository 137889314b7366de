package httpapi

import (
	"net/url"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
)

// span makes a span of a request, named by its method and route, as a child of
// the one that a traceparent header names. No baggage is taken: it is what
// anybody says. Package telemetry removes what the library records too much.
func (s *server) span() gin.HandlerFunc {
	host := ""
	if u, err := url.Parse(s.PublicURL); err == nil {
		host = u.Host // and not the Host header, which is the client's
	}
	return otelgin.Middleware(host,
		otelgin.WithTracerProvider(s.Spans),
		otelgin.WithMeterProvider(noop.NewMeterProvider()), // package telemetry measures
		otelgin.WithPropagators(propagation.TraceContext{}),
		otelgin.WithGinFilter(isTraced),
	)
}

// isTraced keeps out the questions of supervisors, which come all the time.
func isTraced(c *gin.Context) bool {
	route := c.FullPath()
	return route != "/healthz" && route != "/readyz"
}
