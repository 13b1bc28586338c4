"""What README.md tells about functions, settings, errors and files is what there is."""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from document import BLOCKS, PROSE, ROOT, TEXT, code, section, table

SOURCE = ROOT / "src"
BINDIR = Path(os.environ["DSS_BINDIR"])

# By the name in the heading of the section: a section may describe several functions, `f, g`. Of
# functions that share a name, the heading tells the first argument: `f()`, `f(a)`, `f(a, …)`.
SIGNATURES = {
    title: " ".join(signature.split())
    for block in BLOCKS
    if not block.kind and "→" in block.text
    for title, signature in zip(
        re.split(r", (?!…)", block.section),
        re.findall(r"^\w.*\n(?:[ )].*\n)*", block.text, re.M),
        strict=True,
    )
}
SECTION_OF = {
    title: block.section
    for block in BLOCKS
    if not block.kind and "→" in block.text
    for title in re.split(r", (?!…)", block.section)
}
# Names for lists of columns that several functions have: `key = kid text, …`.
ROWS = dict(
    " ".join(block.text.split()).split(" = ", 1)
    for block in BLOCKS
    if not block.kind and "→" not in block.text
)
REASONS = re.findall(
    r'Self::\w+ => "(\w+)"', (SOURCE / "session/verdict.rs").read_text(encoding="utf-8")
)
REVOKE_REASONS = {
    reason
    for path, pattern in (
        ("store/revocations.rs", r'reason: "(\w+)"'),
        ("session/verdict.rs", r'const REVOKED_\w+: &str = "(\w+)"'),
    )
    for reason in re.findall(pattern, (SOURCE / path).read_text(encoding="utf-8"))
}
SETTINGS = set(
    re.findall(r'c"dialstack_sessions\.(\w+)"', (SOURCE / "guc.rs").read_text(encoding="utf-8"))
)


def told_by(text, *heads):
    """The rows of all tables whose first column has one of these heads; there need be none."""
    return [
        row
        for head in heads
        if re.search(rf"^\| {head} \|", text, re.M)
        for row in table(text, head)
        if code(row[0])
    ]


@pytest.fixture(scope="module")
def database():
    """A database of these tests' own, with nothing but the extension."""
    with psycopg.connect(autocommit=True) as server:
        server.execute("CREATE DATABASE reference TEMPLATE template0")
    with psycopg.connect(dbname="reference", autocommit=True, row_factory=namedtuple_row) as db:
        db.execute("CREATE EXTENSION dialstack_sessions")
        db.execute("LOAD 'dialstack_sessions'")
        yield db


@pytest.fixture(scope="module")
def functions(database):
    """The functions for callers and their triggers, by their titles in README.md."""
    rows = database.execute(
        """
        SELECT proname AS name, pronargs AS arity,
               pg_get_function_arguments(oid) AS arguments,
               -- A composite type is told by its columns, like a table.
               coalesce(
                   (SELECT 'TABLE(' || string_agg(attname || ' ' || format_type(atttypid, NULL),
                                                  ', ' ORDER BY attnum) || ')'
                      FROM pg_attribute
                     WHERE attrelid = (SELECT nullif(typrelid, 0) FROM pg_type
                                        WHERE pg_type.oid = prorettype AND typtype = 'c')),
                   pg_get_function_result(oid)) AS result,
               CASE provolatile WHEN 'v' THEN 'Volatile' WHEN 's' THEN 'Stable'
                                ELSE 'Immutable' END AS volatility,
               CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted'
                                ELSE 'unsafe' END AS parallel
          FROM pg_proc
         WHERE pronamespace = 'dialstack'::regnamespace
           -- Our own triggers call the others.
           -- The condition of a trigger, which nobody may call.
           AND proname <> 'by_hand'
           AND (prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
                OR proname IN (SELECT function FROM dialstack.access_list()))
        """
    ).fetchall()
    count = Counter(row.name for row in rows)

    def title(row):
        if count[row.name] == 1:
            return row.name
        first, *_ = row.arguments.split() or [""]
        return f"{row.name}({first}{', …' if row.arity > 1 else ''})"

    return {title(row): row for row in rows}


