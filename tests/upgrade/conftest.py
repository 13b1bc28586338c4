import os
import pathlib
import subprocess
import sys

import pytest
from psycopg.sql import SQL, Identifier, Literal
from support import service

HERE = pathlib.Path(__file__).parent
# objects stands beside the tests; the dashboard's tests have its formulas and random histories.
sys.path[:0] = [str(HERE), str(HERE.parent / "dashboard")]


@pytest.fixture(scope="session")
def extension_folder():
    """Where the private installation keeps the scripts of extensions; the frozen ones are there too."""
    pg_config = pathlib.Path(os.environ["DSS_BINDIR"]) / "pg_config"
    sharedir = subprocess.run([pg_config, "--sharedir"], check=True, capture_output=True, text=True)
    folder = pathlib.Path(sharedir.stdout.strip()) / "extension"
    for frozen in HERE.glob("dialstack_sessions--*.sql"):
        if not (folder / frozen.name).exists():
            (folder / frozen.name).write_text(frozen.read_text())
    return folder


@pytest.fixture
def database(extension_folder):
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


@pytest.fixture
def role():
    with service.connect() as connection:
        connection.execute("CREATE ROLE upgrade_app LOGIN")
    yield "upgrade_app"
    with service.connect() as connection:
        connection.execute("DROP ROLE upgrade_app")
