# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Where scripts/install-imagemagick.sh puts ImageMagick when it is not root; harmless where it is elsewhere.
HOME_PREFIX := $(HOME)/.local
ifneq ($(wildcard $(HOME_PREFIX)/lib/pkgconfig/MagickWand.pc),)
export PATH := $(HOME_PREFIX)/bin:$(PATH)
export PKG_CONFIG_PATH := $(HOME_PREFIX)/lib/pkgconfig:$(PKG_CONFIG_PATH)
export LD_LIBRARY_PATH := $(HOME_PREFIX)/lib:$(LD_LIBRARY_PATH)
endif

CARGO ?= cargo

.PHONY: help
help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | column -t -s $$'\t'

.PHONY: demo
demo: deps ## convert a photograph through the server, over the file system
	$(CARGO) build --release -p imago-server
	scripts/demo.sh file

.PHONY: demo-s3
demo-s3: deps tools ## the same over a real S3 server
	$(CARGO) build --release -p imago-server
	$(CARGO) build --release -p testkit --bin s3-server
	scripts/demo.sh s3

.PHONY: test
test: deps tools ## run all tests
	$(CARGO) test --workspace
	scripts/schemathesis.sh 5

.PHONY: schemathesis
schemathesis: deps tools ## try the API against its description, with more than 2000 requests
	scripts/schemathesis.sh 250

.PHONY: chaos
chaos: deps tools ## kill the server CHAOS_KILLS times (default 200) under load; `make test` has five kills
	IMAGO_CHAOS_KILLS=$${CHAOS_KILLS:-200} $(CARGO) test -p imago-server --test e2e chaos -- --nocapture

.PHONY: check
check: deps ## formatting, lints, documentation, and rules that no lint knows
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items
	scripts/check-rules.sh

.PHONY: bench
bench: deps ## measure conversions, parsing and jobs, beside the magick command
	$(CARGO) build --release -p imago-server
	$(CARGO) bench -p imago-benches

.PHONY: bench-peers
bench-peers: deps tools ## measure Imago beside sharp, pyvips and others, and write benches/REPORT.md
	scripts/install-bench-peers.sh
	$(CARGO) build --release -p imago-server -p imago-benches --bins
	target/release/bench-peers

.PHONY: docs
docs: deps ## write the pages that are generated: docs/operations.md, docs/conformance.md, docs/equality.md
	IMAGO_WRITE_DOCS=1 $(CARGO) test -p imago-server --lib docs_are_fresh
	IMAGO_WRITE_DOCS=1 $(CARGO) test -p imago-core --test conformance
	IMAGO_WRITE_DOCS=1 $(CARGO) test -p imago-core --test equality

.PHONY: fuzz
fuzz: deps ## fuzz FUZZ_TARGET (default all) for FUZZ_SECONDS (default 600) each
	scripts/fuzz.sh $${FUZZ_TARGET:-all} $${FUZZ_SECONDS:-600}

.PHONY: hostile
hostile: deps tools ## give HOSTILE_FILES (default 10000) damaged pictures to a server, and watch what it does
	$(CARGO) build --release -p imago-server
	$(CARGO) build --release -p testkit --bin hostile
	target/release/hostile --files $${HOSTILE_FILES:-10000} --seed $${HOSTILE_SEED:-1} --trace target/hostile.trace

.PHONY: deps
deps: ## install ImageMagick 7 where it is missing
	scripts/install-imagemagick.sh

.PHONY: tools
tools: ## install the servers that the tests talk to
	scripts/install-test-tools.sh
