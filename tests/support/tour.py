"""A tour of the service: one call, at least, of every function that the extension has."""

import itertools
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid4

_numbers = itertools.count(1)

# Stands in the data of each session of a tour, and nowhere else.
CANARY = "canary-in-the-session-data"

ACCOUNT = UUID(int=1)

# Only triggers call these.
NOT_CALLED = {"revoke_on_change", "device_table"}

# What the tour protects; see prepare().
TABLE = "tours.orders"


def prepare(connection, owner="CURRENT_USER"):
    """Makes the table that tours protect. Who takes one must own it, or be a superuser."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS tours")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (account pg_catalog.text)")
    connection.execute(f"ALTER SCHEMA tours OWNER TO {owner}")
    connection.execute(f"ALTER TABLE {TABLE} OWNER TO {owner}")


class Made:
    """What the calls gave out. Each secret is said once, with what it is."""

    def __init__(self):
        self.secrets = {}

    def note(self, what, secret):
        self.secrets.setdefault(secret, what)
        return secret


def listed(connection, levels=None):
    """The functions that an access level allows, or one of these, by the names that `take()` calls them."""
    rows = connection.execute("SELECT function, access FROM dialstack.access_list()")
    functions = [(*row.function.removesuffix(")").split("("), row.access) for row in rows if row.access]
    count = Counter(name for name, _, _ in functions)
    return {
        name if count[name] == 1 else f"{name}/{len(types.split(',')) if types else 0}"
        for name, types, access in functions
        if levels is None or levels & set(access.split(", "))
    }


def take(call, role="tourist"):
    """Takes the tour. `call(function, **arguments)` calls and returns the first row, or nothing.

    Functions that share a name are called by it and the number of their arguments, as in `listed()`. `role` is granted
    access for a moment. Where the call of a function raises an error, `call` decides what becomes of it:
    schedule_maintenance() finds no pg_cron.
    Ends with instance_reset().
    """
    made = Made()
    product = f"tour-{next(_numbers)}"
    place = {"product": product, "env": "production"}
    _set_up(call, product, place)
    _keys(call, made, place)
    _user_sessions(call, made, {**place, "tag": "web"})
    _account_sessions(call, made, place)
    _client_sessions(call, made, place)
    call("grant_access", role=role, access="client")
    call("grant_access", role=role, access="client", **place)
    call("access_of_roles")
    call("revoke_access", role=role, access="client")
    call("access_forget", role_name="no role has this name")
    call("access_list")
    _protection(call, place, role)
    call("maintain")
    call("may_monitor")
    call("version")
    call("stat_get_sessions")
    call("health_check")
    call("schedule_maintenance")
    _key_ring(call)
    return made


def _set_up(call, product, place):
    call("product_create", product=product, name="A tour")
    call("env_create", **place)
    call("env_create", product=product, env="gone", live=False)
    call("env_delete", product=product, env="gone")
    call("product_create", product=f"{product}-gone")
    call("product_delete", product=f"{product}-gone")
    call("product_list")
    call("env_list", product=product)
    call("env_create", product=product, env="renamed", if_not_exists=True)
    call("env_update", product=product, env="renamed", new_name="staging", live=False)
    shape = {
        "product": product,
        "name": "Web",
        "description": "somebody who logged in",
        "selector": "$Session{userId}",
        "expiry": 1,
        "period": "hours",
        "schema": '{"userId": {"type": "string", "required": true}}',
    }
    definition = call("session_define", tag="web", **{**shape, "selector": "userId"})
    call("session_register", product=product, definition=json.dumps(definition[0]))
    call("definition_create", tag="gone", **shape)
    call("definition_update", product=product, tag="web", changes='{"log_verify": true}')
    call("definition_get", product=product, tag="web")
    call("definition_list", product=product)
    call("definition_delete", product=product, tag="gone")
    call("scope_create", scope="fax", description="faxes", product=product)
    call("scope_delete", scope="fax", product=product)
    call("scope_list", product=product)
    document = call("configuration_export")
    call("configuration_apply", document=json.dumps(document[0]), dry_run=True)


def _keys(call, made, place):
    for kind in ("secret", "publishable"):
        key = call("api_key_create", **place, kind=kind, name="a key")
        made.note("API key", key.api_key)
    call("api_key_list", **place)
    call("api_key_revoke", api_key_id=key.api_key_id)


def _user_sessions(call, made, place):
    def note(row):
        made.note("access token", row.token)
        made.note("refresh token", row.refresh_token)
        return row

    data = json.dumps({"userId": "user_456", "note": CANARY})
    session = note(call("session_create/8", **place, data=data, user_agent="a browser"))
    other = note(call("session_start", **place, data=data))
    call("session_verify", token=session.token, **place)
    call("session_require", token=session.token)
    call("token_introspect", token=session.token)
    call("session_explain", token=session.token)
    note(call("session_refresh", refresh_token=session.refresh_token, **place))
    call("session_list", **place, identifier="user_456")
    call("session_list", **place)
    call("session_info", session_id=session.session_id)
    call("session_update_data", session_id=session.session_id, data=data)
    call("session_extend", session_id=session.session_id, by=timedelta(hours=1))
    call("session_reauthenticate", session_id=session.session_id)
    call("session_find", **place, identifier="user_456")
    call("session_count", **place)
    _users(call, place)
    _identity(call, session.token, place)
    call("session_revoke", **place, session_id=other.session_id)
    call("session_revoke_all", **place, identifier="user_456")
    call("session_revoke_where", **place, identifier="user_456", dry_run=False)
    call("administration_log", product=place["product"])
    call("user_export", **place, identifier="user_456")
    call("user_erase", **place, identifier="user_456")


def _users(call, place):
    of = {"product": place["product"], "tag": place["tag"]}
    call("session_users", **of)
    call("session_user_details", **of, identifier="user_456")
    call("session_activity_logs", product=place["product"])
    call("session_activity_logs", **place, identifier="user_456")
    # Of yesterday, so that it does not matter when it is asked.
    days = {"end_at": datetime.now(timezone.utc) - timedelta(days=1), "time_zone": "UTC"}
    call("session_dashboard", **of, **days)
    call("session_user_dashboard", **place, identifier="user_456", **days)


def _protection(call, place, role):
    call("protect_table", relation=TABLE, column_name="account", **place, open_to=f"{{{role}}}")
    call("protected_table_list")
    call("policy_lint")
    call("unprotect_table", relation=TABLE)
    call("revoke_sessions_on", relation=TABLE, identifier_column="account", **place)
    call("revoke_sessions_off", relation=TABLE)
    call("uuid_or_null", text=str(ACCOUNT))
    call("bigint_or_null", text="7")
    call("integer_or_null", text="seven")


def _identity(call, token, place):
    call("session_use", token=token, is_local=False)
    for helper in ("session_id", "session_kind", "product", "env", "tag", "scopes", "data", "session_error"):
        call(f"current_{helper}")
    call("current_session_age")
    call("current_authentication_age")
    for helper in ("identifier", "account", "connected_accounts", "user_identities"):
        call(f"current_{helper}/0")
        call(f"current_{helper}/3", **place)
    call("has_scope/1", scope="call_logs")
    call("has_scope/4", scope="call_logs", **place)
    call("session_end")
    call("session_clear")
    call("postgrest_pre_request")


def _account_sessions(call, made, place):
    components = '{"call_logs": {"enabled": true}}'
    session = call("account_session_create", account="acct_1", components=components, **place)
    made.note("client secret", session.client_secret)
    call("session_verify", token=session.client_secret, scope="voicemails")
    call("session_use", token=session.client_secret, is_local=False)
    call("require_scope", scope="call_logs")
    call("session_clear")
    # Without a place it may fail, where there are several.
    call("session_create/2", account="acct_1")
    call("account_session_revoke", account="acct_1", **place)


def _client_sessions(call, made, place):
    def note(row):
        made.note("client session token", row.token)
        return row

    key = {"user_identifier_key": f"user-{uuid4()}"}
    made.note("user_identifier_key", key["user_identifier_key"])
    end = datetime.now(timezone.utc) + timedelta(days=1)
    accounts = {"connected_account_ids": [ACCOUNT]}
    session = note(call("client_session_create", **key, **accounts, **place))
    note(call("client_session_get_or_create", **key, expires_at=end, **place))
    note(call("client_session_get", **key, **place))
    note(call("client_session_list", connect_webview_id=None, **place))
    note(call("client_session_grant_access", **key, user_identity_ids=[ACCOUNT], **place))
    call("session_verify", token=session.token)
    call("client_session_revoke", client_session_id=session.client_session_id, **place)
    call("client_session_delete", client_session_id=session.client_session_id, **place)


def _key_ring(call):
    call("signing_key_rotate", purpose="jwt", alg="EdDSA")
    key = call("signing_key_rotate", purpose="token")
    call("signing_key_list")
    call("signing_key_revoke", kid=key.kid)
    call("jwks")
    call("issuer")
    call("root_key_rotate")
    call("instance_reset")
