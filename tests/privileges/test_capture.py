"""Whatever lies in a caller's search path, our functions use PostgreSQL's own operators and functions.

A role fills `public` and its temporary schema with look-alikes, each of which raises when it is
used; with those first in the search path it calls every function, and then a superuser does.
"""

import pytest
from psycopg import Error, errors
from psycopg.rows import namedtuple_row
from support import service, tour
from support.cluster import Cluster
from support.service import call, verify

# All of PostgreSQL's functions and operators over ordinary types, whose names ours may use.
LOOK_ALIKES = """
    CREATE FUNCTION public.captured(what text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'captured: %', what USING ERRCODE = 'ZZ001'; END $$;
    DO $do$
    DECLARE
        f record;
    BEGIN
        FOR f IN
            SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
                   format_type(p.prorettype, NULL) AS result, p.proretset
              FROM pg_proc p
             WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
               AND p.proname !~ '^(pg_|binary_upgrade)|_(in|out|recv|send)$|_support$'
               AND NOT EXISTS (
                    SELECT FROM unnest(p.prorettype || p.proargtypes::oid[]) AS a (type)
                      JOIN pg_type t ON t.oid = a.type
                     WHERE t.typtype = 'p' AND t.typname NOT IN ('anyelement', 'anyarray', 'void', 'record')
                        OR t.typname = 'record')
               AND p.provariadic = 0 AND p.proargmodes IS NULL
               AND (p.prorettype NOT IN ('anyelement'::regtype, 'anyarray'::regtype)
                    OR 'anyelement'::regtype = ANY (p.proargtypes::oid[]) OR 'anyarray'::regtype = ANY (p.proargtypes::oid[]))
        LOOP
            EXECUTE format(
                'CREATE FUNCTION public.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS '
                '$$ BEGIN PERFORM public.captured(%L); END $$',
                f.proname, f.arguments, CASE WHEN f.proretset THEN 'SETOF' END, f.result, f.proname);
        END LOOP;
        FOR f IN
            SELECT o.oprname, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r,
                   format_type(o.oprresult, NULL) AS result, row_number() OVER () AS n
              FROM pg_operator o
              JOIN pg_type lt ON lt.oid = o.oprleft JOIN pg_type rt ON rt.oid = o.oprright
             WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprresult <> 0
               AND (lt.typtype <> 'p' OR lt.typname IN ('anyarray', 'anyelement'))
               AND (rt.typtype <> 'p' OR rt.typname IN ('anyarray', 'anyelement'))
        LOOP
            EXECUTE format(
                'CREATE FUNCTION public.look_alike_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS '
                '$$ BEGIN PERFORM public.captured(%L); END $$',
                f.n, f.l, f.r, f.result, f.oprname);
            EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.look_alike_%s, LEFTARG = %s, RIGHTARG = %s)',
                f.oprname, f.n, f.l, f.r);
        END LOOP;
    END $do$;
    CREATE FUNCTION public.add(bigint) RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('count'); END $$;
    CREATE AGGREGATE public.count(*) (SFUNC = add, STYPE = bigint, INITCOND = '0');
    CREATE FUNCTION public.join(text, text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('string_agg'); END $$;
    CREATE AGGREGATE public.string_agg(text, text) (SFUNC = public.join, STYPE = text);
    CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('format'); END $$;
    CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('format'); END $$;
    CREATE FUNCTION public.concat(text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('concat'); END $$;
    CREATE FUNCTION public.pg_extension_config_dump(regclass, text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('pg_extension_config_dump'); END $$;
    -- A type of its own may be cast to PostgreSQL's.
    CREATE TYPE public.lure AS ENUM ('x');
    CREATE FUNCTION public.as_text(public.lure) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.captured('cast'); END $$;
    CREATE CAST (public.lure AS text) WITH FUNCTION public.as_text(public.lure) AS IMPLICIT;
"""

