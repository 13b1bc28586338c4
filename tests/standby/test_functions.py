"""Every function, asked on a standby and on its primary: the same answer, or a refusal to write."""

import psycopg
import pytest
from psycopg import errors
from support import tour
from support.service import call, value

# Those that only read. All others write, and say on a standby that they can't.
READING = {
    *"""
    session_define definition_get definition_list api_key_list session_verify session_require token_introspect
    session_explain session_list product_list env_list scope_list configuration_export protected_table_list
    session_find session_count user_export administration_log current_session_age current_authentication_age
    session_info session_users session_user_details session_activity_logs session_dashboard
    session_user_dashboard session_use session_clear current_session_id current_session_kind
    current_identifier/0 current_identifier/3 current_account/0 current_account/3 current_connected_accounts/0
    current_connected_accounts/3 current_user_identities/0 current_user_identities/3 current_product current_env
    current_tag current_scopes current_data current_session_error has_scope/1 has_scope/4 require_scope
    postgrest_pre_request policy_lint uuid_or_null bigint_or_null integer_or_null client_session_get
    client_session_list access_list access_of_roles may_monitor version stat_get_sessions health_check
    signing_key_list jwks issuer
    """.split(),
    # The tour calls it with dry_run.
    "configuration_apply",
    # Without pg_cron it has nothing to write.
    "schedule_maintenance",
}

REFUSAL = "cannot execute a writing function of dialstack_sessions during recovery"


def ask(connection, function, arguments):
    name = function.partition("/")[0]
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    return connection.execute(f"SELECT * FROM dialstack.{name}({named})", arguments).fetchall()


def comparable(answer):
    """What can be compared: rows, or what an error says."""
    return answer.diag.message_primary if isinstance(answer, psycopg.Error) else answer


class Both:
    """Asks the standby, then the primary in the very same state."""

    def __init__(self, pair):
        self.pair, self.standby = pair, pair.connect()
        self.wrong, self.asked = [], set()

    def call(self, function, **arguments):
        self.pair.catch_up()
        self.asked.add(function)
        there = self._ask(self.standby, function, arguments)
        here = self._ask(self.pair.admin, function, arguments)
        if function in READING:
            # By the same clock, but not at the same time.
            agrees = comparable(there) == comparable(here) or (
                function in ("session_explain", "current_session_age", "current_authentication_age")
                and isinstance(there, list)
            )
        else:
            agrees = (
                isinstance(there, errors.ReadOnlySqlTransaction)
                and there.diag.message_primary == REFUSAL
            )
        if not agrees:
            self.wrong.append((function, there, here))
        return here[0] if isinstance(here, list) and here else None

    @staticmethod
    def _ask(connection, function, arguments):
        try:
            return ask(connection, function, arguments)
        except psycopg.Error as error:
            return error


def test_every_function_answers_the_same_or_refuses_to_write(apart):
    apart.admin.execute("CREATE ROLE tourist")
    tour.prepare(apart.admin)
    both = Both(apart)
    try:
        tour.take(both.call)
    finally:
        apart.admin.execute("DROP ROLE tourist")

    assert both.wrong == []
    assert both.asked == tour.listed(apart.admin) - tour.NOT_CALLED
    assert READING <= both.asked


def test_the_refusal_leaves_the_connection_as_it_was(pair, tenants):
    tenant, connection = tenants.all[0], pair.connect()
    for _ in range(3):
        with pytest.raises(errors.ReadOnlySqlTransaction):
            call(connection, "session_refresh", refresh_token=tenant.refresh_token)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            tenants.shop.create(connection)
        assert call(connection, "session_verify", token=tenant.tokens["user"]).valid
        assert value(connection, "SELECT current_user") == "postgres"
        assert value(connection, "SHOW search_path") == '"$user", public'


def test_what_a_definition_wants_logged_is_silently_not_logged(pair, shop):
    shop.define(pair.admin, log_verify=True)
    session = shop.create(pair.admin)
    assert call(pair.admin, "session_verify", token=session.token).valid
    count = (
        "SELECT count(*) FROM dialstack.activity WHERE operation = 'verify' AND session_id = %s"
    )
    assert value(pair.admin, count, session.session_id) == 1
    pair.catch_up()
    connection = pair.connect()

    with connection.transaction():
        assert call(connection, "session_verify", token=session.token).valid
        assert call(connection, "session_require", token=session.token).valid
        assert not call(connection, "session_verify", token=session.token, scope="fax").valid

    pair.catch_up()
    assert value(connection, count, session.session_id) == 1
    assert value(pair.admin, count, session.session_id) == 1


def test_the_dashboard_counts_what_is_rolled_up_and_what_is_not(pair, shop):
    query = "SELECT dialstack.session_dashboard(%s, %s, end_at => %s)"
    arguments = shop.product, shop.tag, value(pair.admin, "SELECT now()")
    shop.create(pair.admin)
    call(pair.admin, "maintain")
    shop.create(pair.admin, "behind the mark")
    shop.revoke_all(pair.admin)
    connection = pair.connect()
    for _ in range(2):
        pair.catch_up()
        answer = value(connection, query, *arguments)
        assert answer == value(pair.admin, query, *arguments)
        assert (answer["totalSessions"], answer["revokedSessions"]) == (2, 1)
        call(pair.admin, "maintain")
