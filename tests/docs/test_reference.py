"""What the manual says about functions, settings, errors and files is what there is."""

import re
from collections import Counter

import psycopg
import pytest
from psycopg.types.json import Jsonb

import catalogue
from book import PAGES, README, REFERENCE, ROOT, code, page, table

# (page, section, signature) of each function in the reference.
_DESCRIBED = [
    (reference, block.section, " ".join(signature.split()))
    for reference in REFERENCE
    for block in reference.blocks
    if not block.kind and "→" in block.text
    for signature in re.findall(r"^\w.*\n(?:[ )].*\n)*", block.text, re.M)
]


def _parts(signature):
    return re.match(r"(\w+)\((.*)\) → ", signature).groups()


_SHARED = Counter(_parts(signature)[0] for _, _, signature in _DESCRIBED)
# By the title that catalogue.functions() has.
DESCRIBED = {
    catalogue.title(name, arguments, _SHARED[name] > 1): described
    for described in _DESCRIBED
    for name, arguments in [_parts(described[2])]
}
# Names for lists of columns that several functions have: `key = kid text, …`.
ROWS = dict(
    " ".join(block.text.split()).split(" = ", 1)
    for reference in REFERENCE
    for block in reference.blocks
    if not block.kind and "→" not in block.text
)
WHOLE = "\n".join(page.text for page in PAGES)
PROSE = "\n".join(page.prose for page in PAGES)


@pytest.fixture(scope="module")
def database():
    db = catalogue.connect("reference")
    db.execute(
        """
        SELECT dialstack.product_create('p');
        SELECT dialstack.env_create('p', 'e');
        SELECT dialstack.definition_create('p', 't', 'T', '', '{}', '$Session{u}', 1, 'hour');
        """
    )
    yield db
    catalogue.drop(db)


@pytest.fixture(scope="module")
def functions(database):
    return catalogue.functions(database)


@pytest.fixture(scope="module")
def answers(database):
    """The objects that functions return, by function."""
    database.execute("SELECT dialstack.session_create('p', 'e', 't', %s)", [Jsonb({"u": 1})])
    calls = {
        "maintain": "",
        "session_user_details": "'p', 't', '1'",
        "session_dashboard": "'p', 't'",
        "session_user_dashboard": "'p', 't', '1'",
    }
    return {
        function: database.execute(f"SELECT dialstack.{function}({arguments})").fetchone()[0]
        for function, arguments in calls.items()
    }


@pytest.fixture(scope="module")
def introspected(database):
    """The members of the answers of token_introspect, for user and account sessions."""
    answers = database.execute(
        "SELECT dialstack.token_introspect(token)"
        " FROM dialstack.session_create('p', 'e', 't', '{\"u\": 2}')"
        " UNION ALL SELECT dialstack.token_introspect(client_secret)"
        " FROM dialstack.account_session_create('a', product => 'p', env => 'e')"
    ).fetchall()
    return {name for (answer,) in answers for name in answer}


def as_written(function):
    """A function's signature in the words of the manual."""
    arguments = re.sub(r" DEFAULT ([^,]+?)(::[a-z ]+(\[\])?)?(?=,|$)", r" = \1", function.arguments)
    result = re.sub(r"^TABLE\((.*)\)$", r"\1", function.result)
    signature = f"{function.name}({arguments}) → {result}"
    return signature.replace("timestamp with time zone", "timestamptz")


def rows_of(text, *heads):
    """The rows of all tables whose first column has one of these heads; there need be none."""
    return [
        row
        for head in heads
        if re.search(rf"^\| {head} \|", text, re.M)
        for row in table(text, head)
        if code(row[0])
    ]


def section_of(name):
    reference, section, _ = DESCRIBED[name]
    return reference.section(section)


def test_the_reference_has_every_function_and_no_other(functions):
    assert set(DESCRIBED) == set(functions)


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_signature_is_the_one_of_the_catalogue(functions, name):
    head, result = DESCRIBED[name][2].split(" → ")
    row, *more = result.split(", ", 1) if result.split(",")[0] in ROWS else [result]
    assert f"{head} → {', '.join([ROWS.get(row, row), *more])}" == as_written(functions[name])


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_function_has_the_marks_of_the_catalogue(functions, name):
    text, function = section_of(name), functions[name]
    marks = f"{function.volatility}, parallel {function.parallel}. Errors: "
    assert text.count(marks) == 1


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_heading_names_the_function(functions, name):
    assert functions[name].name in DESCRIBED[name][1].split(", ")


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_table_explains_only_what_the_function_has(functions, name):
    has = set(re.findall(r"(\w+) [a-z]+(?:\[\])?(?=[ ,)]|$)", as_written(functions[name])))
    for row in rows_of(section_of(name), "argument", "column"):
        assert set(code(row[0])) <= has, row


