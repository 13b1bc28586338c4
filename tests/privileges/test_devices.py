"""Counting devices runs what a table's owner has put there: never with more than the owner's rights."""

from uuid import UUID

import pytest
from psycopg import Error
from support.service import call, keep_presenting, use_key, value

ACCOUNT = UUID(int=1)


@pytest.fixture
def owner(admin, shop):
    """A role without rights, and a schema that it owns."""
    role = f"landlord_{shop.product.replace('-', '_')}"
    admin.execute(f"CREATE ROLE {role}")
    admin.execute(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
    admin.execute(f"CREATE TABLE {role}.seen (who text, super boolean, path text)")
    admin.execute(f"ALTER TABLE {role}.seen OWNER TO {role}")
    yield role
    # Whatever it tried, it is still nobody.
    assert not value(admin, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = %s", role)
    admin.execute(f"DROP OWNED BY {role} CASCADE")
    admin.execute(f"DROP ROLE {role}")


def spy(admin, owner):
    """A function of the owner's that writes down as whom it runs, and tries to become more."""
    admin.execute(f"""
        CREATE FUNCTION {owner}.spy(found boolean DEFAULT true) RETURNS boolean
        LANGUAGE plpgsql AS $spy$
        DECLARE
            attempt text;
        BEGIN
            INSERT INTO {owner}.seen
            SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
                   current_setting('search_path');
            FOREACH attempt IN ARRAY ARRAY[
                'ALTER ROLE {owner} SUPERUSER', 'RESET ROLE', 'SET ROLE postgres',
                'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres',
                'CREATE TEMP TABLE trap (x int)', 'SELECT root_key FROM dialstack.instance',
                'SELECT dialstack.grant_access(''{owner}'', ''admin'')']
            LOOP
                BEGIN
                    EXECUTE attempt;
                    INSERT INTO {owner}.seen VALUES (attempt, true, 'succeeded');
                EXCEPTION WHEN OTHERS THEN
                    NULL;
                END;
            END LOOP;
            RETURN found;
        END $spy$""")
    admin.execute(f"ALTER FUNCTION {owner}.spy OWNER TO {owner}")


def table(admin, owner, column="uuid"):
    admin.execute(f"CREATE TABLE {owner}.devices (id int, account {column})")
    admin.execute(f"INSERT INTO {owner}.devices VALUES (1, '{ACCOUNT}'), (2, '{ACCOUNT}')")
    admin.execute(f"ALTER TABLE {owner}.devices OWNER TO {owner}")


def register(admin, shop, owner, running=None, column="account", name="devices"):
    """Protects the owner's table as one of devices; a connection that plans a query of it runs the function."""
    call(admin, "protect_table", relation=f"{owner}.{name}", column_name=column, product=shop.product,
         env=shop.env, by="connected_account", device=True, force=bool(running))
    if running:
        admin.execute(f"""
            CREATE TABLE {owner}.armed (x int);
            GRANT SELECT ON {owner}.armed TO {owner};
            CREATE FUNCTION {owner}.planned(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                IF EXISTS (SELECT FROM {owner}.armed) THEN PERFORM {owner}.{running}(); END IF; RETURN true;
            END $$;
            CREATE INDEX planned ON {owner}.{name} (id) WHERE {owner}.planned(1);
            INSERT INTO {owner}.armed VALUES (1)""")
        # A policy that binds the owner is passed by.
        admin.execute(f"CREATE POLICY failing ON {owner}.{name} USING (1 / (id - id) = 1)")


def count(connection, shop):
    return call(
        connection,
        "client_session_create",
        connected_account_ids=[ACCOUNT],
        product=shop.product,
        env=shop.env,
    ).device_count


def seen(admin, owner):
    rows = admin.execute(f"SELECT who, super, path FROM {owner}.seen").fetchall()
    assert all(not row.super for row in rows), rows
    return {row.who for row in rows}


def test_code_of_the_owner_runs_as_the_owner(admin, act_as, shop, owner):
    spy(admin, owner)
    table(admin, owner)
    register(admin, shop, owner, "spy")

    for caller in (admin, act_as("server")):
        assert count(caller, shop) == 2

    assert seen(admin, owner) == {owner}


@pytest.mark.parametrize("level", [None, "client", "server"])
def test_an_owner_alone_gets_no_table_counted(admin, shop, owner, level):
    """Neither by a policy with its comment nor by a trigger like those of protect_table."""
    table(admin, owner)
    register(admin, shop, owner)
    query = "SELECT obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = %s::regclass"
    comment = value(admin, query, f"{owner}.devices").replace("'", "''")
    admin.execute(f"DROP TRIGGER dialstack_sessions_devices ON {owner}.devices")
    if level:
        call(admin, "grant_access", role=owner, access=level)
    admin.execute(f"SET ROLE {owner}")
    admin.execute(f"COMMENT ON POLICY dialstack_sessions_access ON {owner}.devices IS '{comment}'")
    with pytest.raises(Error, match="permission denied"):
        admin.execute(
            f"CREATE TRIGGER dialstack_sessions_devices AFTER TRUNCATE ON {owner}.devices EXECUTE FUNCTION "
            f"dialstack.device_table('{shop.product}', '{shop.env}', 'account')"
        )
    admin.execute("RESET ROLE")

    assert count(admin, shop) == 0


def test_a_caller_is_who_it_was_after_the_owners_code_failed(admin, act_as, shop, owner):
    table(admin, owner)
    admin.execute(f"CREATE FUNCTION {owner}.fail() RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 > 0'")
    register(admin, shop, owner, "fail")
    server = act_as("server")
    with server.transaction():
        assert count(server, shop) is None
        assert value(server, "SELECT current_user::text") == "role_server"
        with pytest.raises(Error, match="permission denied"):
            with server.transaction():
                value(server, "SELECT count(*) FROM dialstack.sessions")


def test_the_owners_code_sees_neither_token_nor_key(admin, act_as, shop, owner):
    table(admin, owner)
    admin.execute(f"CREATE TABLE {owner}.settings (value text)")
    admin.execute(f"ALTER TABLE {owner}.settings OWNER TO {owner}")
    admin.execute(f"""
        CREATE FUNCTION {owner}.look() RETURNS boolean LANGUAGE sql AS $$
            INSERT INTO {owner}.settings
            SELECT current_setting('dialstack_sessions.token')
            UNION ALL SELECT current_setting('dialstack_sessions.api_key')
            UNION ALL SELECT s::text FROM pg_settings s
            RETURNING true $$;
        ALTER FUNCTION {owner}.look OWNER TO {owner};
    """)
    register(admin, shop, owner, "look")
    key = call(admin, "api_key_create", **shop.home).api_key
    token = call(admin, "client_session_create", user_identifier_key="u", **shop.home).token
    client = act_as("client")
    use_key(client, key)
    keep_presenting(client, token)

    call(client, "client_session_create", connected_account_ids=[ACCOUNT])

    settings = [row.value for row in admin.execute(f"SELECT value FROM {owner}.settings")]
    assert len(settings) > 100
    assert not [text for text in settings if key in text or token in text]


def test_a_table_that_somebody_locks_holds_no_call_up(admin, act_as, connect, shop, owner):
    table(admin, owner)
    register(admin, shop, owner)
    server = act_as("server")
    with connect() as locking, locking.transaction():
        locking.execute(f"LOCK TABLE {owner}.devices")
        assert count(server, shop) is None
        (finding,) = admin.execute(
            "SELECT weakness, detail FROM dialstack.policy_lint() WHERE weakness = 'not_counted'"
        ).fetchall()
        assert finding.detail == "Looking at it fails with SQLSTATE 55P03."
    assert count(server, shop) == 2


def test_settings_that_the_owners_code_makes_end_with_it(admin, shop, owner):
    admin.execute("SET work_mem = '5MB'")
    table(admin, owner)
    admin.execute(f"""
        CREATE FUNCTION {owner}.persuade() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('search_path', '{owner}, pg_catalog', false);
            PERFORM set_config('work_mem', '99MB', false);
            PERFORM set_config('row_security', 'off', false);
            PERFORM set_config('dialstack_sessions.api_key', 'planted', false);
            RETURN true;
        END $$;
        ALTER FUNCTION {owner}.persuade OWNER TO {owner};
    """)
    register(admin, shop, owner, "persuade")
    names = ["search_path", "work_mem", "row_security"]
    settings = "SELECT array_agg(current_setting(name) ORDER BY name) FROM unnest(%s::text[]) AS name"
    before = value(admin, settings, names)

    assert count(admin, shop) == 2

    assert value(admin, settings, names) == before
    # A planted key would be refused.
    assert count(admin, shop) == 2


def test_a_deferred_trigger_of_the_owners_does_not_wait_for_a_greater_role(admin, shop, owner):
    spy(admin, owner)
    table(admin, owner)
    admin.execute(f"""
        CREATE TABLE {owner}.bait (x int);
        CREATE FUNCTION {owner}.later() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM {owner}.spy(); RETURN NULL; END $$;
        CREATE FUNCTION {owner}.fish() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            BEGIN
                INSERT INTO {owner}.bait VALUES (1);
            EXCEPTION WHEN OTHERS THEN
                INSERT INTO {owner}.seen VALUES (current_user, false, SQLERRM);
            END;
            RETURN true;
        END $$;
        ALTER TABLE {owner}.bait OWNER TO {owner};
        ALTER FUNCTION {owner}.later OWNER TO {owner};
        ALTER FUNCTION {owner}.fish OWNER TO {owner};
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON {owner}.bait
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {owner}.later();
    """)
    register(admin, shop, owner, "fish")

    with admin.transaction():
        assert count(admin, shop) == 2

    assert seen(admin, owner) == {owner}
