"""PostgREST itself, configured as the manual says."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.service import Shop, call, revoke_active_key, until
from support.tenants import KINDS, ROWS

import server
from conftest import ANONYMOUS, AUTHENTICATOR, MEMBER

pytestmark = pytest.mark.skipif(not server.PROGRAM, reason="there is no PostgREST")

EVERY = pytest.mark.parametrize("kind", KINDS)

# What a project of its own would add: where PostgREST finds the keys, and what it publishes.
_SETUP = f"""
CREATE SCHEMA postgrest;
CREATE FUNCTION postgrest.pre_config() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_catalog.set_config('pgrst.jwt_secret', dialstack.jwks()::text, true) $$;
REVOKE EXECUTE ON FUNCTION postgrest.pre_config FROM PUBLIC;
GRANT USAGE ON SCHEMA postgrest TO {AUTHENTICATOR};
GRANT EXECUTE ON FUNCTION postgrest.pre_config TO {AUTHENTICATOR};
CREATE FUNCTION tenants.me() RETURNS json LANGUAGE sql STABLE
AS $$ SELECT json_build_object('role', current_user, 'identifier', dialstack.current_identifier()) $$;
CREATE FUNCTION tenants.log_out() RETURNS bigint LANGUAGE sql
AS $$ SELECT dialstack.session_end() $$;
CREATE FUNCTION tenants.calls() RETURNS text LANGUAGE plpgsql STABLE
AS $$ BEGIN PERFORM dialstack.require_scope('call_logs'); RETURN 'calls'; END $$;
CREATE FUNCTION tenants.account(product text, env text) RETURNS text LANGUAGE sql
AS $$ SELECT client_secret FROM dialstack.account_session_create('acct', product => product, env => env) $$;
CREATE FUNCTION tenants.key(key text) RETURNS text LANGUAGE plpgsql
AS $$ BEGIN PERFORM set_config('dialstack_sessions.api_key', key, true); RETURN dialstack.client_session_revoke(gen_random_uuid()); END $$;
CREATE FUNCTION tenants.log_in(product text, env text, tag text) RETURNS text LANGUAGE sql SECURITY DEFINER
AS $$ SELECT token FROM dialstack.session_create(product, env, tag, '{{"userId": "one"}}') $$;
"""


def use_alg(connection, alg):
    call(connection, "signing_key_rotate", alg=alg)


@pytest.fixture(scope="module")
def rest(tenants, request):
    from support import service

    with service.connect() as connection:
        use_alg(connection, "ES256")
        connection.execute(_SETUP)
        for tenant in tenants.all:
            tenant.tokens["user"] = tenants.shop.create(connection, tenant.name).token
    rest = server.Server(
        "postgrest",
        AUTHENTICATOR,
        db_schemas="tenants",
        db_anon_role=ANONYMOUS,
        db_pre_request="dialstack.postgrest_pre_request",
        db_pre_config="postgrest.pre_config",
        jwt_role_claim_key=".tag",
        jwt_aud=f"{tenants.shop.product}/{tenants.shop.env}",
    )
    request.addfinalizer(rest.stop)
    return rest


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def own(token):
    return {"X-Session-Token": token}


def owners(rest, kind, headers=None):
    answer = rest.get(f"/by_{kind}?select=owner", headers)
    assert answer.status == 200, answer
    return [row["owner"] for row in answer.body]


def me(rest, headers=None):
    return rest.get("/rpc/me", headers).body


def test_a_request_without_a_token_sees_nothing(rest):
    assert [owners(rest, kind) for kind in KINDS] == [[], [], []]
    assert me(rest) == {"role": ANONYMOUS, "identifier": None}


def test_an_access_token_is_a_bearer_token(rest, tenants):
    for tenant in tenants.all:
        headers = bearer(tenant.tokens["user"])
        assert owners(rest, "user", headers) == [tenant.name] * ROWS
        assert owners(rest, "account", headers) == []
        # PostgREST takes the role from the tag.
        assert me(rest, headers) == {"role": MEMBER, "identifier": tenant.name}


@EVERY
def test_every_token_goes_into_the_header_of_our_own(rest, tenants, kind):
    for tenant in tenants.all:
        assert owners(rest, kind, own(tenant.tokens[kind])) == [tenant.name] * ROWS


@pytest.mark.parametrize("kind", ["account", "client"])
def test_postgrest_refuses_other_tokens_as_bearer_tokens(rest, tenants, kind):
    assert rest.get(f"/by_{kind}", bearer(tenants.all[0].tokens[kind])).status == 401


def test_browsers_of_other_origins_may_send_the_header(rest):
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-session-token",
    }
    answer = rest.ask("OPTIONS", "/by_user", asked)
    assert answer.status in (200, 204)
    assert "x-session-token" in answer.headers["Access-Control-Allow-Headers"].lower()


def test_both_headers_at_once(rest, tenants):
    first, second = tenants.all[:2]
    headers = {**bearer(first.tokens["user"]), **own(second.tokens["client"])}
    assert owners(rest, "client", headers) == [second.name] * ROWS
    assert owners(rest, "user", headers) == []


def test_a_token_that_is_not_good_is_refused(rest, tenants):
    good = tenants.all[0].tokens["user"]
    assert rest.get("/by_user", bearer(good[:-4])).status == 401
    answer = rest.get("/by_user", own(good[:-4]))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.body == {
        "code": "PT401",
        "message": "VERIFY_FAILED: the token is not valid",
        "details": "reason: invalid",
        "hint": "Sign in again.",
    }


def refusal(rest, path, headers=None, **body):
    """The status of a refused call and the code that its message begins with."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    answer = rest.ask("POST", path, headers, json.dumps(body))
    assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)
    return answer.status, answer.body["message"].split(":")[0]