@pytest.fixture(scope="module")
def introspected(database):
    """The members of the answers of token_introspect, for user and account sessions."""
    database.execute(
        """
        SELECT dialstack.product_create('p');
        SELECT dialstack.env_create('p', 'e');
        SELECT dialstack.definition_create('p', 't', 'T', '', '{}', '$Session{u}', 1, 'hour');
        """
    )
    answers = database.execute(
        "SELECT dialstack.token_introspect(token)"
        " FROM dialstack.session_create('p', 'e', 't', '{\"u\": 1}')"
        " UNION ALL SELECT dialstack.token_introspect(client_secret)"
        " FROM dialstack.account_session_create('a', product => 'p', env => 'e')"
    ).fetchall()
    return {name for (answer,) in answers for name in answer}


@pytest.fixture(scope="module")
def answers(database):
    """The members of the objects that functions return, by function."""
    database.execute(
        """
        SELECT dialstack.product_create('q');
        SELECT dialstack.env_create('q', 'e');
        SELECT dialstack.definition_create('q', 't', 'T', '', '{}', '$Session{u}', 1, 'hour');
        SELECT dialstack.session_create('q', 'e', 't', '{"u": 1}');
        """
    )
    calls = {
        "maintain": "",
        "session_user_details": "'q', 't', '1'",
        "session_dashboard": "'q', 't'",
        "session_user_dashboard": "'q', 't', '1'",
    }
    return {
        function: database.execute(f"SELECT dialstack.{function}({arguments})").fetchone()[0]
        for function, arguments in calls.items()
    }


def as_written(function):
    """A function's signature in the words of README.md."""
    arguments = re.sub(r" DEFAULT ([^,]+?)(::[a-z ]+(\[\])?)?(?=,|$)", r" = \1", function.arguments)
    result = re.sub(r"^TABLE\((.*)\)$", r"\1", function.result)
    signature = f"{function.name}({arguments}) → {result}"
    return signature.replace("timestamp with time zone", "timestamptz")


def error_codes():
    """The codes of src/error.rs with their SQLSTATEs."""
    source = (SOURCE / "error.rs").read_text(encoding="utf-8")
    words = dict(re.findall(r'Code::(\w+) => (?:\{\s*)?"(\w+)"', source))
    sharedir = subprocess.check_output([BINDIR / "pg_config", "--sharedir"], text=True).strip()
    numbers = {}
    for line in Path(sharedir, "errcodes.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\w{5})\s+[EWS]\s+(ERRCODE_\w+)", line):
            numbers[match[2]] = match[1]
    states = {}
    for variants, state in re.findall(r"((?:\|?\s*Code::\w+\s*)+)=> \{?\s*S::(\w+)", source):
        for variant in re.findall(r"Code::(\w+)", variants):
            states[words[variant]] = numbers[state]
    assert set(states) == set(words.values()) and len(words) > 5
    return states


def test_the_reference_has_every_function_and_no_other(functions):
    assert set(SIGNATURES) == set(functions)


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_is_the_one_of_the_catalogue(functions, name):
    signature = SIGNATURES[name]
    head, result = signature.split(" → ")
    row, *more = result.split(", ", 1) if result.split(",")[0] in ROWS else [result]
    assert f"{head} → {', '.join([ROWS.get(row, row), *more])}" == as_written(functions[name])


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_is_told_as_it_is_declared(functions, name):
    text, function = section(SECTION_OF[name]), functions[name]
    declared = f"{function.volatility}, parallel {function.parallel}. Errors: "
    assert text.count(declared) == 1


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_table_explains_only_what_the_function_has(functions, name):
    has = set(re.findall(r"(\w+) [a-z]+(?:\[\])?(?=[ ,)]|$)", as_written(functions[name])))
    for row in told_by(section(SECTION_OF[name]), "argument", "column"):
        assert set(code(row[0])) <= has, row


@pytest.mark.parametrize("name", ["maintain", "session_user_details"])
def test_the_members_of_an_answer_are_told_in_full(answers, name):
    told = [member for row in told_by(section(name), "member") for member in code(row[0])]
    assert sorted(told) == sorted(answers[name])


def test_a_session_of_a_user_s_details_is_told_in_full(answers):
    rows = told_by(section("session_user_details"), "member")
    told = next(set(code(row[1])) for row in rows if code(row[0]) == ["sessions"])
    assert told == set(answers["session_user_details"]["sessions"][0])


def test_the_figures_of_a_dashboard_are_told_in_full(answers):
    told = [key for row in told_by(section("Dashboard"), "key") for key in code(row[0])]
    assert sorted(told) == sorted(answers["session_dashboard"])


def test_the_series_of_a_dashboard_have_the_members_that_are_told(answers):
    dashboard, checked = answers["session_dashboard"], 0
    for row in told_by(section("Dashboard"), "key"):
        shapes = [shape for shape in code(row[1]) if shape.startswith("{")]
        for key in code(row[0]) if shapes else []:
            assert set(shapes[0].strip("{}").split(", ")) == set(dashboard[key][0])
            checked += 1
    assert checked > 4


