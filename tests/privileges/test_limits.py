"""A role whose level is limited to some environments is refused everywhere else, in every function."""

import pytest
from limits import ANYWHERE, CALLS, DENIED, FAILED, PRESENTED, TRIGGER
from psycopg import Error, errors
from support import service, tour
from support.service import Shop, call, value, verify

HOME = {"product": "limits-one", "env": "production"}
# Another environment of the product, and another product.
AWAY = [{"product": "limits-one", "env": "staging"}, {"product": "limits-two", "env": "production"}]


def name(place):
    return "/".join(place.values())


@pytest.fixture(scope="session")
def stage(installed):
    """In each place a session of each kind, by the names that the calls use."""
    stage = {}
    with service.connect() as admin:
        for product in ("limits-one", "limits-two"):
            call(admin, "product_create", product=product)
            Shop(product).define(admin, expiry=1, period="hours")
        for place in [HOME, *AWAY]:
            call(admin, "env_create", **place)
            user = Shop(**place).create(admin)
            client = call(admin, "client_session_create", user_identifier_key="user-key", **place)
            stage[name(place)] = {
                **place,
                "token": user.token,
                "refresh_token": user.refresh_token,
                "session_id": user.session_id,
                "likewise": f"session {user.session_id}",
                "client_secret": call(admin, "account_session_create", account="acct_1", **place).client_secret,
                "client_token": client.token,
                "client_session_id": client.client_session_id,
            }
    return stage


def grant(admin, role, level="server", place=None):
    return call(admin, "grant_access", role=role, access=level, **(place or {}))


@pytest.fixture
def role(admin, request):
    """Makes roles that are gone after the test."""
    made = []

    def make(options="", **granted):
        made.append(f"limited_{len(made)}")
        admin.execute(f"CREATE ROLE {made[-1]} {options}")
        for level, places in granted.items():
            for place in places:
                grant(admin, made[-1], level, place)
        return made[-1]

    yield make
    for one in made:
        admin.execute(f"DROP OWNED BY {one}; DROP ROLE {one}")
        call(admin, "access_forget", role_name=one)


@pytest.fixture
def act(connect):
    """Opens a connection that acts as a role."""

    def open_one(role):
        connection = connect()
        connection.execute(f"SET ROLE {role}")
        return connection

    return open_one


def outcome(connection, statement, arguments, token=None):
    """The first value that a statement returns, or the code of its error. It leaves nothing behind."""
    try:
        with connection.transaction(force_rollback=True):
            if token:
                connection.execute("SELECT set_config('dialstack_sessions.token', %s, true)", [token])
            return connection.execute(statement, arguments).fetchone()[0]
    except Error as error:
        return error.diag.message_primary.partition(":")[0]


def outcomes(connection, arguments, functions):
    """What each call of these functions comes to."""
    found = {}
    for function in functions & set(CALLS):
        for statement, *_ in CALLS[function]:
            found[function, statement] = outcome(connection, statement, arguments)
    for function in functions & set(PRESENTED):
        token, statement, *_ = PRESENTED[function]
        found[function, "presented"] = outcome(connection, statement, arguments, arguments[token])
    return found


def expected(functions, within):
    """What each call comes to within reach, or out of it."""
    wanted = {}
    for function in functions & set(CALLS):
        for statement, inside, outside in CALLS[function]:
            wanted[function, statement] = inside if within else outside
    for function in functions & set(PRESENTED):
        _, _, inside, outside = PRESENTED[function]
        wanted[function, "presented"] = inside if within else outside
    return wanted


def functions(admin, levels):
    """The functions that one of these levels allows, by the names that tour.listed() gives them."""
    return tour.listed(admin, levels)


EVERY = set(CALLS) | set(PRESENTED)


def sees(connection, there):
    """Whether the session is anybody for the connection's role: by its token, and in a list."""
    arguments = {"product": there["product"], "env": there["env"], "tag": "web"}
    verified = outcome(connection, "SELECT valid FROM dialstack.session_verify(%(token)s)", there)
    statement = (
        "SELECT count(*) FROM dialstack.session_list(product => %(product)s, env => %(env)s, tag => %(tag)s)"
    )
    listed = outcome(connection, statement, arguments)
    assert (verified, listed) in ((True, 1), (False, DENIED)), (verified, listed)
    return verified


def reach(connection, stage):
    """The places that are within the reach of a role of level server."""
    return {place for place, there in stage.items() if sees(connection, there)}


