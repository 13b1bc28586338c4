"""More clusters than the one that the tier was given, and their files."""

import os
import secrets
import shlex
import subprocess
from contextlib import contextmanager

from support import service

_SCRIPT = os.environ["DSS_CLUSTER"]

ROOT_KEY_FILE = "dialstack_sessions.root_key_file"


def run(*command, text=None, check=True, pg_config=None):
    """Runs a command and returns what it printed; its messages go to the tier's output. `pg_config` chooses another
    PostgreSQL than the tier's."""
    env = {**os.environ, "PG_CONFIG": pg_config} if pg_config else None
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=env)
    if check and done.returncode != 0:
        raise RuntimeError(f"{command[0]} {command[1]} failed: {done.stderr}")
    return done


def as_server(*command, **options):
    """Runs a command as the server's user, who owns the files of a cluster."""
    return run(_SCRIPT, "exec", *command, **options)


def write_private(path, text):
    """Writes a file that only the server's user may read."""
    as_server("sh", "-c", 'umask 077; cat >"$1"', "sh", path, text=text)


def configure(connection, setting, text):
    """Sets something for the whole server, and returns once this connection knows."""
    connection.execute(f"ALTER SYSTEM SET {setting} = '{text}'")
    connection.execute("SELECT pg_reload_conf()")
    service.until(lambda: service.value(connection, f"SHOW {setting}") == text, f"the setting {setting}")


def _options(settings):
    return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]


class Cluster:
    """A private cluster, by the variables that scripts/cluster prints."""

    def __init__(self, variables, name=None, pg_config=None):
        self.host, self.port = variables["PGHOST"], variables["PGPORT"]
        self.data, self.log = variables["DSS_DATA"], variables["DSS_LOG"]
        self.bindir = variables["DSS_BINDIR"]
        self.name, self.pg_config = name, pg_config

    @classmethod
    def given(cls):
        """The one that scripts/with-cluster made."""
        return cls(os.environ)

    @classmethod
    def _named(cls, name, pg_config=None):
        # `export NAME=value`, quoted for a shell.
        lines = run(_SCRIPT, "env", name, pg_config=pg_config).stdout.splitlines()
        words = (shlex.split(line)[1:] for line in lines)
        return cls(dict(word.split("=", 1) for pair in words for word in pair), name, pg_config)

    @classmethod
    def start(cls, purpose, pg_config=None, **settings):
        """A new, empty one. By its name scripts/with-cluster clears away what killed runs left."""
        name = f"throwaway-{purpose}-{os.getpid()}"
        run(_SCRIPT, "start", name, *_options(settings), pg_config=pg_config)
        return cls._named(name, pg_config)

    @classmethod
    def clone(cls, purpose, primary, **settings):
        """A physical copy of a cluster, running as its standby."""
        name = f"throwaway-{purpose}-{os.getpid()}"
        original = os.path.basename(os.path.dirname(primary.data))
        run(_SCRIPT, "clone", name, original)
        run(_SCRIPT, "start", name, *_options(settings))
        return cls._named(name)

    def stop(self):
        run(_SCRIPT, "stop", self.name, pg_config=self.pg_config)

    def start_again(self, **settings):
        run(_SCRIPT, "start", self.name, *_options(settings), pg_config=self.pg_config)

    def destroy(self):
        run(_SCRIPT, "destroy", self.name, pg_config=self.pg_config)

    def catch_up(self, connection, primary):
        """Returns once a standby, here by a connection to it, has replayed what the primary committed."""
        # Not the insert position: that may lie behind a page's header, where no record ends.
        committed = service.value(primary, "SELECT pg_current_wal_flush_lsn()")
        replayed = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s, false)"
        service.until(lambda: service.value(connection, replayed, committed), "the replay")

    def connect(self, dbname="postgres", **parameters):
        parameters = {"user": "postgres", **parameters}
        return service.connect(host=self.host, port=self.port, dbname=dbname, **parameters)

    def uri(self, dbname="postgres", user="postgres"):
        return f"host={self.host} port={self.port} dbname={dbname} user={user}"

    def create_database(self, name):
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')

    @contextmanager
    def database(self, name):
        """A connection to a new database that has the extension, and is dropped in the end."""
        self.create_database(name)
        try:
            with self.connect(name) as connection:
                connection.execute("CREATE EXTENSION dialstack_sessions")
                yield connection
        finally:
            with self.connect() as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def write_root_key(self, key=None):
        """Makes a root key file beside the cluster's data, with a new key if none is given. Returns its path."""
        path = os.path.join(os.path.dirname(self.data), "root.key")
        write_private(path, f"{(key or secrets.token_bytes(32)).hex()}\n")
        return path

    def dump(self, *options, dbname="postgres", user="postgres"):
        """What pg_dump writes, as SQL text."""
        return as_server("pg_dump", *options, "-d", self.uri(dbname, user)).stdout

    def restore(self, dump, dbname="postgres"):
        """Runs a dump; the first error ends it."""
        as_server(
            "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.uri(dbname), "-f", "-", text=dump
        )

    def log_text(self):
        return as_server("cat", self.log).stdout
