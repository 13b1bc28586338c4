"""A pgTAP suite that acts as users, accounts and clients: it passes, leaves nothing, and fails for broken policies."""

import os
import subprocess
from itertools import count
from pathlib import Path

import psycopg
import pytest
from docs import book
from support import service

HERE = Path(__file__).parent
SUITE = sorted((HERE / "suite").glob("*.sql"))
PAGE = book.page("guides/testing-policies.md")
# The page's test; it stands after what makes its table, which is the first block.
(THE_TEST,) = [block.text for block in PAGE.blocks if block.kind == "sql" and block.not_run]
THE_TABLE = PAGE.examples[0].text
SHOP = (HERE / "shop.sql").read_text(encoding="utf-8")
PSQL = os.path.join(os.environ["DSS_BINDIR"], "psql")

_numbers = count(1)


class Database:
    """A database with the page's table and the suite's."""

    def __init__(self, name):
        self.name = name

    def psql(self, script):
        command = [PSQL, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.name, "-f", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def prove(self, *files, user="postgres"):
        """Runs tests as pg_prove does; returns whether they passed, and what it printed."""
        command = ["perl", os.environ["DSS_PG_PROVE"], "--verbose", "--psql-bin", PSQL]
        done = subprocess.run(
            [*command, "--dbname", self.name, "--username", user, *files],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode == 0, done.stdout

    def content(self):
        """What a test could leave behind: schema and rows, those of the extension as well, and roles."""
        with service.connect(dbname=self.name) as connection:
            tables = connection.execute(
                "SELECT c.oid::regclass::text AS name FROM pg_class AS c "
                "WHERE c.relkind = 'r' AND c.relnamespace IN ('dialstack'::regnamespace, 'public'::regnamespace)"
            ).fetchall()
            rows = {
                table.name: service.value(connection, f"SELECT coalesce(array_agg(t::text), '{{}}') FROM {table.name} AS t")
                for table in tables
            }
            objects = connection.execute(
                "SELECT count(*) FROM pg_class UNION ALL SELECT count(*) FROM pg_proc "
                "UNION ALL SELECT count(*) FROM pg_extension UNION ALL SELECT count(*) FROM pg_roles"
            ).fetchall()
        return rows, objects


@pytest.fixture(scope="module")
def make():
    """Makes databases, each with roles of its own, which go with it."""
    made = []
    with service.connect() as server:
        roles = {row.rolname for row in server.execute("SELECT rolname FROM pg_roles")}

        def drop():
            for database in made:
                server.execute(f"DROP DATABASE {database.name} WITH (FORCE)")
            made.clear()
            for row in server.execute("SELECT rolname FROM pg_roles").fetchall():
                if row.rolname not in roles:
                    server.execute(f'DROP ROLE "{row.rolname}"')

        def make_one(*scripts):
            drop()
            database = Database(f"tested{next(_numbers)}")
            server.execute(f"CREATE DATABASE {database.name} TEMPLATE template0")
            made.append(database)
            for script in (book.set_up(), *scripts):
                database.psql(script)
            return database

        yield make_one
        drop()


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """The page's test, as a file."""
    file = tmp_path_factory.mktemp("page") / "notes.sql"
    file.write_text(THE_TEST, encoding="utf-8")
    return file


def test_the_test_of_the_page_passes(make, notes):
    passed, output = make(THE_TABLE).prove(notes)
    assert passed, output
    assert output.count("\nok ") == 6


@pytest.mark.parametrize("user", ["postgres", "tester"])
def test_the_suite_passes_and_leaves_nothing(make, notes, user):
    database = make(THE_TABLE, SHOP)
    before = database.content()
    passed, output = database.prove(notes, *SUITE, user=user)
    assert passed, output
    assert database.content() == before


def test_a_test_that_was_interrupted_leaves_nothing(make, tmp_path):
    database = make(THE_TABLE, SHOP)
    before = database.content()
    file = tmp_path / "interrupted.sql"
    file.write_text(
        "BEGIN; CREATE EXTENSION pgtap; CREATE EXTENSION dialstack_test; SELECT plan(1);\n"
        "SELECT dialstack_test.as_user('alice', role => 'web_shop');\n"
        "RESET ROLE; SELECT pg_terminate_backend(pg_backend_pid());\n"
    )
    passed, output = database.prove(file)
    assert not passed, output
    assert database.content() == before


# What is done to the policies, and what then fails.
BROKEN = {
    "not protected": ("SELECT dialstack.unprotect_table('notes')", ["alice sees her note", "nobody sees a note"]),
    "switched off": (
        "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
        ["row_security_off", "alice sees her note", "alice writes none of bob's"],
    ),
    "open beside ours": (
        "CREATE POLICY everybody ON notes FOR SELECT USING (true)",
        ["other_permissive_policy", "bob sees his note", "nobody sees a note"],
    ),
    "of any product": (
        "SELECT dialstack.unprotect_table('notes'); ALTER TABLE notes ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY own ON notes USING (author = (SELECT dialstack.current_identifier()))",
        ["# error notes, policy own: not_bound"],
    ),
    "of another environment": (
        "SELECT dialstack.env_create('my-product', 'staging'); "
        "SELECT dialstack.protect_table('notes', 'author', 'my-product', 'staging', by => 'identifier'); "
        "ALTER TABLE notes RENAME TO staged; CREATE VIEW notes WITH (security_invoker) AS TABLE staged; "
        "GRANT SELECT, INSERT ON notes TO web_shop; SELECT dialstack.env_delete('my-product', 'staging')",
        ["# warning staged", "place_gone", "alice sees her note"],
    ),
    "a role that nothing binds": ("ALTER ROLE web_shop BYPASSRLS", ["alice sees her note", "nobody sees a note"]),
    "a privilege of the whole table": ("GRANT TRUNCATE ON notes TO web_shop", ["unrestricted_privilege"]),
    "a view as its owner": (
        "ALTER TABLE notes RENAME TO kept; CREATE VIEW notes AS TABLE kept; GRANT SELECT, INSERT ON notes TO web_shop",
        ["view_bypasses_policies", "nobody sees a note"],
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_the_test_of_the_page_fails_for_a_broken_policy(make, notes, how):
    change, expected = BROKEN[how]
    database = make(THE_TABLE, change)
    passed, output = database.prove(notes)
    assert not passed, output
    # By the line of a test that failed, or by its diagnostics.
    wrong = "\n".join(line for line in output.splitlines() if line.startswith(("not ok", "#")))
    assert [text for text in expected if text not in wrong] == [], output


def test_the_suite_fails_where_a_scope_is_not_asked_for(make):
    change = "SELECT dialstack.protect_table('voicemails', 'account', by => 'account')"
    passed, output = make(THE_TABLE, SHOP, change).prove(*SUITE)
    assert not passed
    failures = [line.split(" - ")[1] for line in output.splitlines() if line.startswith("not ok")]
    assert failures == ["an account without the scope sees no voicemail"]


def test_outside_of_a_transaction_block_it_warns(make):
    with psycopg.connect(dbname=make(THE_TABLE).name, autocommit=True) as connection:
        notices = []
        connection.add_notice_handler(lambda notice: notices.append((notice.sqlstate, notice.severity)))
        connection.execute("CREATE EXTENSION dialstack_test")
        notices.clear()
        with connection.transaction():
            connection.execute("SELECT dialstack_test.as_user('alice')")
        assert notices == []
        connection.execute("SELECT dialstack_test.as_user('alice')")
        assert notices == [("25P01", "WARNING")]


def test_a_schema_that_somebody_prepared_is_refused(make):
    with service.connect(dbname=make(THE_TABLE).name) as connection:
        connection.execute("CREATE SCHEMA dialstack_test")
        with pytest.raises(psycopg.errors.DuplicateSchema):
            connection.execute("CREATE EXTENSION dialstack_test")
