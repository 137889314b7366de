// Command commonlist builds the filter of common passwords that package password
// embeds, from a text file with one password a line. "make common-passwords"
// fetches the list and runs it.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/jotgate/jotgate/internal/password"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "commonlist:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: commonlist LIST OUTPUT")
	}
	list, err := os.ReadFile(args[0]) //nolint:gosec // the developer names the file
	if err != nil {
		return err
	}
	var out bytes.Buffer
	n, err := password.BuildCommon(&out, string(list))
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[1], out.Bytes(), 0o600); err != nil { //nolint:gosec // the developer names the file
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%d passwords, %d bytes\nlist   SHA-256 %x\nfilter SHA-256 %x\n",
		n, out.Len(), sha256.Sum256(list), sha256.Sum256(out.Bytes()))
	return err
}
