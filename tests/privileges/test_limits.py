"""A role whose level is limited to some environments is refused everywhere else, in every function."""

import pytest
from limits import (
    ANYWHERE,
    AWAY,
    CALLS,
    DENIED,
    FAILED,
    HOME,
    PRESENTED,
    TRIGGER,
    grant,
    name,
    outcome,
    reach,
    rows,
)
from psycopg import Error, errors
from support import tour
from support.service import Shop, call, value, verify


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


def test_every_function_is_tried(admin):
    """A new function of level server or client needs a call in limits.py."""
    assert functions(admin, {"server", "client"}) == EVERY | ANYWHERE | TRIGGER


def test_within_its_limit_a_role_does_what_its_level_says(sessions, new_role, act):
    connection = act(new_role(server=[HOME]))
    assert outcomes(connection, sessions[name(HOME)], EVERY) == expected(EVERY, within=True)


@pytest.mark.parametrize("place", AWAY, ids=name)
def test_out_of_its_limit_a_role_is_refused_by_every_function(admin, sessions, new_role, act, place):
    connection = act(new_role(server=[HOME]))
    before = counts(admin, place)
    assert outcomes(connection, sessions[name(place)], EVERY) == expected(EVERY, within=False)
    assert counts(admin, place) == before


def counts(admin, place):
    return value(
        admin,
        "SELECT count(*) FROM dialstack.session_find(product => %s, env => %s, active_only => false)",
        *place.values(),
    )


@pytest.mark.parametrize("place", [HOME, *AWAY], ids=name)
def test_a_limited_client_verifies_within_its_limit_alone(admin, sessions, new_role, act, place):
    connection = act(new_role(client=[HOME]))
    # All else needs an API key, below.
    tried = {
        function
        for function in functions(admin, {"client"}) & EVERY
        if not function.startswith(("account_session", "client_session", "session_create"))
    }
    assert outcomes(connection, sessions[name(place)], tried) == expected(tried, within=place == HOME)


@pytest.mark.parametrize("place", AWAY, ids=name)
def test_a_call_that_names_the_product_alone_is_for_what_is_within_reach(sessions, new_role, act, place):
    connection, arguments = act(new_role(server=[HOME])), sessions[name(place)]
    same = place["product"] == HOME["product"]
    for statement, inside in {
        "SELECT string_agg(DISTINCT env, ',') FROM dialstack.session_users(product => %(product)s, tag => 'web')": HOME["env"],
        "SELECT string_agg(DISTINCT env, ',') FROM dialstack.session_activity_logs(product => %(product)s)": HOME["env"],
        "SELECT dialstack.session_revoke(product => %(product)s, identifier => 'user_456')": 1,
        "SELECT dialstack.session_dashboard(product => %(product)s, tag => 'web') ->> 'totalSessions'": "1",
        "SELECT account_id FROM dialstack.account_session_create('acct_1', product => %(product)s)": "acct_1",
    }.items():
        assert outcome(connection, statement, arguments) == (inside if same else DENIED), statement


def test_what_is_ambiguous_names_no_environment_out_of_reach(sessions, new_role, act):
    connection = act(new_role(server=[HOME, AWAY[0]]))
    with pytest.raises(errors.InvalidParameterValue) as refused:
        call(connection, "account_session_create", account="acct_1")
    assert refused.value.diag.message_detail == "There are production of limits-one, staging of limits-one."


@pytest.mark.parametrize(
    "limits",
    [[HOME], AWAY, [{"product": "limits-one"}], [HOME, {"product": "limits-two"}], [HOME, HOME]],
    ids=lambda limits: " and ".join(map(name, limits)),
)
def test_limits_add_up(sessions, new_role, act, limits):
    within = {place for place in sessions if any(place.startswith(name(limit)) for limit in limits)}
    assert reach(act(new_role(server=limits)), sessions) == within


def test_a_product_covers_the_environments_that_are_made_later(admin, new_role, act):
    shop = Shop.make(admin)
    connection = act(new_role(server=[{"product": shop.product}]))
    later = Shop(shop.product, "later")
    call(admin, "env_create", **later.home)
    assert verify(connection, later.create(connection).token).valid


def test_a_grant_without_limits_lifts_them_and_a_limited_one_sets_them(admin, sessions, new_role, act):
    one = new_role(server=[HOME])
    connection = act(one)
    assert reach(connection, sessions) == {name(HOME)}
    grant(admin, one)
    assert reach(connection, sessions) == set(sessions)
    # That alone: the limit of before does not come back.
    grant(admin, one, place=AWAY[0])
    assert reach(connection, sessions) == {name(AWAY[0])}
    call(admin, "revoke_access", role=one, access="server")
    with pytest.raises(errors.InsufficientPrivilege, match="^permission denied for schema"):
        verify(connection, "rubbish")
    grant(admin, one, place=AWAY[1])
    assert reach(connection, sessions) == {name(AWAY[1])}


def test_a_grant_that_is_undone_changes_no_limit(admin, sessions, new_role, connect):
    one = new_role(server=[HOME])
    with admin.transaction(force_rollback=True):
        grant(admin, one)
        admin.execute(f"SET LOCAL ROLE {one}")
        assert reach(admin, sessions) == set(sessions)
    admin.execute(f"SET ROLE {one}")
    assert reach(admin, sessions) == {name(HOME)}
    admin.execute("RESET ROLE")


def test_each_level_has_limits_of_its_own(sessions, new_role, act):
    """What counts are the grants of a level that allows the function."""
    connection = act(new_role(client=[None], server=[HOME]))
    away = sessions[name(AWAY[0])]
    assert verify(connection, away["token"]).valid
    assert outcome(connection, "SELECT valid FROM dialstack.session_require(%(token)s)", away) == FAILED


@pytest.mark.parametrize("level", ["admin", "monitor"])
def test_an_administrator_and_a_monitor_have_no_limits(admin, new_role, level):
    one = new_role()
    for place in (HOME, {"product": "limits-one"}, {"env": "production"}, {"product": "no such product"}):
        with pytest.raises(errors.InvalidParameterValue, match=f"^DEFINE_FAILED: access of level {level} can't be"):
            grant(admin, one, level, place)
    assert rows(admin, one) == []


def test_a_limit_is_of_something_that_is_there(admin, sessions, new_role):
    one = new_role()
    for place, code in (
        ({"product": "no such product"}, "PRODUCT_NOT_FOUND"),
        ({**HOME, "env": "no such env"}, "ENV_NOT_FOUND"),
        ({"env": "production"}, "DEFINE_FAILED: product is needed"),
    ):
        with pytest.raises(Error, match=f"^{code}"):
            grant(admin, one, place=place)
    assert rows(admin, one) == []


def test_the_figures_of_level_monitor_are_of_all_environments_beside_a_limited_server(sessions, new_role, act):
    statement = "SELECT dialstack.session_dashboard(product => %(product)s, env => %(env)s, tag => 'web') IS NOT NULL"
    away = sessions[name(AWAY[0])]
    assert outcome(act(new_role(server=[HOME])), statement, away) == DENIED
    both = act(new_role(server=[HOME], monitor=[None]))
    assert outcome(both, statement, away)
    assert reach(both, sessions) == {name(HOME)}
