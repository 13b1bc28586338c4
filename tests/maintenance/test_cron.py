"""schedule_maintenance() with the real pg_cron."""

import os
import time
from pathlib import Path
from subprocess import check_output

import pytest
from psycopg import errors
from support.service import call, value

_libdir = check_output([f"{os.environ['DSS_BINDIR']}/pg_config", "--pkglibdir"], text=True).strip()
pytestmark = pytest.mark.skipif(
    not Path(_libdir, "pg_cron.so").exists(), reason="there is no pg_cron"
)

# pg_cron begins jobs at the full minute.
MINUTE = 80


@pytest.fixture
def cron(admin):
    admin.execute("CREATE EXTENSION IF NOT EXISTS pg_cron")
    admin.execute("DELETE FROM cron.job; DELETE FROM cron.job_run_details")
    yield admin
    admin.execute("DROP EXTENSION pg_cron")


def schedule(connection, **arguments):
    return call(connection, "schedule_maintenance", **arguments)[0]


def jobs(connection):
    return connection.execute("SELECT * FROM cron.job ORDER BY jobid").fetchall()


def await_runs(connection, ids):
    """Returns once each of the jobs has come to an end, by how they ended."""
    deadline = time.monotonic() + MINUTE
    while time.monotonic() < deadline:
        rows = connection.execute(
            "SELECT jobid, status FROM cron.job_run_details"
            " WHERE jobid = ANY (%s) AND end_time IS NOT NULL",
            [ids],
        ).fetchall()
        if {row.jobid for row in rows} == set(ids):
            return rows
        time.sleep(0.2)
    raise AssertionError("waited in vain for the jobs to run")


def test_jobs_run_with_rights_that_suffice_here_and_in_another_database(
    admin, cron, connect, create_role, past, elsewhere
):
    # Given a role that is an administrator of ours and nothing else, and something to purge
    dead = past.dead(3)
    create_role("keeper", "LOGIN")
    call(admin, "grant_access", role="keeper", access="admin")
    here = schedule(connect(user="keeper"), cron="* * * * *")
    record = "SELECT target, effect FROM dialstack.administration_log(function => 'schedule_maintenance', actor => 'keeper')"
    assert admin.execute(record).fetchall() == [({"cron": "* * * * *"}, {"job": here})]

    # And the statement that the hint gives for a database that pg_cron does not work in
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
        schedule(elsewhere, cron="* * * * *")
    assert refused.value.diag.message_primary.startswith("CRON_NOT_AVAILABLE: ")
    assert refused.value.diag.message_detail == (
        'pg_cron works in the database "postgres" of this server.'
    )
    statement = refused.value.diag.message_hint.split(": ", 1)[1]
    there = value(admin, statement.rstrip(";"))

    # Then both run, as the owner of the extension
    ends = await_runs(admin, [here, there])
    assert {row.status for row in ends} == {"succeeded"}
    assert [(job.database, job.username, job.command) for job in jobs(admin)] == [
        ("postgres", "postgres", "SELECT dialstack.maintain()"),
        ("elsewhere", "postgres", "SELECT dialstack.maintain()"),
    ]
    assert past.left(dead) == set()


def test_scheduling_twice_leaves_one_job(admin, cron):
    first = schedule(admin)
    assert [(job.jobid, job.schedule) for job in jobs(admin)] == [(first, "*/5 * * * *")]

    assert schedule(admin, cron="0 3 * * *") == first

    assert [(job.jobid, job.schedule) for job in jobs(admin)] == [(first, "0 3 * * *")]


@pytest.mark.parametrize("text", ["", "nonsense", "* * * *", "61 * * * *", "a b c d e"])
def test_a_schedule_that_is_none_is_refused(admin, cron, text):
    with pytest.raises(errors.InvalidParameterValue, match="^DEFINE_FAILED: "):
        schedule(admin, cron=text)
    assert jobs(admin) == []


def test_it_is_undone_with_the_transaction(admin, cron):
    with admin.transaction(force_rollback=True):
        schedule(admin)
    assert jobs(admin) == []


def test_where_it_is_missing_the_hint_says_what_to_do(admin):
    admin.execute("DROP EXTENSION IF EXISTS pg_cron")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="^CRON_NOT_AVAILABLE: ") as refused:
        schedule(admin)
    assert refused.value.diag.message_hint.startswith("Run CREATE EXTENSION pg_cron")


def test_a_schema_that_only_looks_like_it_is_not_called(admin, elsewhere):
    # Given what everybody could make who may create a schema
    elsewhere.execute(
        """
        CREATE SCHEMA cron;
        CREATE TABLE cron.called (who name);
        CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint LANGUAGE sql
            AS 'INSERT INTO cron.called VALUES (current_user) RETURNING 1';
        """
    )
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="^CRON_NOT_AVAILABLE: "):
        schedule(elsewhere)
    assert value(elsewhere, "SELECT count(*) FROM cron.called") == 0


def test_health_check_tells_a_job_that_does_not_run_from_no_job(admin, cron):
    def found():
        rows = admin.execute("SELECT * FROM dialstack.health_check()").fetchall()
        return {row.check for row in rows} & {"maintenance_late", "maintenance_not_scheduled"}

    call(admin, "maintain")
    assert found() == set()
    admin.execute("UPDATE dialstack.rollup_state SET ran_at = now() - interval '2 hours'")
    assert found() == {"maintenance_not_scheduled"}

    # A job that is there, and has not run yet.
    job = schedule(admin, cron="0 3 1 1 *")
    assert found() == {"maintenance_late"}
    admin.execute("UPDATE cron.job SET active = false WHERE jobid = %s", [job])
    assert found() == {"maintenance_not_scheduled"}
    admin.execute("UPDATE cron.job SET active = true, database = 'another' WHERE jobid = %s", [job])
    assert found() == {"maintenance_not_scheduled"}
    admin.execute("UPDATE cron.job SET database = current_database() WHERE jobid = %s", [job])

    call(admin, "maintain")
    assert found() == set()