@pytest.mark.parametrize("present", [bearer, own])
def test_refusals_have_the_status_that_fits(rest, tenants, admin, present):
    user = present(tenants.all[0].tokens["user"])
    place = tenants.shop.home
    # Nobody is there, and somebody without the scope or the level.
    assert refusal(rest, "/rpc/calls") == (401, "SCOPE_DISABLED")
    assert refusal(rest, "/rpc/calls", user) == (403, "SCOPE_DISABLED")
    assert refusal(rest, "/rpc/log_out") == (401, "VERIFY_FAILED")
    assert refusal(rest, "/rpc/account", user, **place) == (403, "PERMISSION_DENIED")
    assert refusal(rest, "/rpc/key", user, key="sk_live_x") == (401, "API_KEY_INVALID")
    key = call(admin, "api_key_create", **place).api_key
    assert refusal(rest, "/rpc/key", user, key=key) == (404, "SESSION_NOT_FOUND")
    missing = {**tenants.shop.place, "env": "nowhere"}
    assert refusal(rest, "/rpc/log_in", user, **missing) == (404, "ENV_NOT_FOUND")

    limited = Shop.make(admin, max_sessions=1, on_limit="deny")
    headers = {"Content-Type": "application/json"}
    assert rest.ask("POST", "/rpc/log_in", headers, json.dumps(limited.place)).status == 200
    assert refusal(rest, "/rpc/log_in", **limited.place) == (409, "SESSION_LIMIT_REACHED")


def test_a_revocation_is_obeyed_by_the_next_request(rest, tenants, admin):
    session = tenants.shop.create(admin, "tenant-0")
    assert set(owners(rest, "user", bearer(session.token))) == {"tenant-0"}

    tenants.shop.revoke(admin, session.session_id)

    answer = rest.get("/by_user", bearer(session.token))
    assert (answer.status, answer.body["details"]) == (401, "reason: revoked")


def test_a_user_logs_out(rest, tenants, admin):
    session = tenants.shop.create(admin, "tenant-1")
    answer = rest.ask("POST", "/rpc/log_out", bearer(session.token))
    assert (answer.status, answer.body) == (200, 1)
    assert rest.get("/by_user", bearer(session.token)).status == 401


def test_a_token_of_another_product_is_refused(rest, admin):
    other = Shop.make(admin).create(admin, "tenant-0")
    # By PostgREST, for the audience; presented otherwise, by the policies.
    assert rest.get("/by_user", bearer(other.token)).status == 401
    assert owners(rest, "user", own(other.token)) == []


def test_our_functions_are_not_published(rest, tenants):
    headers = bearer(tenants.all[0].tokens["user"])
    assert rest.ask("POST", "/rpc/session_verify", headers).status == 404
    assert rest.get("/sessions", {**headers, "Accept-Profile": "dialstack"}).status == 406


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_postgrest_learns_new_keys_when_it_is_told(rest, tenants, admin, alg):
    old = tenants.shop.create(admin, "tenant-0").token
    use_alg(admin, alg)
    new = tenants.shop.create(admin, "tenant-1").token

    # We know it at once, PostgREST when it reads its configuration again.
    assert set(owners(rest, "user", own(new))) == {"tenant-1"}
    admin.execute("NOTIFY pgrst, 'reload config'")
    until(lambda: rest.get("/by_user", bearer(new)).status == 200, "PostgREST to reload")

    assert set(owners(rest, "user", bearer(new))) == {"tenant-1"}
    assert set(owners(rest, "user", bearer(old))) == {"tenant-0"}


def test_a_revoked_key_is_refused_though_postgrest_still_knows_it(rest, tenants, admin):
    use_alg(admin, "ES256")
    token = tenants.shop.create(admin, "tenant-0").token
    admin.execute("NOTIFY pgrst, 'reload config'")
    until(lambda: rest.get("/by_user", bearer(token)).status == 200, "PostgREST to reload")

    revoke_active_key(admin, "jwt")

    answer = rest.get("/by_user", bearer(token))
    assert (answer.status, answer.body["details"]) == (401, "reason: invalid")


def test_many_requests_at_once_see_their_own_rows_only(rest, tenants):
    def request(number):
        pick = random.Random(number)
        kind, tenant = pick.choice(KINDS), pick.choice(tenants.all)
        chance = pick.random()
        if chance < 0.1:
            return owners(rest, kind) == []
        if chance < 0.2:
            return rest.get(f"/by_{kind}", own(tenant.tokens[kind][:-4])).status == 401
        return owners(rest, kind, own(tenant.tokens[kind])) == [tenant.name] * ROWS

    with ThreadPoolExecutor(10) as executor:
        assert list(executor.map(request, range(1000))).count(False) == 0
