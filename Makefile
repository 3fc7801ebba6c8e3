# Cloister: `make` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
# Built artefacts, by content. CI and a developer may share it.
export CLOISTER_CACHE_DIR ?= /var/cache/cloister

.PHONY: help build install images demo check test fmt lint unit faults net e2e fuzz bench clean
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## build bin/cloister
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/cloister ./cmd/cloister

install: ## install what is missing on this Debian machine (root)
	./hack/install

demo: install build ## build everything, start Cloister and walk through a private cluster with the real az (root); WALK=workloads for another walk
	$(GO) run ./test/walk/cmd/demo $(WALK)

check: fmt lint unit ## formatting, vet, lint, house rules, unit and API tests: no root
test: install check faults net e2e ## all tests: check, real packets, real clients (root)

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "run gofmt on:"; echo "$$out"; exit 1; }

lint:
	$(GO) vet ./...
	@$(GO) -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	bin/golangci-lint run ./...

unit:
	$(GO) test ./cmd/... ./internal/... ./test/meta/... ./test/api/... ./test/fuzz/...

faults: ## have every step of every reconciler fail in every way
	CLOISTER_TEST_ALL_FAULTS=1 $(GO) test -count=1 -timeout 30m -run TestFaults ./internal/app/

images: build ## build what Cloister runs, by content: programs, images (root)
	bin/cloister images

net: images
	$(GO) test -count=1 -timeout 10m ./test/net/... ./test/containers/... ./test/limits/...

e2e: build
	@$(GO) test -count=1 -timeout 60m -v ./test/e2e/... 2>&1 | tee bin/e2e.log || { \
	  echo "What failed, once more:"; awk -f hack/failures.awk bin/e2e.log; exit 1; }

fuzz: ## throw random input at everything that reads some, 30 s each (FUZZTIME=2m: longer); what is found stays in testdata
	@for pkg in $$($(GO) list ./internal/... ./test/fuzz); do for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	  echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-30s} $$pkg || exit 1; done; done

bench: install build ## measure side by side with named peers (root); WHAT="arm dns" chooses
	$(GO) build -o bin/bench ./bench
	CLOISTER_SOURCE_DIR=$${CLOISTER_SOURCE_DIR:-$(CURDIR)} bin/bench $(WHAT)

clean: ## remove bin/
	rm -rf bin