# Tables and types are looked for in the temporary schema first, unless it is named last.
TEMPORARY = """
    DO $do$
    DECLARE
        name text;
    BEGIN
        FOREACH name IN ARRAY ARRAY['pg_class', 'pg_proc', 'pg_namespace', 'pg_attribute', 'pg_roles',
            'pg_database', 'sessions', 'session_users', 'activity', 'products', 'environments', 'instance',
            'signing_keys', 'api_keys', 'scopes']
        LOOP
            EXECUTE pg_catalog.format('CREATE TEMP VIEW %I AS SELECT public.captured(%L)', name, name);
        END LOOP;
        FOREACH name IN ARRAY ARRAY['uuid', 'text', 'date', 'regtype', 'regprocedure', 'regrole',
            'regnamespace', 'int4', 'timestamptz', 'interval', 'bytea', 'jsonb']
        LOOP
            EXECUTE pg_catalog.format(
                'CREATE DOMAIN pg_temp.%I AS pg_catalog.text CHECK (public.captured(%L) IS NOT NULL)', name, name);
        END LOOP;
        CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.captured('pg_temp.now'); END $$;
    END $do$;
"""
PATH = "SET search_path = pg_temp, public, pg_catalog"


@pytest.fixture(scope="module")
def hostile():
    """A database whose `public` belongs to a role that has filled it with look-alikes."""
    cluster = Cluster.given()
    cluster.create_database("hostile")
    with cluster.connect("hostile") as admin:
        admin.execute("CREATE EXTENSION dialstack_sessions")
        admin.execute("CREATE ROLE mallory")
        admin.execute("CREATE ROLE tourist")
        admin.execute("ALTER SCHEMA public OWNER TO mallory")
        admin.execute("GRANT TEMPORARY ON DATABASE hostile TO mallory")
        call(admin, "grant_access", role="mallory", access="admin")
        admin.execute("SET ROLE mallory")
        admin.execute(LOOK_ALIKES)
        admin.execute("RESET ROLE")
        tour.prepare(admin, owner="mallory")
    yield cluster


def tourist(connection):
    """Calls functions without an operator or an unqualified name in the statement."""
    called = set()

    def visit(function, **arguments):
        called.add(function)
        name = function.partition("/")[0]
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        try:
            # In binary form, which no style of a setting changes.
            return connection.execute(
                f"SELECT * FROM dialstack.{name}({named})", arguments, binary=True
            ).fetchone()
        except errors.InvalidParameterValue:
            # The deprecated alias can't name the one of several environments.
            assert function == "session_create/2"
        except errors.ObjectNotInPrerequisiteState:
            # There is no pg_cron here.
            assert function == "schedule_maintenance"

    return visit, called


@pytest.fixture
def traveller(hostile):
    """A connection with the look-alikes before everything else."""
    opened = []

    def travel(role=None, temporary=True):
        connection = hostile.connect("hostile")
        connection.row_factory = namedtuple_row
        opened.append(connection)
        if role:
            connection.execute(f"SET ROLE {role}")
        if temporary:
            connection.execute(TEMPORARY)
        connection.execute(PATH)
        return connection

    yield travel
    for connection in opened:
        connection.close()


def test_the_look_alikes_do_capture_what_is_not_qualified(traveller):
    connection = traveller("mallory")
    for statement in (
        "SELECT now()",
        "SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text",
        "SELECT 1 = 1",
        "SELECT count(*) FROM pg_catalog.pg_am",
        "SELECT * FROM pg_class",
        "SELECT 'x'::uuid",
        "SELECT ARRAY[1] @> ARRAY[1]",
        "SELECT sha256('x')",
        "SELECT unnest(ARRAY[1])",
    ):
        with pytest.raises(Error, match="captured: "):
            connection.execute(statement)


