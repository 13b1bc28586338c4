"""Configuration that several change at once."""

import json

import pytest
from psycopg import errors
from support.levels import LEVELS, OLD_SNAPSHOTS
from support.service import (
    REPEATABLE_READ,
    Background,
    Shop,
    call,
    retrying,
    together,
    until,
    value,
    verify,
)


def export(connection):
    return value(connection, "SELECT dialstack.configuration_export()")


def apply(connection, document):
    return connection.execute(
        "SELECT * FROM dialstack.configuration_apply(%s, dry_run => false)", [json.dumps(document)]
    ).fetchall()


def product(document, shop):
    """The part of the document that is about the shop's product."""
    return next(part for part in document["products"] if part["product"] == shop.product)


def edited(connection, shop, **changes):
    """What the database would export, with these changes of the shop's product."""
    document = export(connection)
    product(document, shop).update(changes)
    return document


def migrate(connection, name):
    """A migration that runs again."""
    again = {"if_not_exists": True}
    made = call(connection, "product_create", product=name, **again)
    call(connection, "env_create", product=name, env="production", **again)
    call(connection, "scope_create", product=name, scope="mine", description="", **again)
    return made[0]


INTO_A_PRODUCT = {
    "env_create": lambda shop, connection: call(
        connection, "env_create", product=shop.product, env="staging"
    ),
    "scope_create": lambda shop, connection: call(
        connection, "scope_create", product=shop.product, scope="mine", description=""
    ),
    "definition_create": lambda shop, connection: shop.define(connection, expiry=30),
}


@pytest.mark.parametrize("made", INTO_A_PRODUCT)
def test_nothing_is_made_in_a_product_that_a_colleague_deletes_meanwhile(behind, shop, made):
    delete = lambda connection: call(connection, "product_delete", product=shop.product)
    _, waiting = behind(delete, lambda connection: INTO_A_PRODUCT[made](shop, connection))
    with pytest.raises(errors.UndefinedObject, match="^PRODUCT_NOT_FOUND: "):
        waiting.result()


@pytest.mark.parametrize("made", ["scope_create", "definition_create"])
def test_what_is_being_made_in_a_product_holds_up_no_other_change(connect, admin, shop, made):
    other = f"{shop.product}-other"
    call(admin, "product_create", product=other)
    making = connect()
    with making.transaction():
        INTO_A_PRODUCT[made](shop, making)
        call(admin, "env_update", product=shop.product, env=shop.env, live=True)
        call(admin, "product_delete", product=other)


@pytest.mark.parametrize("made", INTO_A_PRODUCT)
def test_what_is_made_in_a_product_newer_than_the_snapshot_is_to_be_tried_again(admin, connect, made):
    making = connect(isolation=REPEATABLE_READ)
    with making.transaction(force_rollback=True):
        value(making, "SELECT count(*) FROM dialstack.product_list()")
        shop = Shop.make(admin)
        with pytest.raises(errors.SerializationFailure, match="^CONFLICT: what is named"):
            INTO_A_PRODUCT[made](shop, making)
    INTO_A_PRODUCT[made](shop, making)


@LEVELS
def test_two_migrations_at_once_both_succeed(admin, shop, isolation):
    name = f"{shop.product}-migrated"

    def work(connection):
        return retrying(lambda: migrate(connection, name))

    ids = together([work] * 4, isolation)

    assert len(set(ids)) == 1
    assert value(admin, "SELECT count(*) FROM dialstack.env_list(%s)", name) == 1


def test_a_migration_waits_for_one_that_is_not_committed(behind, shop):
    run = lambda connection: migrate(connection, f"{shop.product}-waited")
    made, waiting = behind(run, run)
    assert waiting.result() == made


def test_what_is_applied_later_waits_and_holds(behind, admin, shop):
    one = edited(admin, shop, name="One", environments=[{"env": "production", "live": True}])
    two = edited(admin, shop, name="Two", scopes=[{"scope": "only", "description": ""}])
    _, waiting = behind(lambda connection: apply(connection, one), lambda connection: apply(connection, two))
    changes = {(row.action, row.object, row.name) for row in waiting.result()}
    # It saw what the first had made.
    assert ("update", "product", shop.product) in changes
    assert export(admin) == two


def test_an_environment_that_is_being_made_holds_it_up_and_nothing_is_half_done(
    connect, admin, shop
):
    before = export(admin)
    wanted = edited(admin, shop, name="Never", environments=[], definitions=[])
    other = connect()
    with other.transaction(force_rollback=True):
        call(other, "env_create", product=shop.product, env="open")
        with pytest.raises(errors.LockNotAvailable, match="nothing was changed") as raised:
            apply(admin, wanted)
        assert f"process {other.info.backend_pid} (idle in transaction" in raised.value.diag.message_hint
    assert export(admin) == before


def test_an_old_snapshot_does_not_apply_past_what_it_can_not_see(connect, admin, shop):
    reader = connect(isolation=REPEATABLE_READ)
    wanted = export(admin)
    with reader.transaction():
        assert value(reader, "SELECT count(*) > 0 FROM dialstack.product_list()")
        call(admin, "env_create", product=shop.product, env="new")
        with pytest.raises(errors.SerializationFailure, match="CONFLICT"), reader.transaction():
            apply(reader, wanted)
        # The difference is that of now, at every isolation level.
        rows = reader.execute(
            "SELECT action, name FROM dialstack.configuration_apply(%s)", [json.dumps(wanted)]
        )
        assert rows.fetchall() == [("delete", f"{shop.product}/new")]
    assert retrying(lambda: apply(reader, wanted))[0].action == "delete"
    assert export(admin) == wanted


