"""What the server writes down of the extension's own doing shows no secret.

What a client writes into its own statement, or binds to it, is the client's: those entries are found
by a mark in its statements. Whatever has no mark is ours.
"""

import json
import re
from pathlib import Path

import pytest
from conftest import MARK
from support import service


# PostgreSQL adds the parameters of the client's statement to whatever is logged while it runs.
PARAMETERS = re.compile(
    r"^.*(portal|portal \"[^\"]*\"|extended query|unnamed statement) with parameters: .*$", re.M
)


def ours(toured):
    """The entries that have nothing to do with the client's statement but that they ran inside it."""
    return [PARAMETERS.sub("", entry) for entry in toured.entries if MARK not in entry]


def clients(toured):
    return [entry for entry in toured.entries if MARK in entry]


def leaks(entries, secrets):
    """What was found, and in which statement or message first."""
    found = {}
    for entry in entries:
        for what in secrets.found_in(entry):
            said = entry.partition("Query Text: ")[2] or entry.partition("  ")[2]
            found.setdefault(what, " ".join(said.split())[:100])
    return found


def test_the_log_is_as_full_as_it_can_be(toured):
    text = "\n".join(toured.entries)
    # The client's statements with their parameters, our own with their plans, errors.
    assert re.search(r"execute <unnamed>: /\* by the client \*/", text)
    assert re.search(r"DETAIL:  [Pp]arameters: \$1 = ", text)
    assert "VERIFY_FAILED" in text and "API_KEY_INVALID" in text
    if "auto_explain" not in toured.modules:
        return
    nested = [entry for entry in ours(toured) if "Query Text: " in entry and "dialstack.sessions" in entry]
    assert len(nested) > 20
    assert any("Index Cond:" in entry or "Output:" in entry for entry in nested)


def test_the_search_finds_what_is_there(toured):
    # The client's own entries hold what it sent: else this test would find nothing anywhere.
    found = set(leaks(clients(toured), toured.everything))
    assert {"access token", "refresh token", "client secret", "session data"} <= found


def test_our_own_statements_plans_and_messages_hold_no_secret(toured):
    assert leaks(ours(toured), toured.everything) == {}


def test_what_only_the_service_knew_is_nowhere_in_the_log(toured):
    assert leaks(toured.entries, toured.only_ours) == {}


def test_events_are_logged_alone_and_hold_neither_secret_nor_person(toured):
    events = [entry for entry in toured.entries if "LOG:  00000: dialstack_sessions {" in entry]
    kinds = {json.loads(entry.splitlines()[0].partition("dialstack_sessions ")[2])["event"] for entry in events}
    assert kinds == {"reuse", "revoke", "administration", "refused_key"}
    # One line, and from PostgreSQL itself where in its source it was written: no statement, no parameters.
    assert {len(entry.splitlines()) for entry in events} == {2}
    assert all(entry.splitlines()[1].partition("LOCATION:  ")[2].startswith("line, log.rs") for entry in events)
    assert leaks(events, toured.everything) == {}
    assert not [entry for entry in events if "user_456" in entry or "a browser" in entry]


def test_statistics_of_statements_hold_no_secret(toured):
    if toured.statements is None:
        pytest.skip("there is no pg_stat_statements")
    assert "dialstack.sessions" in toured.statements
    assert toured.everything.found_in(toured.statements) == set()


def test_the_list_of_sessions_of_the_server_holds_no_secret(toured):
    assert toured.everything.found_in(toured.activity) == set()


def test_errors_and_notices_hold_no_secret(toured):
    assert "VERIFY_FAILED" in toured.messages
    assert "deprecated" in toured.messages
    # PostgreSQL's own errors about its own types repeat what they could not read.
    of_postgres = re.compile(r"^(invalid input syntax for type|Token|JSON data, line|unnamed portal|extended query).*$", re.M)
    assert toured.everything.found_in(of_postgres.sub("", toured.messages)) == set()


def test_no_table_holds_a_token_or_key(toured):
    with service.connect() as admin:
        tables = admin.execute(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'dialstack'::regnamespace"
        ).fetchall()
        for table in tables:
            if table.name == "dialstack.instance":
                continue  # The root key lies there, unless it is in a file.
            rows = admin.execute(f"{MARK} SELECT t::text AS row FROM {table.name} t")
            text = "\n".join(row.row for row in rows)
            assert toured.everything.found_in(text) == set(), table.name


def test_the_files_of_the_database_hold_no_user_identifier_key(toured):
    with service.connect() as admin:
        stored = admin.execute("SELECT sealed_key FROM dialstack.client_sessions").fetchall()
        admin.execute("CHECKPOINT")
        directory = Path(service.value(admin, "SHOW data_directory"))
    key = toured.user_identifier_key.encode()
    sealed = bytes(stored[0].sealed_key)
    found = {key: 0, sealed: 0}
    for folder in ("base", "pg_wal"):
        for path in (directory / folder).rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            for value in found:
                found[value] += value in content
    # What is stored in its place is there: else this test would find nothing anywhere.
    assert found[sealed] > 0
    assert found[key] == 0
