"""What somebody has prepared before CREATE EXTENSION is refused, or changes nothing."""

import pytest
from psycopg import errors
from support import tour
from support.cluster import Cluster
from support.objects import objects
from support.service import value
from test_capture import LOOK_ALIKES, PATH, TEMPORARY, UNUSUAL, tourist

OURS = """
    CREATE FUNCTION {schema}.session_verify(token text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'captured: session_verify'; END $$;
    CREATE FUNCTION {schema}.instance_reset() RETURNS uuid LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'captured: instance_reset'; END $$;
    CREATE FUNCTION {schema}.access_server() RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'captured: access_server'; END $$;
    CREATE TABLE {schema}.sessions (stolen text);
    CREATE TABLE {schema}.instance (root_key bytea);
    CREATE TYPE {schema}.api_keys AS (stolen text);
    CREATE DOMAIN {schema}.scopes AS text;
    CREATE SEQUENCE {schema}.environments_env_id_seq;
"""


@pytest.fixture
def squatter(installed, request):
    """A new database, whose `public` belongs to a role that may make schemas too."""
    cluster = Cluster.given()
    dbname = "squat_" + str(abs(hash(request.node.nodeid)) % 10**8)
    cluster.create_database(dbname)
    admin = cluster.connect(dbname)
    admin.execute(
        "DO $$ BEGIN CREATE ROLE squatter; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "DO $$ BEGIN CREATE ROLE tourist; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    admin.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {dbname} TO squatter")
    admin.execute("ALTER SCHEMA public OWNER TO squatter")
    tour.prepare(admin)

    def prepare(statements):
        admin.execute("SET ROLE squatter")
        admin.execute(statements)
        admin.execute("RESET ROLE")
        return admin

    yield prepare
    admin.close()


def nothing_is_left(admin):
    assert value(admin, "SELECT count(*) FROM pg_extension WHERE extname = 'dialstack_sessions'") == 0
    ours = "SELECT count(*) FROM pg_proc WHERE probin LIKE '%%dialstack_sessions%%'"
    assert value(admin, ours) == 0


def test_a_prepared_schema_is_refused(squatter):
    admin = squatter("CREATE SCHEMA dialstack;" + OURS.format(schema="dialstack"))

    with pytest.raises(errors.DuplicateSchema):
        admin.execute("CREATE EXTENSION dialstack_sessions")

    nothing_is_left(admin)


def test_no_setting_changes_what_is_installed(squatter):
    admin = squatter("SELECT")
    installed = []
    for settings in ("", UNUSUAL.format(path="no_such_schema")):
        admin.execute(settings)
        admin.execute("CREATE EXTENSION dialstack_sessions")
        admin.execute("RESET ALL")
        installed.append(set(objects(admin)))
        admin.execute("DROP EXTENSION dialstack_sessions")
    assert installed[0] ^ installed[1] == set()


@pytest.mark.parametrize("schema", ["public", "dialstack"])
def test_another_schema_is_refused(squatter, schema):
    admin = squatter("CREATE SCHEMA dialstack")

    with pytest.raises((errors.InvalidParameterValue, errors.FeatureNotSupported)):
        admin.execute(f"CREATE EXTENSION dialstack_sessions SCHEMA {schema}")

    nothing_is_left(admin)


@pytest.mark.parametrize("schema", ["public", "pg_temp"])
def test_names_of_ours_in_other_schemas_are_not_used(squatter, schema):
    admin = squatter("SELECT 1")
    if schema == "public":
        squatter(OURS.format(schema="public"))
    else:
        admin.execute(OURS.format(schema="pg_temp"))
    admin.execute(f"SET search_path = {schema}, public, pg_catalog")

    admin.execute("CREATE EXTENSION dialstack_sessions")

    visit, _ = tourist(admin)
    assert tour.take(visit).secrets
    assert value(admin, f"SELECT count(*) FROM {schema}.sessions") == 0


def test_look_alikes_of_postgresql_are_not_used(squatter):
    admin = squatter(LOOK_ALIKES)
    admin.execute(TEMPORARY)
    admin.execute(PATH)

    admin.execute("CREATE EXTENSION dialstack_sessions")

    visit, _ = tourist(admin)
    assert tour.take(visit).secrets


def test_nothing_of_the_extension_is_made_of_what_was_prepared(squatter):
    admin = squatter(LOOK_ALIKES + OURS.format(schema="public"))
    admin.execute(PATH)
    admin.execute("CREATE EXTENSION dialstack_sessions")
    admin.execute("RESET search_path")
    # Whatever an object of ours depends on is ours, or PostgreSQL's.
    depends = admin.execute("""
        SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0) AS what
          FROM pg_depend d JOIN pg_depend e ON (d.classid, d.objid) = (e.classid, e.objid)
           AND e.deptype = 'e'
           AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'dialstack_sessions')
         WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_class'::regclass)
           AND pg_identify_object(d.refclassid, d.refobjid, 0)::text ~ '(^|[(, ])public[.,]'""")
    assert [row.what for row in depends] == []


@pytest.mark.parametrize(
    "privileges",
    [
        "GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        "GRANT ALL ON TABLES TO PUBLIC",
        "GRANT ALL ON SEQUENCES TO PUBLIC",
        "GRANT ALL ON SCHEMAS TO PUBLIC",
    ],
)
def test_default_privileges_give_the_public_nothing(squatter, privileges):
    admin = squatter("SELECT 1")
    admin.execute(f"ALTER DEFAULT PRIVILEGES {privileges}")

    admin.execute("CREATE EXTENSION dialstack_sessions")

    admin.execute("SET ROLE squatter")
    assert not value(admin, "SELECT has_schema_privilege('dialstack', 'USAGE, CREATE')")
    open_ones = value(
        admin,
        "SELECT array_agg(oid::regclass::text) FROM pg_class WHERE relkind IN ('r', 'p', 'S') "
        "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'dialstack') "
        "AND CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE, SELECT, UPDATE') "
        "ELSE has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') END",
    )
    assert open_ones is None
    callable_ones = value(
        admin,
        "SELECT array_agg(proname::text) FROM pg_proc WHERE has_function_privilege(oid, 'EXECUTE') "
        "AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'dialstack')",
    )
    assert callable_ones is None
