"""PostgREST itself, in front of the tier's cluster, and requests to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
from dataclasses import dataclass

from support.cluster import Cluster, as_server
from support.service import PATIENCE, until

PROGRAM = os.environ.get("DSS_POSTGREST")

# Longer than any test. What a killed run leaves behind ends by itself.
_LIFE = "600"


@dataclass
class Answer:
    status: int
    body: object
    headers: object


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Server:
    """Listens on a socket in a folder that only the server's user may enter."""

    def __init__(self, name, user, **settings):
        cluster = Cluster.given()
        folder = f"{os.path.dirname(cluster.data)}/{name}"
        self._socket = f"{folder}/socket"
        settings = {
            "db-uri": f"{cluster.uri(user=user)}",
            "db-pool": 3,
            "server-unix-socket": self._socket,
            **{key.replace("_", "-"): value for key, value in settings.items()},
        }
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        as_server("mkdir", "-m", "700", folder)
        as_server("tee", f"{folder}/conf", text=text)
        # In a process group of their own: the script, and in it the server.
        script, limit = os.environ["DSS_CLUSTER"], ["timeout", "--foreground", _LIFE]
        self._process = subprocess.Popen(
            [script, "exec", *limit, PROGRAM, f"{folder}/conf"], start_new_session=True
        )
        until(self._answers, "PostgREST to answer")

    def _answers(self):
        assert self._process.poll() is None, "PostgREST did not start"
        try:
            # Until it has read the schema it says 503.
            return self.get("/").status == 200
        except OSError:
            return False

    def ask(self, method, path, headers=None, body=None):
        connection = _Connection(self._socket)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, json.loads(text) if text else None, response.headers)
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.ask("GET", path, headers)

    def stop(self):
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE)
