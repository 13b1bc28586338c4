# `make` builds the extension, and needs cargo, a C compiler, libclang and the headers of PostgreSQL; `make help` lists the rest.
# Each target is a script in scripts/, where the details are.
#
# Variables: PG_CONFIG=/path/to/pg_config or PG_MAJOR=16 for all; DESTDIR for install and uninstall; PROFILE=debug for a quick
# build of what all, install and deb take; TIERS="regress unit" and JOBS=1 for test.

.DEFAULT_GOAL := all
.PHONY: help all install install-only uninstall installcheck setup demo demo-stop sql test check fmt lint unit docs bench \
	dist deb image-dir release-check clean

PROFILE ?= release
export DSS_PROFILE = $(PROFILE)

help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  make \1 \t\2/p' Makefile | expand -t 22

all: ## release build of the library, in target/
	@scripts/build

# Root may have no cargo (sudo make install): then what was built before is installed.
install: $(if $(shell command -v cargo),all) install-only ## copy it into the PostgreSQL of PG_CONFIG, or below DESTDIR

install-only:
	@scripts/install-extension

uninstall: ## remove it again
	@scripts/install-extension --uninstall

installcheck: ## test what is installed, on the running server that PGHOST, PGPORT and PGUSER name
	@tests/regress/run --installed

setup: ## install what building needs and is missing: Debian packages
	@scripts/install-tools

demo: ## set up, build, start a private server and show a session's life
	@DSS_PROFILE=debug scripts/demo

demo-stop: ## stop the demo's server and remove it
	@DSS_PROFILE=debug scripts/cluster destroy demo

sql: ## write the install script anew, after a change of SQL or of a function's declaration
	@scripts/install-script

test: ## everything: format, lints, unit tests, every tier in tests/ (TIERS="…" for some)
	@scripts/test $(TIERS)

check: ## what needs no server: format, lints, unit tests, licences
	@scripts/test fmt clippy unit licenses

fmt: ## format the code
	@cargo fmt

lint: ## format check and clippy
	@scripts/test fmt clippy

unit: ## unit tests; DSS_FUZZ_CASES=100000: fuzz the parsers for longer
	@scripts/test unit

docs: ## the manual as a searchable site, in target/site
	@scripts/docs site

bench: all ## benchmarks, on a private server; SCALE=big: with ten million sessions
	@scripts/install-extension --private
	@bench/$(if $(filter big,$(SCALE)),big,run)

dist: ## source tarball and PGXN archive of the last commit, with SHA256SUMS, in target/dist
	@scripts/dist

deb: ## a Debian package for the PostgreSQL of PG_MAJOR, in target/deb
	@scripts/install-tools --with-debhelper
	@scripts/deb

image-dir: all ## the folder of a CloudNativePG extension image, in target/image-pgNN
	@scripts/image-dir

release-check: ## whether this commit can be released
	@scripts/release-check

clean: ## remove what was built and the private servers' files
	@scripts/clean
