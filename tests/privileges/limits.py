"""A call of every function of levels server and client, for one environment, and what it comes to out of reach."""

from psycopg import Error
from support.service import call

DENIED, NOT_FOUND, FAILED = "PERMISSION_DENIED", "SESSION_NOT_FOUND", "VERIFY_FAILED"

# Calls that mean no environment at all, and so know no limit.
ANYWHERE = {
    "bigint_or_null",
    "integer_or_null",
    "uuid_or_null",
    "issuer",
    "jwks",
    "session_clear",
}
# A trigger function: test_limits.py has a table for it.
TRIGGER = {"revoke_on_change"}

PLACE = "product => %(product)s, env => %(env)s"
TAGGED = f"{PLACE}, tag => 'web'"
DATA = """data => '{"userId": "user_456"}'"""
IDS = "ARRAY['00000000-0000-0000-0000-000000000001'::uuid]"


def columns(what, function, arguments):
    return f"SELECT {what} FROM dialstack.{function}({arguments})"


def void(function, arguments):
    return f"SELECT true FROM dialstack.{function}({arguments})"


# By function, as tour.listed() names it: statements, what each comes to for an environment within reach, and for one
# out of reach: the row, or the code of the error.
CALLS = {
    "session_create/8": [(columns("token IS NOT NULL", "session_create", f"{TAGGED}, {DATA}"), True, DENIED)],
    "session_start": [(columns("token IS NOT NULL", "session_start", f"{TAGGED}, {DATA}"), True, DENIED)],
    "session_verify": [
        (columns("reason", "session_verify", f"%({token})s"), None, "mismatch")
        for token in ("token", "client_secret", "client_token")
    ]
    + [(columns("reason", "session_verify", f"%(token)s, {TAGGED}"), None, "mismatch")],
    "session_require": [
        (columns("valid", "session_require", f"%({token})s"), True, FAILED)
        for token in ("token", "client_secret", "client_token")
    ],
    "session_use": [
        (columns("valid", "session_use", f"%({token})s, false"), True, FAILED)
        for token in ("token", "client_secret", "client_token")
    ],
    "token_introspect": [
        ("SELECT dialstack.token_introspect(%(token)s) - '{aud,iss,sid,exp,iat,jti,sub,tag,username,client_id,token_type}'"
         "::text[]", {"active": True}, {"active": False})
    ],
    "session_explain": [
        (columns("bool_and(passed)", "session_explain", "%(token)s"), True, False),
        # Nothing but that it is authentic.
        (columns("count(*) FILTER (WHERE detail LIKE %(likewise)s)", "session_explain", "%(token)s"), 1, 0),
    ],
    "session_refresh": [
        (columns("reason", "session_refresh", "%(refresh_token)s"), None, "mismatch"),
        (columns("reason", "session_refresh", f"%(refresh_token)s, {TAGGED}"), None, "mismatch"),
    ],
    "session_end": [
        (columns("session_end", "session_end", f"%({token})s"), 1, FAILED)
        for token in ("token", "refresh_token", "client_secret", "client_token")
    ],
    "session_revoke": [
        (columns("session_revoke", "session_revoke", "session_id => %(session_id)s"), 1, NOT_FOUND),
        (columns("session_revoke", "session_revoke", "session_id => %(client_session_id)s"), 1, NOT_FOUND),
        (columns("session_revoke", "session_revoke", f"{PLACE}, session_id => %(session_id)s"), 1, DENIED),
        (columns("session_revoke", "session_revoke", f"{TAGGED}, identifier => 'user_456'"), 1, DENIED),
        (columns("session_revoke", "session_revoke", f"{PLACE}, identifier => 'user_456'"), 1, DENIED),
    ],
    "session_revoke_all": [
        (columns("session_revoke_all", "session_revoke_all", f"{TAGGED}, identifier => 'user_456'"), 1, DENIED)
    ],
    "session_list": [
        (columns("min(identifier)", "session_list", TAGGED), "user_456", DENIED),
        (columns("min(identifier)", "session_list", f"{TAGGED}, identifier => 'user_456'"), "user_456", DENIED),
    ],
    "session_info": [
        (columns("identifier", "session_info", f"%({session})s"), identifier, DENIED)
        for session, identifier in (("session_id", "user_456"), ("client_session_id", "user-key"))
    ],
    "session_update_data": [
        (columns("true", "session_update_data", f"%(session_id)s, {DATA}"), True, DENIED)
    ],
    "session_extend": [(columns("true", "session_extend", "%(session_id)s, '1 hour'"), True, DENIED)],
    "session_reauthenticate": [(columns("true", "session_reauthenticate", "%(session_id)s"), True, DENIED)],
    "session_users": [
        (columns("min(identifier)", "session_users", f"{TAGGED}"), "user_456", DENIED),
    ],
    "session_user_details": [
        (columns("session_user_details ->> 'totalSessions'", "session_user_details",
                 f"{TAGGED}, identifier => 'user_456'"), "1", DENIED)
    ],
    "session_activity_logs": [
        (columns("bool_or(operation = 'create')", "session_activity_logs", PLACE), True, DENIED),
        (columns("bool_or(operation = 'create')", "session_activity_logs",
                 f"{PLACE}, identifier => 'user_456'"), True, DENIED),
    ],
    "session_dashboard": [
        (columns("session_dashboard ->> 'totalSessions'", "session_dashboard", TAGGED), "1", DENIED)
    ],
    "session_user_dashboard": [
        (columns("(session_user_dashboard ->> 'totalLogs')::int > 0", "session_user_dashboard",
                 f"{TAGGED}, identifier => 'user_456'"), True, DENIED)
    ],
    "account_session_create": [
        (columns("account_id", "account_session_create", f"'acct_1', {PLACE}"), "acct_1", DENIED)
    ],
    # It names no place: it is for the only one within reach.
    "session_create/2": [
        ("SELECT (dialstack.session_verify(client_secret)).product FROM dialstack.session_create('acct_1')",
         "limits-one", "limits-one")
    ],
    "account_session_revoke": [
        (columns("account_session_revoke", "account_session_revoke", f"'acct_1', {PLACE}"), 1, DENIED)
    ],
    "client_session_create": [
        (columns("user_identifier_key", "client_session_create", f"{key}, {PLACE}"), name, DENIED)
        for key, name in (("'user-key'", "user-key"), ("'new'", "new"))
    ],
    "client_session_get_or_create": [
        (columns("user_identifier_key", "client_session_get_or_create", f"'user-key', {PLACE}"), "user-key", DENIED)
    ],
    "client_session_get": [
        (columns("user_identifier_key", "client_session_get", "%(client_session_id)s"), "user-key", NOT_FOUND),
        (columns("user_identifier_key", "client_session_get", f"%(client_session_id)s, {PLACE}"), "user-key", DENIED),
        (columns("user_identifier_key", "client_session_get", f"user_identifier_key => 'user-key', {PLACE}"),
         "user-key", DENIED),
    ],
    "client_session_list": [
        (columns("min(user_identifier_key)", "client_session_list", PLACE), "user-key", DENIED)
    ],
    "client_session_grant_access": [
        (columns("cardinality(connected_account_ids)", "client_session_grant_access",
                 f"%(client_session_id)s, connected_account_ids => {IDS}"), 1, NOT_FOUND),
        (columns("cardinality(connected_account_ids)", "client_session_grant_access",
                 f"user_identifier_key => 'user-key', connected_account_ids => {IDS}, {PLACE}"), 1, DENIED),
    ],
    "client_session_revoke": [
        (void("client_session_revoke", "%(client_session_id)s"), True, NOT_FOUND),
        (void("client_session_revoke", f"%(client_session_id)s, {PLACE}"), True, DENIED),
    ],
    "client_session_delete": [
        (void("client_session_delete", "%(client_session_id)s"), True, NOT_FOUND),
        (void("client_session_delete", f"%(client_session_id)s, {PLACE}"), True, DENIED),
    ],
    "postgrest_pre_request": [
        ("SELECT true FROM (SELECT set_config('request.headers', "
         "jsonb_build_object('x-session-token', %(token)s::text)::text, true)) s, dialstack.postgrest_pre_request()",
         True, FAILED)
    ],
}

