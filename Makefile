# `make` builds the extension, and needs cargo, a C compiler, libclang and the headers of PostgreSQL; `make help` lists the rest.
# Each target is a script in scripts/, where the details are.
#
# Variables: PG_CONFIG=/path/to/pg_config or PG_MAJOR=16 for all; DESTDIR for install and uninstall; TIERS="regress unit" for test.

.DEFAULT_GOAL := all
.PHONY: help all install uninstall installcheck setup demo demo-stop sql test check fmt lint unit docs bench clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  make \1 \t\2/p' Makefile | expand -t 22

all: ## release build of the library, in target/
	@scripts/build release

# As root, who may have no cargo: what was built before.
install: $(if $(shell command -v cargo),all) ## copy library, control file and script into the PostgreSQL of PG_CONFIG, or below DESTDIR
	@DSS_PROFILE=release scripts/install-extension

uninstall: ## remove them again
	@DSS_PROFILE=release scripts/install-extension --uninstall

installcheck: ## test what is installed, on the running server that PGHOST, PGPORT and PGUSER name
	@tests/installcheck/run

setup: ## install what building needs and is missing: Debian packages
	@scripts/install-tools

demo: ## set up, build, start a private server and show a session's life
	@scripts/demo

demo-stop: ## stop the demo's server and remove it
	@scripts/cluster destroy demo

sql: ## write the install script anew, after a change of SQL or of a function's declaration
	@scripts/install-script

test: ## everything: format, lints, unit tests, every tier in tests/ (TIERS="…" for some)
	@scripts/test $(TIERS)

check: ## what needs no server: format, lints, unit tests
	@scripts/test fmt clippy unit

fmt: ## format the code
	@cargo fmt

lint: ## format check and clippy
	@scripts/test fmt clippy

unit: ## unit tests
	@scripts/test unit

docs: ## the manual as a searchable site, in target/site
	@scripts/docs site

bench: all ## benchmarks, on a private server; SCALE=big: with ten million sessions
	@DSS_PROFILE=release scripts/install-extension --private
	@DSS_PROFILE=release bench/$(if $(filter big,$(SCALE)),big,run)

clean: ## remove what was built and the private servers' files
	@scripts/clean
