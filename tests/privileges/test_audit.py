"""The record of administration: which calls are in it, what it says of them, and that nobody gets around it."""

import psycopg
import pytest
from conftest import role
from psycopg import errors
from support import service, tour
from support.service import Background, call, until, use_key, value

# The arguments that name what a call is about; what a call that leaves them out means all the same.
FILTER = "product env tag kind account api_key_id key_number created_before created_after seen_before"
RECORDED = {
    "product_create": ("product", {}),
    "product_delete": ("product", {}),
    "env_create": ("product env live", {"live": True}),
    "env_delete": ("product env", {}),
    "env_update": ("product env new_name live", {}),
    "configuration_apply": ("dry_run", {}),
    "scope_create": ("product scope", {}),
    "scope_delete": ("product scope", {}),
    "session_register": ("product", {}),
    "definition_create": ("product tag", {}),
    "definition_update": ("product tag", {}),
    "definition_delete": ("product tag", {}),
    "api_key_create": ("product env kind", {}),
    "api_key_revoke": ("api_key_id", {}),
    "signing_key_rotate": ("purpose alg", {}),
    "signing_key_revoke": ("kid", {}),
    "root_key_rotate": ("", {}),
    "instance_reset": ("", {}),
    "grant_access": ("role access product env", {}),
    "access_forget": ("role_name", {}),
    "revoke_access": ("role access", {}),
    "protect_table": (
        "relation column_name product env tag",
        {"by": "account", "device": False, "force": False, "open_to": ["tourist"]},
    ),
    "unprotect_table": ("relation", {}),
    "revoke_sessions_on": ("relation identifier_column product env tag", {"on_delete": True}),
    "revoke_sessions_off": ("relation", {}),
    "session_find": (FILTER, {"active_only": True}),
    "session_count": (FILTER, {"active_only": True}),
    "session_revoke_where": (
        f"{FILTER} dry_run",
        {"reason": "revoked", "everything": False},
    ),
    "user_erase": ("product env tag", {}),
    "user_export": ("product env tag", {}),
    "account_session_revoke": ("account product env", {"reason": "revoked"}),
    "maintain": ("", {"batch": 1000}),
    "schedule_maintenance": ("", {"cron": "*/5 * * * *"}),
}
PERSONAL = ("identifier", "ip", "user_agent")

# What the effect says.
EFFECTS = {
    "product_create": {"product_id"},
    "session_register": {"tag"},
    "api_key_create": {"api_key_id"},
    "signing_key_rotate": {"kid"},
    "root_key_rotate": {"root_key"},
    "session_count": {"sessions"},
    "account_session_revoke": {"sessions"},
    "session_revoke_where": {"sessions"},
    "user_erase": {"rows"},
    "configuration_apply": {"name"},
    "access_forget": {"rows"},
    "maintain": {"done"},
    "schedule_maintenance": {"job"},
    "instance_reset": {"instance_id"},
}
# How many sessions were revoked, where there were any.
MAY_BE = {"revoked"}

# They show configuration, figures, or the record itself, and change nothing.
UNRECORDED = {
    "session_define",
    "definition_get",
    "definition_list",
    "product_list",
    "env_list",
    "scope_list",
    "api_key_list",
    "access_list",
    "access_of_roles",
    "configuration_export",
    "protected_table_list",
    "policy_lint",
    "administration_log",
    "device_table",
}

# It fails where there is no pg_cron; with it, the tier "maintenance" looks at the row.
NEEDS_CRON = "schedule_maintenance"


def expected_target(function, arguments):
    names, otherwise = RECORDED[function]
    given = {name: arguments[name] for name in names.split() if arguments.get(name) is not None}
    target = {name: it if isinstance(it, bool) else str(it) for name, it in given.items()}
    withheld = [name for name in PERSONAL if arguments.get(name) is not None]
    return {**otherwise, **target, **({"withheld": withheld} if withheld else {})}


def rows(connection, after=0):
    return connection.execute(
        "SELECT * FROM dialstack.administration WHERE administration_id > %s ORDER BY administration_id",
        [after],
    ).fetchall()


def last(connection):
    return value(connection, "SELECT coalesce(max(administration_id), 0) FROM dialstack.administration")


