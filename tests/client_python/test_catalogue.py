"""What the client calls and returns is what the catalogue says."""

import dataclasses
import inspect
import re
import types
import typing
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from dialstack_sessions import async_client, client, figures, rows
from dialstack_sessions.calls import definitions, insight, keys, other_sessions, sessions
from dialstack_sessions.calls.call import ARGUMENT_TYPES, Place
from support import service

PLACE = Place("p", "e", "t")
EXAMPLES = {
    "data": {"userId": "u"},
    "schema": {},
    "definition": {},
    "changes": {},
    "components": {},
    "session_id": UUID(int=1),
    "client_session_id": UUID(int=1),
    "exclude_current_session": UUID(int=1),
    "connect_webview_id": UUID(int=1),
    "user_identity_id": UUID(int=1),
    "connected_account_ids": [],
    "connect_webview_ids": [],
    "user_identity_ids": [],
    "expiry": 1,
    "page": 1,
    "limit": 1,
    "active_only": True,
    "with_total": True,
    "without_user_identifier_key": True,
    "handler": None,
    "options": {
        "refresh_expiry": 1,
        "refresh_period": "days",
        "idle_timeout": 1,
        "max_lifetime": 1,
        "max_sessions": 1,
        "on_limit": "deny",
        "reuse_interval": 1,
        "log_verify": True,
        "public_claims": [],
    },
}
PYTHON = {
    "text": str,
    "uuid": UUID,
    "boolean": bool,
    "integer": int,
    "bigint": int,
    "jsonb": dict[str, typing.Any],
    "timestamp with time zone": datetime,
    "interval": timedelta,
    "inet": str,
    "text[]": list[str],
    "uuid[]": list[UUID],
}


def described(function):
    """The call that it describes, with every argument given."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    positional = [EXAMPLES.get(p.name, "x") for p in parameters if p.kind is not p.KEYWORD_ONLY]
    named = {p.name: EXAMPLES.get(p.name, "x") for p in parameters if p.kind is p.KEYWORD_ONLY}
    return function(PLACE, *positional, **named)


CALLS = {
    f"{module.__name__.split('.')[-1]}.{name}": described(function)
    for module in (sessions, other_sessions, definitions, insight, keys)
    for name, function in vars(module).items()
    if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
}
RETURNED = {
    "session_create": rows.CreatedSession,
    "session_verify": rows.Verdict,
    "session_require": rows.Verdict,
    "session_use": rows.Verdict,
    "session_refresh": rows.RefreshedSession,
    "session_list": rows.ListedSession,
    "session_info": rows.SessionInfo,
    "session_update_data": rows.SessionExpiry,
    "session_extend": rows.SessionExpiry,
    "session_explain": rows.ExplainedStep,
    "session_reauthenticate": rows.Reauthenticated,
    "account_session_create": rows.AccountSession,
    **dict.fromkeys(
        [f"client_session_{verb}" for verb in ("create", "get", "get_or_create", "list", "grant_access")],
        rows.ClientSession,
    ),
    **dict.fromkeys(
        ["session_register", *(f"definition_{verb}" for verb in ("create", "get", "update", "delete", "list"))],
        rows.Definition,
    ),
    "session_users": rows.User,
    "session_activity_logs": rows.Activity,
}
SCALARS = {
    **dict.fromkeys("session_revoke session_revoke_all session_end account_session_revoke".split(), "bigint"),
    **dict.fromkeys(
        "session_define session_dashboard session_user_dashboard session_user_details token_introspect jwks".split(), "jsonb"
    ),
    "issuer": "text",
    **dict.fromkeys("client_session_revoke client_session_delete session_clear".split(), "void"),
}

_SIGNATURES = """
    SELECT p.proname AS name, p.pronargs AS inputs, p.proargnames AS names,
        ARRAY(SELECT format_type(t, NULL) FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
            WITH ORDINALITY AS u (t, n) ORDER BY n) AS types,
        format_type(p.prorettype, NULL) AS result,
        ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 ORDER BY attnum)
            AS result_names,
        ARRAY(SELECT format_type(a.atttypid, NULL) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
            ORDER BY attnum) AS result_types
    FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
    WHERE p.pronamespace = 'dialstack'::regnamespace AND p.proname = %s
    """


@dataclasses.dataclass
class Signature:
    inputs: dict
    columns: dict
    result: str


def signature(connection, call):
    """The function that the call is about: of those of the name, the one that takes its arguments."""
    for row in connection.execute(_SIGNATURES, [call.function]).fetchall():
        names = row.names or []
        inputs = dict(zip(names[: row.inputs], row.types[: row.inputs]))
        if set(call.given) <= set(inputs):
            columns = dict(zip(names[row.inputs :], row.types[row.inputs :]))
            return Signature(inputs, columns or dict(zip(row.result_names, row.result_types)), row.result)
    raise AssertionError(f"no function {call.function} takes {sorted(call.given)}")


def python(hint):
    """A field's type, without None."""
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
    return hint