def test_every_function_is_tried(admin):
    """A new function of level server or client needs a call in limits.py."""
    assert functions(admin, {"server", "client"}) == EVERY | ANYWHERE | TRIGGER


def test_within_its_limit_a_role_does_what_its_level_says(stage, role, act):
    connection = act(role(server=[HOME]))
    assert outcomes(connection, stage[name(HOME)], EVERY) == expected(EVERY, within=True)


@pytest.mark.parametrize("place", AWAY, ids=name)
def test_out_of_its_limit_a_role_is_refused_by_every_function(admin, stage, role, act, place):
    connection = act(role(server=[HOME]))
    before = counts(admin, place)
    assert outcomes(connection, stage[name(place)], EVERY) == expected(EVERY, within=False)
    assert counts(admin, place) == before


def counts(admin, place):
    return value(
        admin,
        "SELECT count(*) FROM dialstack.session_find(product => %s, env => %s, active_only => false)",
        *place.values(),
    )


@pytest.mark.parametrize("place", [HOME, *AWAY], ids=name)
def test_a_limited_client_verifies_within_its_limit_alone(admin, stage, role, act, place):
    connection = act(role(client=[HOME]))
    # All else needs an API key, below.
    tried = {
        function
        for function in functions(admin, {"client"}) & EVERY
        if not function.startswith(("account_session", "client_session", "session_create"))
    }
    assert outcomes(connection, stage[name(place)], tried) == expected(tried, within=place == HOME)


@pytest.mark.parametrize("place", AWAY, ids=name)
def test_a_call_that_names_the_product_alone_is_for_what_is_within_reach(stage, role, act, place):
    connection, arguments = act(role(server=[HOME])), stage[name(place)]
    same = place["product"] == HOME["product"]
    for statement, inside in {
        "SELECT string_agg(DISTINCT env, ',') FROM dialstack.session_users(product => %(product)s, tag => 'web')": HOME["env"],
        "SELECT string_agg(DISTINCT env, ',') FROM dialstack.session_activity_logs(product => %(product)s)": HOME["env"],
        "SELECT dialstack.session_revoke(product => %(product)s, identifier => 'user_456')": 1,
        "SELECT dialstack.session_dashboard(product => %(product)s, tag => 'web') ->> 'totalSessions'": "1",
        "SELECT account_id FROM dialstack.account_session_create('acct_1', product => %(product)s)": "acct_1",
    }.items():
        assert outcome(connection, statement, arguments) == (inside if same else DENIED), statement


def test_what_is_ambiguous_names_no_environment_out_of_reach(stage, role, act):
    connection = act(role(server=[HOME, AWAY[0]]))
    with pytest.raises(errors.InvalidParameterValue) as refused:
        call(connection, "account_session_create", account="acct_1")
    assert refused.value.diag.message_detail == "There are production of limits-one, staging of limits-one."


@pytest.mark.parametrize(
    "limits",
    [[HOME], AWAY, [{"product": "limits-one"}], [HOME, {"product": "limits-two"}], [HOME, HOME]],
    ids=lambda limits: " and ".join(map(name, limits)),
)
def test_limits_add_up(stage, role, act, limits):
    within = {place for place in stage if any(place.startswith(name(limit)) for limit in limits)}
    assert reach(act(role(server=limits)), stage) == within


def test_a_product_covers_the_environments_that_are_made_later(admin, role, act):
    shop = Shop.make(admin)
    connection = act(role(server=[{"product": shop.product}]))
    later = Shop(shop.product, "later")
    call(admin, "env_create", product=later.product, env=later.env)
    assert verify(connection, later.create(connection).token).valid


def test_a_grant_without_limits_lifts_them_and_a_limited_one_sets_them(admin, stage, role, act):
    one = role(server=[HOME])
    connection = act(one)
    assert reach(connection, stage) == {name(HOME)}
    grant(admin, one)
    assert reach(connection, stage) == set(stage)
    # That alone: the limit of before does not come back.
    grant(admin, one, place=AWAY[0])
    assert reach(connection, stage) == {name(AWAY[0])}
    call(admin, "revoke_access", role=one, access="server")
    with pytest.raises(errors.InsufficientPrivilege, match="^permission denied for schema"):
        verify(connection, "rubbish")
    grant(admin, one, place=AWAY[1])
    assert reach(connection, stage) == {name(AWAY[1])}


