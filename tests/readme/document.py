"""README.md, taken apart: blocks, sections, tables."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

RUNNABLE = ("sql", "js", "python")
# The call of another product, shown beside the SQL that takes its place. Never run.
ORIGINAL = "js original"
KINDS = {*RUNNABLE, ORIGINAL, "text", "sh", ""}


@dataclass
class Block:
    """A fenced block. `section` is the heading above it, `shown` the output that follows it."""

    kind: str
    line: int
    section: str
    text: str
    shown: str | None = None

    def __str__(self):
        return f"{self.kind or 'signature'}-line-{self.line}"

    @property
    def expects_error(self):
        return self.shown is not None and re.search("^ERROR: ", self.shown, re.M) is not None


def _blocks():
    blocks, section, fence, between = [], "", None, []
    for number, line in enumerate(TEXT.splitlines(), 1):
        if fence is None:
            opening = re.fullmatch(r"```(.*)", line)
            if opening:
                fence = Block(opening[1], number, section, "")
            elif line.startswith("#"):
                section = line.lstrip("# ")
                between = [line]
            elif line:
                between.append(line)
        elif line == "```":
            if fence.kind == "text" and not between and blocks and blocks[-1].kind in RUNNABLE:
                blocks[-1].shown = fence.text
            else:
                blocks.append(fence)
            fence, between = None, []
        else:
            fence.text += line + "\n"
    assert fence is None, f"the block at line {fence.line} has no end"
    return blocks


BLOCKS = _blocks()
EXAMPLES = [block for block in BLOCKS if block.kind in RUNNABLE]
# What is outside of fenced blocks.
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)


def section(title):
    """The text below the heading of that title, up to the next heading of its rank or above."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.M)
    assert heading, f"README.md has no section {title}"
    rest = TEXT[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def table(text, first_column):
    """The rows of the table whose first column has that head, as lists of cells."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif inside:
            rows.append(cells)
        elif cells[0] == first_column:
            inside = True
    assert rows, f"no table has the first column {first_column}"
    return rows[1:]  # the line of dashes


def code(cell):
    """What stands in backticks in a cell or a text."""
    return re.findall(r"`([^`]+)`", cell)
