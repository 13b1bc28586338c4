"""Every example of the manual works and prints what is shown there."""

import os
from functools import cache
from pathlib import Path

import pytest

from book import BY_NAME, PAGES
from play import Player, has_node

WORK = Path(os.environ["DSS_WORK"])
EXAMPLES = [(page, number) for page in PAGES for number in range(len(page.examples))]


@pytest.fixture(scope="module")
def played():
    player = Player(WORK)
    yield cache(lambda name: player.play(BY_NAME[name]))
    player.close()


def tidy(text):
    """Without blanks at the end of lines, and without the last empty lines."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def example_id(value):
    page, number = value
    return f"{page.name}:{page.examples[number].line}"


@pytest.mark.parametrize("which", EXAMPLES, ids=map(example_id, EXAMPLES))
def test_example(played, which):
    page, number = which
    example = page.examples[number]
    if example.kind == "js" and not has_node(WORK):
        pytest.skip("there is no Node")
    result = played(page.name)[number]

    assert result.reached, "an example before this one ended the run"
    if example.shown is not None:
        assert tidy(result.output) == tidy(example.shown)
    assert result.failed == example.expects_error, result.output
