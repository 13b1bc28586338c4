"""Administrators whose transaction began before what they are to change: they are told to try again, or it is done, but
nothing is left out in silence."""

import pytest
from psycopg import errors
from support.levels import OLD_SNAPSHOTS
from support.service import Shop, active_key, call, value, verify

ROLE = "late_backend"


@pytest.fixture
def role(create_role):
    create_role(ROLE)
    return ROLE


def take_snapshot(connection):
    assert value(connection, "SELECT count(*) > 0 FROM dialstack.product_list()")


def deleting_a_product(admin, shop):
    product = f"{shop.product}-late"
    call(admin, "product_create", product=product)
    return lambda connection: call(connection, "product_delete", product=product)


def deleting_a_definition(admin, shop):
    Shop(shop.product, tag="late").define(admin)
    return lambda connection: call(connection, "definition_delete", product=shop.product, tag="late")


def updating_a_definition(admin, shop):
    Shop(shop.product, tag="late").define(admin)
    changes = {"product": shop.product, "tag": "late", "changes": '{"name": "Later"}'}
    return lambda connection: call(connection, "definition_update", **changes)


def deleting_a_scope(admin, shop):
    call(admin, "scope_create", product=shop.product, scope="late", description="")
    return lambda connection: call(connection, "scope_delete", product=shop.product, scope="late")


def revoking_an_api_key(admin, shop):
    key = call(admin, "api_key_create", **shop.home)
    return lambda connection: call(connection, "api_key_revoke", api_key_id=key.api_key_id)


def revoking_a_retired_key(admin, shop):
    call(admin, "signing_key_rotate", purpose="jwt")
    kid = active_key(admin, "jwt")
    call(admin, "signing_key_rotate", purpose="jwt")
    return lambda connection: call(connection, "signing_key_revoke", kid=kid)


def resetting_the_instance(admin, shop):
    call(admin, "signing_key_rotate", purpose="jwt", alg="EdDSA", publish_first="1 day")
    return lambda connection: call(connection, "instance_reset")


def revoking_an_accounts_sessions(admin, shop):
    call(admin, "account_session_create", account="acct_1", **shop.home)
    return lambda connection: call(connection, "account_session_revoke", account="acct_1", **shop.home)


def revoking_a_set(admin, shop):
    shop.create(admin)
    return lambda connection: call(connection, "session_revoke_where", product=shop.product, dry_run=False)


def revoking_a_set_of_client_sessions(admin, shop):
    call(admin, "client_session_create", **shop.home)
    return lambda connection: call(
        connection, "session_revoke_where", product=shop.product, kind="client", dry_run=False
    )


def revoking_the_key_of_tokens(admin, shop):
    call(admin, "client_session_create", **shop.home)
    return lambda connection: call(connection, "signing_key_revoke", kid=active_key(connection, "token"))


def revoking_the_key_of_session_data(admin, shop):
    shop.create(admin)
    return lambda connection: call(connection, "signing_key_revoke", kid=active_key(connection, "seal"))


def erasing_whom_an_account_session_was_made_for(admin, shop):
    call(admin, "account_session_create", account="acct_1", identifier="user_456", **shop.home)
    return lambda connection: call(connection, "user_erase", product=shop.product, identifier="user_456")


def deleting_an_environment_with_a_session(admin, shop):
    call(admin, "account_session_create", account="acct_1", **shop.home)
    return lambda connection: call(connection, "env_delete", **shop.home)


def deleting_a_definition_with_a_session(admin, shop):
    shop.create(admin)
    return lambda connection: call(connection, "definition_delete", product=shop.product, tag=shop.tag)


def deleting_a_scope_that_a_session_has(admin, shop):
    call(admin, "account_session_create", account="acct_1", **shop.home)
    return lambda connection: call(connection, "scope_delete", product=shop.product, scope="voicemails")


def revoking_all_of_a_user(admin, shop):
    shop.create(admin)
    return shop.revoke_all


def made_in_a_new_environment(admin, shop):
    staging = Shop(shop.product, env="staging")
    call(admin, "env_create", product=shop.product, env=staging.env)
    staging.create(admin)


def deleting_a_new_environment(admin, shop):
    made_in_a_new_environment(admin, shop)
    return lambda connection: call(connection, "env_delete", product=shop.product, env="staging")


def revoking_a_user_of_a_new_environment(admin, shop):
    made_in_a_new_environment(admin, shop)
    return lambda connection: call(connection, "session_revoke", product=shop.product, identifier="user_456")


