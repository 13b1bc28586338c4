"""The manual is whole: its contents, links, generated parts, pictures and blocks."""

import os
import re
import subprocess

import pytest

import catalogue
import generated
import pictures
from book import DOCS, KINDS, PAGES, README, ROOT, page

SITE = (DOCS / "site.yml").read_text(encoding="utf-8")


def test_every_page_is_in_the_table_of_contents():
    contents = re.findall(r"([\w/-]+\.md)$", SITE, re.M)
    assert sorted(contents) == sorted(p.name.removeprefix("docs/") for p in PAGES if p is not README)


def test_every_page_is_in_the_list_of_the_first_page():
    linked = {link.split("#")[0] for link in page("index.md").links}
    linked |= {f"reference/{link}" for link in page("reference/index.md").links}
    pages = {p.name.removeprefix("docs/") for p in PAGES if p is not README} - {"index.md"}
    # The reference is reached from its own first page.
    assert {p for p in pages - linked if not p.startswith("reference/")} == set()
    assert {p for p in pages - linked if p.startswith("reference/")} <= {
        "reference/lint.md",
        "reference/token-formats.md",
        "reference/dashboard-figures.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    dead = []
    for link in page.links:
        if re.match(r"[a-z]+://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.path.parent / file).resolve() if file else page.path
        other = next((p for p in PAGES if p.path == target), None)
        if not target.exists() or (anchor and (other is None or anchor not in other.anchors)):
            dead.append(link)
    assert dead == []


def test_the_site_is_made_without_a_warning(tmp_path):
    # Where its files go; the target folder may be shared.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(tmp_path)}
    made = subprocess.run([ROOT / "scripts/docs", "site"], env=environment, text=True, capture_output=True)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "site/index.html").is_file()


WRITES = re.compile(
    r"(insert\s+into|update|delete\s+from|merge\s+into|truncate(\s+table)?|alter\s+table|copy)\s+(only\s+)?dialstack\.\w+(?!\w*\s*\()",
    re.I,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_writes_to_our_tables(page):
    assert [match.group() for match in WRITES.finditer(page.text)] == []


def test_the_readme_is_short():
    assert len(README.text.encode()) <= 12 * 1024
    assert len(README.text.splitlines()) <= 250


def test_the_generated_parts_are_what_would_be_generated():
    db = catalogue.connect("generated")
    try:
        stale = [p.name for p in PAGES if generated.rewritten(p, db) != p.text]
        parts = [name for p in PAGES for _, name, _, _ in generated.PART.findall(p.text)]
    finally:
        catalogue.drop(db)
    assert sorted(parts) == sorted(generated.PARTS)
    assert stale == [], "run: scripts/docs generate"


def test_the_pictures_are_what_would_be_drawn():
    drawings = dict(pictures.drawings())
    assert {p for p in pictures.FOLDER.glob("*.svg")} == set(drawings)
    stale = [file.name for file, content in drawings.items() if file.read_text(encoding="utf-8") != content]
    assert stale == [], "run: scripts/docs generate"


def test_every_picture_is_shown():
    shown = {
        (p.path.parent / link).resolve() for p in PAGES for link in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", p.prose)
    }
    assert {p for pattern in ("**/*.svg", "*.png") for p in DOCS.glob(pattern)} <= shown


def test_every_block_is_of_a_kind_that_this_tier_knows():
    assert [(p.name, b.line, b.kind) for p in PAGES for b in p.blocks if b.kind not in KINDS] == []


def test_what_is_not_run_says_why_and_is_little():
    blocks = [(p, b) for p in PAGES for b in p.blocks if b.kind not in ("", "text")]
    silent = [(p.name, b.line) for p, b in blocks if not b.runs and not b.not_run]
    assert silent == []
    assert sum(not b.runs for _, b in blocks) <= len(blocks) // 8


def test_every_output_belongs_to_an_example_or_is_generated():
    strays = [
        (p.name, b.line)
        for p in PAGES
        for b in p.blocks
        if b.kind == "text" and b.text not in "".join(part[2] for part in generated.PART.findall(p.text))
    ]
    assert strays == []


def test_every_language_is_shown():
    assert {b.kind for p in PAGES for b in p.examples} == {"sql", "js", "python"}


def test_the_commands_for_the_shell_exist():
    shell = "\n".join(b.text for p in PAGES for b in p.blocks if b.kind == "sh")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"\bmake ([a-z][a-z-]*)", shell))
    assert {"demo", "test", "docs"} <= targets
    assert {t for t in targets if not re.search(rf"^{t}:", makefile, re.M)} == set()
    scripts = set(re.findall(r"\b(scripts/[\w-]+)", shell))
    assert {s for s in scripts if not os.access(ROOT / s, os.X_OK)} == set()
