"""The manual, taken apart: pages, blocks, sections, tables.

A comment right before a block, or below the title of a page, says what is special about it:

    <!-- database: empty -->   the page begins with an empty database, not with the one of "Set up"
    <!-- not run: REASON -->   the block is not run
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

RUNNABLE = ("sql", "js", "python")
# The word of a signature in the reference is "", that of an output "text".
KINDS = {*RUNNABLE, "text", "sh", "ini", "html", ""}


@dataclass
class Block:
    """A fenced block. `section` is the heading above it, `shown` the output that follows it."""

    kind: str
    line: int
    section: str
    text: str = ""
    not_run: str | None = None
    shown: str | None = None

    @property
    def runs(self):
        return self.kind in RUNNABLE and self.not_run is None

    @property
    def expects_error(self):
        return self.shown is not None and re.search("^ERROR: ", self.shown, re.M) is not None


@dataclass
class Page:
    path: Path
    text: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self):
        return self.path.relative_to(ROOT).as_posix()

    @property
    def starts_empty(self):
        return "<!-- database: empty -->" in self.text

    @property
    def examples(self):
        return [block for block in self.blocks if block.runs]

    @cached_property
    def prose(self):
        """What is outside of fenced blocks and comments."""
        text = re.sub(r"^```.*?^```$", "", self.text, flags=re.M | re.S)
        return re.sub(r"<!--.*?-->", "", text, flags=re.S)

    @cached_property
    def headings(self):
        return re.findall(r"^#+ (.+)$", self.prose, re.M)

    @cached_property
    def anchors(self):
        return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in self.headings}

    @cached_property
    def links(self):
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    def section(self, title):
        """The text below the heading of that title, up to the next heading of its rank or above."""
        heading = re.search(rf"^(#+) {re.escape(title)}$", self.text, re.M)
        assert heading, f"{self.name} has no section {title}"
        rest = self.text[heading.end() :]
        end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.M)
        return rest[: end.start()] if end else rest


def read(path):
    """Reads a page."""
    page = Page(path, path.read_text(encoding="utf-8"))
    section, fence, between = "", None, []
    for number, line in enumerate(page.text.splitlines(), 1):
        if fence is None:
            if opening := re.fullmatch(r"```(.*)", line):
                fence = Block(opening[1], number, section)
                said = re.fullmatch(r"<!-- not run: (.+) -->", between[-1]) if between else None
                fence.not_run = said[1] if said else None
            elif line.startswith("#"):
                section = line.lstrip("# ")
                between = [line]
            elif line:
                between.append(line)
        elif line == "```":
            if fence.kind == "text" and not between and page.blocks and page.blocks[-1].runs:
                page.blocks[-1].shown = fence.text
            else:
                page.blocks.append(fence)
            fence, between = None, []
        else:
            fence.text += line + "\n"
    assert fence is None, f"{path}: the block at line {fence.line} has no end"
    return page


README = read(ROOT / "README.md")
# Those that begin with an empty database come first: they make roles that others share.
PAGES = sorted(
    [README, *map(read, sorted(DOCS.rglob("*.md")))], key=lambda page: not page.starts_empty
)
BY_NAME = {page.name: page for page in PAGES}
REFERENCE = [page for page in PAGES if page.name.startswith("docs/reference/")]


def page(name):
    """A page of the book by its name below docs/."""
    return BY_NAME[f"docs/{name}"]


def set_up():
    """The statements of "Set up", which make the database that the pages begin with."""
    (block,) = [b for b in page("start/psql.md").blocks if b.section == "Set up" and b.runs]
    return block.text


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
