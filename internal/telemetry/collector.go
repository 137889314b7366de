package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// firstPause is between the first attempt to send and the second; each pause
	// is twice the one before, up to longestPause, and all ends after tryFor.
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
	tryFor       = time.Minute
	// longestAnswer is how much of an answer is read.
	longestAnswer = 4 << 10
)

// collector sends spans over OTLP/HTTP. It is a client of the library's
// exporter. The library has one itself, which brings gRPC into the program, and
// with it templates that keep the linker from leaving out what nobody calls.
type collector struct {
	destination
	agent  string
	client *http.Client
	stop   func()
	ended  chan struct{} // closed by stop
}

func newCollector(d destination, version string) *collector {
	ended := make(chan struct{})
	return &collector{
		destination: d, agent: "jotgate/" + version,
		client: &http.Client{Timeout: d.timeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: d.tls, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
		}},
		stop: sync.OnceFunc(func() { close(ended) }), ended: ended,
	}
}

// Start implements the library's Client. There is nothing to start.
func (*collector) Start(context.Context) error { return nil }

// Stop implements the library's Client. It ends what is being sent.
func (c *collector) Stop(context.Context) error {
	c.stop()
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements the library's Client. It tries again while the
// collector says that it is busy.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// The same bytes as those of a request, whose own type comes with gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if body, err = c.pack(body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	go func() {
		select {
		case <-c.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var later *busyError
		if err := c.post(ctx, body); !errors.As(err, &later) {
			return err
		}
		select {
		case <-ctx.Done():
			return later
		case <-time.After(max(pause, later.after)):
		}
	}
}

func (c *collector) pack(body []byte) ([]byte, error) {
	if !c.gzip {
		return body, nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

// busyError is a failure that may pass.
type busyError struct {
	error
	after time.Duration // what the collector asks for, or 0
}

func (c *collector) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", c.agent)
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := c.client.Do(req)
	if failed := (*url.Error)(nil); errors.As(err, &failed) && failed.Temporary() {
		return &busyError{error: err}
	}
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	return judge(res, answer)
}

// judge returns what is wrong with an answer.
func judge(res *http.Response, answer []byte) error {
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		after, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || after < 0 || after > int(tryFor.Seconds()) {
			after = 0
		}
		return &busyError{fmt.Errorf("the collector answers %s", res.Status), time.Duration(after) * time.Second}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the collector answers %s: %q", res.Status, answer)
	}
	_, partly := field(answer, 1)
	refused, _ := field(partly, 1)
	if _, why := field(partly, 2); refused > 0 {
		return fmt.Errorf("the collector refuses %d spans: %q", refused, why)
	}
	return nil
}

// field returns the last field of that number in a message of Protocol Buffers,
// which is a number or bytes.
func field(message []byte, number protowire.Number) (value uint64, content []byte) {
	for len(message) > 0 {
		got, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0, nil
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(got, kind, message)
		if size < 0 {
			return 0, nil
		}
		switch {
		case got == number && kind == protowire.VarintType:
			value, _ = protowire.ConsumeVarint(message)
		case got == number && kind == protowire.BytesType:
			content, _ = protowire.ConsumeBytes(message)
		}
		message = message[size:]
	}
	return value, content
}