def test_a_grant_that_is_undone_changes_no_limit(admin, stage, role, connect):
    one = role(server=[HOME])
    with admin.transaction(force_rollback=True):
        grant(admin, one)
        admin.execute(f"SET LOCAL ROLE {one}")
        assert reach(admin, stage) == set(stage)
    admin.execute(f"SET ROLE {one}")
    assert reach(admin, stage) == {name(HOME)}
    admin.execute("RESET ROLE")


def test_each_level_has_limits_of_its_own(stage, role, act):
    """What counts are the grants of a level that allows the function."""
    connection = act(role(client=[None], server=[HOME]))
    away = stage[name(AWAY[0])]
    assert verify(connection, away["token"]).valid
    assert outcome(connection, "SELECT valid FROM dialstack.session_require(%(token)s)", away) == FAILED


@pytest.mark.parametrize("level", ["admin", "monitor"])
def test_an_administrator_and_a_monitor_have_no_limits(admin, role, level):
    one = role()
    for place in (HOME, {"product": "limits-one"}, {"env": "production"}, {"product": "no such product"}):
        with pytest.raises(errors.InvalidParameterValue, match=f"^DEFINE_FAILED: access of level {level} can't be"):
            grant(admin, one, level, place)
    assert rows(admin, one) == []


def test_a_limit_is_of_something_that_is_there(admin, stage, role):
    one = role()
    for place, code in (
        ({"product": "no such product"}, "PRODUCT_NOT_FOUND"),
        ({**HOME, "env": "no such env"}, "ENV_NOT_FOUND"),
        ({"env": "production"}, "DEFINE_FAILED: product is needed"),
    ):
        with pytest.raises(Error, match=f"^{code}"):
            grant(admin, one, place=place)
    assert rows(admin, one) == []


def test_the_figures_of_level_monitor_are_of_all_environments_beside_a_limited_server(stage, role, act):
    statement = "SELECT dialstack.session_dashboard(product => %(product)s, env => %(env)s, tag => 'web') IS NOT NULL"
    away = stage[name(AWAY[0])]
    assert outcome(act(role(server=[HOME])), statement, away) == DENIED
    both = act(role(server=[HOME], monitor=[None]))
    assert outcome(both, statement, away)
    assert reach(both, stage) == {name(HOME)}


# Membership.


def test_a_member_is_held_to_the_limits_of_its_group(admin, stage, role, act):
    group = role(server=[HOME])
    member = role(f"IN ROLE {group}")
    member_of_member = role(f"IN ROLE {member}")
    for one in (member, member_of_member):
        assert reach(act(one), stage) == {name(HOME)}


def test_what_a_role_has_from_several_adds_up(admin, stage, role, act):
    one, other, everywhere = role(server=[HOME]), role(server=[AWAY[1]]), role(server=[None])
    both = role(f"IN ROLE {one}, {other}")
    connection = act(both)
    assert reach(connection, stage) == {name(HOME), name(AWAY[1])}
    grant(admin, both, place=AWAY[0])
    assert reach(connection, stage) == set(stage)
    # Its own unlimited grant beside a limited group, and the other way round.
    assert reach(act(role(f"IN ROLE {one}", server=[None])), stage) == set(stage)
    assert reach(act(role(f"IN ROLE {everywhere}", server=[HOME])), stage) == set(stage)


def test_a_change_of_membership_counts_at_the_next_statement(admin, stage, role, act):
    one, other = role(server=[HOME]), role(server=[AWAY[0]])
    connection = act(role(f"IN ROLE {one}"))
    assert reach(connection, stage) == {name(HOME)}
    admin.execute(f"GRANT {other} TO limited_2")
    assert reach(connection, stage) == {name(HOME), name(AWAY[0])}
    admin.execute(f"REVOKE {one} FROM limited_2")
    assert reach(connection, stage) == {name(AWAY[0])}


def test_a_member_that_does_not_inherit_has_the_limits_only_as_the_group(stage, role, connect):
    group = role(server=[HOME])
    member = role(f"NOINHERIT IN ROLE {group}", server=[AWAY[0]])
    with connect() as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {member}")
        assert reach(connection, stage) == {name(AWAY[0])}
        connection.execute(f"SET ROLE {group}")
        assert reach(connection, stage) == {name(HOME)}
        connection.execute("RESET ROLE")
        assert reach(connection, stage) == {name(AWAY[0])}


