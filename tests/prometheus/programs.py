"""Prometheus and its exporters, as processes of the tier's own on ports of 127.0.0.1."""

import json
import os
import random
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from support.cluster import Cluster
from support.service import PATIENCE, until

PROGRAMS = Path(os.environ["DSS_PROGRAMS"])
MONITORING = Path(__file__).resolve().parents[2] / "monitoring"


def free_port():
    """Below the range that outgoing connections use."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def adapted(file, *replacements):
    """The text of a file of monitoring/, with what is the tier's own put in."""
    text = (MONITORING / file).read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, f"{file} has no {old}"
        text = text.replace(old, new)
    return text


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return answer.read().decode()


class Program:
    """A server that answers HTTP. It ends with the tier, also where that is killed."""

    def __init__(self, name, folder, *arguments, **environment):
        self.port = free_port()
        self.log = folder / f"{name}.log"
        command = [PROGRAMS / name, *(str(a).format(port=self.port) for a in arguments)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                # Longer than any run: what is killed leaves nothing for long.
                ["timeout", "1200", *command],
                cwd=folder,
                env={"PATH": os.environ["PATH"], **environment},
                stdout=log,
                stderr=log,
            )
        until(self._answers, f"{name} to answer")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            get(self.port, "/metrics")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)


def postgres_exporter(folder):
    cluster = Cluster.given()
    queries = folder / "postgres_exporter.yml"
    # The longer one first, of which the other is a part.
    caches = [(f"cache_seconds: {old}", "cache_seconds: 1") for old in (300, 30)]
    queries.write_text(adapted("postgres_exporter.yml", *caches))
    return Program(
        "prometheus-postgres-exporter",
        folder,
        "--web.listen-address=127.0.0.1:{port}",
        f"--extend.query-path={queries}",
        DATA_SOURCE_NAME=f"host={cluster.host} port={cluster.port} user=exporter dbname=postgres sslmode=disable",
    )


def sql_exporter(folder):
    cluster = Cluster.given()
    place = f"postgres://exporter@/postgres?host={cluster.host}&port={cluster.port}&"
    configuration = folder / "sql_exporter.yml"
    configuration.write_text(
        adapted(
            "sql_exporter.yml",
            ("postgres://exporter@/my_database?host=/run/postgresql&", place),
            ("interval: 30s", "interval: 1s"),
            ("interval: 5m", "interval: 1s"),
        )
    )
    return Program(
        "prometheus-sql-exporter",
        folder,
        "-config.file",
        configuration,
        "-web.listen-address",
        "127.0.0.1:{port}",
    )


class Prometheus:
    """A Prometheus with the rules, which scrapes one exporter every second."""

    def __init__(self, folder, exporter):
        self.exporter = exporter
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            adapted(
                "prometheus.yml",
                ("alerts.yml", str(MONITORING / "alerts.yml")),
                ("localhost:9187", f"127.0.0.1:{exporter.port}"),
                ("scrape_interval: 30s", "scrape_interval: 1s"),
            )
        )
        self.program = Program(
            "prometheus",
            folder,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:{port}",
        )

    def stop(self):
        self.program.stop()
        self.exporter.stop()

    def _ask(self, path, **arguments):
        answer = json.loads(get(self.program.port, f"/api/v1/{path}?{urllib.parse.urlencode(arguments)}"))
        assert answer["status"] == "success"
        return answer["data"]

    def query(self, expression):
        """The series that an expression gives now: labels and value."""
        data = self._ask("query", query=expression)
        assert data["resultType"] == "vector", expression
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def value(self, expression):
        ((_, value),) = self.query(expression)
        return value

    def alerts(self):
        """The expressions of the rules, by the alert's name."""
        groups = self._ask("rules")["groups"]
        return {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}

    def names(self):
        """The names of what the exporter says about sessions, with their labels."""
        series = self.query('{__name__=~"dialstack_.*"}')
        own = ("job", "instance", "server", "database")
        return {tuple(sorted((k, v) for k, v in labels.items() if k not in own)) for labels, _ in series}
