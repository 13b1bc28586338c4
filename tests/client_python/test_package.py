"""The package as others get it: its wheel, its types, its README, its commands."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import dialstack_sessions
import psycopg
import pydantic
import pytest
from conftest import ROOT, SERVER, SOURCE
from dialstack_sessions import Client, __main__
from dialstack_sessions.models import pydantic_models
from support.service import call

PACKAGE = ROOT / "clients/python"
sys.path.insert(0, str(ROOT / "tests/docs"))


def run(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def manual(installed):
    """A database as the manual's "Set up" leaves it."""
    import book

    with psycopg.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE manual TEMPLATE template0")
    psql = [os.path.join(os.environ["DSS_BINDIR"], "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "manual"]
    run(*psql, input=book.set_up())
    yield "manual"
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE manual WITH (FORCE)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is left behind in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "source"))
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_installs_into_an_empty_folder_and_runs_the_first_example(wheel, manual, tmp_path):
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv/bin/python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[binary]")
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    example, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", readme, re.S).groups()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run_in = {"cwd": tmp_path, "env": {**environment, "PGDATABASE": manual}}
    assert run(python, "-c", example, **run_in) == shown
    assert "py.typed" in os.listdir(next((tmp_path / "venv/lib").glob("*/site-packages")) / "dialstack_sessions")
    printed = run(tmp_path / "venv/bin/dialstack-sessions", "types", "--product", "my-product", **run_in)
    assert "class UserSession(BaseModel):" in printed


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"dialstack_sessions", "dialstack_sessions-0.3.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_version_is_that_of_the_extension():
    (cargo,) = re.findall(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)
    (project,) = re.findall(r'^version = "(.+)"$', (PACKAGE / "pyproject.toml").read_text(), re.M)
    assert dialstack_sessions.__version__ == project == cargo


def mypy(tmp_path, *arguments):
    environment = {**os.environ, "MYPYPATH": str(SOURCE)}
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *arguments],
        text=True, capture_output=True, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip


def test_mypy_strict_finds_nothing(tmp_path):
    done = mypy(tmp_path, "-p", "dialstack_sessions")
    assert done.returncode == 0, done.stdout


TYPED = """
import asyncio, psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from dialstack_sessions import AsyncClient, Client

connection = psycopg.connect()
client = Client(connection, product="p")
Client(ConnectionPool()); Client(ConnectionPool().connection); Client(lambda: psycopg.connect())
AsyncClient(AsyncConnectionPool()); AsyncClient(lambda: psycopg.AsyncConnection.connect())
reveal_type(client.sessions.verify("t").data)
reveal_type(client.sessions.create(data={}).refresh_token)
reveal_type(client.sessions.create(name="n", tag="t", schema={}, selector="s", expiry=1, period="days"))
reveal_type(client.with_token("t", lambda c: c.execute("x").rowcount))
client.sessions.verify("t", colour="red")
client.sessions.list(page="1")
async def main(other: AsyncClient) -> None:
    other.sessions.verify("t")
    reveal_type(await other.sessions.list())
"""


def test_callers_are_checked(tmp_path):
    (tmp_path / "caller.py").write_text(TYPED)
    lines = mypy(tmp_path, "caller.py").stdout.splitlines()
    said = {line.split(":")[1]: line.split(": ", 2)[2] for line in lines if line.startswith("caller.py")}
    expected = {
        "10": 'Revealed type is "dict[str, Any] | None"',
        "11": 'Revealed type is "str"',
        "12": 'Revealed type is "dialstack_sessions.rows.Definition"',
        "13": 'Revealed type is "int"',
        "14": "Unexpected keyword argument",
        "15": 'Argument "page"',
        "17": "Are you missing an await?",
        "18": 'Revealed type is "dialstack_sessions.rows.SessionPage"',
    }
    assert said.keys() == expected.keys(), said
    for line, text in expected.items():
        assert text.replace("builtins.", "") in said[line].replace("builtins.", "").replace("typing.", "")


# --- the command `types`

SCHEMAS = {
    "user-session": {
        "type": "object",
        "required": ["userId", "class", "details"],
        "additionalProperties": False,
        "properties": {
            "userId": {"type": "string"},
            "class": {"enum": ["a", "b", None]},
            "plan": {"type": ["string", "null"]},
            "str": {"type": "integer"},
            "model_name": {"const": 5},
            "e-mail": {"type": "string"},
            "e_mail": {"type": "boolean"},
            "copy": {"type": "number"},
            "Details": {"type": "boolean"},
            "_private": True,
            "1st": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            "details": {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}},
            "numbers": {"type": "object", "additionalProperties": {"type": "number"}},
            "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
            "all": {"allOf": [{"type": "string"}]},
            "words": {"$ref": "#/$defs/words"},
            "away": {"$ref": "https://elsewhere.test/x"},
        },
        "$defs": {
            "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}},
            "words": {"type": "array", "items": {"$ref": "#/$defs/words"}},
        },
    },
    "userSession": {"type": "object"},
    "2fa.step": {"type": "object", "properties": {"code": {"type": "string"}}},
    "anything": True,
}
DATA = {
    "userId": "user_1", "class": None, "str": 5, "model_name": 5, "e-mail": "x", "e_mail": True, "copy": 1.5,
    "Details": True, "_private": {"y": 1}, "1st": [{"x": 1}], "details": {"a": {"next": {"next": {}}}, "more": 1},
    "numbers": {"a": 1.5}, "either": [1], "all": "x", "words": [[], [[]]], "away": 5,
}  # fmt: skip


def models(text):
    module = type(sys)("made")
    sys.modules["made"] = module
    exec(compile(text, "made.py", "exec"), module.__dict__)
    return module


def test_models_take_what_the_schema_takes_and_give_it_back(tmp_path):
    text = pydantic_models(SCHEMAS)
    made = models(text)
    session = made.UserSession.model_validate(DATA)
    assert (session.userId, session.class_, session.details.a.next.next.next) == ("user_1", None, None)
    assert session.model_dump(by_alias=True, exclude_unset=True) == DATA
    assert made.Session2faStep(code="1").code == "1"
    for wrong in ({"userId": 5}, {"class": "c"}, {"unknown": 1}, {"details": {"a": {"next": 5}}}):
        with pytest.raises(pydantic.ValidationError):
            made.UserSession.model_validate({**DATA, **wrong})
    (tmp_path / "made.py").write_text(text)
    done = mypy(tmp_path, "made.py")
    assert done.returncode == 0, done.stdout


def test_the_command_prints_what_the_definitions_say(admin, shop, direct, capsys, connect):
    call(
        admin, "definition_update", product=shop.product, tag=shop.tag,
        changes='{"schema": {"userId": {"type": "string", "required": true}, "plan": {"type": "string"}}}',
    )  # fmt: skip
    assert __main__.main(["types", "--product", shop.product, "--tag", shop.tag]) == 0
    made = models(capsys.readouterr().out)
    with psycopg.connect(**direct, user=SERVER) as connection:
        client = Client(connection, **shop.place)
        token = client.sessions.start(data={"userId": "user_1", "plan": "big"}).token
        assert made.Web.model_validate(client.sessions.verify(token).data).plan == "big"
    assert __main__.main(["types", "--product", shop.product]) == 0
    assert "class Web(BaseModel):" in capsys.readouterr().out
    assert __main__.main(["types", "--product", "none"]) == 1
    assert "PRODUCT_NOT_FOUND" in capsys.readouterr().err
