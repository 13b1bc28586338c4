"""Which limits count: by membership, with an API key, for policies and triggers; and what is stored of them."""

import pytest
from limits import AWAY, DENIED, HOME, grant, name, outcome, reach, rows
from psycopg import errors
from support import service
from support.service import Shop, call, keep_presenting, present, use_key, value, verify


def test_a_member_is_held_to_the_limits_of_its_group(admin, sessions, new_role, act):
    group = new_role(server=[HOME])
    member = new_role(f"IN ROLE {group}")
    member_of_member = new_role(f"IN ROLE {member}")
    for one in (member, member_of_member):
        assert reach(act(one), sessions) == {name(HOME)}


def test_what_a_role_has_from_several_adds_up(admin, sessions, new_role, act):
    one, other, everywhere = new_role(server=[HOME]), new_role(server=[AWAY[1]]), new_role(server=[None])
    both = new_role(f"IN ROLE {one}, {other}")
    connection = act(both)
    assert reach(connection, sessions) == {name(HOME), name(AWAY[1])}
    grant(admin, both, place=AWAY[0])
    assert reach(connection, sessions) == set(sessions)
    # Its own unlimited grant beside a limited group, and the other way round.
    assert reach(act(new_role(f"IN ROLE {one}", server=[None])), sessions) == set(sessions)
    assert reach(act(new_role(f"IN ROLE {everywhere}", server=[HOME])), sessions) == set(sessions)


def test_a_change_of_membership_counts_at_the_next_statement(admin, sessions, new_role, act):
    one, other = new_role(server=[HOME]), new_role(server=[AWAY[0]])
    connection = act(new_role(f"IN ROLE {one}"))
    assert reach(connection, sessions) == {name(HOME)}
    admin.execute(f"GRANT {other} TO limited_2")
    assert reach(connection, sessions) == {name(HOME), name(AWAY[0])}
    admin.execute(f"REVOKE {one} FROM limited_2")
    assert reach(connection, sessions) == {name(AWAY[0])}


def test_a_member_that_does_not_inherit_has_the_limits_only_as_the_group(sessions, new_role, connect):
    group = new_role(server=[HOME])
    member = new_role(f"NOINHERIT IN ROLE {group}", server=[AWAY[0]])
    with connect() as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {member}")
        assert reach(connection, sessions) == {name(AWAY[0])}
        connection.execute(f"SET ROLE {group}")
        assert reach(connection, sessions) == {name(HOME)}
        connection.execute("RESET ROLE")
        assert reach(connection, sessions) == {name(AWAY[0])}


def test_a_superuser_and_an_administrator_are_held_to_nothing(admin, sessions, new_role, act):
    group = new_role(server=[HOME])
    assert reach(act(new_role(f"SUPERUSER IN ROLE {group}")), sessions) == set(sessions)
    assert reach(act(new_role(f"IN ROLE {group}", admin=[None])), sessions) == set(sessions)
    connection = act(new_role(server=[HOME], admin=[None]))
    assert reach(connection, sessions) == set(sessions)
    call(admin, "revoke_access", role="limited_3", access="admin")
    assert reach(connection, sessions) == {name(HOME)}


def test_a_definers_function_has_the_limits_of_its_definer(admin, sessions, new_role, act):
    home, away = new_role(server=[HOME]), new_role(server=[AWAY[0]])
    admin.execute("CREATE SCHEMA limits")
    try:
        admin.execute(
            "CREATE FUNCTION limits.verify(token text) RETURNS boolean LANGUAGE sql SECURITY DEFINER "
            "AS 'SELECT valid FROM dialstack.session_verify(token)'"
        )
        admin.execute(f"ALTER FUNCTION limits.verify OWNER TO {away}; GRANT USAGE ON SCHEMA limits TO {home}")
        connection = act(home)
        for place, there in sessions.items():
            assert value(connection, "SELECT limits.verify(%s)", there["token"]) == (place == name(AWAY[0]))
            assert verify(connection, there["token"]).valid == (place == name(HOME))
    finally:
        admin.execute("DROP SCHEMA limits CASCADE")


def test_a_function_that_was_granted_by_itself_keeps_to_the_limits_of_the_level(admin, sessions, new_role, act):
    one = new_role(client=[HOME])
    admin.execute(f"GRANT EXECUTE ON FUNCTION dialstack.session_info(uuid) TO {one}")
    connection = act(one)
    statement = "SELECT identifier FROM dialstack.session_info(%(session_id)s)"
    assert outcome(connection, statement, sessions[name(HOME)]) == "user_456"
    assert outcome(connection, statement, sessions[name(AWAY[0])]) == DENIED


