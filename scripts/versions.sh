# shellcheck shell=bash disable=SC2034 # sourced by common.sh, used by the scripts
# The one place for versions. Cargo.toml repeats PGRX_VERSION: cargo-pgrx and the crate must be equal.
PGRX_VERSION=0.18.1
PG_MAJOR=${PG_MAJOR:-15}