def erasing_a_user_of_a_new_environment(admin, shop):
    made_in_a_new_environment(admin, shop)
    return lambda connection: call(connection, "user_erase", product=shop.product, identifier="user_456")


@OLD_SNAPSHOTS
@pytest.mark.parametrize(
    "change",
    [
        deleting_a_product,
        deleting_a_definition,
        updating_a_definition,
        deleting_a_scope,
        revoking_an_api_key,
        revoking_a_retired_key,
        resetting_the_instance,
        revoking_an_accounts_sessions,
        revoking_a_set,
        revoking_a_set_of_client_sessions,
        revoking_the_key_of_tokens,
        revoking_the_key_of_session_data,
        erasing_whom_an_account_session_was_made_for,
        deleting_an_environment_with_a_session,
        deleting_a_definition_with_a_session,
        deleting_a_scope_that_a_session_has,
        revoking_all_of_a_user,
        deleting_a_new_environment,
        revoking_a_user_of_a_new_environment,
        erasing_a_user_of_a_new_environment,
    ],
)
def test_what_is_newer_than_the_snapshot_is_to_be_tried_again(admin, connect, shop, isolation, change):
    late = connect(isolation=isolation)
    with late.transaction(force_rollback=True):
        take_snapshot(late)
        act = change(admin, shop)
        with pytest.raises(errors.SerializationFailure), late.transaction():
            act(late)

    act(late)
    assert verify(admin, Shop.make(admin).create(admin).token).valid


@OLD_SNAPSHOTS
def test_a_session_of_a_definition_newer_than_the_snapshot_does_not_outlast_its_user(
    admin, connect, shop, isolation
):
    admin.execute("DROP TABLE IF EXISTS people; CREATE TABLE people (id text); INSERT INTO people VALUES ('user_456')")
    call(admin, "revoke_sessions_on", relation="people", identifier_column="id", **shop.home)
    other = Shop(shop.product, tag="other")
    late = connect(isolation=isolation)
    with late.transaction(force_rollback=True):
        take_snapshot(late)
        other.define(admin)
        session = other.create(admin)
        with pytest.raises(errors.SerializationFailure):
            late.execute("DELETE FROM people")

    late.execute("DELETE FROM people")
    assert verify(admin, session.token).reason == "revoked"


@OLD_SNAPSHOTS
def test_a_level_that_was_granted_after_the_snapshot_is_taken_back(admin, connect, role, isolation):
    late = connect(isolation=isolation)
    with late.transaction():
        take_snapshot(late)
        call(admin, "grant_access", role=role, access="server")
        call(late, "revoke_access", role=role, access="server")

    assert not value(admin, f"SELECT has_function_privilege('{role}', 'dialstack.access_server()', 'EXECUTE')")


@OLD_SNAPSHOTS
def test_a_limit_that_was_granted_after_the_snapshot_does_not_outlast_its_level(
    admin, connect, shop, role, isolation
):
    late = connect(isolation=isolation)
    with late.transaction(force_rollback=True):
        take_snapshot(late)
        call(admin, "grant_access", role=role, access="server", product=shop.product)
        with pytest.raises(errors.SerializationFailure, match="^CONFLICT: "):
            call(late, "revoke_access", role=role, access="server")

    call(late, "revoke_access", role=role, access="server")
    assert value(admin, "SELECT count(*) FROM dialstack.access_limits WHERE role_name = %s", role) == 0


@OLD_SNAPSHOTS
def test_a_scope_that_was_deleted_after_the_snapshot_is_not_given_out(admin, connect, shop, isolation):
    late = connect(isolation=isolation)
    with late.transaction():
        take_snapshot(late)
        call(admin, "scope_delete", product=shop.product, scope="voicemails")
        made = call(late, "account_session_create", account="acct_1", **shop.home)

    assert "voicemails" not in made.components
    assert verify(admin, made.client_secret, scope="voicemails").reason == "scope_disabled"


@OLD_SNAPSHOTS
def test_who_was_erased_after_the_snapshot_is_not_counted_again(admin, connect, shop, isolation):
    shop.create(admin, "once_seen")
    late = connect(isolation=isolation)
    with late.transaction(force_rollback=True):
        take_snapshot(late)
        call(admin, "user_erase", product=shop.product, identifier="once_seen")
        with pytest.raises(errors.SerializationFailure):
            call(late, "maintain")

    call(late, "maintain")
    assert value(admin, "SELECT count(*) FROM dialstack.rollup_users WHERE identifier = 'once_seen'") == 0