# With an API key.


@pytest.mark.parametrize("level", ["server", "client"])
@pytest.mark.parametrize("kind", ["secret", "publishable"])
def test_with_an_api_key_a_role_reaches_what_both_do(admin, sessions, new_role, act, level, kind):
    connection = act(new_role(**{level: [HOME, AWAY[1]]}))
    create = "SELECT user_identifier_key FROM dialstack.client_session_create('by-key', product => %(product)s, env => %(env)s)"
    for key_place in sessions:
        place = {key: sessions[key_place][key] for key in ("product", "env")}
        key = call(admin, "api_key_create", **place, kind=kind).api_key
        use_key(connection, key)
        for other, there in sessions.items():
            both = key_place == other and other in (name(HOME), name(AWAY[1]))
            assert outcome(connection, create, there) == ("by-key" if both else DENIED), (key_place, other)
            if level == "server" and kind == "secret":
                info = "SELECT identifier FROM dialstack.session_info(%(session_id)s)"
                assert outcome(connection, info, there) == ("user_456" if both else DENIED)


# Policies.


def test_a_token_from_elsewhere_is_nobody_for_policies(admin, sessions, new_role, connect):
    """Under every plan, with the answer of another role remembered, and as the role changes inside a transaction."""
    home, away = new_role(server=[HOME]), new_role(client=[{"product": "limits-one"}])
    admin.execute("CREATE SCHEMA limits; CREATE TABLE limits.orders (owner text NOT NULL)")
    try:
        admin.execute("INSERT INTO limits.orders SELECT 'user_456' FROM generate_series(1, 3)")
        admin.execute("ALTER TABLE limits.orders ENABLE ROW LEVEL SECURITY")
        admin.execute(f"GRANT USAGE ON SCHEMA limits TO {home}, {away}; GRANT SELECT ON limits.orders TO {home}, {away}")
        for helper in ("dialstack.current_identifier()", "(SELECT dialstack.current_identifier())"):
            admin.execute("DROP POLICY IF EXISTS own ON limits.orders")
            admin.execute(f"CREATE POLICY own ON limits.orders USING (owner = {helper})")
            connection = connect()
            for parallel in (False, True):
                service.force_parallel(connection, parallel)
                # The second time the verdict is remembered.
                for place in [*sessions, *sessions]:
                    with connection.transaction():
                        present(connection, sessions[place]["token"])
                        for one, within in ((home, {name(HOME)}), (away, {name(HOME), name(AWAY[0])})) * 2:
                            connection.execute(f"SET LOCAL ROLE {one}")
                            seen = value(connection, "SELECT count(*) FROM limits.orders")
                            assert seen == (3 if place in within else 0), (helper, parallel, place, one)
    finally:
        admin.execute("DROP SCHEMA limits CASCADE")


def test_a_limit_that_is_taken_away_counts_for_a_statement_that_is_prepared(admin, sessions, new_role, act):
    one = new_role(server=[HOME, AWAY[0]])
    connection = act(one)
    connection.execute("PREPARE who AS SELECT dialstack.current_identifier() AS who")
    keep_presenting(connection, sessions[name(AWAY[0])]["token"])
    assert value(connection, "EXECUTE who") == "user_456"
    with admin.transaction():
        call(admin, "revoke_access", role=one, access="server")
        grant(admin, one, place=HOME)
    assert value(connection, "EXECUTE who") is None
    assert value(connection, "SELECT dialstack.current_session_error()") == "mismatch"


# Triggers that revoke sessions.


def test_a_tables_owner_revokes_only_within_its_reach(admin, sessions, new_role, connect):
    owner = new_role(server=[HOME])
    admin.execute(f"CREATE SCHEMA limits AUTHORIZATION {owner}")
    try:
        admin.execute(f"CREATE TABLE limits.people (name text); ALTER TABLE limits.people OWNER TO {owner}")
        for place in [HOME, *AWAY]:
            within = place == HOME
            connection = connect()
            connection.execute(f"SET ROLE {owner}")
            delete = "DELETE FROM limits.people RETURNING true"
            with connection.transaction(force_rollback=True):
                connection.execute(
                    "CREATE TRIGGER mine AFTER DELETE ON limits.people FOR EACH ROW EXECUTE FUNCTION "
                    f"dialstack.revoke_on_change('{place['product']}', '{place['env']}', 'web', 'name')"
                )
                connection.execute("INSERT INTO limits.people VALUES ('user_456')")
                assert outcome(connection, delete, {}) == (True if within else DENIED)
            # Whoever makes them, they are the owner's.
            arguments = {"relation": "limits.people", "identifier_column": "name", **place}
            if within:
                call(admin, "revoke_sessions_on", **arguments)
                call(admin, "revoke_sessions_off", relation="limits.people")
            else:
                with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED: the access of the role"):
                    call(admin, "revoke_sessions_on", **arguments)
    finally:
        admin.execute("DROP SCHEMA limits CASCADE")


