"""Every released version, frozen in this folder as the script that installed it, still leads to the
present one: ALTER EXTENSION … UPDATE ends with the same objects as a new installation.

To release a version: copy its generated install script here and never change it again.
"""

import re

import pytest
from frozen import FROZEN, OLDER, PRESENT, UPDATE
from objects import objects
from support import service


def without_comments(script):
    # The generator's comments hold line numbers, which change with every edit.
    lines = (re.sub(r"/\*.*?\*/", "", line).rstrip() for line in script.splitlines())
    # Nor does the generator keep an order.
    return sorted(line for line in lines if line and not line.startswith("--"))


def test_there_is_a_frozen_version():
    assert OLDER


def test_what_is_generated_is_what_is_frozen(extension_folder):
    # Until the version is raised.
    for version in FROZEN.keys() & {PRESENT}:
        installed = extension_folder / FROZEN[version].name
        frozen = without_comments(FROZEN[version].read_text())
        assert without_comments(installed.read_text()) == frozen


@pytest.mark.parametrize("version", OLDER)
def test_a_frozen_version_leads_to_the_present_one(version, database):
    fresh, old = database("fresh"), database("old", version)

    old.execute(UPDATE)

    assert service.value(old, "SELECT extversion FROM pg_extension WHERE extname = %s", "dialstack_sessions") == PRESENT
    wanted, found = objects(fresh), objects(old)
    assert [row for row in wanted if row not in found] == []
    assert [row for row in found if row not in wanted] == []
    assert found == wanted


# What a role may do with what is in the schema.
GRANTED = """
    SELECT 'function', p.oid::regprocedure::text, a.privilege_type
      FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE p.pronamespace = 'dialstack'::regnamespace AND a.grantee <> p.proowner
    UNION ALL
    SELECT 'relation', c.oid::regclass::text, a.privilege_type
      FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'dialstack'::regnamespace AND a.grantee <> c.relowner
    UNION ALL
    SELECT 'type', t.oid::regtype::text, a.privilege_type
      FROM pg_class c JOIN pg_type t ON t.oid = c.reltype,
           aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
     WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'c' AND a.grantee <> t.typowner
    UNION ALL
    SELECT 'schema', nspname, a.privilege_type FROM pg_namespace, aclexplode(nspacl) a
     WHERE nspname = 'dialstack' AND a.grantee <> nspowner
"""


@pytest.mark.parametrize("version", OLDER)
def test_what_was_granted_stays_and_nothing_is_added(version, role, database):
    # Given a role with some functions of the old version, by hand
    old = database("granted", version)
    verify = "dialstack.session_verify(text,text,text,text,text)"
    old.execute(
        f"GRANT USAGE ON SCHEMA dialstack TO {role};"
        f"GRANT EXECUTE ON FUNCTION {verify} TO {role};"
        f"GRANT USAGE ON TYPE dialstack.session_verdict TO {role};"
        f"GRANT SELECT ON dialstack.products, dialstack.activity_07 TO {role};"
        f"GRANT USAGE ON SEQUENCE dialstack.environments_env_id_seq TO {role}"
    )
    before = set(old.execute(GRANTED).fetchall())
    assert len(before) == 6
    # And defaults that would give it all that is new
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"):
        old.execute(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO {role}, PUBLIC")

    old.execute(UPDATE)

    assert set(old.execute(GRANTED).fetchall()) == before
    with service.connect(dbname="granted", user=role) as app:
        assert service.verify(app, "none").reason == "invalid"
        may = "SELECT has_function_privilege('dialstack.session_users(text,text,text,int,int,bool)', 'EXECUTE')"
        assert not service.value(app, may)
    # An access level is granted as in a new installation.
    old.execute(f"SELECT dialstack.grant_access('{role}', 'server')")
    with service.connect(dbname="granted", user=role) as app:
        assert service.value(app, may)
    old.execute(f"SELECT dialstack.revoke_access('{role}', 'server'); DROP OWNED BY {role}")
