"""Each finding of health_check(): given what causes it, it is there; once that is mended, it is gone."""

from datetime import datetime, timedelta, timezone

import pytest
from support.cluster import ROOT_KEY_FILE, as_server, configure
from support.service import call, until, value


def in_days(days):
    return datetime.now(timezone.utc) + timedelta(days=days)


# Keys


@pytest.fixture
def key_file(cluster):
    path = cluster.write_root_key()
    yield path
    as_server("rm", path)


def test_a_root_key_in_the_row(cluster, found, key_file):
    (detail,) = found("root_key_in_row")
    assert "backup" in detail

    # From the file the key goes nowhere else: so in a database that is given up.
    with cluster.database("filed") as connection:
        assert found("root_key_in_row", connection) == [detail]
        configure(connection, ROOT_KEY_FILE, key_file)
        call(connection, "root_key_rotate")
        assert found("root_key_in_row", connection) == [] == found("keys_not_available", connection)
        configure(connection, ROOT_KEY_FILE, "")


def test_keys_that_nobody_can_open(admin, found):
    assert found("keys_not_available", admin) == []
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE dialstack.instance SET root_fingerprint = 'another'")
        assert found("keys_not_available", admin) == ["the root key does not open the key ring"]
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE dialstack.instance SET database_oid = 1")
        assert found("keys_not_available", admin) == ["this database is a copy of another"]
    assert found("keys_not_available", admin) == []


def test_a_key_that_is_in_use_for_more_than_a_year(admin, found):
    assert found("old_signing_key") == []
    admin.execute("UPDATE dialstack.signing_keys SET active_at = now() - interval '364 days'")
    assert found("old_signing_key") == []
    admin.execute("UPDATE dialstack.signing_keys SET active_at = now() - interval '366 days'")
    assert len(found("old_signing_key")) == 3

    for left, purpose in ((2, "jwt"), (1, "seal"), (0, "token")):
        call(admin, "signing_key_rotate", purpose=purpose)
        # The old one still verifies.
        assert len(found("old_signing_key")) == left


def test_api_keys_that_end_soon(admin, found, shop):
    assert found("api_key_expires") == []
    call(admin, "api_key_create", **shop.home, expires_at=in_days(15))
    call(admin, "api_key_create", **shop.home)
    assert found("api_key_expires") == []

    soon = call(admin, "api_key_create", **shop.home, name="till", expires_at=in_days(13))
    (detail,) = found("api_key_expires")
    assert detail.startswith(
        f"The secret key {soon.api_key_id} (till) of {shop.env} of product {shop.product} ends at "
    )
    assert soon.api_key not in detail

    call(admin, "api_key_revoke", api_key_id=soon.api_key_id)
    assert found("api_key_expires") == []


# Roles


def test_limits_that_leave_nothing_and_limits_of_no_role(admin, found, shop):
    admin.execute("CREATE ROLE limited")
    call(admin, "grant_access", role="limited", access="server", **shop.home)
    assert found("access_limit") == []
    admin.execute("ALTER ROLE limited RENAME TO renamed")
    assert found("access_limit") == [
        f"Role limited, level server for {shop.product}/{shop.env}: there is no such role.",
        "Role renamed, level server: reaches nothing: no limit is left.",
    ]
    call(admin, "grant_access", role="renamed", access="server", product=shop.product)
    call(admin, "access_forget", role_name="limited")
    assert found("access_limit") == []
    admin.execute("DROP OWNED BY renamed")
    assert found("access_limit") == [
        f"Role renamed, level server for {shop.product}: the role does not have the level."
    ]
    call(admin, "revoke_access", role="renamed", access="server")
    assert found("access_limit") == []
    admin.execute("DROP ROLE renamed")


# Secrets in catalogues and logs