@pytest.mark.parametrize("role", ["mallory", None], ids=["the hostile role", "a superuser"])
def test_no_function_uses_a_look_alike(hostile, traveller, role):
    connection = traveller(role)
    visit, called = tourist(connection)

    tour.take(visit)

    with hostile.connect("hostile") as admin:
        assert called == tour.listed(admin) - tour.NOT_CALLED


def test_devices_are_counted_without_look_alikes(hostile, traveller):
    with hostile.connect("hostile") as admin:
        admin.execute("CREATE SCHEMA things AUTHORIZATION mallory")
        admin.execute("CREATE TABLE things.devices (account uuid, name text)")
        admin.execute("INSERT INTO things.devices VALUES (%s)", [tour.ACCOUNT])
        admin.execute("ALTER TABLE things.devices OWNER TO mallory")
        call(admin, "product_create", product="counted")
        call(admin, "env_create", product="counted", env="production")
        call(admin, "protect_table", relation="things.devices", column_name="account", product="counted",
             env="production", by="connected_account", device=True)
    for role in ("mallory", None):
        row = call(
            traveller(role),
            "client_session_create",
            connected_account_ids=[tour.ACCOUNT],
            product="counted",
            env="production",
        )
        assert row.device_count == 1


@pytest.mark.parametrize("role", ["mallory", None], ids=["the hostile role", "a superuser"])
def test_a_trigger_of_ours_uses_no_look_alike(hostile, traveller, role):
    with hostile.connect("hostile") as admin:
        shop = service.Shop.make(admin)
        session = shop.create(admin)
        admin.execute("CREATE SCHEMA IF NOT EXISTS staff AUTHORIZATION mallory")
        admin.execute("DROP TABLE IF EXISTS staff.people")
        admin.execute("CREATE TABLE staff.people (name text)")
        admin.execute("INSERT INTO staff.people VALUES ('user_456')")
        admin.execute("ALTER TABLE staff.people OWNER TO mallory")
        admin.execute(
            "CREATE TRIGGER revoke_sessions AFTER DELETE ON staff.people FOR EACH ROW EXECUTE FUNCTION "
            f"dialstack.revoke_on_change('{shop.product}', '{shop.env}', '{shop.tag}', 'name')"
        )

        assert traveller(role).execute("DELETE FROM staff.people").rowcount == 1

        assert verify(admin, session.token).reason == "revoked"


def test_plans_that_a_hostile_path_has_made_serve_an_honest_one(traveller):
    connection = traveller()
    visit, _ = tourist(connection)
    tour.take(visit)
    connection.execute("RESET search_path")
    # What was prepared and kept is used again.
    tour.take(visit)


UNUSUAL = """
    SET standard_conforming_strings = off;
    SET transform_null_equals = on;
    SET quote_all_identifiers = on;
    SET DateStyle = 'German, DMY';
    SET IntervalStyle = sql_standard;
    SET TimeZone = 'Pacific/Kiritimati';
    SET bytea_output = escape;
    SET row_security = off;
    SET session_replication_role = replica;
    SET extra_float_digits = -15;
    SET plan_cache_mode = force_generic_plan;
    SET default_transaction_isolation = serializable;
    SET check_function_bodies = off;
    SET array_nulls = off;
    SET client_min_messages = debug5;
    SET search_path = {path};
"""


@pytest.mark.parametrize("path", ["''", "dialstack", "no_such_schema"])
def test_no_setting_of_a_caller_changes_what_functions_do(installed, connect, path):
    connection = connect()
    connection.execute("DO $$ BEGIN CREATE ROLE tourist; EXCEPTION WHEN duplicate_object THEN END $$")
    tour.prepare(connection)
    connection.execute(UNUSUAL.format(path=path))
    visit, _ = tourist(connection)
    notices = set()
    connection.add_notice_handler(lambda n: notices.add((n.severity_nonlocalized, n.sqlstate)))

    tour.take(visit)

    assert {one for one in notices if one[0] == "WARNING"} == {("WARNING", "01P01")}
