"""Whatever a plain role does, it is shown no row that a good token does not grant."""

import itertools
import json
import time

import psycopg
import pytest
from psycopg import errors, sql
from support.cluster import Cluster
from support.formats import b64, compact_json, unb64
from support.service import call, present, value
from world import FAMILIES, NOTHING, error

# Those that SHOW ALL names, and the two that it does not.
SETTINGS = (
    "dialstack_sessions.token",
    "dialstack_sessions.api_key",
    "dialstack_sessions.root_key_file",
    "dialstack_sessions.session_retention",
    "dialstack_sessions.verdict_cache_size",
    "dialstack_sessions.activity_retention",
    "dialstack_sessions.administration_retention",
    "dialstack_sessions.log_events",
    "dialstack_sessions.notify_revocations",
)


def attempt(connection, statement, arguments=None):
    """Runs what may well be refused."""
    try:
        with connection.transaction():
            connection.execute(statement, arguments)
    except psycopg.Error:
        return False
    return True


def claims(world, session):
    """What an access token of that session says."""
    now = int(time.time())
    return {
        "iss": "urn:uuid:00000000-0000-0000-0000-000000000000",
        "aud": f"{world.product}/{world.env}",
        "client_id": world.product,
        "sub": "user_1",
        "sid": str(session.session_id),
        "tag": world.shop.tag,
        "iat": now,
        "exp": now + 600,
        "jti": str(session.session_id),
    }


def guesses(world):
    """What somebody might set who knows everything but a token."""
    account = world.account_session(1)
    account_id = value(
        world.admin, "SELECT session_id FROM dialstack.session_verify(%s)", account.client_secret
    )
    user = world.user_session(1)
    header = {"typ": "at+jwt", "alg": "none", "kid": "1"}
    unsigned = f"{b64(compact_json(header))}.{b64(compact_json(claims(world, user)))}."
    # The right key number and session, with a MAC of nothing.
    body = unb64(account.client_secret.removeprefix("cs_live_"))
    unproven = "cs_live_" + b64(body[:20] + bytes(len(body) - 20))
    key = call(world.admin, "api_key_create", **world.place).api_key
    return {
        "account": "acct_1",
        "account session id": str(account_id),
        "tag and session id": f"{world.shop.tag}:{user.session_id}",
        "claims": json.dumps(claims(world, user)),
        "unsigned token": unsigned,
        "unproven token": unproven,
        "token of the other family": "cst" + account.client_secret.removeprefix("cs"),
        "refresh token": user.refresh_token,
        "API key": key,
        "superuser": "postgres",
        "quote": "' OR true --",
        "file": "/etc/passwd",
    }


WAYS = {
    "SET": "SET {} TO {}",
    "SET SESSION": "SET SESSION {} TO {}",
    "ALTER ROLE": "ALTER ROLE visitor SET {} TO {}",
    "ALTER DATABASE": "ALTER DATABASE postgres SET {} TO {}",
    "ALTER SYSTEM": "ALTER SYSTEM SET {} TO {}",
}


def setting(way, name, text):
    """The statement that sets it in this way."""
    name = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
    return sql.SQL(WAYS[way]).format(name, sql.Literal(text))


def test_the_settings_are_all_there_are(admin):
    value(admin, "SELECT dialstack.has_scope('any')")
    shown = admin.execute("SELECT name FROM pg_settings WHERE name LIKE 'dialstack_sessions.%'")
    assert {row.name for row in shown} == set(SETTINGS[2:])


def test_without_a_token_nothing_is_shown(world, visitor):
    for family in FAMILIES:
        world.token(family)
    assert world.seen(visitor) == NOTHING
    assert error(visitor) is None


# The token alone, and all others together without it.
TRIED = (SETTINGS[:1], SETTINGS[1:])


@pytest.mark.parametrize("loaded", [False, True], ids=["placeholder", "library_loaded"])
@pytest.mark.parametrize("way", WAYS)
def test_no_setting_makes_an_identity(world, visit, way, loaded):
    try:
        for names, text in itertools.product(TRIED, guesses(world).values()):
            with visit() as visitor:
                if loaded:
                    assert error(visitor) is None
                if any([attempt(visitor, setting(way, name, text)) for name in names]) and way == "ALTER ROLE":
                    # It is meant for the connections to come.
                    visitor = visit()
                assert world.seen(visitor) == NOTHING, (names, text)
                attempt(visitor, "ALTER ROLE visitor RESET ALL")
    finally:
        world.admin.execute("ALTER ROLE visitor RESET ALL")


