"""Every example of README.md works and prints what is shown there."""

import os
import re
from pathlib import Path

import pytest

from document import BLOCKS, EXAMPLES, KINDS, ORIGINAL, ROOT, RUNNABLE
from play import has_node, play

WORK = Path(os.environ["DSS_WORK"])


@pytest.fixture(scope="module")
def played():
    return play(WORK)


def tidy(text):
    """Without blanks at the end of lines, and without the last empty lines."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[str(block) for block in EXAMPLES])
def test_example(played, number):
    example, result = EXAMPLES[number], played[number]
    if example.kind == "js" and not has_node(WORK):
        pytest.skip("there is no Node")

    assert result.reached, "an example before this one ended the run"
    if example.shown is not None:
        assert tidy(result.output) == tidy(example.shown)
    assert result.failed == example.expects_error, result.output


def test_every_language_is_shown():
    assert {example.kind for example in EXAMPLES} == {"sql", "js", "python"}


def test_every_block_is_of_a_kind_that_this_tier_knows():
    assert {(block.line, block.kind) for block in BLOCKS if block.kind not in KINDS} == set()


def test_what_takes_the_place_of_an_original_call_is_run():
    originals = [number for number, block in enumerate(BLOCKS) if block.kind == ORIGINAL]
    unanswered = [
        BLOCKS[number].line
        for number in originals
        if not any(
            block.kind in RUNNABLE and block.section == BLOCKS[number].section
            for block in BLOCKS[number + 1 :][:2]
        )
    ]
    assert len(originals) > 10
    assert unanswered == []


def test_every_output_belongs_to_an_example():
    strays = [block.line for block in BLOCKS if block.kind == "text"]
    assert not strays, f"no example stands right before the output at lines {strays}"


def test_the_commands_for_the_shell_exist():
    shell = "\n".join(block.text for block in BLOCKS if block.kind == "sh")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"\bmake ([a-z][a-z-]*)", shell))
    assert {"demo", "test"} <= targets
    assert {t for t in targets if not re.search(rf"^{t}:", makefile, re.M)} == set()
    scripts = set(re.findall(r"\b(scripts/[\w-]+)", shell))
    assert {s for s in scripts if not os.access(ROOT / s, os.X_OK)} == set()
