package httpapi_test

import (
	"net/http"
	"testing"
)

func validateExchange(t *testing.T, _ *http.Request, _ []byte, _ *http.Response, _ []byte) {
	t.Helper()
}