@pytest.mark.parametrize("name", ["maintain", "session_user_details"])
def test_the_members_of_an_answer_are_described_in_full(answers, name):
    described = [member for row in rows_of(section_of(name), "member") for member in code(row[0])]
    assert sorted(described) == sorted(answers[name])


def test_a_session_of_a_user_s_details_is_described_in_full(answers):
    rows = rows_of(section_of("session_user_details"), "member")
    described = next(set(code(row[1])) for row in rows if code(row[0]) == ["sessions"])
    assert described == set(answers["session_user_details"]["sessions"][0])


def test_the_figures_of_a_dashboard_are_described_in_full(answers):
    rows = [
        row
        for title in ("Of this moment", "Over the range")
        for row in table(page("reference/dashboard-figures.md").section(title), "key")
    ]
    described = [key for row in rows for key in code(row[0])]
    assert sorted(described) == sorted(answers["session_dashboard"])

    dashboard, checked = answers["session_dashboard"], 0
    for row in rows:
        shapes = [shape for shape in code(row[1]) if shape.startswith("{")]
        for key in code(row[0]) if shapes else []:
            assert set(shapes[0].strip("{}").split(", ")) == set(dashboard[key][0])
            checked += 1
    assert checked > 4


def test_the_dashboard_of_a_user_is_described_in_full(answers):
    dashboard = answers["session_user_dashboard"]
    prose = page("reference/dashboard-figures.md").section("One user")
    words = [word for word in code(prose) if word != "session_user_dashboard"]
    assert {word for word in words if not word.startswith("{")} == set(dashboard)
    for key, shape in zip(words, words[1:]):
        if shape.startswith("{"):
            assert set(shape.strip("{}").split(", ")) == set(dashboard[key][0])


def test_every_function_that_is_mentioned_exists(database, functions, introspected):
    names = {function.name for function in functions.values()}
    # dialstack.f(…) and dialstack.helper(…) stand for any.
    called = set(re.findall(r"\bdialstack\.(?!helper\()(\w{2,})\(", WHOLE))
    # A name alone in backticks that begins as functions do is one, if it is nothing else.
    families = {name.split("_")[0] for name in names if "_" in name}
    named = {
        name
        for name in re.findall(r"^(\w+_\w+)(?:\(.*\))?$", "\n".join(code(PROSE)), re.M)
        if name.split("_")[0] in families
    }
    query = "SELECT relname AS name FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace"
    other = {row.name for row in database.execute(query)}
    query = "SELECT attname AS name FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace = 'dialstack'::regnamespace"
    other |= {row.name for row in database.execute(query)}
    # A value of the argument `by`; words of PostgreSQL.
    other |= {"user_identity", "session_user", "current_user"}
    other |= catalogue.revoke_reasons() | set(catalogue.reasons()) | introspected
    other |= {name for folder in ("rls", "administration/health") for name, *_ in catalogue.weaknesses(folder)} | set(catalogue.setting_texts())
    other |= {member for row in rows_of(section_of("maintain"), "member") for member in code(row[0])}
    other |= {path.parent.name for path in ROOT.glob("tests/*/run")}
    other |= {code(row[0])[0] for row in table(page("guides/account-sessions.md").text, "component")}
    for function in functions.values():
        other |= set(re.findall(r"(\w+) [a-z]", as_written(function)))
    assert len(called) > 10 and len(named) > 10
    assert (called | named) - names - other == set()


def test_the_reasons_of_a_revocation_are_those_of_the_source():
    rows = {code(row[0])[0]: row[1] for row in table(section_of("session_info"), "column")}
    described = set(code(rows["revoke_reason"])) - {"max_sessions", "user_identifier_key"}
    assert described == catalogue.revoke_reasons()


def test_the_answer_of_an_introspection_is_described_in_full(introspected):
    prose = re.sub(r"```.*?```", "", section_of("token_introspect"), flags=re.S)
    described = {name for name in code(prose) if re.fullmatch(r"[a-z_]+", name)}
    assert described == introspected


