"""The leader is killed again and again under load: nothing that a client was told is lost."""

from statistics import median

from conftest import KILLS
from support.service import value

# How many of these tokens verify as what.
VERDICTS = """
    SELECT coalesce(v.reason, 'valid') AS verdict, count(*) AS tokens
      FROM unnest(%s::text[]) AS t (token), dialstack.session_verify(t.token) AS v GROUP BY 1
"""


def verdicts(connection, tokens):
    return {row.verdict: row.tokens for row in connection.execute(VERDICTS, [tokens])}


def test_clients_were_refused_for_a_while(story, capsys):
    refused = list(story.refused())
    assert len(refused) == KILLS
    with capsys.disabled():
        answers = sum(len(client.answered) for client in story.clients)
        print(f"\n{answers} answers, {KILLS} kills; clients were refused for")
        for killed in ("postgres", "patroni"):
            times = [round(1000 * seconds) for what, seconds in refused if what == killed]
            if times:
                print(f"  {median(times):.0f} ms (median), {max(times)} ms (longest) after {killed} was killed")


def test_no_client_got_an_answer_that_is_wrong(story):
    assert [client.error for client in story.clients if client.error] == []
    assert [wrong for client in story.clients for wrong in client.wrong] == []


def test_no_acknowledged_revocation_is_lost(story, leader):
    tokens = story.tokens(revoked=True)
    assert tokens
    assert verdicts(leader, tokens) == {"revoked": len(tokens)}


def test_every_acknowledged_session_verifies(story, leader):
    tokens = story.tokens(revoked=False)
    assert tokens
    assert verdicts(leader, tokens) == {"valid": len(tokens)}


def test_the_standbys_say_the_same(story, leader):
    living, dead = story.tokens(revoked=False), story.tokens(revoked=True)
    written = value(leader, "SELECT pg_current_wal_flush_lsn()")
    for node in story.nodes.all:
        if not node.leads():
            with node.connect() as standby:
                node.await_replay(standby, written)
                assert verdicts(standby, living) == {"valid": len(living)}
                assert verdicts(standby, dead) == {"revoked": len(dead)}


def test_no_refresh_token_that_a_client_holds_is_taken_for_theft(story, leader):
    assert value(leader, "SELECT count(*) FROM dialstack.sessions WHERE revoke_reason = 'reused'") == 0
    held = [session.refresh_token for client in story.clients for session in client.sessions if not session.revoked]
    refreshed = leader.execute(
        "SELECT coalesce(r.reason, 'ok') AS outcome, count(*) AS tokens "
        "FROM unnest(%s::text[]) AS t (token), dialstack.session_refresh(t.token) AS r GROUP BY 1",
        [held],
    )
    assert {row.outcome: row.tokens for row in refreshed} == {"ok": len(held)}
