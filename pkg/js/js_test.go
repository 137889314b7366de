package js_test

import (
	"os"
	"testing"

	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/pkg/js"
)

func TestClient(t *testing.T) {
	needs.Node(t, "client", nil, "--test", "--test-reporter=spec")
}

func TestClientIsTheOneInThePackage(t *testing.T) {
	text, err := os.ReadFile("client/client.js")
	if err != nil {
		t.Fatal(err)
	}
	if js.Client() != string(text) {
		t.Error("what Client returns is not client/client.js")
	}
}