def test_a_superuser_and_an_administrator_are_held_to_nothing(admin, stage, role, act):
    group = role(server=[HOME])
    assert reach(act(role(f"SUPERUSER IN ROLE {group}")), stage) == set(stage)
    assert reach(act(role(f"IN ROLE {group}", admin=[None])), stage) == set(stage)
    connection = act(role(server=[HOME], admin=[None]))
    assert reach(connection, stage) == set(stage)
    call(admin, "revoke_access", role="limited_3", access="admin")
    assert reach(connection, stage) == {name(HOME)}


def test_a_definers_function_has_the_limits_of_its_definer(admin, stage, role, act):
    home, away = role(server=[HOME]), role(server=[AWAY[0]])
    admin.execute("CREATE SCHEMA limits")
    try:
        admin.execute(
            "CREATE FUNCTION limits.verify(token text) RETURNS boolean LANGUAGE sql SECURITY DEFINER "
            "AS 'SELECT valid FROM dialstack.session_verify(token)'"
        )
        admin.execute(f"ALTER FUNCTION limits.verify OWNER TO {away}; GRANT USAGE ON SCHEMA limits TO {home}")
        connection = act(home)
        for place, there in stage.items():
            assert value(connection, "SELECT limits.verify(%s)", there["token"]) == (place == name(AWAY[0]))
            assert verify(connection, there["token"]).valid == (place == name(HOME))
    finally:
        admin.execute("DROP SCHEMA limits CASCADE")


def test_a_function_that_was_granted_by_itself_keeps_to_the_limits_of_the_level(admin, stage, role, act):
    one = role(client=[HOME])
    admin.execute(f"GRANT EXECUTE ON FUNCTION dialstack.session_info(uuid) TO {one}")
    connection = act(one)
    statement = "SELECT identifier FROM dialstack.session_info(%(session_id)s)"
    assert outcome(connection, statement, stage[name(HOME)]) == "user_456"
    assert outcome(connection, statement, stage[name(AWAY[0])]) == DENIED


# With an API key.


@pytest.mark.parametrize("level", ["server", "client"])
@pytest.mark.parametrize("kind", ["secret", "publishable"])
def test_with_an_api_key_a_role_reaches_what_both_do(admin, stage, role, act, level, kind):
    connection = act(role(**{level: [HOME, AWAY[1]]}))
    create = "SELECT user_identifier_key FROM dialstack.client_session_create('by-key', product => %(product)s, env => %(env)s)"
    for key_place in stage:
        place = {key: stage[key_place][key] for key in ("product", "env")}
        key = call(admin, "api_key_create", **place, kind=kind).api_key
        connection.execute("SELECT set_config('dialstack_sessions.api_key', %s, false)", [key])
        for other, there in stage.items():
            both = key_place == other and other in (name(HOME), name(AWAY[1]))
            assert outcome(connection, create, there) == ("by-key" if both else DENIED), (key_place, other)
            if level == "server" and kind == "secret":
                info = "SELECT identifier FROM dialstack.session_info(%(session_id)s)"
                assert outcome(connection, info, there) == ("user_456" if both else DENIED)


# Policies.


def test_a_token_from_elsewhere_is_nobody_for_policies(admin, stage, role, connect):
    """Under every plan, with the answer of another role remembered, and as the role changes inside a transaction."""
    home, away = role(server=[HOME]), role(client=[{"product": "limits-one"}])
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
                for place in [*stage, *stage]:
                    with connection.transaction():
                        connection.execute("SELECT set_config('dialstack_sessions.token', %s, true)", [stage[place]["token"]])
                        for one, within in ((home, {name(HOME)}), (away, {name(HOME), name(AWAY[0])})) * 2:
                            connection.execute(f"SET LOCAL ROLE {one}")
                            seen = value(connection, "SELECT count(*) FROM limits.orders")
                            assert seen == (3 if place in within else 0), (helper, parallel, place, one)
    finally:
        admin.execute("DROP SCHEMA limits CASCADE")


def test_a_limit_that_is_taken_away_counts_for_a_statement_that_is_prepared(admin, stage, role, act):
    one = role(server=[HOME, AWAY[0]])
    connection = act(one)
    connection.execute("PREPARE who AS SELECT dialstack.current_identifier() AS who")
    connection.execute("SELECT set_config('dialstack_sessions.token', %s, false)", [stage[name(AWAY[0])]["token"]])
    assert value(connection, "EXECUTE who") == "user_456"
    with admin.transaction():
        call(admin, "revoke_access", role=one, access="server")
        grant(admin, one, place=HOME)
    assert value(connection, "EXECUTE who") is None
    assert value(connection, "SELECT dialstack.current_session_error()") == "mismatch"


