"""Monitoring a standby: by its own role, in read-only transactions, with the figures of the primary."""

from support.service import call

QUERIES = (
    "SELECT * FROM dialstack.stat_sessions ORDER BY product, env, kind, tag",
    "SELECT kid, purpose, alg, state, published FROM dialstack.stat_keys ORDER BY kid",
    "SELECT api_key_id, product, env, kind, name, state FROM dialstack.stat_api_keys ORDER BY 1",
    "SELECT * FROM dialstack.stat_maintenance",
    "SELECT * FROM dialstack.version()",
    "SELECT * FROM dialstack.health_check()",
)


def test_a_standby_shows_what_its_primary_shows(pair, shop):
    pair.admin.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
    call(pair.admin, "grant_access", role="watcher", access="monitor")
    shop.create(pair.admin)
    call(pair.admin, "account_session_create", account="a", **shop.home)
    call(pair.admin, "api_key_create", **shop.home)
    call(pair.admin, "maintain")
    shop.create(pair.admin, "behind the mark")
    pair.catch_up()

    watcher = pair.connect(user="watcher")
    watcher.execute("SET default_transaction_read_only = on")
    for query in QUERIES:
        assert watcher.execute(query).fetchall() == pair.admin.execute(query).fetchall(), query
    dashboard = watcher.execute("SELECT dialstack.session_dashboard(%s, %s)", [shop.product, shop.tag]).fetchone()[0]
    assert dashboard["totalSessions"] == 2
    counted = watcher.execute("SELECT living FROM dialstack.stat_sessions WHERE product = %s AND kind = 'user'", [shop.product])
    assert counted.fetchone().living == 2

    watcher.close()
    pair.admin.execute("DROP OWNED BY watcher")
    pair.admin.execute("DROP ROLE watcher")
