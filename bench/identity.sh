# shellcheck shell=bash disable=SC2154 # sourced by bench/run, whose functions and variables it uses
# What knowing who is there costs: tokens that a connection knows, policies of row-level security,
# presenting a token in each transaction, and revocations beside verifications.

say "tables with policies"
sql -v rows=1000000 -f "$HERE/identity.sql" >/dev/null
ask 'VACUUM (FREEZE, ANALYZE) bench.constant, bench.bare, bench.wrapped, bench.indexed, bench.indexed_constant'

# Eight tokens that stay the same for a client, so that its connection knows them.
known='SELECT * FROM bench.held WHERE batch = :client_id \gset'
for arm in noop verify; do
    row=$known
    script "$arm" "$row" token "known_$arm"
done
query="SELECT sum(amount) FROM bench.indexed_constant WHERE account = 'acct_7';"
printf 'SELECT client_secret FROM bench.secret \\gset\nBEGIN;\n%s\nCOMMIT;\n' "$query" >"$work/query.sql"
printf 'SELECT client_secret FROM bench.secret \\gset\nBEGIN;\nSELECT valid FROM dialstack.session_use(:client_secret);\n%s\nCOMMIT;\n' \
    "$query" >"$work/use_query.sql"
calls[query]=1 calls[use_query]=1

for ((round = 1; round <= rounds; round++)); do
    for connections in $clients; do
        for arm in known_noop known_verify query use_query; do measure "$round" "$connections" "$arm"; done
    done
    for table in constant bare wrapped indexed_constant indexed; do
        printf '%s 1 rls_%s %s\n' "$round" "$table" \
            "$(ask "SET max_parallel_workers_per_gather = 0; SELECT min(ms) FROM (
                SELECT bench.milliseconds('SELECT count(*) FROM bench.$table') AS ms FROM generate_series(1, 5)) AS m")" >>"$work/results"
    done
done
plan_constant=$(ask "SELECT bench.plan('SELECT count(*) FROM bench.indexed_constant')")
plan_helper=$(ask "SELECT bench.plan('SELECT count(*) FROM bench.indexed')")

# Eight clients verify the tokens that they know, without and with a hundred revocations a second.
say "verifying beside revocations"
doomed=$((100 * seconds * rounds * 2))
ask "INSERT INTO bench.doomed SELECT n, s.session_id FROM generate_series(1, $doomed) AS n,
       LATERAL dialstack.session_create('bench', 'production', 'web', bench.data(-n)) AS s"
cat >"$work/revoke.sql" <<'SQL'
SELECT d.session_id FROM nextval('bench.doom') AS n JOIN bench.doomed AS d ON d.number = n \gset
SELECT dialstack.session_revoke('bench', 'production', 'web', session_id => :session_id);
SQL
cp "$work/known_verify.sql" "$work/calm_verify.sql"
cp "$work/known_verify.sql" "$work/stormy_verify.sql"
for ((round = 1; round <= rounds; round++)); do
    measure "$round" 8 calm_verify
    pgbench -c 1 -R 100 -T "$seconds" -f "$work/revoke.sql" >"$work/revoke" &
    revoker=$!
    measure "$round" 8 stormy_verify
    wait "$revoker"
done
revoked=$(ask "SELECT count(*) FROM dialstack.sessions WHERE revoked_at IS NOT NULL")
[ "$revoked" -gt $((50 * seconds * rounds)) ] || die "only $revoked sessions were revoked beside the verifications"
