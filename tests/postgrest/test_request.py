"""What PostgREST does in the database for a request, statement by statement."""

import json

import psycopg
import pytest
from psycopg import errors
from support.service import call, keep_presenting, value
from support.tenants import KINDS, ROWS, owners

from conftest import ANONYMOUS, AUTHENTICATOR, MEMBER, bearer, requesting, unauthorized

EVERY = pytest.mark.parametrize("kind", KINDS)
MODES = pytest.mark.parametrize("mode", ["READ ONLY", "READ WRITE"])
ROLES = pytest.mark.parametrize("role", [ANONYMOUS, MEMBER])


@EVERY
@MODES
@ROLES
def test_a_request_sees_the_rows_of_its_session(authenticator, tenants, kind, mode, role):
    for tenant in tenants.all:
        headers = bearer(tenant.tokens[kind])
        with requesting(authenticator, headers, role, mode) as request:
            assert value(request, "SELECT current_user") == role
            assert owners(request, kind) == [tenant.name] * ROWS
            session_id = value(request, "SELECT dialstack.current_session_id()")
            assert session_id == tenant.sessions[kind]


@EVERY
def test_the_header_of_our_own_comes_first(authenticator, tenants, kind):
    first, second = tenants.all[:2]
    headers = {**bearer(second.tokens[kind]), "x-session-token": first.tokens[kind]}
    with requesting(authenticator, headers) as request:
        assert set(owners(request, kind)) == {first.name}

    # Beside it a bearer token may be anybody's, and does not help a bad one.
    headers = {"authorization": "Bearer aaa.bbb.ccc", "x-session-token": first.tokens[kind]}
    with requesting(authenticator, headers) as request:
        assert set(owners(request, kind)) == {first.name}
    with (
        unauthorized(),
        requesting(authenticator, {**bearer(second.tokens[kind]), "x-session-token": "nonsense"}),
    ):
        pass
    # Empty, it says that nobody is there.
    headers = {"authorization": "Bearer aaa.bbb.ccc", "x-session-token": " "}
    with requesting(authenticator, headers) as request:
        assert owners(request, kind) == []


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "BeArEr", " Bearer ", "Bearer   "])
def test_the_scheme_is_told_in_any_case(authenticator, tenants, scheme):
    with requesting(authenticator, bearer(tenants.all[0].tokens["user"], scheme)) as request:
        assert set(owners(request, "user")) == {"tenant-0"}


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "{}",
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Basic {token}"},
        {"authorization": "BearerX {token}"},
        {"authorization": ["Bearer {token}"]},
        {"x-session-token": ""},
    ],
    ids=str,
)
@MODES
def test_without_a_token_of_a_session_nobody_is_there(authenticator, tenants, headers, mode):
    text = headers if isinstance(headers, str) else json.dumps(headers)
    text = text.replace("{token}", tenants.all[0].tokens["user"])
    with requesting(authenticator, text, mode=mode) as request:
        assert [owners(request, kind) for kind in KINDS] == [[], [], []]
        assert value(request, "SELECT dialstack.current_session_id()") is None
        assert value(request, "SELECT dialstack.current_session_error()") is None


def test_a_connection_that_knows_no_headers_has_nobody_there(authenticator):
    with authenticator.transaction():
        authenticator.execute(f"SET LOCAL ROLE {ANONYMOUS}")
        authenticator.execute("SELECT dialstack.postgrest_pre_request()")
        assert owners(authenticator, "user") == []


@pytest.mark.parametrize("headers", ["x", "{", "[]", "null", '"Bearer x"', "5", "[" * 200, "\\"])
def test_headers_that_are_no_object_are_refused(authenticator, headers):
    with unauthorized() as refused:
        with requesting(authenticator, headers):
            pass
    diagnostic = refused.value.diag
    assert diagnostic.message_primary == (
        "VERIFY_FAILED: the setting request.headers is not a JSON object"
    )
    assert diagnostic.message_hint


@pytest.mark.parametrize("header", ["authorization", "x-session-token"])
@MODES
def test_a_token_that_is_not_good_ends_the_request(authenticator, admin, tenants, header, mode):
    tenant = tenants.all[0]
    revoked = tenants.shop.create(admin, "somebody")
    tenants.shop.revoke(admin, revoked.session_id)
    bad = {
        "nonsense": "invalid",
        "aaa.bbb.ccc": "invalid",
        tenant.tokens["user"][:-3]: "invalid",
        tenant.refresh_token: "invalid",
        f"{tenant.tokens['user']} {tenant.tokens['user']}": "invalid",
        "\u0000": "invalid",
        "x" * 100_000: "invalid",
        "ä€😀": "invalid",
        revoked.token: "revoked",
    }
    for token, reason in bad.items():
        headers = bearer(token) if header == "authorization" else {header: token}
        with unauthorized() as refused:
            with requesting(authenticator, headers, mode=mode):
                pass
        assert refused.value.diag.message_detail == f"reason: {reason}"
        assert authenticator.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("headers", ["{}", {"authorization": "Basic dXNlcg=="}], ids=str)
@EVERY
def test_what_somebody_left_in_the_connection_is_not_used(authenticator, tenants, headers, kind):
    authenticator.execute(f"SET ROLE {ANONYMOUS}")
    keep_presenting(authenticator, tenants.all[0].tokens[kind])
    assert set(owners(authenticator, kind)) == {"tenant-0"}

    with requesting(authenticator, headers) as request:
        assert owners(request, kind) == []
    with requesting(authenticator, bearer(tenants.all[1].tokens[kind])) as request:
        assert set(owners(request, kind)) == {"tenant-1"}


@EVERY
def test_a_request_leaves_nothing_behind(authenticator, tenants, kind):
    with requesting(authenticator, bearer(tenants.all[0].tokens[kind])) as request:
        assert set(owners(request, kind)) == {"tenant-0"}
    assert value(authenticator, "SELECT current_user") == AUTHENTICATOR
    authenticator.execute(f"SET ROLE {ANONYMOUS}")
    assert owners(authenticator, kind) == []


def test_the_role_that_connects_may_do_nothing_of_its_own(authenticator, tenants):
    for statement in (
        "SELECT * FROM tenants.by_user",
        "SELECT dialstack.postgrest_pre_request()",
        "SELECT dialstack.current_identifier()",
        "SELECT * FROM dialstack.sessions",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            authenticator.execute(statement)


def test_a_log_out_by_request(authenticator, admin, tenants):
    tenant = tenants.add(admin, "leaver")
    headers = bearer(tenant.tokens["user"])
    with pytest.raises(errors.ReadOnlySqlTransaction):
        with requesting(authenticator, headers) as request:
            call(request, "session_end")
    with requesting(authenticator, headers, mode="READ WRITE") as request:
        assert value(request, "SELECT dialstack.session_end()") == 1
    with unauthorized():
        with requesting(authenticator, headers):
            pass
