# shellcheck shell=bash # sourced by tests/client_js/run, in the environment of a cluster
# A PgBouncer in transaction mode in front of the cluster: its socket is in DSS_POOLER.

DSS_POOLER=$(dirname "$DSS_DATA")/pooler
export DSS_POOLER

start_pooler() {
    "$DSS_CLUSTER" exec mkdir -m 700 "$DSS_POOLER"
    "$DSS_CLUSTER" exec tee "$DSS_POOLER/ini" >/dev/null <<EOF
[databases]
postgres = host=$PGHOST port=$PGPORT dbname=postgres
[pgbouncer]
unix_socket_dir = $DSS_POOLER
listen_port = $PGPORT
auth_type = trust
auth_file = $DSS_POOLER/users
admin_users = postgres
logfile = $DSS_POOLER/log
pidfile = $DSS_POOLER/pid
pool_mode = transaction
default_pool_size = 4
EOF
    printf '"%s" ""\n' postgres web_login web_client web_admin | "$DSS_CLUSTER" exec tee "$DSS_POOLER/users" >/dev/null
    # What a killed run leaves behind ends by itself.
    "$DSS_CLUSTER" exec timeout 900 "$DSS_PGBOUNCER" -q "$DSS_POOLER/ini" &
    for _ in {1..100}; do
        ! "$DSS_BINDIR/psql" -Xq -h "$DSS_POOLER" -c 'SELECT' >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo 'PgBouncer did not start' >&2
    return 1
}

# It ends before it answers.
stop_pooler() { "$DSS_BINDIR/psql" -Xq -h "$DSS_POOLER" -d pgbouncer -c SHUTDOWN >/dev/null 2>&1 || wait; }
