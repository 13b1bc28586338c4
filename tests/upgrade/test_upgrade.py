"""Every released version, frozen in this folder as the script that installed it, still leads to the
present one: ALTER EXTENSION … UPDATE ends with the same objects as a new installation, and the
sessions that lived before live on.

To release a version: copy its generated install script here and never change it again.
"""

import os
import pathlib
import re
import subprocess

import pytest
from psycopg.sql import SQL, Identifier, Literal

from support import service

FROZEN = sorted(pathlib.Path(__file__).parent.glob("dialstack_sessions--*.sql"))
NAME = re.compile(r"dialstack_sessions--([0-9.]+)\.sql")

# What an installation consists of, as text without object ids. A function's definition holds its
# signature, volatility and parallel safety.
OBJECTS = """
    SELECT 'function', pg_get_functiondef(p.oid), p.proacl::text, obj_description(p.oid, 'pg_proc')
      FROM pg_proc p WHERE p.pronamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'relation', format('%s %s %s %s', c.relname, c.relkind, c.relrowsecurity, c.reloptions),
           c.relacl::text, obj_description(c.oid, 'pg_class')
      FROM pg_class c WHERE c.relnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'column', format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid,
               a.atttypmod), a.attnotnull, a.attstorage, pg_get_expr(d.adbin, d.adrelid)),
           a.attacl::text, col_description(c.oid, a.attnum)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'dialstack'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
       AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'index', indexdef, NULL, NULL FROM pg_indexes WHERE schemaname = 'dialstack'
    UNION ALL
    SELECT 'constraint', format('%s %s %s', c.conrelid::regclass, c.conname,
               pg_get_constraintdef(c.oid)), NULL, NULL
      FROM pg_constraint c WHERE c.connamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'trigger', format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled), NULL, NULL
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     WHERE c.relnamespace = 'dialstack'::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'dumped', format('%s %s', r.relation::regclass, r.condition), NULL, NULL
      FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS r (relation, condition)
     WHERE e.extname = 'dialstack_sessions'
    UNION ALL
    SELECT 'member', pg_describe_object(d.classid, d.objid, d.objsubid), NULL, NULL
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e'
     WHERE e.extname = 'dialstack_sessions'
    UNION ALL
    SELECT 'built-in scope', s::text, NULL, NULL
      FROM (SELECT query_to_xml('SELECT scope, description FROM dialstack.scopes ORDER BY scope',
                                false, true, '')::text
             WHERE to_regclass('dialstack.scopes') IS NOT NULL) AS s
"""


@pytest.fixture(scope="session")
def extension_folder():
    """Where the private installation keeps the scripts of extensions."""
    pg_config = pathlib.Path(os.environ["DSS_BINDIR"]) / "pg_config"
    sharedir = subprocess.run([pg_config, "--sharedir"], check=True, capture_output=True, text=True)
    return pathlib.Path(sharedir.stdout.strip()) / "extension"


@pytest.fixture
def database():
    """Makes databases with the extension, and drops them after the test."""
    made, opened = [], []

    def make(name, version=None):
        with service.connect() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        made.append(name)
        connection = service.connect(dbname=name)
        opened.append(connection)
        create = SQL("CREATE EXTENSION dialstack_sessions")
        if version:
            create += SQL(" VERSION {}").format(Literal(version))
        connection.execute(create)
        return connection

    yield make
    for connection in opened:
        connection.close()
    with service.connect() as connection:
        for name in made:
            drop = SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name))
            connection.execute(drop)


def objects(connection):
    return sorted(connection.execute(OBJECTS).fetchall(), key=repr)


def present(connection):
    query = "SELECT default_version FROM pg_available_extensions WHERE name = 'dialstack_sessions'"
    return service.value(connection, query)


def without_comments(script):
    # The generator's comments hold line numbers, which change with every edit.
    lines = (re.sub(r"/\*.*?\*/", "", line).rstrip() for line in script.splitlines())
    # Nor does the generator keep an order.
    return sorted(line for line in lines if line and not line.startswith("--"))


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_a_frozen_version_leads_to_the_present_one(frozen, extension_folder, database):
    version = NAME.fullmatch(frozen.name).group(1)
    fresh = database(f"fresh_{version}")
    installed = extension_folder / frozen.name
    if version == present(fresh):
        # Until the version is raised, what is generated is what is frozen.
        assert without_comments(installed.read_text()) == without_comments(frozen.read_text())
        return
    installed.write_text(frozen.read_text())
    old = database(f"old_{version}", version)
    shop = service.Shop.make(old)
    session = shop.create(old, "user_1")
    dead = shop.create(old, "user_2")
    shop.revoke(old, dead.session_id)
    # The moment of every package upgrade: the new library under the old functions.
    assert service.verify(old, session.token).valid
    assert len(old.execute("SELECT * FROM dialstack.signing_key_list()").fetchall()) == 3

    old.execute("ALTER EXTENSION dialstack_sessions UPDATE")

    assert objects(old) == objects(fresh)
    assert service.verify(old, session.token).identifier == "user_1"
    assert service.verify(old, dead.token).reason == "revoked"
    assert service.refresh(old, session.refresh_token).ok
    with service.connect(dbname=f"old_{version}") as other:
        assert service.verify(other, session.token).valid


def test_there_is_a_frozen_version():
    assert FROZEN