@pytest.mark.parametrize(
    "who", ["ROLE {0}", "ROLE {0} IN DATABASE postgres", "DATABASE postgres", "FUNCTION {0}()"]
)
@pytest.mark.parametrize("setting", ["api_key", "token"])
def test_a_secret_in_the_catalogue(admin, found, create_role, who, setting):
    create_role("shopkeeper")
    admin.execute("CREATE FUNCTION shopkeeper() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    who = who.format("shopkeeper")
    try:
        admin.execute(f"ALTER {who} SET dialstack_sessions.{setting} = 'sk_live_hidden'")
        (detail,) = found("secret_in_catalogue")
        assert f"sets dialstack_sessions.{setting}." in detail and "hidden" not in detail
        assert ("shopkeeper" in detail) == ("shopkeeper" in who)
        admin.execute(f"ALTER {who} RESET dialstack_sessions.{setting}")
        assert found("secret_in_catalogue") == []
    finally:
        admin.execute(f"ALTER DATABASE postgres RESET dialstack_sessions.{setting}")
        admin.execute("DROP FUNCTION shopkeeper()")


def test_parameters_that_go_to_the_log(admin, found):
    assert found("parameters_logged", admin) == [] == found("statements_logged", admin)
    admin.execute("SET log_statement = 'all'")
    assert found("parameters_logged", admin) == [
        "By the settings: log_statement = all with log_parameter_max_length = -1."
    ]
    assert found("statements_logged", admin) == []

    admin.execute("SET log_parameter_max_length = 0")
    assert found("parameters_logged", admin) == []
    assert found("statements_logged", admin) == ["By the settings: log_statement = all."]

    admin.execute("SET log_statement = 'none'; SET log_parameter_max_length_on_error = -1")
    assert found("statements_logged", admin) == []
    assert found("parameters_logged", admin) == ["By the settings: log_parameter_max_length_on_error = -1."]

    admin.execute("SET log_parameter_max_length_on_error = 0")
    assert found("parameters_logged", admin) == []


def test_parameters_of_one_role_that_go_to_the_log(admin, found, create_role):
    create_role("shopkeeper")
    admin.execute("ALTER ROLE shopkeeper SET log_min_duration_statement = '250ms'")
    assert found("parameters_logged") == [
        "By the settings of role shopkeeper: log_min_duration_statement = 250ms with log_parameter_max_length = -1."
    ]
    admin.execute("ALTER ROLE shopkeeper SET log_parameter_max_length = 0")
    assert found("parameters_logged") == []
    assert found("statements_logged") == [
        "By the settings of role shopkeeper: log_min_duration_statement = 250ms."
    ]
    admin.execute("ALTER ROLE shopkeeper RESET ALL")
    assert found("statements_logged") == []


WAYS = [
    "log_statement=all",
    "log_statement=mod",
    "log_min_duration_statement=0",
    "LOG_MIN_DURATION_STATEMENT=250ms",
    "log_min_duration_sample=100",
    "log_transaction_sample_rate=0.01",
]


@pytest.mark.parametrize(
    "settings, parameters, statements",
    [
        ("log_statement=ddl work_mem=1GB", 0, 0),
        *((way, 1, 0) for way in WAYS),
        *((f"{way} log_parameter_max_length=80", 1, 0) for way in WAYS),
        *((f"{way} log_parameter_max_length=0", 0, 1) for way in WAYS),
        *((f"{way} log_parameter_max_length=0kB", 0, 1) for way in WAYS),
        ("log_min_duration_sample=100 log_statement_sample_rate=0", 0, 0),
        ("log_parameter_max_length_on_error=-1", 1, 0),
        ("log_parameter_max_length_on_error=1kB log_parameter_max_length=0", 1, 0),
        # Settings of extensions count wherever they are set.
        ("auto_explain.log_min_duration=0", 0, 1),
        ("auto_explain.log_min_duration=0 auto_explain.log_parameter_max_length=-1", 1, 0),
        ("auto_explain.log_min_duration=-1 auto_explain.log_parameter_max_length=-1", 0, 0),
        ("pgaudit.log=read,write", 0, 1),
        ("pgaudit.log=all pgaudit.log_parameter=on", 1, 0),
        ("pgaudit.log=none pgaudit.log_parameter=on", 0, 0),
    ],
)
def test_each_way_of_logging(admin, found, create_role, settings, parameters, statements):
    create_role("shopkeeper")
    for setting in settings.split():
        name, new = setting.split("=")
        admin.execute(f"ALTER ROLE shopkeeper SET {name} = '{new}'")
    assert len(found("parameters_logged")) == parameters
    assert len(found("statements_logged")) == statements


def test_what_is_logged_everywhere_is_not_said_again_of_a_role(admin, found, create_role):
    create_role("shopkeeper")
    admin.execute("ALTER ROLE shopkeeper SET work_mem = '1MB'; SET log_statement = 'all'")
    assert len(found("parameters_logged", admin)) == 1
    admin.execute("ALTER ROLE shopkeeper SET log_parameter_max_length = 0")
    assert found("statements_logged", admin) == ["By the settings of role shopkeeper: log_statement = all."]


def test_a_library_that_is_loaded_too_late_to_hide_a_secret(admin, found, connect):
    assert len(found("library_not_preloaded")) == 1
    # What it warns of: the setting is an ordinary one, which anybody in the connection reads.
    fresh = connect()
    secret = "SELECT set_config('dialstack_sessions.api_key', 'sk_live_x', false)"
    assert value(fresh, secret) == "sk_live_x" == value(fresh, "SHOW dialstack_sessions.api_key")

    admin.execute("ALTER DATABASE postgres SET session_preload_libraries = 'dialstack_sessions'")
    try:
        fresh = connect()
        assert found("library_not_preloaded", fresh) == []
        assert value(fresh, secret) == "********"
    finally:
        admin.execute("ALTER DATABASE postgres RESET session_preload_libraries")


@pytest.mark.parametrize(
    "what", ["FOR ALL TABLES", "FOR TABLE dialstack.sessions", "FOR TABLES IN SCHEMA dialstack"]
)
def test_a_publication_that_sends_our_tables(admin, found, what):
    admin.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders (id int)")
    try:
        admin.execute("CREATE PUBLICATION others FOR TABLES IN SCHEMA shop")
        assert found("tables_published") == []
        admin.execute(f"CREATE PUBLICATION everything {what}")
        (detail,) = found("tables_published")
        assert detail.startswith("Publication everything sends ")
        admin.execute("DROP PUBLICATION everything")
        assert found("tables_published") == []
    finally:
        admin.execute("DROP PUBLICATION IF EXISTS everything, others; DROP SCHEMA shop CASCADE")


# Maintenance


def test_maintenance_that_nobody_runs(admin, found):
    # The installation counts as the first run.
    assert found("maintenance_not_scheduled") == []
    admin.execute("UPDATE dialstack.rollup_state SET ran_at = now() - interval '2 hours', done = NULL")
    (detail,) = found("maintenance_not_scheduled")
    assert detail.startswith("It has not run since the installation at 2")
    assert found("maintenance_late") == []

    call(admin, "maintain")
    assert found("maintenance_not_scheduled") == []
    admin.execute("UPDATE dialstack.rollup_state SET ran_at = now() - interval '61 minutes'")
    (detail,) = found("maintenance_not_scheduled")
    assert detail.startswith("It ran last at 2")
    call(admin, "maintain")
    assert found("maintenance_not_scheduled") == []


def test_maintenance_that_a_transaction_holds_up(admin, found, connect, shop):
    holder = connect()
    with holder.transaction():
        shop.create(holder, "somebody")
        shop.create(admin)
        call(admin, "maintain")
        assert found("maintenance_held") == []
        admin.execute(
            "UPDATE dialstack.rollup_state SET done = jsonb_set(done, '{held_since}', to_jsonb(now() - interval '2 hours'))"
        )
        (detail,) = found("maintenance_held")
        assert f"wait for process {holder.info.backend_pid} of database postgres" in detail
    call(admin, "maintain")
    assert found("maintenance_held") == []


# Policies


@pytest.fixture
def orders(admin, create_role, shop):
    """A protected table whose owner cannot log in."""
    create_role("landlord")
    admin.execute("CREATE TABLE orders (account text); CREATE INDEX ON orders (account)")
    admin.execute("ALTER TABLE orders OWNER TO landlord")
    call(admin, "protect_table", relation="orders", column_name="account", **shop.home)
    return "orders"


def test_errors_of_the_policy_lint(admin, found, orders):
    assert found("policy_lint") == []
    admin.execute("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    assert found("policy_lint") == ["Table public.orders: row_security_off. Its policies are not applied."]
    # The hint is that of the weakness.
    hints = admin.execute("SELECT hint FROM dialstack.health_check() WHERE \"check\" = 'policy_lint'").fetchall()
    assert "ENABLE ROW LEVEL SECURITY" in hints[0].hint
    admin.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert found("policy_lint") == []


def test_an_owner_who_logs_in_and_is_not_bound(admin, found, orders, shop):
    assert found("owner_not_bound") == []
    admin.execute("ALTER ROLE landlord LOGIN")
    assert found("owner_not_bound") == [
        "Table public.orders: A connection of landlord sees and changes every row."
    ]
    call(
        admin, "protect_table", relation=orders, column_name="account",
        **shop.home, force=True,
    )
    assert found("owner_not_bound") == []


def test_policies_that_take_too_long(found, connect):
    assert found("policies_not_judged") == []
    blocker = connect()
    with blocker.transaction():
        blocker.execute("LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
        assert found("policies_not_judged") == ["It takes too long for a health check."]
    assert found("policies_not_judged") == []


# Versions


def test_a_library_and_sql_of_different_versions(admin, found):
    ours = call(admin, "version")
    assert ours.library == ours.sql
    assert found("versions_differ", admin) == []
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE pg_extension SET extversion = '0.2.0' WHERE extname = 'dialstack_sessions'")
        assert call(admin, "version").sql == "0.2.0"
        (detail,) = found("versions_differ", admin)
        assert detail == f"The library is version {ours.library}, its tables and functions are 0.2.0."
    assert found("versions_differ", admin) == []


def test_the_versions_of_postgresql(admin, watcher):
    version = call(watcher, "version")
    assert version.postgresql == value(admin, "SHOW server_version")
    major = version.postgresql.split(".")[0]
    assert version.postgresql_built_for.startswith(f"{major}.")


def test_connections_whose_library_was_replaced(admin, cluster, found, connect):
    library = value(admin, "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'") + "/dialstack_sessions.so"
    # Another place: the file in use is everybody's.
    place = f"{cluster.data}/replaced"
    as_server("sh", "-c", 'mkdir "$2" && cp "$1" "$2"', "sh", library, place)
    old = connect()
    old.execute(f"LOAD '{place}/dialstack_sessions.so'")
    assert found("connections_with_older_library") == []

    as_server("rm", "-r", place)
    assert found("connections_with_older_library") == [f"Processes {old.info.backend_pid}."]

    pid = old.info.backend_pid
    old.close()
    until(
        lambda: value(admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == 0, "its end"
    )
    assert found("connections_with_older_library") == []


# All of it


def test_findings_come_the_worst_first(admin):
    with admin.transaction(force_rollback=True):
        admin.execute("ALTER DATABASE postgres SET dialstack_sessions.token = 'x'; SET LOCAL log_statement = 'all'")
        admin.execute("SET LOCAL log_parameter_max_length = 0")
        severities = [row.severity for row in admin.execute("SELECT * FROM dialstack.health_check()")]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert {"error", "warning", "info"} <= set(severities)


def test_an_installation_as_the_manual_wants_it_has_no_findings(cluster):
    """But for what is outside of the database: here the root key and the library's loading."""
    with cluster.database("fresh") as connection:
        rows = connection.execute("SELECT * FROM dialstack.health_check()").fetchall()
    assert {row.check for row in rows} == {"root_key_in_row", "library_not_preloaded"}