def test_the_dashboard_of_a_user_is_told_in_full(answers):
    dashboard = answers["session_user_dashboard"]
    prose = re.search(r"\*\*One user\.\*\*.*?\n\n", section("Dashboard"), re.S)[0]
    words = [word for word in code(prose) if word != "session_user_dashboard"]
    assert {word for word in words if not word.startswith("{")} == set(dashboard)
    for key, shape in zip(words, words[1:]):
        if shape.startswith("{"):
            assert set(shape.strip("{}").split(", ")) == set(dashboard[key][0])


def test_every_function_that_is_mentioned_exists(database, functions, introspected):
    names = {function.name for function in functions.values()}
    called = set(re.findall(r"\bdialstack\.(\w{2,})\(", TEXT))  # dialstack.f(…) stands for any
    # A name alone in backticks that begins as functions do is one, if it is nothing else.
    families = {name.split("_")[0] for name in names if "_" in name}
    named = {
        name
        for name in re.findall(r"^(\w+_\w+)(?:\(\))?$", "\n".join(code(PROSE)), re.M)
        if name.split("_")[0] in families
    }
    other = REVOKE_REASONS | set(REASONS) | introspected | {"product_id"}
    # Trigger functions have no signature to show.
    query = "SELECT proname FROM pg_proc WHERE pronamespace = 'dialstack'::regnamespace AND prorettype = 'trigger'::regtype"
    other |= {row.proname for row in database.execute(query)}
    other |= {code(row[0])[0] for row in table(section("Tables"), "table")}
    other |= {code(row[0])[0] for row in table(section("Views"), "view")}
    other |= {code(row[0])[0] for row in table(section("What to check"), "weakness")}
    other |= {member for row in told_by(section("maintain"), "member") for member in code(row[0])}
    other |= {path.parent.name for path in ROOT.glob("tests/*/run")}
    other |= {code(row[0])[0] for row in table(section("Choose components"), "component")}
    for function in functions.values():
        other |= set(re.findall(r"(\w+) [a-z]", as_written(function)))
    assert len(called) > 10 and len(named) > 10
    assert (called | named) - names - other == set()


def test_the_reasons_of_a_revocation_are_those_of_the_source():
    rows = {code(row[0])[0]: row[1] for row in table(section("session_info"), "column")}
    told = set(code(rows["revoke_reason"])) - {"max_sessions", "user_identifier_key"}
    assert told == REVOKE_REASONS


def test_the_answer_of_an_introspection_is_told_in_full(introspected):
    prose = re.sub(r"```.*?```", "", section("token_introspect"), flags=re.S)
    told = {name for name in code(prose) if re.fullmatch(r"[a-z_]+", name)}
    assert told == introspected


def test_the_fields_of_a_definition_are_the_arguments_that_make_one(functions):
    fields = [code(row[0])[0] for row in table(section("Definitions"), "field")]
    arguments = re.findall(r"(?:^|, )(\w+) ", functions["definition_create"].arguments)
    assert set(fields) == set(arguments) - {"product"}


def test_the_reasons_are_those_of_the_source_in_their_order():
    assert [code(row[0])[0] for row in table(section("Verifying"), "reason")] == REASONS


def test_every_setting_is_told_with_its_default_and_context(database):
    rows = database.execute(
        "SELECT name, current_setting(name) AS value, context FROM pg_settings"
        " WHERE name LIKE 'dialstack\\_sessions.%'"
    )
    told = {
        code(setting)[0]: ("" if default == "*(empty)*" else code(default)[0], context)
        for setting, default, context, _ in table(section("Settings"), "setting")
        if default != "*(hidden)*"
    }
    assert told == {row.name: (row.value, row.context) for row in rows}


def test_the_hidden_settings_are_told_and_everybody_may_set_them_and_nobody_see_them(database):
    told = {
        code(setting)[0]: context
        for setting, default, context, _ in table(section("Settings"), "setting")
        if default == "*(hidden)*"
    }
    database.execute("CREATE ROLE anybody; SET ROLE anybody")
    try:
        shown = {}
        for name in told:
            database.execute(f"SET {name} = 'secret'")
            shown[name] = database.execute(f"SHOW {name}").fetchone()[0]
            database.execute(f"RESET {name}")
    finally:
        database.execute("RESET ROLE; DROP ROLE anybody")

    visible = database.execute("SELECT name FROM pg_settings").fetchall()
    hidden = {f"dialstack_sessions.{name}" for name in SETTINGS} - {row.name for row in visible}
    assert told == dict.fromkeys(hidden, "user")
    assert set(shown.values()) == {"********"}


