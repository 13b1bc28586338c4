"""Runs the examples of README.md, as somebody would who types them in one after the other."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from document import EXAMPLES

MARK = "README-example"


@dataclass
class Played:
    """What came of an example. `reached` is false where an earlier one ended the run."""

    reached: bool = False
    failed: bool = False
    output: str = ""


def has_node(work):
    return shutil.which("node") is not None and (work / "node_modules").is_dir()


def _program(kind, work):
    """The interpreter of a kind of block, and the ending of its files."""
    if kind == "python":
        return [sys.executable], ".py"
    return ([shutil.which("node")], ".mjs") if has_node(work) else (["false"], ".mjs")


def play(work):
    """Runs all examples, in one psql; other programs are started from there, in their turn."""
    script = []
    for number, example in enumerate(EXAMPLES):
        script.append(f"\\echo {MARK} {number}")
        if example.kind == "sql":
            script.append(f"\\set ON_ERROR_STOP {'off' if example.expects_error else 'on'}")
            script.append(example.text)
        else:
            interpreter, ending = _program(example.kind, work)
            file = work / f"example-{number}{ending}"
            file.write_text(example.text, encoding="utf-8")
            command = shlex.join([*interpreter, str(file)])
            script.append(f"\\! {command} >{file}.out 2>&1; echo $? >{file}.status")
    script.append(f"\\echo {MARK} end")
    psql = subprocess.run(
        [Path(os.environ["DSS_BINDIR"]) / "psql", "-X", "-q", "-P", "pager=off"],
        input="\n".join(script) + "\n",
        stdout=subprocess.PIPE,
        # In one stream, as a terminal shows it.
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
    )
    return _results(psql, work)


def _results(psql, work):
    results = {number: Played() for number in range(len(EXAMPLES))}
    parts = re.split(rf"^{MARK} (\w+)\n", psql.stdout, flags=re.M)[1:]
    for number, output in zip(parts[::2], parts[1::2]):
        if number == "end":
            continue
        result = results[int(number)]
        result.reached, result.output = True, output
        result.failed = re.search("^(ERROR|FATAL): ", output, re.M) is not None
        for status in work.glob(f"example-{number}.*.status"):
            result.failed = status.read_text().strip() != "0"
            result.output = status.with_suffix(".out").read_text(encoding="utf-8")
    if "end" not in parts[::2]:
        # psql stopped in the last one that it reached.
        reached = [result for result in results.values() if result.reached]
        for result in reached[-1:]:
            result.failed = True
    return results