def test_the_fields_of_a_definition_are_the_arguments_that_make_one(functions):
    fields = [code(row[0])[0] for row in table(page("guides/definitions.md").text, "field")]
    arguments = re.findall(r"(?:^|, )(\w+) ", functions["definition_create"].arguments)
    assert set(fields) == set(arguments) - {"product"}


def test_the_reasons_are_those_of_the_source_in_their_order():
    described = [code(row[0])[0] for row in table(page("guides/verifying.md").text, "reason")]
    assert described == catalogue.reasons() and len(described) > 5


def test_each_reason_has_an_answer_for_browsers():
    answered = [code(row[0])[0] for row in table(page("guides/browser.md").text, "reason")]
    assert sorted(answered) == sorted(catalogue.reasons())


def test_every_setting_that_is_mentioned_exists():
    mentioned = set(re.findall(r"\bdialstack_sessions\.(?!control\b)([a-z_]+)", WHOLE))
    # The modules of the client for Python have the same name before theirs.
    modules = {path.stem for path in (ROOT / "clients/python/src/dialstack_sessions").glob("[a-z]*.py")}
    assert mentioned - modules == set(catalogue.setting_texts())


def test_what_needs_a_key_is_what_a_role_without_one_cannot_do(database, functions):
    from generated import WITH_KEY

    missing = {}
    database.execute("SET ROLE manual_client")
    try:
        for title in WITH_KEY - {"client_session_get"}:
            function = functions[title]
            required = [a for a in function.arguments.split(", ") if a and "DEFAULT" not in a]
            values = ", ".join(
                f"{argument.split()[0]} => " + ("gen_random_uuid()" if "uuid" in argument else "'a'")
                for argument in required
            )
            call = f"dialstack.{function.name}({values})"
            try:
                database.execute(f"SELECT {call}")
            except psycopg.Error as error:
                missing[title] = error.diag.message_primary.split(":")[0]
    finally:
        database.execute("RESET ROLE")
    assert missing == dict.fromkeys(WITH_KEY - {"client_session_get"}, "PERMISSION_DENIED")


def test_the_components_are_those_of_a_new_product(database):
    row = database.execute(
        "SELECT components FROM dialstack.account_session_create('a', product => 'p', env => 'e')"
    ).fetchone()
    described = {code(name)[0] for name, _ in table(page("guides/account-sessions.md").text, "component")}
    assert described == set(row.components)


def test_every_operation_of_the_activity_is_described(database):
    query = "SELECT col_description('dialstack.activity'::regclass, attnum) AS said FROM pg_attribute WHERE attrelid = 'dialstack.activity'::regclass AND attname = 'operation'"
    said = database.execute(query).fetchone().said
    described = {code(row[0])[0] for row in table(page("guides/activity.md").text, "operation")}
    assert described == set(re.split(r", | or ", said.partition(";")[0]))


def test_every_error_code_has_its_line_in_troubleshooting():
    described = [code(row[0])[0] for row in table(page("operate/troubleshooting.md").text, "code")]
    assert sorted(described) == sorted(catalogue.error_codes())


def test_every_error_code_that_is_mentioned_exists():
    lists = re.findall(r"Errors: (.+?)\n\n", WHOLE, re.S)
    mentioned = {word for text in lists for word in code(text) if word.isupper()}
    mentioned |= set(re.findall(r"^ERROR:  ([A-Z_]+):", WHOLE, re.M))
    assert mentioned <= set(catalogue.error_codes()) and len(mentioned) > 5


def test_the_paths_of_the_layout_exist():
    rows = table(page("develop/index.md").text, "path")
    paths = [path for row in rows for path in code(row[0])]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_tier_is_described():
    rows = table(page("develop/index.md").text, "tier")
    described = [name for row in rows for name in code(row[0])]
    assert sorted(described) == sorted(path.parent.name for path in ROOT.glob("tests/*/run"))


def test_the_versions_are_those_that_the_manifest_builds_for():
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    majors = sorted(int(major) for major in re.findall(r"^pg(\d+) = ", manifest, re.M))
    version = re.search(r'^version = "(.+)"', manifest, re.M)[1]
    rust = re.search(r'^rust-version = "(.+)"', manifest, re.M)[1]
    assert f"Version {version}. PostgreSQL {majors[0]} to {majors[-1]}" in README.text
    assert f"Rust {rust} or later" in README.text
