"""Three nodes: each an etcd, a Patroni, and the PostgreSQL that Patroni starts. All of it on 127.0.0.1."""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from support import service
from support.cluster import as_server, write_private

WORK, CLUSTER = os.environ["DSS_WORK"], os.environ["DSS_CLUSTER"]
NAMES = ("node1", "node2", "node3")
# Nothing of this outlives a run that was killed by longer than that.
LIFE = "20m"
# Seconds for which a leader that is silent stays the leader.
TTL = 20


def free_ports(count):
    """Ports of 127.0.0.1 below the range that outgoing connections use."""
    found = set()
    while len(found) < count:
        with socket.socket() as probe:
            port = random.randrange(20000, 32000)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.add(port)
    return sorted(found)


def make_folder(path):
    as_server("mkdir", "-p", "-m", "700", path)
    return path


class Program:
    """A program that runs as the server's user until it is killed."""

    def __init__(self, folder, name, *command):
        self._pidfile, self._log = f"{folder}/{name}.pid", f"{folder}/{name}.log"
        self._command, self._starter = command, None

    def start(self):
        # The shell's number is the program's after exec.
        script = 'echo $$ >"$1"; log=$2; shift 2; exec "$@" >>"$log" 2>&1'
        words = ("timeout", "-s", "KILL", LIFE, "sh", "-c", script, "sh", self._pidfile, self._log, *self._command)
        self._starter = subprocess.Popen([CLUSTER, "exec", *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pid(self):
        return int(as_server("cat", self._pidfile).stdout)

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)
        self._starter.wait(service.PATIENCE)

    def running(self):
        return self._starter is not None and self._starter.poll() is None

    def log_text(self):
        return as_server("cat", self._log, check=False).stdout


class Node:
    def __init__(self, name, ports, peers, passwords):
        self.name = name
        self.folder = make_folder(f"{WORK}/nodes/{name}")
        self.socket = make_folder(f"{self.folder}/socket")
        self.data = f"{self.folder}/data"
        self.port, self.rest = ports["postgres"], ports["rest"]
        self.etcd = Program(self.folder, "etcd", f"{WORK}/programs/etcd", *self._etcd_options(ports, peers))
        config = f"{self.folder}/patroni.yml"
        write_private(config, json.dumps(self._patroni(peers, passwords)))
        python = ("env", f"PYTHONPATH={WORK}/programs", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3")
        self.patroni = Program(self.folder, "patroni", *python, "-m", "patroni", config)

    def _etcd_options(self, ports, peers):
        here, peer = f"http://127.0.0.1:{ports['client']}", f"http://127.0.0.1:{ports['peer']}"
        everybody = ",".join(f"{name}=http://127.0.0.1:{of['peer']}" for name, of in peers.items())
        options = {
            **{"name": self.name, "data-dir": f"{self.folder}/etcd", "logger": "zap", "log-level": "warn"},
            **{"listen-client-urls": here, "advertise-client-urls": here},
            **{"listen-peer-urls": peer, "initial-advertise-peer-urls": peer},
            **{"initial-cluster": everybody, "initial-cluster-state": "new"},
            # The machine is busy with other things.
            **{"heartbeat-interval": 300, "election-timeout": 3000},
        }
        return [f"--{option}={value}" for option, value in options.items()]

    def _patroni(self, peers, passwords):
        address = f"127.0.0.1:{self.port}"
        rest = f"127.0.0.1:{self.rest}"
        return {
            "scope": "sessions",
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"hosts": [f"127.0.0.1:{of['client']}" for of in peers.values()]},
            "bootstrap": {
                "dcs": {
                    **{"ttl": TTL, "loop_wait": 1, "retry_timeout": 3, "synchronous_mode": True},
                    # A server that died is replaced, not waited for.
                    **{"primary_start_timeout": 0},
                    "postgresql": {"use_pg_rewind": True, "parameters": {"wal_keep_size": "256MB"}},
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums", "no-sync", {"auth-local": "trust"}],
            },
            "postgresql": {
                **{"listen": address, "connect_address": address, "use_unix_socket": True},
                **{"data_dir": self.data, "bin_dir": os.environ["DSS_BINDIR"], "pgpass": f"{self.folder}/pgpass"},
                **{"remove_data_directory_on_rewind_failure": True},
                "parameters": {
                    **{"unix_socket_directories": self.socket, "unix_socket_permissions": "0700"},
                    # What is written survives the death of a program, and no machine dies here.
                    **{"fsync": "off", "log_line_prefix": "%m [%p] %e "},
                },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", "password": passwords["postgres"]},
                    "replication": {"username": "replicator", "password": passwords["replicator"]},
                },
            },
        }

    def postmaster(self):
        return int(as_server("head", "-n", "1", f"{self.data}/postmaster.pid").stdout)

    def kill_postgres(self):
        pid = self.postmaster()
        os.kill(pid, signal.SIGKILL)
        return pid

    def ask(self, path):
        """Status and body of Patroni's answer, or nothing where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/{path}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, None
        except (OSError, ValueError):
            return None, None

    def leads(self):
        """What a load balancer asks."""
        return self.ask("primary")[0] == 200

    def connect(self, **parameters):
        return service.connect(host=self.socket, port=self.port, dbname="postgres", user="postgres", **parameters)

    def await_replay(self, connection, written):
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s"
        service.until(lambda: service.value(connection, replayed, written), "the replay")

    def destroy(self):
        for program in (self.patroni, self.etcd):
            if program.running():
                program.kill()
        as_server(
            *(f"{os.environ['DSS_BINDIR']}/pg_ctl", "stop", "-D", self.data, "-m", "immediate", "-t", "30"),
            check=False,
        )


class Nodes:
    """The three of them, started, with a leader and a synchronous standby."""

    def __init__(self):
        kinds = ("client", "peer", "rest", "postgres")
        ports = iter(free_ports(len(NAMES) * len(kinds)))
        peers = {name: {kind: next(ports) for kind in kinds} for name in NAMES}
        passwords = {role: secrets.token_hex(16) for role in ("postgres", "replicator")}
        self.all = [Node(name, peers[name], peers, passwords) for name in NAMES]

    def start(self):
        for node in self.all:
            node.etcd.start()
        for node in self.all:
            node.patroni.start()
        self.await_health("the first leader and its standbys")

    def leader(self):
        """The node that leads, where there is one."""
        return next((node for node in self.all if node.leads()), None)

    def members(self):
        for node in self.all:
            _, answer = node.ask("cluster")
            if answer:
                return {member["name"]: (member["role"], member["state"]) for member in answer["members"]}
        return {}

    def healthy(self):
        """Whether all nodes take part, one of them as the standby that commits wait for."""
        found = sorted(self.members().values())
        take_part = all(state in ("running", "streaming") for _, state in found)
        roles = [role for role, _ in found]
        return self.leader() is not None and take_part and roles == ["leader", "replica", "sync_standby"]

    def await_health(self, what):
        self._until(self.healthy, what)

    def await_other_leader(self, than):
        self._until(lambda: self.leader() not in (None, than), "another leader")

    def replace_server(self, leader):
        """Kills the leader's server until another node leads: where no standby answers Patroni in time, as on a busy
        machine, it starts the server again."""
        killed = leader.kill_postgres()

        def is_replaced():
            nonlocal killed
            if leader.leads() and leader.postmaster() != killed:
                killed = leader.kill_postgres()
            return self.leader() not in (None, leader)

        self._until(is_replaced, "another leader")

    def _until(self, condition, what):
        deadline = time.monotonic() + 2 * service.PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.members()}\n{self.ends_of_logs()}"
            time.sleep(0.1)

    def ends_of_logs(self):
        return "\n".join(f"--- {node.name}\n{node.patroni.log_text()[-1000:]}" for node in self.all)

    def destroy(self):
        for node in self.all:
            node.destroy()