def test_every_setting_that_is_mentioned_exists():
    mentioned = set(re.findall(r"\bdialstack_sessions\.([a-z_]+)", TEXT))
    assert mentioned == SETTINGS


def test_the_access_levels_are_those_of_the_functions(database, functions):
    arity = Counter(function.name for function in functions.values())
    by_call = {
        f"{f.name}/{f.arity}" if arity[f.name] > 1 else f.name: title
        for title, f in functions.items()
    }
    rows = database.execute("SELECT function, access FROM dialstack.access_list()").fetchall()
    told = {
        (name, code(level)[0])
        for level, may in table(section("Access levels"), "level")
        for name in code(may)
    }
    assert told == {(by_call[row.function], row.access) for row in rows}


def test_the_components_are_the_built_in_scopes(database):
    rows = database.execute("SELECT scope, description FROM dialstack.scopes WHERE built_in")
    told = {code(name)[0]: what for name, what in table(section("Choose components"), "component")}
    assert told == {row.scope: row.description for row in rows}


def test_every_table_is_told_with_whether_it_is_dumped(database):
    rows = database.execute(
        """
        SELECT c.relname AS name, c.oid = ANY (e.extconfig) AS dumped
          FROM pg_class c, pg_extension e
         WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT c.relispartition AND e.extname = 'dialstack_sessions'
        """
    )
    told = {code(name)[0]: dumped for name, dumped, _ in table(section("Tables"), "table")}
    assert told == {row.name: "yes" if row.dumped else "no" for row in rows}


def test_every_view_is_told(database):
    query = "SELECT relname AS name FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'v'"
    told = {code(name)[0] for name, _ in table(section("Views"), "view")}
    assert told == {row.name for row in database.execute(query)}


def test_the_weaknesses_of_policies_are_those_of_the_source():
    source = (SOURCE / "store/weakness.rs").read_text(encoding="utf-8")
    known = re.findall(r'= weakness!\(\s*"(\w+)",\s*(\w+),', source)
    told = {code(name)[0]: severity for name, severity, _ in table(section("What to check"), "weakness")}
    assert told == {name: severity.lower() for name, severity in known}


def test_every_operation_of_the_activity_is_told(database):
    query = "SELECT col_description('dialstack.activity'::regclass, attnum) AS said FROM pg_attribute WHERE attrelid = 'dialstack.activity'::regclass AND attname = 'operation'"
    said = database.execute(query).fetchone().said
    told = {code(row[0])[0] for row in table(section("Users and activity"), "operation")}
    assert told == set(re.split(r", | or ", said.partition(";")[0]))


def test_every_error_code_is_told_with_its_sqlstate():
    told = {code(row[0])[0]: row[1] for row in table(section("Errors"), "code")}
    assert told == error_codes()


def test_every_error_code_that_is_mentioned_exists():
    lists = re.findall(r"Errors: (.+?)\n\n", TEXT, re.S)
    mentioned = {word for text in lists for word in code(text) if word.isupper()}
    mentioned |= set(re.findall(r"^ERROR:  ([A-Z_]+):", TEXT, re.M))
    assert mentioned <= set(error_codes()) and len(mentioned) > 5


def test_the_paths_of_the_layout_exist():
    paths = [path for row in table(section("Working on it"), "path") for path in code(row[0])]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_tier_is_told():
    told = [name for row in table(section("Working on it"), "tier") for name in code(row[0])]
    assert sorted(told) == sorted(path.parent.name for path in ROOT.glob("tests/*/run"))


def test_the_links_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", PROSE, re.M)
    anchors = {"#" + re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    links = re.findall(r"\]\(([^)\s]+)\)", PROSE)
    assert links
    assert [x for x in links if x not in anchors and not (ROOT / x).exists()] == []


def test_the_versions_are_those_that_the_manifest_builds_for():
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    majors = sorted(int(major) for major in re.findall(r"^pg(\d+) = ", manifest, re.M))
    version = re.search(r'^version = "(.+)"', manifest, re.M)[1]
    rust = re.search(r'^rust-version = "(.+)"', manifest, re.M)[1]
    assert f"Version {version}. PostgreSQL {majors[0]} to {majors[-1]}" in TEXT
    assert f"Rust {rust} or later" in TEXT