# Triggers that revoke sessions.


def test_a_tables_owner_revokes_only_within_its_reach(admin, stage, role, connect):
    owner = role(server=[HOME])
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


def rows(admin, *roles):
    return [
        tuple(row)
        for row in admin.execute(
            "SELECT * FROM dialstack.access_of_roles() WHERE role = ANY (%s)", [list(roles)]
        )
    ]


def test_access_of_roles_says_which_role_has_which_level_where(admin, stage, role):
    one = role(client=[None], server=[HOME, {"product": "limits-two"}])
    other = role(admin=[None], monitor=[None], client=[AWAY[0]])
    assert rows(admin, one, other) == [
        (one, "client", False, None, None, None),
        (one, "server", True, "limits-one", "production", None),
        (one, "server", True, "limits-two", None, None),
        (other, "client", True, "limits-one", "staging", None),
        (other, "monitor", False, None, None, None),
        (other, "admin", False, None, None, None),
    ]


@pytest.mark.parametrize("by", ["env_delete", "product_delete", "product of all"])
def test_a_role_whose_last_limit_is_deleted_reaches_nothing(admin, stage, role, act, by):
    shop = Shop.make(admin)
    place = {"product": shop.product, "env": shop.env}
    limit = {"product": shop.product} if by == "product of all" else place
    one = role(server=[limit])
    connection = act(one)
    token = shop.create(connection).token
    assert verify(connection, token).valid
    if by == "env_delete":
        call(admin, by, **place)
    else:
        call(admin, "product_delete", product=shop.product)
    # It is not of a product any more, nor is it one without limits.
    assert verify(connection, token).reason == "mismatch"
    assert reach(connection, stage) == set()
    assert outcome(connection, "SELECT count(*) FROM dialstack.client_session_list()", {}) == DENIED
    assert rows(admin, one) == [(one, "server", True, None, None, "reaches nothing: no limit is left")]
    # One of the same name that is made later is another.
    if by == "env_delete":
        call(admin, "env_create", **place)
    else:
        Shop.make(admin)
    assert reach(connection, stage) == set()
    grant(admin, one, place=HOME)
    assert reach(connection, stage) == {name(HOME)}


def test_a_role_that_is_renamed_reaches_nothing_until_it_is_limited_anew(admin, stage, role, act):
    one = role(server=[HOME])
    connection = act(one)
    assert reach(connection, stage) == {name(HOME)}
    admin.execute(f"ALTER ROLE {one} RENAME TO limited_anew")
    try:
        assert reach(connection, stage) == set()
        assert rows(admin, one, "limited_anew") == [
            (one, "server", True, *HOME.values(), "there is no such role"),
            ("limited_anew", "server", True, None, None, "reaches nothing: no limit is left"),
        ]
        grant(admin, "limited_anew", place=AWAY[0])
        assert reach(connection, stage) == {name(AWAY[0])}
        # What is left of the name that was.
        assert call(admin, "access_forget", role_name=one)[0] == 1
        assert rows(admin, one) == []
        call(admin, "revoke_access", role="limited_anew", access="server")
    finally:
        admin.execute(f"ALTER ROLE limited_anew RENAME TO {one}")


def test_limits_without_the_level_are_a_finding_and_do_not_come_back(admin, stage, role, act):
    one = role(server=[HOME])
    admin.execute(f"DROP OWNED BY {one}")
    left = (one, "server", True, *HOME.values(), "the role does not have the level")
    assert rows(admin, one) == [left]
    with pytest.raises(errors.InvalidParameterValue, match="^DEFINE_FAILED: there is a role of that name"):
        call(admin, "access_forget", role_name=one)
    # A member of another group that has the level does not get them.
    group = role(server=[AWAY[0]])
    admin.execute(f"GRANT {group} TO {one}")
    assert reach(act(one), stage) == {name(AWAY[0])}
    grant(admin, one, place=AWAY[1])
    assert rows(admin, one) == [(one, "server", True, *AWAY[1].values(), None)]
    admin.execute(f"DROP OWNED BY {one}")
    call(admin, "revoke_access", role=one, access="server")
    assert rows(admin, one) == []


def test_an_edit_of_the_table_counts_at_the_next_statement(admin, stage, role, act):
    one = role(server=[HOME])
    connection = act(one)
    assert reach(connection, stage) == {name(HOME)}
    admin.execute("DELETE FROM dialstack.access_limits WHERE role_name = %s", [one])
    assert reach(connection, stage) == set()
