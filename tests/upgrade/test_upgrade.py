"""ALTER EXTENSION … UPDATE ends with the same objects as a new installation, from every released version."""

import pytest
from psycopg.sql import SQL, Literal
from support import service
from support.objects import differences
from versions import ADDED, MADE_UP, OPTIONAL, PRESENT, script, upgrades


def update(connection, version):
    to = SQL("ALTER EXTENSION dialstack_sessions UPDATE TO {}").format(Literal(version))
    connection.execute(to)


@pytest.mark.parametrize(("old", "new"), upgrades())
def test_an_upgrade_leads_to_what_a_new_installation_is(old, new, database):
    fresh, upgraded = database("fresh", new), database("old", old)
    assert differences(fresh, upgraded) != ([], [])

    update(upgraded, new)

    assert differences(fresh, upgraded) == ([], [])


def test_what_an_upgrade_leaves_out_or_adds_is_reported(database, scripts):
    fresh, upgraded = database("fresh", MADE_UP), database("old", PRESENT)

    def differing(*statements):
        scripts(f"{PRESENT}--{MADE_UP}", script(statements))
        with upgraded.transaction(force_rollback=True):
            update(upgraded, MADE_UP)
            return differences(fresh, upgraded)

    for what in OPTIONAL:
        assert differing(*(ADDED[one] for one in ADDED if one != what)) != ([], []), what
    missing, more = differing(*ADDED.values(), "CREATE VIEW dialstack.more AS SELECT 1")
    assert missing == [] and any("more" in str(row) for row in more)


# What roles other than the owner may do with what is in the schema.
GRANTED = """
    SELECT p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type
      FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE p.pronamespace = 'dialstack'::regnamespace AND a.grantee <> p.proowner
    UNION ALL
    SELECT c.oid::regclass::text, a.grantee::regrole::text, a.privilege_type
      FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'dialstack'::regnamespace AND a.grantee <> c.relowner
"""


@pytest.mark.parametrize(("old", "new"), upgrades())
def test_what_was_granted_stays_and_sessions_live_on(old, new, role, database):
    admin = database("granted", old)
    shop = service.Shop.make(admin)
    session = shop.create(admin, "user_1")
    admin.execute(f"SELECT dialstack.grant_access('{role}', 'server')")
    before = set(admin.execute(GRANTED).fetchall())
    assert before

    update(admin, new)

    assert before <= set(admin.execute(GRANTED).fetchall())
    with service.connect(dbname="granted", user=role) as app:
        assert service.verify(app, session.token).valid
        assert service.refresh(app, session.refresh_token).ok
    admin.execute(f"SELECT dialstack.revoke_access('{role}', 'server'); DROP OWNED BY {role}")
