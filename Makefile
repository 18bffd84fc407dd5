# Godwit: `make help` lists the targets. Needs the Swift 6.3 toolchain on PATH; everything else `make setup` installs.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PREFIX  ?= /usr
DESTDIR ?=
# The configuration and the service's folders do not move with PREFIX: the unit names them.
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system

BINARY  ?= .build/release/godwit
CONFIG  ?= config.toml
DEB_DIR ?= .build/deb
# Seconds of fuzzing for each target.
SECONDS ?= 60
ARGS    ?=

VERSION := $(shell cat packaging/VERSION)
# A BINARY that the caller names is taken as it is; ours is built first.
BUILD   := $(if $(filter undefined file,$(origin BINARY)),build)

.PHONY: help setup setup-build build run test fixtures bench fuzz sanitize e2e docs install uninstall deb format lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  variables: PREFIX=$(PREFIX) DESTDIR= BINARY=$(BINARY) CONFIG=$(CONFIG) SECONDS=$(SECONDS) ARGS="

setup: ## install what building and testing need (Debian packages by name, only the missing ones)
	@scripts/setup build test

setup-build:
	@scripts/setup build

build: setup-build ## build the release binary: .build/release/godwit
	swift build -c release --static-swift-stdlib --product godwit

run: build ## build and run the agent in the foreground with config.toml (CONFIG=, ARGS=)
	$(BINARY) run --config $(CONFIG) $(ARGS)

test: ## set up and run every test; closes with `N passed, N failed, N skipped`
	@scripts/test

fixtures: setup-build ## compare every fixture case (GODWIT_FIXTURES names another folder)
	swift run fixture-runner $(ARGS)

bench: setup $(BUILD) ## run the benchmarks and print their table
	@scripts/setup bench
	@! grep -q '"godwit-bench"' Package.swift || swift build -c release --static-swift-stdlib --product godwit-bench
	python3 Benchmarks/run.py $(ARGS)

fuzz: setup-build ## fuzz each parser for SECONDS
	scripts/fuzz --seconds $(SECONDS) $(ARGS)

sanitize: setup ## tunnel tests under the address and thread sanitizers (ARGS="thread" for one)
	scripts/sanitize $(ARGS)

e2e: setup $(BUILD) ## end-to-end tests against real servers
	python3 Tests/EndToEnd/run.py $(ARGS)

docs: setup-build ## write docs/metrics.md from what the inputs declare
	swift build --product godwit
	.build/debug/godwit metrics --markdown > .build/metrics.md
	mv .build/metrics.md docs/metrics.md

install: ## install under DESTDIR with PREFIX (after `make build`)
	@scripts/install install --binary $(BINARY) --prefix $(PREFIX) --destdir "$(DESTDIR)" --sysconfdir $(SYSCONFDIR) --unitdir $(UNITDIR)

uninstall: ## remove what `make install` put there; configuration and state stay
	@scripts/install uninstall --prefix $(PREFIX) --destdir "$(DESTDIR)" --sysconfdir $(SYSCONFDIR) --unitdir $(UNITDIR)

deb: $(BUILD) ## build the Debian package: .build/deb/godwit_VERSION_ARCH.deb
	@scripts/setup deb
	@packaging/build-deb --binary $(BINARY) --version $(VERSION) --output $(DEB_DIR)

format: ## format the Swift sources in place
	swift format format --in-place --recursive --parallel Package.swift Sources Tests

lint: ## check the rules of the house (imports, tasks, clocks, unwraps, file sizes, format, unit file)
	@scripts/setup lint
	@scripts/check

clean: ## remove everything built
	rm -rf .build .build-* .build_*
