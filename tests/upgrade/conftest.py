import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.sql import SQL, Identifier, Literal
from support import service

# versions.py stands beside the tests.
sys.path.insert(0, str(Path(__file__).parent))

from versions import ADDED, MADE_UP, PRESENT, RELEASED, script  # noqa: E402


@pytest.fixture
def scripts():
    """Adds scripts to those of the private installation, by their versions, and takes them away after the
    test: those of the released versions and of the made-up one are there."""
    pg_config = Path(os.environ["DSS_BINDIR"]) / "pg_config"
    sharedir = subprocess.run([pg_config, "--sharedir"], check=True, capture_output=True, text=True)
    folder = Path(sharedir.stdout.strip()) / "extension"
    added = []

    def add(versions, text):
        path = folder / f"dialstack_sessions--{versions}.sql"
        if path not in added:
            assert not path.exists()
            added.append(path)
        path.write_text(text)

    present = (folder / f"dialstack_sessions--{PRESENT}.sql").read_text()
    for path in RELEASED:
        if not (folder / path.name).exists():
            add(path.stem.removeprefix("dialstack_sessions--"), path.read_text())
    add(MADE_UP, present + script(ADDED.values()))
    add(f"{PRESENT}--{MADE_UP}", script(ADDED.values()))
    yield add
    for path in added:
        path.unlink()


@pytest.fixture
def database(scripts):
    """Makes databases with a version of the extension, and drops them after the test."""
    opened = {}

    def make(name, version):
        with service.connect() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        opened[name] = service.connect(dbname=name)
        create = SQL("CREATE EXTENSION dialstack_sessions VERSION {}")
        opened[name].execute(create.format(Literal(version)))
        return opened[name]

    yield make
    for connection in opened.values():
        connection.close()
    with service.connect() as connection:
        for name in opened:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def role():
    with service.connect() as connection:
        connection.execute("CREATE ROLE upgrade_app LOGIN")
    yield "upgrade_app"
    with service.connect() as connection:
        connection.execute("DROP ROLE upgrade_app")
