# Each target is a script in scripts/, where the details are. `make` alone lists them.
#
# Variables: TIERS="regress unit" for test; PG_MAJOR=16 or PG_CONFIG=/path/to/pg_config for all.

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test check fmt lint unit build install docs bench clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  make \1 \t\2/p' Makefile | expand -t 20

demo: ## build, start a private server and show a session's life
	@scripts/demo

demo-stop: ## stop the demo's server and remove it
	@scripts/cluster destroy demo

test: ## everything: format, lints, unit tests, every tier in tests/ (TIERS="…" for some)
	@scripts/test $(TIERS)

check: ## what needs no server: format, lints, unit tests
	@scripts/test fmt clippy unit

fmt: ## format the code
	@cargo fmt

lint: ## format check and clippy
	@scripts/test fmt clippy

unit: ## unit tests; DSS_FUZZ_CASES=100000: fuzz the parsers for longer
	@scripts/test unit

build: ## release build of the extension, in target/
	@scripts/install-tools
	@scripts/build release

install: build ## install it into your own PostgreSQL (PG_CONFIG), by sudo where needed
	@DSS_PROFILE=release scripts/install-extension

docs: ## the manual as a searchable site, in target/site
	@scripts/docs site

bench: build ## benchmarks, on a private server; SCALE=big: with ten million sessions
	@DSS_PROFILE=release scripts/install-extension --private
	@DSS_PROFILE=release bench/$(if $(filter big,$(SCALE)),big,run)

clean: ## remove what was built and the private servers' files
	@scripts/clean
