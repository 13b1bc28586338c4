# shellcheck shell=bash disable=SC2034 # sourced by every script of this folder
# Paths and small helpers that the scripts share.
#
# Settings, all optional:
#   PG_MAJOR    PostgreSQL's major version (scripts/versions.sh has the default)
#   PG_CONFIG   the pg_config of the PostgreSQL to build for; sets PG_MAJOR. Without either, and where Debian's
#               packages of the default version are not there, the pg_config on the PATH that has headers
#   DSS_BASE    where private installations and clusters live; keep it short, because the path of
#               a Unix socket ends at 107 bytes

set -euo pipefail
# What we make for the server's user must be readable to it; secrets are made with their own mode.
umask 022

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/versions.sh
. "$ROOT/scripts/versions.sh"

# True if this pg_config belongs to a PostgreSQL with headers.
has_headers() { [ -f "$("$1" --includedir-server 2>/dev/null)/postgres.h" ]; }

packaged=/usr/lib/postgresql/${PG_MAJOR:-$PG_MAJOR_DEFAULT}/bin/pg_config
if [ -z "${PG_MAJOR:-}${PG_CONFIG:-}" ] && [ ! -x "$packaged" ] && has_headers pg_config; then
    PG_CONFIG=$(command -v pg_config)
fi
PG_CONFIG=${PG_CONFIG:-$packaged}
# `pg_config` alone is one on the PATH.
PG_CONFIG=$(command -v "$PG_CONFIG" || printf '%s\n' "$PG_CONFIG")
if [ -x "$PG_CONFIG" ]; then
    PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
else
    PG_MAJOR=${PG_MAJOR:-$PG_MAJOR_DEFAULT}
fi
# This variable is all that pgrx needs to know, so neither `cargo pgrx init` nor ~/.pgrx is
# involved. It must be the same in every cargo call: when it changes, pgrx is compiled again.
export PGRX_PG_CONFIG_PATH=$PG_CONFIG
# A developer's PGOPTIONS, PGSERVICE and so on would redirect or change what the scripts run.
for variable in $(compgen -e PG); do
    case $variable in PG_MAJOR | PG_CONFIG | PGRX_*) ;; *) unset "$variable" ;; esac
done
# Given to cargo alike everywhere, so that the build, the linter and the tests share their work.
FEATURES=(--no-default-features --features "pg$PG_MAJOR")

# Outlives the checkout and is shared between checkouts: tools that are slow to build.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dialstack_sessions
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

# rustup's directory is not on the PATH of every non-interactive shell.
command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
# pgrx wants to format its bindings. Nobody reads them, so that a Rust without rustfmt will do.
command -v rustfmt >/dev/null || export RUSTFMT=true

# PostgreSQL refuses to run as root. Its user cannot reach a checkout in /root, hence a short
# directory of this checkout's own in /tmp.
BASE=${DSS_BASE:-/tmp/dss-$EUID-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)}
SERVER_USER=$(id -un)
[ "$EUID" -ne 0 ] || SERVER_USER=postgres

# Whose files these are: debug (demo, tests) or release (benchmarks).
DSS_PROFILE=${DSS_PROFILE:-debug}
case $DSS_PROFILE in debug | release) ;; *) die "DSS_PROFILE is '$DSS_PROFILE': use debug or release" ;; esac

library() { printf '%s/%s/dialstack_sessions-pg%s.so\n' "$TARGET" "$DSS_PROFILE" "$PG_MAJOR"; }
extension_version() { sed -n "s/^default_version = '\(.*\)'$/\1/p" "$ROOT/dialstack_sessions.control"; }
private_root() { printf '%s/pg%s-%s\n' "$BASE" "$PG_MAJOR" "$DSS_PROFILE"; }
private_bindir() { printf '%s%s\n' "$(private_root)" "$("$PG_CONFIG" --bindir)"; }

# Makes $BASE, refusing one that somebody else prepared: /tmp is everybody's.
make_base() {
    id "$SERVER_USER" >/dev/null 2>&1 || die "there is no user '$SERVER_USER': run scripts/install-tools first"
    mkdir -m 0700 "$BASE" 2>/dev/null || [ -d "$BASE" ] || die "cannot make $BASE: set DSS_BASE to a short path"
    { [ ! -L "$BASE" ] && [ -O "$BASE" ]; } || die "$BASE belongs to somebody else: set DSS_BASE to another path"
    if [ "$EUID" -eq 0 ]; then
        chgrp "$(id -gn "$SERVER_USER")" "$BASE"
        chmod 0710 "$BASE"
    fi
}

# Runs a command as the server's user, with an environment of its own: RUST_BACKTRACE would put
# backtraces into clients' errors, and PG* and LC_* would change what initdb makes. It starts in /,
# because the user may not enter the directory that we are in.
as_server() {
    local -a switch=()
    # Not sudo or su: no PAM session, and a signal reaches the command itself.
    [ "$EUID" -ne 0 ] || switch=(setpriv --reuid="$SERVER_USER" --regid="$(id -gn "$SERVER_USER")" --init-groups)
    (cd / && exec "${switch[@]}" env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 TZ=UTC "$@")
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$EUID" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo; run as root: $*"
    fi
}

# A Python that can make virtual environments, or nothing.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}