def test_no_connection_option_makes_an_identity(world, roles):
    for name, text in itertools.product(SETTINGS, guesses(world).values()):
        try:
            connection = with_option(name, text)
        except psycopg.Error:
            continue
        with connection:
            assert world.seen(connection) == NOTHING, (name, text)


def with_option(name, text):
    escaped = text.replace("\\", "\\\\").replace(" ", "\\ ")
    return psycopg.connect(user="visitor", autocommit=True, options=f"-c {name}={escaped}")


@pytest.mark.parametrize("way", ["SET", "SET SESSION", "ALTER ROLE", "options", "placeholder"])
def test_in_the_same_ways_a_good_token_does(world, visit, way):
    """What proves that the attempts above could have succeeded."""
    token, name = world.token("account"), SETTINGS[0]
    visitor = visit()
    if way != "placeholder":
        assert error(visitor) is None
    try:
        if way == "options":
            visitor = with_option(name, token)
        else:
            visitor.execute(setting("SET" if way == "placeholder" else way, name, token))
        if way == "ALTER ROLE":
            visitor = visit()
        assert world.seen(visitor) == world.rows_of("account", 1)
    finally:
        world.admin.execute("ALTER ROLE visitor RESET ALL")
        visitor.close()


def test_set_config_and_set_local_make_no_identity(world, visitor):
    for names, text, local in itertools.product(TRIED, guesses(world).values(), (True, False)):
        with visitor.transaction(force_rollback=True):
            for name in names:
                attempt(visitor, "SELECT set_config(%s, %s, %s)", [name, text, local])
            assert world.seen(visitor) == NOTHING, (names, text, local)


def test_a_function_with_a_setting_makes_no_identity(world, visitor):
    text = guesses(world)["account session id"]
    assert error(visitor) is None
    visitor.execute(
        sql.SQL(
            "CREATE FUNCTION pg_temp.count_rows() RETURNS bigint LANGUAGE sql "
            "SET dialstack_sessions.token = {} AS {}"
        ).format(sql.Literal(text), sql.Literal(f"SELECT count(*) FROM {world.schema}.of_account"))
    )
    assert value(visitor, "SELECT pg_temp.count_rows()") == 0


def test_only_a_superuser_sets_what_belongs_to_the_server(visit, admin):
    """Also where a plain role set it before the library, and its rules, were loaded."""
    visitor = visit()
    visitor.execute("SET dialstack_sessions.session_retention = 0")
    visitor.execute("SET dialstack_sessions.root_key_file = '/tmp/mine'")

    value(visitor, "SELECT dialstack.has_scope('any')")

    assert value(visitor, "SHOW dialstack_sessions.session_retention") == "30d"
    with pytest.raises(errors.InsufficientPrivilege):
        visitor.execute("SHOW dialstack_sessions.root_key_file")
    for name in ("session_retention", "root_key_file"):
        with pytest.raises((errors.InsufficientPrivilege, errors.CantChangeRuntimeParam)):
            visitor.execute(f"SET dialstack_sessions.{name} = '1'")


# A good token, but not for here: it was made for another place.


def of_another_product(world):
    other = call(world.admin, "product_create", product=f"{world.product}-other")
    assert other
    call(world.admin, "env_create", product=f"{world.product}-other", env=world.env)
    return world.account_session(1, product=f"{world.product}-other").client_secret


def of_another_env(world):
    call(world.admin, "env_create", product=world.product, env="staging", live=False)
    return world.account_session(1, env="staging").client_secret


def of_another_database(world):
    """Same names, same cluster: its instance is another."""
    with Cluster.given().database("elsewhere") as elsewhere:
        call(elsewhere, "product_create", product=world.product)
        call(elsewhere, "env_create", **world.place)
        return call(elsewhere, "account_session_create", account="acct_1", **world.place).client_secret


STRANGERS = {
    of_another_product: None,
    of_another_env: None,
    of_another_database: "invalid",
}


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda f: f.__name__)
def test_a_token_that_is_not_for_here_shows_nothing(world, visitor, stranger):
    token = stranger(world)
    with visitor.transaction():
        present(visitor, token)
        assert world.seen(visitor) == NOTHING
        assert error(visitor) == STRANGERS[stranger]