class Auditor:
    """Takes a tour as an administrator, and compares what each call has recorded."""

    def __init__(self, admin, acting):
        self.admin, self.acting = admin, acting
        self.recorded, self.wrong = set(), {}

    def call(self, function, **arguments):
        name, before = function.partition("/")[0], last(self.admin)
        try:
            row = call(self.acting, name, **arguments)
        except psycopg.Error:
            if rows(self.admin, before):
                self.wrong[function] = "a call that failed was recorded"
            return None
        found = rows(self.admin, before)
        wanted = [name] if name in RECORDED else []
        if [row.function for row in found] != wanted:
            self.wrong[function] = f"recorded as {found}"
        for entry in found:
            self.recorded.add(name)
            self._compare(function, entry, expected_target(name, arguments))
        return row

    def _compare(self, function, entry, target):
        actor = (entry.session_role, entry.acting_role, entry.client_addr)
        if actor != ("postgres", role("admin"), None) or entry.target != target:
            self.wrong[function] = f"{actor} {entry.target} instead of {target}"
        elif set(entry.effect) - MAY_BE != EFFECTS.get(entry.function, set()):
            self.wrong[function] = f"has the effect {entry.effect}"


def test_each_administrators_call_is_recorded_once_with_what_it_named(admin, act_as, roles):
    # Given an administrator who owns the table that is protected
    admin.execute("CREATE ROLE tourist")
    tour.prepare(admin, owner=role("admin"))
    auditor = Auditor(admin, act_as("admin"))

    # When every function is called
    tour.take(auditor.call)
    admin.execute("DROP SCHEMA tours CASCADE; DROP ROLE tourist")

    # Then each of level admin is recorded as it should be, or is known not to be
    of_admin = {
        row.function.partition("(")[0]
        for row in admin.execute("SELECT function FROM dialstack.access_list() WHERE access = 'admin'")
    }
    assert auditor.wrong == {}
    assert of_admin <= RECORDED.keys() | UNRECORDED
    assert not RECORDED.keys() & UNRECORDED
    assert auditor.recorded | {NEEDS_CRON} == RECORDED.keys()


def test_what_is_rolled_back_or_fails_leaves_no_row(admin, act_as, place):
    connection, before = act_as("admin"), last(admin)
    with connection.transaction(force_rollback=True):
        call(connection, "env_create", product=place["product"], env="other")
        with pytest.raises(errors.UndefinedObject), connection.transaction():
            call(connection, "env_delete", product=place["product"], env="nowhere")
        call(connection, "env_delete", product=place["product"], env="other")
        seen = connection.execute("SELECT function, effect FROM dialstack.administration_log(per_page => 2)")
        assert [row.function for row in seen] == ["env_delete", "env_create"]
    assert rows(admin, before) == []


def test_a_deletion_says_how_many_sessions_it_revoked(admin, act_as, shop):
    for user in ("one", "two", "three"):
        shop.create(admin, user)
    before = last(admin)
    call(act_as("admin"), "env_delete", **shop.home)
    assert [row.effect for row in rows(admin, before)] == [{"revoked": 3}]


def test_a_deletion_that_has_to_try_again_counts_each_session_once(admin, connect, act_as, shop):
    shop.create(admin)
    before, blocker, connection = last(admin), connect(), act_as("admin")
    # It is in the way only once the session is revoked.
    with blocker.transaction():
        blocker.execute("SELECT FROM dialstack.environments WHERE env = %s FOR UPDATE", [shop.env])
        deleting = Background(lambda: call(connection, "env_delete", **shop.home))
        pauses = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s"
        until(lambda: value(admin, pauses, connection.info.backend_pid), "the first attempt to be undone")
    deleting.result()
    assert [row.effect for row in rows(admin, before)] == [{"revoked": 1}]


def test_a_row_tells_who_logged_in_from_who_acts(admin, act_as, place, roles):
    before = last(admin)
    admin.execute("CREATE ROLE clerk LOGIN; GRANT role_admin TO clerk")
    admin.execute("CREATE SCHEMA IF NOT EXISTS api; GRANT USAGE, CREATE ON SCHEMA api TO role_admin")
    act_as("admin").execute(
        "CREATE FUNCTION api.scopes(product text) RETURNS void LANGUAGE sql SECURITY DEFINER "
        "AS $$ SELECT dialstack.scope_delete('voicemails', product) $$"
    )
    with service.connect(user="clerk") as clerk:
        # As itself, as the group, and through a function of somebody else's
        call(clerk, "scope_delete", scope="call_logs", product=place["product"])
        clerk.execute("SET ROLE role_admin")
        call(clerk, "scope_delete", scope="dial_plan", product=place["product"])
        clerk.execute("RESET ROLE")
        clerk.execute("SELECT api.scopes(%s)", [place["product"]])
    admin.execute("DROP SCHEMA api CASCADE")
    found = [(row.session_role, row.acting_role) for row in rows(admin, before)]
    assert found == [("clerk", "clerk"), ("clerk", "role_admin"), ("clerk", "role_admin")]
    log = "SELECT count(*) FROM dialstack.administration_log(actor => %s, product => %s)"
    assert value(admin, log, "clerk", place["product"]) == 3
    assert value(admin, log, "role_admin", place["product"]) == 2
    admin.execute("DROP ROLE clerk")


