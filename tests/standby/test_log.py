"""Events in the server log: on a standby as on a primary, without a secret, and not without end."""

import json
import time

import pytest
from psycopg import errors
from support.service import call, refresh, until, use_key, value

SETTING = "SET dialstack_sessions.log_events = 'reuse, revoke, administration, refused_key'"
ADMINISTRATION = "SELECT count(*) FROM dialstack.administration"


def written(cluster, connection):
    """The lines of this connection, once all of them are there."""
    end = f"the end {time.time_ns()}"
    connection.execute(f"DO $$ BEGIN RAISE LOG '{end}'; END $$")
    until(lambda: end in cluster.log_text(), "the server's log")
    mark = f"[{connection.info.backend_pid}]"
    return [line for line in cluster.log_text().splitlines() if mark in line]


def lines(cluster, connection):
    """The events that this connection has written."""
    found = written(cluster, connection)
    events = [line.partition("dialstack_sessions {")[2] for line in found if "LOG:  dialstack_sessions {" in line]
    return [json.loads("{" + event) for event in events]


def brief(events, *names):
    return [tuple(event.get(name) for name in ("event", *names)) for event in events]


def test_a_standby_logs_what_it_sees(apart):
    # Given a key that was revoked, and a refresh token that was used before
    call(apart.admin, "product_create", product="shop")
    call(apart.admin, "env_create", product="shop", env="production")
    call(apart.admin, "definition_create", product="shop", tag="web", name="Web", description="", expiry=1,
         schema='{"userId": "u"}', selector="$Session{userId}", period="hours", reuse_interval="0")
    place = {"product": "shop", "env": "production"}
    key = call(apart.admin, "api_key_create", **place)
    call(apart.admin, "api_key_revoke", api_key_id=key.api_key_id)
    session = call(apart.admin, "session_create", **place, tag="web", data='{"userId": "ann"}')
    assert refresh(apart.admin, session.refresh_token).ok
    recorded = value(apart.admin, ADMINISTRATION)
    apart.catch_up()

    # When they are presented to a standby, and an administrator reads there
    connection = apart.connect()
    connection.execute(SETTING)
    use_key(connection, key.api_key)
    with pytest.raises(errors.InsufficientPrivilege, match="^API_KEY_INVALID"):
        call(connection, "client_session_list")
    use_key(connection, "")
    with pytest.raises(errors.ReadOnlySqlTransaction):
        refresh(connection, session.refresh_token)
    assert call(connection, "user_export", product="shop", identifier="ann")

    # Then its log says so, and neither its tables nor the line any more
    found = lines(apart.standby, connection)
    assert brief(found, "reason", "api_key_id", "session_id", "tag", "function") == [
        ("refused_key", "revoked", str(key.api_key_id), None, None, None),
        ("reuse", None, None, str(session.session_id), "web", None),
        ("administration", None, None, None, None, "user_export"),
    ]
    assert found[2]["target"] == {"product": "shop", "withheld": ["identifier"]}
    assert {event["session_role"] for event in found} == {"postgres"}
    assert "ann" not in json.dumps(found)
    assert value(connection, ADMINISTRATION) == recorded


def test_a_primary_logs_what_happens_also_where_it_is_undone(pair, shop):
    connection = pair.primary.connect()
    shop.define(connection, reuse_interval="0", max_sessions=1)
    session = shop.create(connection)
    connection.execute(SETTING)
    with connection.transaction(force_rollback=True):
        shop.create(connection)
    assert refresh(connection, session.refresh_token).ok
    assert refresh(connection, session.refresh_token).reason == "reused"
    session = shop.create(connection)
    call(connection, "session_revoke_where", product=shop.product, dry_run=False, reason="a test")

    found = lines(pair.primary, connection)
    assert brief(found, "operation", "reason", "sessions", "function") == [
        ("revoke", "evict", "evicted", 1, None),
        ("reuse", None, None, None, None),
        ("revoke", "reuse", "reused", 1, None),
        ("revoke", "revoke", "a test", 1, None),
        ("administration", None, None, None, "session_revoke_where"),
    ]
    assert found[4]["effect"] == {"sessions": 1, "revoked": 1}
    connection.close()


def test_only_what_is_asked_for_is_logged_and_the_statement_never(pair, shop):
    connection = pair.primary.connect()
    session = shop.create(connection)
    connection.execute("SET dialstack_sessions.log_events = refused_key")
    shop.revoke(connection, session.session_id)
    secret = "sk_live_not-a-key-of-this-database"
    connection.execute(f"SET dialstack_sessions.api_key = '{secret}'")
    # The statement has the secret in it, and does not fail as a whole.
    connection.execute(
        f"DO $$ BEGIN PERFORM /* {secret} */ dialstack.account_session_create('a'); "
        "EXCEPTION WHEN insufficient_privilege THEN END $$"
    )
    assert brief(lines(pair.primary, connection), "reason", "api_key_id") == [("refused_key", "unknown", None)]
    assert secret not in pair.primary.log_text()
    connection.close()


def test_a_line_that_somebody_else_wrote_is_told_by_its_context(pair):
    connection = pair.primary.connect()
    connection.execute("SET dialstack_sessions.log_events = administration")
    connection.execute(
        """DO $$ BEGIN
               RAISE LOG 'dialstack_sessions {"event":"forged"}';
               PERFORM dialstack.access_forget('nobody');
           END $$"""
    )
    found = written(pair.primary, connection)
    for event, has_context in (("forged", True), ("administration", False)):
        [at] = [n for n, line in enumerate(found) if "LOG:  dialstack_sessions {" in line and f'"event":"{event}"' in line]
        assert ("CONTEXT:" in found[at + 1]) == has_context
    connection.close()


def test_a_flood_is_left_out_and_counted_and_hides_no_other_event(pair, shop):
    connection = pair.primary.connect()
    connection.execute(SETTING)
    connection.execute("SET dialstack_sessions.api_key = 'sk_live_x'")
    calls = 2000
    began = time.monotonic()
    connection.execute(
        f"DO $$ BEGIN FOR n IN 1..{calls} LOOP BEGIN PERFORM dialstack.account_session_create('a'); "
        "EXCEPTION WHEN insufficient_privilege THEN END; END LOOP; END $$"
    )
    took = time.monotonic() - began
    connection.execute("RESET dialstack_sessions.api_key")
    call(connection, "session_count", product=shop.product)
    time.sleep(0.2)
    connection.execute("SET dialstack_sessions.api_key = 'sk_live_x'")
    with pytest.raises(errors.InsufficientPrivilege):
        call(connection, "account_session_create", account="a")

    found = lines(pair.primary, connection)
    keys = [event for event in found if event["event"] == "refused_key"]
    written = [event for event in keys if "reason" in event]
    left_out = sum(event.get("left_out", 0) for event in keys)
    assert len(written) + left_out == calls + 1
    assert 100 <= len(written) <= 100 + 10 * (took + 1)
    assert any(event.get("limited") for event in keys) and left_out > 0
    assert [event["function"] for event in found if event["event"] == "administration"] == ["session_count"]
    connection.close()
