"""Runs the examples of a page, as somebody would who types them in one after the other."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg

import book

MARK = "example-of-the-manual"
TEMPLATE = "manual"
PSQL = [str(Path(os.environ["DSS_BINDIR"]) / "psql"), "-X", "-q", "-P", "pager=off"]


@dataclass
class Played:
    """The result of an example. `reached` is false where an earlier one ended the run."""

    reached: bool = False
    failed: bool = False
    output: str = ""


def has_node(work):
    return shutil.which("node") is not None and (work / "node_modules").is_dir()


class Player:
    """Plays pages, each in a database of its own, in one cluster."""

    def __init__(self, work):
        self.work = work
        self.server = psycopg.connect(autocommit=True)
        self.roles = self._roles()
        self.has_template = False

    def close(self):
        if self.has_template:
            self.server.execute(f"DROP DATABASE {TEMPLATE} WITH (FORCE)")
        self.server.close()

    def _roles(self):
        return {name for (name,) in self.server.execute("SELECT rolname FROM pg_roles")}

    def play(self, page):
        """Runs all examples of a page and returns their results."""
        self._make_database("page", page.starts_empty)
        try:
            return self._run(page)
        finally:
            self._drop_database("page")

    def _make_database(self, name, empty):
        if empty:
            self.server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            return
        if not self.has_template:
            self.server.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
            subprocess.run(
                [*PSQL, "-v", "ON_ERROR_STOP=1", "-d", TEMPLATE],
                input=book.set_up(),
                encoding="utf-8",
                stdout=subprocess.DEVNULL,
                check=True,
            )
            self.has_template = True
            self.roles = self._roles()
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        # A copy refuses tokens until it has an identity of its own.
        with psycopg.connect(dbname=name) as copy:
            copy.execute("SELECT dialstack.instance_reset()")

    def _drop_database(self, name):
        self.server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in self._roles() - self.roles:
            self.server.execute(f'DROP ROLE "{role}"')

    def _run(self, page):
        script = []
        for number, example in enumerate(page.examples):
            script.append(f"\\echo {MARK} {number}")
            if example.kind == "sql":
                script.append(f"\\set ON_ERROR_STOP {'off' if example.expects_error else 'on'}")
                script.append(example.text)
            else:
                interpreter, ending = self._program(example.kind)
                file = self.work / f"example-{number}{ending}"
                file.write_text(example.text, encoding="utf-8")
                command = shlex.join([*interpreter, str(file)])
                script.append(f"\\! {command} >{file}.out 2>&1; echo $? >{file}.status")
        script.append(f"\\echo {MARK} end")
        psql = subprocess.run(
            PSQL,
            input="\n".join(script) + "\n",
            stdout=subprocess.PIPE,
            # In one stream, as a terminal shows it.
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            env={**os.environ, "PGDATABASE": "page"},
        )
        return self._results(page, psql.stdout)

    def _program(self, kind):
        """The interpreter of a kind of block, and the ending of its files."""
        if kind == "python":
            client = f"PYTHONPATH={book.ROOT / 'clients/python/src'}"
            return ["env", client, sys.executable], ".py"
        return ([shutil.which("node")], ".mjs") if has_node(self.work) else (["false"], ".mjs")

    def _results(self, page, output):
        results = [Played() for _ in page.examples]
        parts = re.split(rf"^{MARK} (\w+)\n", output, flags=re.M)[1:]
        for number, text in zip(parts[::2], parts[1::2]):
            if number == "end":
                continue
            result = results[int(number)]
            result.reached, result.output = True, text
            result.failed = re.search("^(ERROR|FATAL): ", text, re.M) is not None
            for status in self.work.glob(f"example-{number}.*.status"):
                result.failed = status.read_text().strip() != "0"
                result.output = status.with_suffix(".out").read_text(encoding="utf-8")
                status.unlink()
        if "end" not in parts[::2]:
            # psql stopped in the last one that it reached.
            reached = [result for result in results if result.reached]
            for result in reached[-1:]:
                result.failed = True
        return results
