"""Random interleavings over several connections: the helpers always equal a plain model.

Two players in databases of their own, so that both cores are busy. DSS_MODEL_STEPS says how many
steps they take together (each run takes another seed, so that runs add up), DSS_MODEL_SEED repeats a run.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import ROLE, set_up
from player import Player
from psycopg import sql
from support.service import call

STEPS = int(os.environ.get("DSS_MODEL_STEPS", "20000"))
SEED = int(os.environ.get("DSS_MODEL_SEED", random.SystemRandom().randrange(10**6)))
PLAYERS = 2
CLIENTS = 6


@pytest.fixture
def databases(admin, roles, connect):
    names = [f"model_{n}" for n in range(PLAYERS)]
    for name in names:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        connection = connect(dbname=name)
        connection.execute("CREATE EXTENSION dialstack_sessions")
        call(connection, "grant_access", role=ROLE, access="admin")
        set_up(connection)
    yield names
    for name in names:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def shown(player, entry):
    number, statement, arguments = entry
    if isinstance(statement, sql.Composable):
        statement = statement.as_string(player.connections[0])
    return f"{number}: {' '.join(statement.split())} {arguments or ''}"


def play(seed, steps, database):
    """Plays a game; shows what was done where it was lost."""
    player = Player(seed, CLIENTS, dbname=database)
    began = time.monotonic()
    step = 0
    try:
        while step < steps:
            player.step()
            step += 1
    except BaseException as lost:
        trace = "\n".join(shown(player, entry) for entry in player.trace)
        lost.add_note(f"seed {seed}, step {step}; before it:\n{trace}")
        raise
    finally:
        player.close()
    seconds = time.monotonic() - began
    print(f"seed {seed}: {steps} steps in {seconds:.0f} s, {dict(player.done)}")
    return player.done


def test_the_helpers_equal_a_model(databases):
    print(f"DSS_MODEL_SEED={SEED} DSS_MODEL_STEPS={STEPS}")
    with ThreadPoolExecutor(len(databases)) as executor:
        games = [
            executor.submit(play, SEED + n, STEPS // len(databases), database)
            for n, database in enumerate(databases)
        ]
    for game in games:
        done = game.result()
        # Refusals for old snapshots are the exception.
        assert done["conflict"] < STEPS / 20
