"""After pg_upgrade everything goes on: the tokens, the keys, what protects tables, figures and maintenance."""

import pytest
from before import ACCOUNT, DEVICES, figures
from psycopg import errors
from support.cluster import ROOT_KEY_FILE, configure
from support.objects import differences
from support.service import Shop, call, present, refresh, value, verify


def test_the_objects_are_those_of_a_new_installation(upgraded, after):
    upgraded.new.create_database("fresh")
    fresh = after(dbname="fresh")
    fresh.execute("CREATE EXTENSION dialstack_sessions")

    # The text of a view that went through a dump is another; what views return is compared below. And a dump leaves
    # out who may use the row type of a table.
    missing, more = differences(fresh, after(dbname="bare"), but=("view", "rule", "row type"))
    assert (missing, more) == ([], [])


def test_configuration_keys_grants_and_lint_answer_as_before(upgraded, before):
    assert upgraded.answers == before.answers


def test_figures_are_as_before_and_maintenance_counts_nothing_twice(upgraded, before):
    assert before.figures["totalSessions"] > 0 and before.figures["totalLogs"] > 0
    assert upgraded.figures == [before.figures] * 3


def test_maintenance_goes_on_where_it_was(upgraded, before, admin):
    users = figures(admin, before.shop)["totalUsers"]
    before.shop.create(admin, "heidi")
    value(admin, "SELECT dialstack.maintain()")
    # Transactions count on from those of the old server, or what follows would seem rolled up already.
    assert value(admin, "SELECT xid FROM dialstack.rollup_state") > before.rolled_up
    counted = "SELECT count(*) FROM dialstack.rollup_users WHERE identifier = 'heidi'"
    assert value(admin, counted) == 1
    assert figures(admin, before.shop)["totalUsers"] == users + 1


def test_old_access_tokens_verify_and_the_revoked_one_does_not(before, after):
    server = after("app_server")
    for session in (before.living, before.refreshed):
        verdict = verify(server, session.token, **before.shop.place)
        assert verdict.valid and verdict.session_id == session.session_id
    assert verify(server, before.living.token).data == {"userId": "user-0", "note": "private"}
    assert verify(server, before.dead.token).reason == "revoked"


def test_old_refresh_tokens_rotate_and_an_old_theft_is_still_one(before, after):
    server = after("app_server")
    new = refresh(server, before.refreshed.refresh_token)
    assert new.ok and new.session_id == before.refreshed.session_id
    assert verify(server, new.token).valid and refresh(server, new.refresh_token).ok
    assert refresh(server, before.dead.refresh_token).reason == "revoked"

    assert verify(server, before.stolen.token).valid
    assert refresh(server, before.spent).reason == "reused"
    assert verify(server, before.stolen.token).reason in ("revoked", "reused")


def test_client_secret_and_client_session_token_are_good(before, after):
    client = after("app_client")
    account = verify(client, before.account.client_secret, scope="call_logs")
    assert account.valid and account.account == "acct_1"
    assert verify(client, before.account.client_secret, scope="voicemails").reason == "scope_disabled"
    assert verify(client, before.client.token).valid


def with_key(connection, key):
    with connection.transaction():
        value(connection, "SELECT set_config('dialstack_sessions.api_key', %s, true)", key)
        return call(connection, "account_session_create", account="acct_2")


def test_an_old_api_key_is_good_and_the_revoked_one_is_not(before, after):
    client = after("app_client")
    created = with_key(client, before.api_key)
    assert verify(client, created.client_secret).valid
    with pytest.raises(errors.InsufficientPrivilege, match="^API_KEY_INVALID"):
        with_key(client, before.revoked_key)


def set_key_file(connection, path):
    # The server knows the setting once the library is loaded.
    connection.execute("LOAD 'dialstack_sessions'")
    configure(connection, ROOT_KEY_FILE, path)


def rows(connection, table, token):
    with connection.transaction():
        present(connection, token)
        return value(connection, f"SELECT count(*) FROM {table}")


def test_protected_tables_show_what_they_showed(before, after, admin):
    client = after("app_client")
    assert rows(client, "orders", before.living.token) == 3
    assert rows(client, "notes", before.living.token) == 1
    assert rows(client, "orders", before.dead.token) == rows(client, "orders", "") == 0
    assert rows(client, "devices", before.client.token) == DEVICES
    assert value(after("billing"), "SELECT count(*) FROM orders") == 9
    # The new one's devices are counted by what protect_table noted.
    client_session = call(admin, "client_session_create", connected_account_ids=[ACCOUNT], **before.place)
    assert client_session.device_count == DEVICES


def test_a_cause_still_revokes(before, after, admin):
    reader = after("app_server")
    assert verify(reader, before.erin.token).valid and verify(reader, before.frank.token).valid
    admin.execute("DELETE FROM users WHERE id = 'erin'")
    admin.execute("UPDATE users SET password_hash = 'new' WHERE id = 'frank'")
    assert verify(reader, before.erin.token).reason == "revoked"
    assert verify(reader, before.frank.token).reason == "revoked"


def test_new_sessions_live_and_die(before, after):
    server, other = after("app_server"), after("app_client")
    session = before.shop.create(server, "grace")
    assert verify(other, session.token).valid
    again = refresh(server, session.refresh_token)
    assert verify(other, again.token).valid
    assert before.shop.revoke(server, session.session_id) == 1
    assert verify(other, again.token).reason == "revoked"


def test_with_the_root_key_in_a_file_the_new_cluster_is_told_where_it_is(clusters):
    clusters = clusters("15", "--copy")
    # Given sessions under a key that is in a file, which the old cluster's configuration names
    path = clusters.old.write_root_key()
    with clusters.old.connect() as admin:
        admin.execute("CREATE EXTENSION dialstack_sessions")
        set_key_file(admin, path)
        assert value(admin, "SELECT dialstack.root_key_rotate()") == "file"
        shop = Shop.make(admin)
        session = shop.create(admin)

    clusters.upgrade()

    with clusters.new.connect() as admin:
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="^JWT_NOT_AVAILABLE"):
            verify(admin, session.token)
        set_key_file(admin, path)
        assert verify(admin, session.token).valid
        assert refresh(admin, session.refresh_token).ok