def extend_at_the_last_moment(connection, shop, admin):
    session = call(admin, "session_create", **shop.place, data='{"userId": "u"}', session_expires_in="1 second")
    call(connection, "session_extend", session_id=session.session_id, by="1 day")
    expired = "SELECT expires_at < clock_timestamp() FROM dialstack.sessions WHERE session_id = %s"
    until(lambda: value(admin, expired, session.session_id), "the session to expire")


LIVES = {
    "user": lambda connection, shop, _: shop.create(connection),
    "client": lambda connection, shop, _: call(connection, "client_session_create", **shop.home),
    "key": lambda connection, shop, _: call(connection, "api_key_create", **shop.home),
    "extended": extend_at_the_last_moment,
}


@pytest.mark.parametrize("lives", LIVES)
def test_an_environment_stays_live_for_what_is_being_made_or_extended(behind, admin, shop, lives):
    make_test = lambda connection: call(connection, "env_update", **shop.home, live=False)
    _, waiting = behind(lambda connection: LIVES[lives](connection, shop, admin), make_test)
    with pytest.raises(errors.InvalidParameterValue, match="DEFINE_FAILED"):
        waiting.result()
    assert value(admin, "SELECT live FROM dialstack.env_list(%s)", shop.product)


def test_a_key_that_is_being_made_is_revoked_with_its_environment(behind, admin, shop):
    make = lambda connection: call(connection, "api_key_create", **shop.home)
    key, waiting = behind(make, lambda connection: call(connection, "env_delete", **shop.home))
    waiting.result()
    state = "SELECT state FROM dialstack.api_key_usage WHERE api_key_id = %s"
    assert value(admin, state, key.api_key_id) == "revoked"


@LEVELS
def test_another_name_counts_at_the_next_statement(connect, admin, shop, isolation):
    session = shop.create(admin)
    reader = connect(isolation=isolation)
    with reader.transaction():
        assert verify(reader, session.token, env=shop.env).valid
        call(admin, "env_update", **shop.home, new_name="renamed")
        assert verify(reader, session.token, env="renamed").valid
        assert verify(reader, session.token, env=shop.env).reason == "mismatch"


NAMING = {
    "protect_table": {"relation": "notes", "column_name": "account"},
    "revoke_sessions_on": {"relation": "notes", "identifier_column": "account"},
}


def naming(function, shop):
    return lambda connection: call(connection, function, **NAMING[function], **shop.home)


def renaming(shop):
    return lambda connection: call(connection, "env_update", **shop.home, new_name="renamed")


@pytest.mark.parametrize("function", NAMING)
def test_an_environment_keeps_the_name_that_a_policy_or_trigger_is_being_made_for(
    behind, admin, shop, function
):
    admin.execute("DROP TABLE IF EXISTS notes; CREATE TABLE notes (account text)")
    _, waiting = behind(naming(function, shop), renaming(shop))
    with pytest.raises(errors.InvalidParameterValue, match="policies or triggers"):
        waiting.result()


@pytest.mark.parametrize("function", NAMING)
def test_no_policy_or_trigger_is_made_for_a_name_that_is_being_given_up(behind, admin, shop, function):
    admin.execute("DROP TABLE IF EXISTS notes; CREATE TABLE notes (account text)")
    _, waiting = behind(renaming(shop), naming(function, shop))
    with pytest.raises(errors.UndefinedObject, match="^ENV_NOT_FOUND: "):
        waiting.result()


@OLD_SNAPSHOTS
@pytest.mark.parametrize(
    "function, change", [("api_key_create", {"live": False}), ("protect_table", {"new_name": "renamed"})]
)
def test_an_old_snapshot_does_not_hide_what_an_environment_has_to_stay_for(
    connect, admin, shop, isolation, function, change
):
    admin.execute("DROP TABLE IF EXISTS notes; CREATE TABLE notes (account text)")
    reader = connect(isolation=isolation)
    with reader.transaction(force_rollback=True):
        assert value(reader, "SELECT count(*) > 0 FROM dialstack.product_list()")
        call(admin, function, **NAMING.get(function, {}), **shop.home)
        with pytest.raises(errors.SerializationFailure, match="CONFLICT|concurrent update"):
            call(reader, "env_update", **shop.home, **change)


def test_two_environments_do_not_get_one_name(admin, shop):
    call(admin, "env_create", product=shop.product, env="second")

    def rename(env):
        def work(connection):
            try:
                call(connection, "env_update", product=shop.product, env=env, new_name="wanted")
            except errors.InvalidParameterValue:
                return "taken"
            return "renamed"

        return work

    assert sorted(together([rename(shop.env), rename("second")])) == ["renamed", "taken"]


def test_a_product_is_deleted_as_a_whole_or_not_at_all(connect, admin, shop):
    """One session of the second environment is being made for longer than the call is patient."""
    second = Shop(shop.product, env="second")
    call(admin, "env_create", product=shop.product, env=second.env)
    session = shop.create(admin)
    creator = connect()
    with creator.transaction():
        made = second.create(creator)
        with pytest.raises(errors.LockNotAvailable):
            call(admin, "product_delete", product=shop.product)
        assert verify(admin, session.token).valid
        deleting = Background(lambda: call(connect(), "product_delete", product=shop.product))
    deleting.result()
    assert {verify(admin, token).reason for token in (session.token, made.token)} == {"revoked"}


def test_a_definition_that_was_rolled_back_is_forgotten(connect, shop):
    connection = connect()
    lives_longer = "SELECT %s > clock_timestamp() + interval '1 hour'"
    changes = '{"expiry": 2, "period": "hours"}'
    with connection.transaction(force_rollback=True):
        call(connection, "definition_update", product=shop.product, tag=shop.tag, changes=changes)
        assert value(connection, lives_longer, shop.create(connection).expires_at)
    assert not value(connection, lives_longer, shop.create(connection).expires_at)
