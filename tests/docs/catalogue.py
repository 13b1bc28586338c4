"""What the extension has: functions, levels, settings, codes. From a database, and from the source where no
database says it."""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import psycopg
from psycopg.rows import namedtuple_row

from book import ROOT

SOURCE = ROOT / "src"
BINDIR = Path(os.environ["DSS_BINDIR"])
LEVELS = ("client", "server", "monitor", "admin")

FUNCTIONS = """
SELECT p.oid, proname AS name, pronargs AS arity, obj_description(p.oid, 'pg_proc') AS description,
       pg_get_function_arguments(p.oid) AS arguments,
       -- A composite type is described by its columns, like a table.
       coalesce(
           (SELECT 'TABLE(' || string_agg(attname || ' ' || format_type(atttypid, NULL),
                                          ', ' ORDER BY attnum) || ')'
              FROM pg_attribute
             WHERE attrelid = (SELECT nullif(typrelid, 0) FROM pg_type
                                WHERE pg_type.oid = prorettype AND typtype = 'c')),
           pg_get_function_result(p.oid)) AS result,
       CASE provolatile WHEN 'v' THEN 'Volatile' WHEN 's' THEN 'Stable' ELSE 'Immutable' END AS volatility,
       CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
       ARRAY(SELECT level FROM unnest(%s::text[]) AS level
              WHERE has_function_privilege('manual_' || level, p.oid, 'EXECUTE')) AS levels
  FROM pg_proc AS p
 WHERE pronamespace = 'dialstack'::regnamespace
 ORDER BY proname, pronargs
"""


def connect(name):
    """A database of that name with nothing but the extension, and a role of each level."""
    with psycopg.connect(autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        for level in LEVELS:
            server.execute(f"CREATE ROLE manual_{level}")
    db = psycopg.connect(dbname=name, autocommit=True, row_factory=namedtuple_row)
    db.execute("CREATE EXTENSION dialstack_sessions")
    db.execute("LOAD 'dialstack_sessions'")
    for level in LEVELS:
        db.execute("SELECT dialstack.grant_access(%s::text::regrole, %s)", [f"manual_{level}", level])
    return db


def drop(db):
    """Closes and removes what connect() made."""
    name = db.info.dbname
    db.close()
    with psycopg.connect(autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for level in LEVELS:
            server.execute(f"DROP ROLE manual_{level}")


def functions(db):
    """The functions that callers may call, by title: the name, and where several share it, with the first
    argument: `f()`, `f(a)`, `f(a, …)`."""
    rows = [row for row in db.execute(FUNCTIONS, [list(LEVELS)]).fetchall() if row.levels]
    count = Counter(row.name for row in rows)
    return {title(row.name, row.arguments, count[row.name] > 1): row for row in rows}


def title(name, arguments, shared):
    if not shared:
        return name
    first, *more = arguments.split(", ") if arguments else [""]
    return f"{name}({first.split(' ')[0]}{', …' if more else ''})"


def error_codes():
    """The codes of src/error.rs: code → (SQLSTATE, meaning)."""
    source = (SOURCE / "error.rs").read_text(encoding="utf-8")
    codes = re.findall(r'/// (.+)\n +([A-Z]\w+) = "\w+" \(([A-Z_]+)\),', source)
    sharedir = subprocess.check_output([BINDIR / "pg_config", "--sharedir"], text=True).strip()
    numbers = {}
    for line in Path(sharedir, "errcodes.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\w{5})\s+[EWS]\s+(ERRCODE_\w+)", line):
            numbers[match[2]] = match[1]
    assert len(codes) == len(re.findall(r' = "[A-Z_]+" \(', source)) > 20
    return {_code(variant): (numbers[state], meaning) for meaning, variant, state in codes}


def _code(variant):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", variant).upper()


def weaknesses(folder="rls"):
    """What policy_lint() or, of another folder, health_check() can find: (name, severity, meaning, what to do)."""
    pattern = r'((?:^ +/// .+\n)+) +\w+ = (\w+) "(\w+)":\s*"([^"]+)";'
    found = [
        (name, severity.lower(), " ".join(re.findall("/// (.+)", doc)), hint)
        for path in sorted((SOURCE / folder).rglob("*.rs"))
        for doc, severity, name, hint in re.findall(pattern, path.read_text(encoding="utf-8"), re.M)
    ]
    assert len(found) > 10
    return sorted(found, key=lambda row: ["error", "warning", "info"].index(row[1]))


def reasons():
    """Why a token is refused, in the order in which it is checked."""
    source = (SOURCE / "session/verdict.rs").read_text(encoding="utf-8")
    return re.findall(r'^\s+(?:Self::)?[A-Z]\w+ =>? "(\w+)",', source, re.M)


def revoke_reasons():
    """What session_info() can say about a revoked session."""
    places = {
        "service/revocation/revocations.rs": r'reason: "(\w+)"',
        "session/verdict.rs": r'const REVOKED_\w+: &str = "(\w+)"',
    }
    return {
        reason
        for path, pattern in places.items()
        for reason in re.findall(pattern, (SOURCE / path).read_text(encoding="utf-8"))
    }


def setting_texts():
    """The settings of src/guc.rs: name → (short description, long description)."""
    source = (SOURCE / "guc.rs").read_text(encoding="utf-8")
    source = source.replace("TOKEN_NAME,", 'c"dialstack_sessions.token",')
    pattern = r'c"dialstack_sessions\.(\w+)",\s*c"([^"]+)",\s*c"([^"]+)",'
    return {name: (short, long) for name, short, long in re.findall(pattern, source)}