# What is stored.


def test_access_of_roles_says_which_role_has_which_level_where(admin, sessions, new_role):
    one = new_role(client=[None], server=[HOME, {"product": "limits-two"}])
    other = new_role(admin=[None], monitor=[None], client=[AWAY[0]])
    assert rows(admin, one, other) == [
        (one, "client", False, None, None, None),
        (one, "server", True, "limits-one", "production", None),
        (one, "server", True, "limits-two", None, None),
        (other, "client", True, "limits-one", "staging", None),
        (other, "monitor", False, None, None, None),
        (other, "admin", False, None, None, None),
    ]


@pytest.mark.parametrize("by", ["env_delete", "product_delete", "product of all"])
def test_a_role_whose_last_limit_is_deleted_reaches_nothing(admin, sessions, new_role, act, by):
    shop = Shop.make(admin)
    place = shop.home
    limit = {"product": shop.product} if by == "product of all" else place
    one = new_role(server=[limit])
    connection = act(one)
    token = shop.create(connection).token
    assert verify(connection, token).valid
    if by == "env_delete":
        call(admin, by, **place)
    else:
        call(admin, "product_delete", product=shop.product)
    # It is not of a product any more, nor is it one without limits.
    assert verify(connection, token).reason == "mismatch"
    assert reach(connection, sessions) == set()
    assert outcome(connection, "SELECT count(*) FROM dialstack.client_session_list()", {}) == DENIED
    assert rows(admin, one) == [(one, "server", True, None, None, "reaches nothing: no limit is left")]
    # One of the same name that is made later is another.
    if by == "env_delete":
        call(admin, "env_create", **place)
    else:
        Shop.make(admin)
    assert reach(connection, sessions) == set()
    grant(admin, one, place=HOME)
    assert reach(connection, sessions) == {name(HOME)}


def test_a_role_that_is_renamed_reaches_nothing_until_it_is_limited_anew(admin, sessions, new_role, act):
    one = new_role(server=[HOME])
    connection = act(one)
    assert reach(connection, sessions) == {name(HOME)}
    admin.execute(f"ALTER ROLE {one} RENAME TO limited_anew")
    try:
        assert reach(connection, sessions) == set()
        assert rows(admin, one, "limited_anew") == [
            (one, "server", True, *HOME.values(), "there is no such role"),
            ("limited_anew", "server", True, None, None, "reaches nothing: no limit is left"),
        ]
        grant(admin, "limited_anew", place=AWAY[0])
        assert reach(connection, sessions) == {name(AWAY[0])}
        # What is left of the name that was.
        assert call(admin, "access_forget", role_name=one)[0] == 1
        assert rows(admin, one) == []
        call(admin, "revoke_access", role="limited_anew", access="server")
    finally:
        admin.execute(f"ALTER ROLE limited_anew RENAME TO {one}")


def test_limits_without_the_level_are_a_finding_and_do_not_come_back(admin, sessions, new_role, act):
    one = new_role(server=[HOME])
    admin.execute(f"DROP OWNED BY {one}")
    left = (one, "server", True, *HOME.values(), "the role does not have the level")
    assert rows(admin, one) == [left]
    with pytest.raises(errors.InvalidParameterValue, match="^DEFINE_FAILED: there is a role of that name"):
        call(admin, "access_forget", role_name=one)
    # A member of another group that has the level does not get them.
    group = new_role(server=[AWAY[0]])
    admin.execute(f"GRANT {group} TO {one}")
    assert reach(act(one), sessions) == {name(AWAY[0])}
    grant(admin, one, place=AWAY[1])
    assert rows(admin, one) == [(one, "server", True, *AWAY[1].values(), None)]
    admin.execute(f"DROP OWNED BY {one}")
    call(admin, "revoke_access", role=one, access="server")
    assert rows(admin, one) == []


def test_an_edit_of_the_table_counts_at_the_next_statement(admin, sessions, new_role, act):
    one = new_role(server=[HOME])
    connection = act(one)
    assert reach(connection, sessions) == {name(HOME)}
    admin.execute("DELETE FROM dialstack.access_limits WHERE role_name = %s", [one])
    assert reach(connection, sessions) == set()
