"""A PgBouncer of a test's own, in front of the tier's cluster."""

import os
import subprocess

import psycopg
from psycopg.rows import namedtuple_row
from support.cluster import Cluster, as_server
from support.service import PATIENCE, until

_SCRIPT, _PROGRAM = os.environ["DSS_CLUSTER"], os.environ["DSS_PGBOUNCER"]

# Longer than any test. What a killed run leaves behind ends by itself.
_LIFE = "900"

_CONFIGURATION = """
[databases]
pooled = host={host} port={port} dbname=postgres

[pgbouncer]
unix_socket_dir = {folder}
listen_port = {port}
auth_type = trust
auth_file = {folder}/users
admin_users = postgres
logfile = {folder}/log
pidfile = {folder}/pid
max_client_conn = 100
default_pool_size = 2
query_wait_timeout = {patience}
"""


class Pooler:
    """Listens on a socket in a folder that only the server's user may enter."""

    def __init__(self, name, users, **settings):
        cluster = Cluster.given()
        self.folder, self.port = f"{os.path.dirname(cluster.data)}/{name}", cluster.port
        text = _CONFIGURATION.format(
            host=cluster.host, port=cluster.port, folder=self.folder, patience=PATIENCE
        )
        text += "".join(f"{setting} = {value}\n" for setting, value in settings.items())
        as_server("mkdir", "-m", "700", self.folder)
        self._write("ini", text)
        self._write("users", "".join(f'"{user}" ""\n' for user in (*users, "postgres")))
        command = [_SCRIPT, "exec", "timeout", _LIFE, _PROGRAM, "-q", f"{self.folder}/ini"]
        self._process = subprocess.Popen(command)
        until(self._answers, "PgBouncer to answer")

    def _write(self, name, text):
        as_server("tee", f"{self.folder}/{name}", text=text)

    def _answers(self):
        assert self._process.poll() is None, "PgBouncer did not start"
        try:
            self._console("SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, user, dbname="pooled"):
        connection = psycopg.connect(
            host=self.folder,
            port=self.port,
            user=user,
            dbname=dbname,
            autocommit=True,
            row_factory=namedtuple_row,
        )
        # Prepared by the driver, a statement would lie in whichever server connection it had then.
        connection.prepare_threshold = None
        return connection

    def _console(self, command):
        """Asks the administrator's console, which speaks the simple protocol only."""
        with self.connect("postgres", "pgbouncer") as connection:
            return psycopg.ClientCursor(connection).execute(command).fetchall()

    def servers(self, user):
        """How many connections to the server it holds for a user."""
        with self.connect("postgres", "pgbouncer") as connection:
            rows = psycopg.ClientCursor(connection).execute("SHOW SERVERS").fetchall()
        return sum(row.user == user for row in rows)

    def stop(self):
        try:
            with self.connect("postgres", "pgbouncer") as connection:
                psycopg.ClientCursor(connection).execute("SHUTDOWN")
        except psycopg.OperationalError:
            pass  # it ends before it answers
        self._process.wait(PATIENCE)