def test_reading_in_a_read_only_transaction_works_without_a_row(admin, act_as, place):
    connection, before = act_as("admin"), last(admin)
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        assert call(connection, "session_count", **place).session_count == 0
        assert call(connection, "administration_log") is not None
    assert rows(admin, before) == []
    call(connection, "session_count", **place)
    assert [row.function for row in rows(admin, before)] == ["session_count"]


# Who is audited.


def test_an_administrator_neither_changes_nor_empties_the_record(admin, act_as, place):
    call(admin, "env_delete", **place)
    before = rows(admin)
    admin.execute("GRANT pg_read_all_data, pg_write_all_data TO role_admin")
    try:
        connection = act_as("admin")
        # These roles of PostgreSQL pass over privileges, but not over row-level security.
        assert value(connection, "SELECT count(*) FROM dialstack.administration") == 0
        assert connection.execute("DELETE FROM dialstack.administration").rowcount == 0
        assert connection.execute("UPDATE dialstack.administration SET function = 'x'").rowcount == 0
        forged = (
            "INSERT INTO dialstack.administration (at, session_role, acting_role, function, target, effect) "
            "VALUES (now(), 'clerk', 'clerk', 'instance_reset', '{}', '{}')"
        )
        for statement in (forged, "TRUNCATE dialstack.administration", "DROP TABLE dialstack.administration",
                          "ALTER TABLE dialstack.administration DISABLE ROW LEVEL SECURITY",
                          "CREATE RULE quiet AS ON INSERT TO dialstack.administration DO INSTEAD NOTHING"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
    finally:
        admin.execute("REVOKE pg_read_all_data, pg_write_all_data FROM role_admin")
    assert rows(admin) == before


SETTINGS = {"administration_retention": "1d", "log_events": "", "session_retention": "0"}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_administrator_does_not_turn_it_off(admin, act_as, name):
    setting, wanted = f"dialstack_sessions.{name}", SETTINGS[name]
    admin.execute("LOAD 'dialstack_sessions'")
    default = value(admin, f"SHOW {setting}")
    connection = act_as("admin")

    # What is set before the library is loaded is dropped when it is
    connection.execute(f"SET {setting} = '{wanted}'")
    call(connection, "product_list")
    assert value(connection, f"SHOW {setting}") == default
    for statement in (
        f"SET {setting} = '{wanted}'",
        f"SET LOCAL {setting} = '{wanted}'",
        f"ALTER ROLE CURRENT_USER SET {setting} = '{wanted}'",
    ):
        with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
            connection.execute(statement)


def test_the_retention_is_never_less_than_a_day(admin):
    admin.execute("LOAD 'dialstack_sessions'")
    for wrong in ("0", "-1", "86399"):
        with pytest.raises(errors.InvalidParameterValue):
            admin.execute(f"SET dialstack_sessions.administration_retention = {wrong}")


def test_an_api_key_does_not_show_the_record(admin, act_as, place):
    key = call(admin, "api_key_create", **place).api_key
    connection = act_as("admin")
    use_key(connection, key)
    with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED"):
        call(connection, "administration_log")


def test_each_filter_finds_its_rows_by_an_index(admin):
    """Among many rows of others, the page of each filter reads only its own."""
    insert = (
        "INSERT INTO dialstack.administration (at, session_role, acting_role, function, target, effect) "
        "SELECT now() - %s * interval '1 minute' - n * interval '1 second', %s, %s, %s, %s, '{}' "
        "FROM generate_series(1, %s) n"
    )
    with admin.transaction(force_rollback=True):
        admin.execute(insert, [1, "robot", "robot", "env_create", '{"product": "p"}', 20_000])
        admin.execute(insert, [1_000_000, "rare", "rarer", "rarest", '{"product": "scarce"}', 1])
        admin.execute("ANALYZE dialstack.administration")
        for name, wanted in {"product": "scarce", "actor": "rarer", "function": "rarest"}.items():
            found, read = page(admin, name, wanted)
            assert (found.session_role, found.total) == ("rare", 1)
            assert read < 100, name
        # Without a filter the page reads what it shows, and only the total all there is.
        _, read = page(admin, "with_total", False)
        assert read < 100
        _, read = page(admin, "with_total", True)
        assert read > 20_000


def page(connection, name, wanted):
    """The first row of a page, and how many rows of the table were read for it."""
    counters = (
        "SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)) FROM pg_class "
        "WHERE oid = 'dialstack.administration'::regclass OR oid IN "
        "(SELECT indexrelid FROM pg_index WHERE indrelid = 'dialstack.administration'::regclass)"
    )
    before = value(connection, counters)
    found = connection.execute(
        f"SELECT * FROM dialstack.administration_log({name} => %s)", [wanted]
    ).fetchone()
    return found, value(connection, counters) - before