# With a token presented: by function, which one, the statement, and what it answers within reach and out of it.
PRESENTED = {
    "current_session_id": ("token", "SELECT dialstack.current_session_id() = %(session_id)s", True, None),
    "current_session_kind": ("token", "SELECT dialstack.current_session_kind()", "user", None),
    "current_identifier/0": ("token", "SELECT dialstack.current_identifier()", "user_456", None),
    "current_identifier/3": ("token", f"SELECT dialstack.current_identifier({TAGGED})", "user_456", None),
    "current_account/0": ("client_secret", "SELECT dialstack.current_account()", "acct_1", None),
    "current_account/3": ("client_secret", f"SELECT dialstack.current_account({PLACE})", "acct_1", None),
    "current_connected_accounts/0": (
        "client_token", "SELECT cardinality(dialstack.current_connected_accounts())", 0, None),
    "current_connected_accounts/3": (
        "client_token", f"SELECT cardinality(dialstack.current_connected_accounts({PLACE}))", 0, None),
    "current_user_identities/0": (
        "client_token", "SELECT cardinality(dialstack.current_user_identities())", 0, None),
    "current_user_identities/3": (
        "client_token", f"SELECT cardinality(dialstack.current_user_identities({PLACE}))", 0, None),
    "current_product": ("token", "SELECT dialstack.current_product() = %(product)s", True, None),
    "current_env": ("token", "SELECT dialstack.current_env() = %(env)s", True, None),
    "current_tag": ("token", "SELECT dialstack.current_tag()", "web", None),
    "current_scopes": ("client_secret", "SELECT 'fax' = ANY (dialstack.current_scopes())", False, None),
    "current_data": ("token", "SELECT dialstack.current_data() ->> 'userId'", "user_456", None),
    "current_session_error": ("token", "SELECT dialstack.current_session_error()", None, "mismatch"),
    "current_session_age": ("token", "SELECT dialstack.current_session_age() >= '0'", True, None),
    "current_authentication_age": ("token", "SELECT dialstack.current_authentication_age() >= '0'", True, None),
    "has_scope/1": ("client_secret", "SELECT dialstack.has_scope('call_logs')", True, False),
    "has_scope/4": ("client_secret", f"SELECT dialstack.has_scope('call_logs', {PLACE})", True, False),
    "require_scope": (
        "client_secret", "SELECT true FROM dialstack.require_scope('call_logs')", True, "SCOPE_DISABLED"),
    "session_end": ("token", "SELECT dialstack.session_end()", 1, FAILED),
    "client_session_get": ("client_token", "SELECT user_identifier_key FROM dialstack.client_session_get()",
                           "user-key", FAILED),
}


HOME = {"product": "limits-one", "env": "production"}
# Another environment of the product, and another product.
AWAY = [{"product": "limits-one", "env": "staging"}, {"product": "limits-two", "env": "production"}]


def name(place):
    return "/".join(place.values())


def grant(admin, role, level="server", place=None):
    return call(admin, "grant_access", role=role, access=level, **(place or {}))


def outcome(connection, statement, arguments, token=None):
    """The first value that a statement returns, or the code of its error. It leaves nothing behind."""
    try:
        with connection.transaction(force_rollback=True):
            if token:
                connection.execute("SELECT set_config('dialstack_sessions.token', %s, true)", [token])
            return connection.execute(statement, arguments).fetchone()[0]
    except Error as error:
        return error.diag.message_primary.partition(":")[0]


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


def reach(connection, sessions):
    """The places that are within the reach of a role of level server."""
    return {place for place, there in sessions.items() if sees(connection, there)}


def rows(admin, *roles):
    return [
        tuple(row)
        for row in admin.execute(
            "SELECT * FROM dialstack.access_of_roles() WHERE role = ANY (%s)", [list(roles)]
        )
    ]
