"""protect_table does what its caller could do without it, and nothing that another role prepared."""

import pytest
from psycopg import errors
from support.service import call, value


def spy(admin, landlord):
    """A function of the owner's that writes down as whom it runs."""
    admin.execute(f"""
        CREATE TABLE {landlord.schema}.seen (who text);
        ALTER TABLE {landlord.schema}.seen OWNER TO {landlord.role};
        CREATE FUNCTION {landlord.schema}.spy() RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO {landlord.schema}.seen VALUES (current_user); RETURN true; END $$;
        ALTER FUNCTION {landlord.schema}.spy OWNER TO {landlord.role}""")


def seen(admin, landlord):
    return {row.who for row in admin.execute(f"SELECT who FROM {landlord.schema}.seen")}


def test_names_of_the_owner_are_not_used(admin, landlord, tenant):
    """Operators, casts, functions and types of a schema that stands first in the path."""
    table = landlord.table()
    admin.execute(f"""
        SET search_path = {landlord.schema};
        CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE OPERATOR = (FUNCTION = same, LEFTARG = text, RIGHTARG = text);
        CREATE FUNCTION current_account(text, text, text) RETURNS text LANGUAGE sql AS $$SELECT 'red'$$;
        CREATE FUNCTION has_scope(text, text, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE DOMAIN text AS pg_catalog.text;
        CREATE DOMAIN uuid AS pg_catalog.uuid;
        SET search_path = {landlord.schema}, pg_catalog""")

    landlord.protect(admin, table, scope="call_logs")

    admin.execute("RESET search_path")
    place = f"'{landlord.shop.product}'::text, '{landlord.shop.env}'::text, NULL::text"
    assert landlord.policies(table) == {
        "dialstack_sessions_access": (
            f"((account = ( SELECT dialstack.current_account({place}) AS current_account)) "
            f"AND ( SELECT dialstack.has_scope('call_logs'::text, {place}) AS has_scope))"
        )
    }
    assert tenant("blue", table) == {1}


def test_event_triggers_run_as_the_caller(admin, as_landlord, landlord):
    """Not as the extension's owner, whose rights the caller has not."""
    table = landlord.table()
    spy(admin, landlord)
    admin.execute(f"""
        CREATE FUNCTION {landlord.schema}.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM {landlord.schema}.spy(); END $$;
        CREATE EVENT TRIGGER at_start ON ddl_command_start EXECUTE FUNCTION {landlord.schema}.on_ddl();
        CREATE EVENT TRIGGER at_end ON ddl_command_end EXECUTE FUNCTION {landlord.schema}.on_ddl();
        CREATE EVENT TRIGGER at_drop ON sql_drop EXECUTE FUNCTION {landlord.schema}.on_ddl()""")
    try:
        owner = as_landlord()
        landlord.protect(owner, table)
        landlord.protect(owner, table)
        call(owner, "unprotect_table", relation=table)
    finally:
        admin.execute("DROP EVENT TRIGGER at_start; DROP EVENT TRIGGER at_end; DROP EVENT TRIGGER at_drop")

    assert seen(admin, landlord) == {landlord.role}


def test_code_of_the_owner_does_not_run_when_a_superuser_protects_or_looks(admin, landlord):
    spy(admin, landlord)
    schema = landlord.schema
    admin.execute(f"""
        CREATE DOMAIN {schema}.account_id AS text CHECK ({schema}.spy() OR VALUE IS NULL);
        CREATE FUNCTION {schema}.key(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
        AS $$ BEGIN PERFORM {schema}.spy(); RETURN $1; END $$""")
    table = landlord.table(columns=f"id int, account {schema}.account_id", rows="(1, NULL)")
    admin.execute(f"CREATE INDEX ON {table} ({schema}.key(account))")
    admin.execute(f"CREATE POLICY spying ON {table} AS RESTRICTIVE USING ({schema}.spy())")
    admin.execute(f"CREATE VIEW {schema}.shown AS SELECT * FROM {table} WHERE {schema}.spy()")
    admin.execute(f"TRUNCATE {schema}.seen")

    landlord.protect(admin, table, force=True)
    weaknesses = admin.execute("SELECT * FROM dialstack.policy_lint()").fetchall()
    call(admin, "unprotect_table", relation=table)

    assert [row.weakness for row in weaknesses] == ["no_index"]
    assert seen(admin, landlord) == set()


def test_who_does_not_own_the_table_cannot_even_make_it_wait(admin, connect, create_role, landlord):
    table = landlord.table()
    create_role("stranger")
    call(admin, "grant_access", role="stranger", access="admin")
    admin.execute(f"GRANT USAGE ON SCHEMA {landlord.schema} TO stranger; GRANT ALL ON {table} TO stranger")
    stranger = connect()
    stranger.execute("SET ROLE stranger; SET lock_timeout = '1s'")
    with connect() as busy, busy.transaction():
        busy.execute(f"SELECT FROM {table}")
        for attempt in (
            lambda: landlord.protect(stranger, table),
            lambda: call(stranger, "unprotect_table", relation=table),
        ):
            with pytest.raises(errors.InvalidParameterValue, match="PROTECT_FAILED.* belongs to another role"):
                attempt()
    assert landlord.policies(table) == {}


def test_the_caller_is_who_it_was_afterwards(as_landlord, landlord):
    table = landlord.table()
    owner = as_landlord()
    owner.execute("SET search_path = public; SET row_security = off")

    landlord.protect(owner, table)
    with pytest.raises(errors.InvalidParameterValue):
        landlord.protect(owner, table, column="nope")

    assert value(owner, "SELECT current_user::text") == landlord.role
    assert value(owner, "SELECT current_setting('search_path')") == "public"
    assert value(owner, "SELECT current_setting('row_security')") == "off"
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute("DELETE FROM dialstack.products")
