"""The parts of the manual that are generated, and the command that writes them into its pages.

A page has such a part between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
"""

import importlib
import re
import subprocess
import sys

import book
import catalogue
import pictures
from play import PSQL

# Of level client, but only with an API key that allows it.
WITH_KEY = {
    "account_session_create",
    "account_session_revoke",
    "session_create(account, …)",
    "client_session_create",
    "client_session_get_or_create",
    "client_session_get",
    "client_session_list",
    "client_session_grant_access",
    "client_session_revoke",
    "client_session_delete",
}
# The settings whose values nobody may see are not in pg_settings.
HIDDEN = ("api_key", "token")
SET_BY = {"user": "everybody", "superuser": "superusers", "sighup": "the configuration"}

PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n)(.*?)(<!-- end of generated -->)", re.S)


def table(*columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def levels(db):
    """Which level may call which function; each links to its page."""
    place = {
        name: (page.name, heading)
        for page in book.REFERENCE
        for heading in page.headings
        for name in heading.split(", ")
    }
    rows = []
    for title, function in catalogue.functions(db).items():
        page, heading = place[function.name]
        if title.startswith("session_create(account"):
            page = "docs/reference/account-sessions.md"
        elif function.name == "session_create":
            page = "docs/reference/user-sessions.md"
        anchor = heading.lower().replace(", ", "-")
        link = f"[`{title}`](../{page.removeprefix('docs/')}#{anchor})"
        marks = ["yes" if level in function.levels else "–" for level in catalogue.LEVELS]
        if title in WITH_KEY:
            marks[0] = "with a key"
        rows.append([link, function.description, *marks])
    return table("function", "what it does", *catalogue.LEVELS, rows=rows)


def settings(db):
    """Each setting with its default and who may set it."""
    shown = db.execute(
        "SELECT name, current_setting(name) AS value, context FROM pg_settings"
        " WHERE name LIKE 'dialstack\\_sessions.%'"
    )
    values = {row.name.split(".")[1]: (row.value, row.context) for row in shown}
    rows = []
    for name, (short, long) in sorted(catalogue.setting_texts().items()):
        value, context = ("hidden", "user") if name in HIDDEN else values.pop(name)
        default = "*hidden*" if name in HIDDEN else f"`{value}`" if value else "*empty*"
        rows.append([f"`dialstack_sessions.{name}`", default, SET_BY[context], f"{short} {long}"])
    assert not values, f"src/guc.rs does not describe {values}"
    return table("setting", "default", "who may set it", "meaning", rows=rows)


def errors(_):
    """Each code with its SQLSTATE."""
    codes = sorted(catalogue.error_codes().items(), key=lambda item: (item[1][0], item[0]))
    return table(
        "code",
        "SQLSTATE",
        "meaning",
        rows=[[f"`{code}`", state, meaning] for code, (state, meaning) in codes],
    )


def lint(_):
    """Each weakness that policy_lint() finds."""
    return table(
        "weakness",
        "severity",
        "meaning",
        "what to do",
        rows=[[f"`{name}`", *rest] for name, *rest in catalogue.weaknesses()],
    )


def health(_):
    """Each finding of health_check()."""
    return table(
        "check",
        "severity",
        "meaning",
        "what to do",
        rows=[[f"`{name}`", *rest] for name, *rest in catalogue.weaknesses("administration/health")],
    )


def tables(db):
    """Each table, with whether a dump holds its rows."""
    rows = db.execute(
        """
        SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS description,
               CASE WHEN c.oid = ANY (e.extconfig) THEN 'yes' ELSE 'no' END AS dumped
          FROM pg_class c, pg_extension e
         WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT c.relispartition AND e.extname = 'dialstack_sessions'
         ORDER BY 3 DESC, 1
        """
    )
    return table(
        "table",
        "dumped",
        "what is in it",
        rows=[[f"`{row.name}`", row.dumped, row.description] for row in rows],
    )


def views(db):
    """Each view with its columns."""
    rows = db.execute(
        """
        SELECT c.relname AS view, obj_description(c.oid, 'pg_class') AS description, a.attname AS column,
               format_type(a.atttypid, a.atttypmod) AS type, col_description(c.oid, a.attnum) AS meaning
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v'
         ORDER BY c.relname, a.attnum
        """
    ).fetchall()
    parts = []
    for view in dict.fromkeys((row.view, row.description) for row in rows):
        columns = [[f"`{r.column}`", r.type, r.meaning] for r in rows if r.view == view[0]]
        part = table("column", "type", "meaning", rows=columns)
        parts.append(f"### {view[0]}\n\n{view[1][0].upper()}{view[1][1:]}.\n\n{part}")
    return "\n".join(parts)


def recording(_):
    """What `make demo` prints, with what differs from run to run replaced."""
    import psycopg

    with psycopg.connect(autocommit=True) as server:
        server.execute("CREATE DATABASE demo TEMPLATE template0")
    psql = [*PSQL, "-d", "demo", "-v", "ON_ERROR_STOP=1", "-P", "footer=off"]
    subprocess.run([*psql, "-c", "CREATE EXTENSION dialstack_sessions"], check=True)
    text = subprocess.check_output(
        [*psql, "-a", "-f", book.ROOT / "scripts/demo.sql"], encoding="utf-8", stderr=subprocess.STDOUT
    )
    with psycopg.connect(autocommit=True) as server:
        server.execute("DROP DATABASE demo WITH (FORCE)")
        server.execute("DROP ROLE shop_app")
    for pattern, instead in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "5b1d3c1e-7f0a-4c55-9d0e-2f6b8a4c7d10"),
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "eyJhbGciOiJIUzI1NiIs…"),
        (r"\b(rt|cs|cst)_(live|test)_[\w-]{20,}", r"\1_\2_AAAAAx7Q…"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00", "2027-01-31 09:30:00+00"),
        (r"(Duration +\| )[\d.]+", r"\g<1>0.01"),
    ):
        text = re.sub(pattern, instead, text)
    return f"```text\n{_aligned(text)}```\n"


