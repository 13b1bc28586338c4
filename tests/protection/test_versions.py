"""What only some versions or builds of PostgreSQL have."""

import pytest
from psycopg import errors
from support.service import call, value, verify


def weaknesses(admin, role):
    """What policy_lint says of a role."""
    query = "SELECT weakness FROM dialstack.policy_lint() WHERE detail LIKE %s"
    return {row.weakness for row in admin.execute(query, [f"Role {role} %"])}


def test_a_collation_that_takes_different_texts_for_the_same_is_refused(admin, landlord):
    table = landlord.table(columns="id int, account text, any_case text", rows="(1, 'blue', 'Blue')")
    try:
        admin.execute(
            f"CREATE COLLATION {landlord.schema}.any_case "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL was built without ICU")
    collate = f"ALTER COLUMN any_case TYPE text COLLATE {landlord.schema}.any_case"
    admin.execute(f"ALTER TABLE {table} {collate}")
    with pytest.raises(errors.InvalidParameterValue) as refused:
        landlord.protect(admin, table, "any_case")
    assert "any_case of " in refused.value.diag.message_primary
    assert "takes different texts for the same" in refused.value.diag.message_primary
    assert refused.value.diag.message_detail == "Its collation is not deterministic."


def test_a_group_does_not_query_as_itself_because_a_role_made_it(admin, connect, landlord):
    """From PostgreSQL 16 on, the maker is a member that may neither use nor set the role."""
    table = landlord.table()
    landlord.protect(admin, table)
    admin.execute("CREATE ROLE maker CREATEROLE")
    maker = connect()
    try:
        maker.execute("SET ROLE maker")
        maker.execute("CREATE ROLE made; CREATE ROLE teammate LOGIN IN ROLE made")
        maker.execute("RESET ROLE")
        admin.execute(f"GRANT SELECT ON {table} TO made")
        call(admin, "grant_access", role="teammate", access="client")
        assert weaknesses(admin, "made") == set()
    finally:
        admin.execute(f"REVOKE ALL ON {table} FROM made")
        admin.execute("DROP OWNED BY teammate; DROP ROLE IF EXISTS teammate, made, maker")


def test_a_setting_that_is_misspelt_is_refused(admin):
    # The first call loads the library.
    assert value(admin, "SELECT dialstack.current_account()") is None
    with pytest.raises(errors.InvalidName, match="sesion_retention"):
        admin.execute("SET dialstack_sessions.sesion_retention = 1")


@pytest.fixture
def virtual(admin, shop):
    """A table of users with columns that are computed whenever they are read."""
    if admin.info.server_version < 180000:
        pytest.skip("there are no virtual columns before PostgreSQL 18")
    admin.execute(
        "CREATE TABLE virtual (id text, secret text, name text, "
        "key text GENERATED ALWAYS AS (lower(id)) VIRTUAL, "
        "secrets text GENERATED ALWAYS AS (secret || id) VIRTUAL)"
    )
    admin.execute("INSERT INTO virtual VALUES ('user_1', 'old', 'Ann'), ('user_2', 'old', 'Bob')")
    yield f"'{shop.product}', '{shop.env}', '{shop.tag}'"
    admin.execute("DROP TABLE virtual")


def test_a_virtual_column_cannot_hold_whose_sessions_are_revoked(admin, shop, virtual):
    token = shop.create(admin, "user_1").token
    admin.execute(
        "CREATE TRIGGER revoke AFTER DELETE ON virtual FOR EACH ROW "
        f"EXECUTE FUNCTION dialstack.revoke_on_change({virtual}, 'key')"
    )
    with pytest.raises(errors.InvalidParameterValue, match="REVOKE_FAILED: .*is not stored"):
        admin.execute("DELETE FROM virtual WHERE id = 'user_1'")
    assert verify(admin, token).valid
    assert value(admin, "SELECT count(*) FROM virtual") == 2


def test_a_change_of_a_virtual_column_that_is_watched_revokes(admin, shop, virtual):
    tokens = [shop.create(admin, f"user_{n}").token for n in (1, 2)]
    admin.execute(
        "CREATE TRIGGER revoke AFTER UPDATE OF secret, secrets ON virtual FOR EACH ROW "
        f"EXECUTE FUNCTION dialstack.revoke_on_change({virtual}, 'id')"
    )
    admin.execute("UPDATE virtual SET secret = 'new' WHERE id = 'user_1'")
    assert [verify(admin, token).reason for token in tokens] == ["revoked", None]


def test_a_protected_virtual_column_is_obeyed(admin, shop, virtual, connect, create_role):
    create_role("reader")
    admin.execute("GRANT SELECT, INSERT, UPDATE ON virtual TO reader")
    reader = connect()
    call(admin, "grant_access", role="reader", access="client")
    place = {**shop.home, "by": "identifier"}
    call(admin, "protect_table", relation="virtual", column_name="key", **place)
    call(reader, "session_use", token=shop.create(admin, "user_1").token, is_local=False)
    reader.execute("SET ROLE reader")
    assert [row.id for row in reader.execute("SELECT id FROM virtual")] == ["user_1"]
    for change in ("INSERT INTO virtual VALUES ('USER_2')", "UPDATE virtual SET id = 'user_2'"):
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            reader.execute(change)
    reader.execute("INSERT INTO virtual VALUES ('USER_1')")