@pytest.mark.parametrize("name", CALLS)
def test_arguments_are_those_of_the_function(name, admin):
    call = CALLS[name]
    spelled = {"timestamptz": "timestamp with time zone"}
    found = signature(admin, call)
    wanted = {name: spelled.get(ARGUMENT_TYPES[name], ARGUMENT_TYPES[name]) for name in call.given}
    assert wanted.items() <= found.inputs.items()
    # What the client does not offer is little, and meant.
    left_out = set(found.inputs) - set(wanted)
    # Sessions of accounts and clients have no tag, and nobody signs in to them again.
    allowed = {"tag", "max_age"} if name.startswith("other_sessions.") else set()
    assert left_out <= allowed, left_out


@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_the_function(name, admin):
    call = CALLS[name]
    found = signature(admin, call)
    if call.function in SCALARS:
        assert found.result == SCALARS[call.function]
        return
    hints = typing.get_type_hints(RETURNED[call.function])
    columns = {column: PYTHON[kind] for column, kind in found.columns.items() if column != "total"}
    assert {field: python(hint) for field, hint in hints.items()} == columns
    assert ("total" in found.columns) == call.function.endswith(("_list", "_users", "_logs")) or (
        call.function == "definition_list"
    )


def test_every_argument_type_is_used():
    assert {argument for call in CALLS.values() for argument in call.given} == set(ARGUMENT_TYPES)


def test_everything_that_level_server_and_client_may_call_has_a_method(admin):
    helpers = r"current_|has_scope|require_scope|access_|postgrest_|\w+_or_null"
    functions = {
        row.function.split("(")[0]
        for row in admin.execute("SELECT * FROM dialstack.access_list() WHERE access IN ('client', 'server')")
    }
    missing = functions - {call.function for call in CALLS.values()}
    missing = {name for name in missing if not re.match(helpers, name)}
    # An alias, and a trigger's function. Any other: describe it in calls/, and name it in both clients.
    assert missing == {"session_start", "revoke_on_change"}


@pytest.mark.parametrize("function, cls", [("details", figures.UserDetails), ("d", figures.Dashboard), ("u", figures.UserDashboard)])
def test_figures_have_the_keys_of_the_json(function, cls, admin, shop):
    shop.create(admin, "user_1")
    query = {
        "details": "SELECT dialstack.session_user_details(%s, %s, 'user_1')",
        "d": "SELECT dialstack.session_dashboard(%s, %s)",
        "u": "SELECT dialstack.session_user_dashboard(%s, %s, 'user_1')",
    }[function]
    answer = service.value(admin, query, shop.product, shop.tag)
    compare(cls, answer)


def compare(cls, json):
    hints = typing.get_type_hints(cls)
    assert {figures.snake(key) for key in json} == set(hints), cls.__name__
    converted = figures.from_json(cls, json)
    for key, value in json.items():
        hint, field = python(hints[figures.snake(key)]), getattr(converted, figures.snake(key))
        if typing.get_origin(hint) is list:
            (hint,) = typing.get_args(hint)
            assert value, "a list with nothing in it shows nothing"
            assert all(type(item) is hint for item in field)
            compare(hint, value[0])
        elif dataclasses.is_dataclass(hint):
            compare(hint, value)
        elif value is not None and hint != dict[str, typing.Any]:
            assert isinstance(field, (int, float) if hint is float else hint), key


@pytest.mark.parametrize("namespace", ["Sessions", "AccountSessions", "ClientSessions", "Definitions", "Keys"])
def test_both_clients_have_the_same_calls(namespace):
    one, other = getattr(client, namespace), getattr(async_client, f"Async{namespace}")
    names = {name for name in vars(one) if not name.startswith("_")}
    assert names == {name for name in vars(other) if not name.startswith("_")}
    for name in names:
        assert inspect.signature(getattr(one, name)) == inspect.signature(getattr(other, name))
        assert getattr(one, name).__doc__ == getattr(other, name).__doc__
        assert inspect.iscoroutinefunction(getattr(other, name))