def _aligned(text):
    """Tables of psql, aligned anew: what was replaced had other lengths."""
    blocks = []
    for block in re.split(r"\n{2,}", text.strip()):
        lines = [line.rstrip() for line in block.splitlines()]
        rule = next((n for n, line in enumerate(lines) if re.fullmatch(r"-+(\+-+)*", line)), None)
        if rule:
            rows = [[cell.strip() for cell in re.split(r" \| |\|$", line)] for line in lines[rule - 1 :]]
            del rows[1]
            widths = [max(map(len, column)) for column in zip(*rows)]
            lines[rule - 1 :] = [
                (" " + " | ".join(map(str.ljust, row, widths))).rstrip() for row in rows
            ]
            lines.insert(rule, "+".join("-" * (width + 2) for width in widths))
        blocks.append("\n".join(re.sub(r"^-\[ (RECORD \d+) \].*", r"-[ \1 ]---", line) for line in lines))
    return "\n\n".join(blocks) + "\n"


def client_for_python(_):
    """The client's calls and results, from its types."""
    sys.path.insert(0, str(book.ROOT / "clients/python"))
    return importlib.import_module("reference").reference()


PARTS = {
    "levels": levels,
    "settings": settings,
    "errors": errors,
    "lint": lint,
    "health": health,
    "tables": tables,
    "views": views,
    "recording": recording,
    "client for python": client_for_python,
}


def rewritten(page, db):
    """The text of a page with its generated parts made anew."""

    def part(match):
        return f"{match[1]}\n{PARTS[match[2]](db)}\n{match[4]}"

    return PART.sub(part, page.text)


def write():
    db = catalogue.connect("generated")
    try:
        for page in book.PAGES:
            page.path.write_text(rewritten(page, db), encoding="utf-8")
    finally:
        catalogue.drop(db)
    pictures.write()


if __name__ == "__main__":
    write()
