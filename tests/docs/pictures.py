"""Draws the pictures of the manual, docs/pictures/NAME.svg, from their sources NAME.txt beside them.

The first line of a source says its kind:

    sequence                    one line an actor or a message, from top to bottom
      actors: A, B, C
      A -> B: words             a call; with `-->` an answer, drawn dashed
      A: words                  a note at A's line; with `!` before the words, in red
      ...: words                time passes

    boxes                       rows of boxes from top to bottom, with arrows between the rows
      row: A | B | C            a box is `name, more words` or just a name
      arrow: words

    nested                      boxes inside each other, the outermost first
      name: words
"""

import html
import re
import textwrap
from pathlib import Path

from book import DOCS

FOLDER = DOCS / "pictures"
INK, SOFT, FILL, RED = "#1f2d3d", "#6b7c93", "#eef3f9", "#b3261e"


def text(x, y, words, size=13, anchor="middle", color=INK, weight="normal"):
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{color}"'
        f' font-weight="{weight}">{html.escape(words)}</text>'
    )


def box(x, y, width, height, fill=FILL, color=INK):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}"'
        f' stroke="{color}"/>'
    )


def label(x, y, words, color=INK):
    """Words over lines that they must not be struck through by."""
    width = 7 * len(words)
    back = f'<rect x="{x - width / 2}" y="{y - 12}" width="{width}" height="16" fill="white"/>'
    return back + text(x, y, words, 12, color=color)


def arrow(x1, y1, x2, y2, dashed=False):
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}"{dash}'
        ' marker-end="url(#head)"/>'
    )


def svg(width, height, parts):
    head = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' font-family="Helvetica, Arial, sans-serif">\n{head}\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def sequence(lines):
    actors = [name.strip() for name in lines[0].removeprefix("actors:").split(",")]
    step, top = 230, 20
    x = {name: 110 + step * n for n, name in enumerate(actors)}
    y, parts = top + 66, []
    for line in lines[1:]:
        if message := re.fullmatch(r"(.+?) (-->|->) (.+?): (.+)", line):
            start, kind, end, words = message.groups()
            parts.append(label((x[start] + x[end]) / 2, y - 7, words))
            inset = 4 if x[start] < x[end] else -4
            parts.append(arrow(x[start] + inset, y, x[end] - inset, y, kind == "-->"))
            y += 36
            continue
        name, words = line.split(": ", 1)
        if name == "...":
            parts.append(label(x[actors[-1]] / 2 + 55, y - 4, words, SOFT))
            y += 32
            continue
        color = RED if words.startswith("!") else INK
        rows = textwrap.wrap(words.lstrip("! "), 30)
        parts.append(box(x[name] - 100, y - 16, 200, 10 + 16 * len(rows), "white", color))
        parts += [text(x[name], y + 16 * n, row, 12, color=color) for n, row in enumerate(rows)]
        y += 28 + 16 * len(rows)
    lifelines = [
        f'<line x1="{x[name]}" y1="{top + 32}" x2="{x[name]}" y2="{y}" stroke="{SOFT}"/>' for name in actors
    ]
    heads = []
    for name in actors:
        heads += [box(x[name] - 90, top, 180, 32), text(x[name], top + 21, name, weight="bold")]
    return svg(220 + step * (len(actors) - 1), y + 12, lifelines + heads + parts)


def boxes(lines):
    width, y, parts = 760, 16, []
    for line in lines:
        kind, words = line.split(": ", 1)
        if kind == "arrow":
            parts += [arrow(width / 2, y + 2, width / 2, y + 38), text(width / 2 + 12, y + 25, words, 12, "start", SOFT)]
            y += 42
            continue
        cells = [cell.strip() for cell in words.split("|")]
        each = (width - 32 - 12 * (len(cells) - 1)) / len(cells)
        for n, cell in enumerate(cells):
            name, _, more = cell.partition(", ")
            left = round(16 + n * (each + 12), 1)
            parts.append(box(left, y, round(each, 1), 52))
            parts.append(text(round(left + each / 2, 1), y + (23 if more else 31), name, weight="bold"))
            if more:
                parts.append(text(round(left + each / 2, 1), y + 41, more, 11, color=SOFT))
        y += 52
    return svg(width, y + 16, parts)


def nested(lines):
    width, height, parts = 760, 44 * len(lines) + 40, []
    for n, line in enumerate(lines):
        name, words = line.split(": ", 1)
        x = 16 + 18 * n
        parts.append(box(x, 16 + 44 * n, width - 2 * x, height - 16 - 44 * n - 12 * n, FILL if n % 2 == 0 else "white"))
        parts.append(text(x + 14, 42 + 44 * n, name, 14, "start", weight="bold"))
        parts.append(text(x + 100, 42 + 44 * n, words, 12, "start"))
    return svg(width, height + 16, parts)


KINDS = {"sequence": sequence, "boxes": boxes, "nested": nested}


def draw(source):
    """The picture of a source, as SVG."""
    kind, *lines = [line.strip() for line in source.splitlines() if line.strip()]
    return KINDS[kind](lines)


def drawings():
    """Each picture's file and what must be in it."""
    for source in sorted(FOLDER.glob("*.txt")):
        yield source.with_suffix(".svg"), draw(source.read_text(encoding="utf-8"))


def write():
    for file, content in drawings():
        Path(file).write_text(content, encoding="utf-8")
