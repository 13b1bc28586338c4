# shellcheck shell=bash # sourced by tests/*/run
# A folder that goes with the run, unless DSS_WORK names one, in reach of the server's user.
if [ -z "${DSS_WORK:-}" ]; then
    DSS_WORK=$(mktemp -d)
    chmod 755 "$DSS_WORK"
    trap 'rm -rf "$DSS_WORK"' EXIT
fi
export DSS_WORK

have_node() { command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }

# How many tests Node says that "pass", "fail", … in the files results* there.
count() { cat "$DSS_WORK"/results* 2>/dev/null | sed -nE "s/^# $1 ([0-9]+)\$/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'; }

# Puts PgBouncer there. Fails where it is neither here nor to be fetched.
have_pgbouncer() {
    local pgbouncer
    pgbouncer=$(command -v pgbouncer) ||
        pgbouncer=$(scripts/debian-unpack 'usr/sbin/pgbouncer --version' pgbouncer)/usr/sbin/pgbouncer || return
    install -m 755 "$pgbouncer" "$DSS_WORK/pgbouncer" || exit
    export DSS_PGBOUNCER=$DSS_WORK/pgbouncer
}
