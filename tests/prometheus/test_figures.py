"""What the exporters tell Prometheus of a real database, and what the alert rules and the dashboard make of it."""

import math
import re
import subprocess
from contextlib import contextmanager

import pytest
from support.service import call, refresh, until

from conftest import PERSON
from programs import MONITORING, PROGRAMS, get

# What Grafana would put in.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$product": ".*", "$env": ".*"}


def targets(dashboard):
    """Each query of the dashboard, with its panel's title."""
    return [
        (f"{panel['title']} {target['refId']}", target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def filled_in(expression):
    for variable, text in VARIABLES.items():
        expression = expression.replace(variable, text)
    assert "$" not in expression
    return expression


def test_every_figure_of_the_files_is_exported(prometheus):
    """The metrics that postgres_exporter.yml names, by either exporter."""
    text = (MONITORING / "postgres_exporter.yml").read_text(encoding="utf-8")
    named = set()
    for query, metrics in re.findall(r"^(dialstack_\w+):\n(.*?)(?=^\w|\Z)", text, re.M | re.S):
        named |= {f"{query}_{column}" for column in re.findall(r"- (\w+): \{usage: (?:GAUGE|COUNTER)", metrics)}
    named.remove("dialstack_api_key_expires_timestamp_seconds")  # no key expires yet
    assert len(named) > 15
    assert {dict(series)["__name__"] for series in prometheus.names()} == named


def test_the_figures_are_those_of_the_database(site, prometheus):
    columns = "living created refreshed refresh_failed revoked expired reused evicted".split()
    rows = site.db.execute("SELECT * FROM dialstack.stat_sessions").fetchall()
    assert {row.kind for row in rows} == {"user", "account", "client"}
    for row in rows:
        place = f'product="{row.product}", env="{row.env}", kind="{row.kind}", tag="{row.tag or ""}"'
        for column in columns:
            metric = f"dialstack_sessions_{column}{'' if column == 'living' else '_total'}"
            expected = getattr(row, column)
            until(
                lambda: prometheus.value(f"{metric}{{{place}}}") == expected,
                f"{metric} of {place} to be {expected}",
            )


def test_no_figure_names_a_person(prometheus):
    text = get(prometheus.exporter.port, "/metrics")
    assert "dialstack_sessions" in text
    assert [part for part in PERSON.values() if part in text] == []


def test_nothing_is_wrong_on_a_good_day(prometheus):
    firing = {alert: prometheus.query(expression) for alert, expression in prometheus.alerts().items()}
    assert {alert: series for alert, series in firing.items() if series} == {}


def test_each_variable_of_the_dashboard_has_values(prometheus, dashboard):
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            assert [labels for labels, _ in prometheus.query(metric) if labels.get(label)], variable["name"]


# What makes an alert. Each answers with what ends it; None where it lasts.


def waiting_activity(site, prometheus):
    site.db.execute(
        "INSERT INTO dialstack.activity (at, env_id, month, kind, operation, status) "
        "SELECT now(), env_id, extract(month FROM now() AT TIME ZONE 'UTC'), 'account', 'verify', 'success' "
        "FROM dialstack.environments, generate_series(1, 100001)"
    )
    return lambda: until(lambda: not call(site.db, "maintain").maintain["more"], "the end of maintenance")


def late_maintenance(site, prometheus):
    site.db.execute("UPDATE dialstack.rollup_state SET ran_at = ran_at - interval '2 hours'")
    return lambda: call(site.db, "maintain")


def held_maintenance(site, prometheus):
    site.db.execute(
        "UPDATE dialstack.rollup_state SET done = done || "
        "jsonb_build_object('held_since', now() - interval '2 hours', 'held_by', 'a transaction')"
    )
    return lambda: call(site.db, "maintain")


def published_tables(site, prometheus):
    site.db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    return lambda: site.db.execute("DROP PUBLICATION everything")


def library_not_preloaded(site, prometheus):
    site.configure("SET session_preload_libraries = 'plpgsql'")
    return lambda: site.configure("RESET session_preload_libraries")


def old_key(site, prometheus):
    aged = "UPDATE dialstack.signing_keys SET active_at = active_at {} interval '400 days' WHERE purpose = 'jwt'"
    site.db.execute(aged.format("-"))
    return lambda: site.db.execute(aged.format("+"))


def api_key_that_ends(site, prometheus):
    key = site.db.execute(
        "SELECT api_key_id FROM dialstack.api_key_create(%s, %s, expires_at => now() + interval '2 days')",
        [site.shop.product, site.shop.env],
    ).fetchone()
    return lambda: call(site.db, "api_key_revoke", api_key_id=key.api_key_id)


def stolen_tokens(site, prometheus):
    for number in range(10):
        session = site.shop.create(site.db, f"robbed-{number}")
        newer = refresh(site.db, session.refresh_token)
        refresh(site.db, newer.refresh_token)
        assert refresh(site.db, session.refresh_token).reason == "reused"


def refused_refreshes(site, prometheus):
    # Of one user a few alone are noted.
    for number in range(60):
        session = site.shop.create(site.db, f"logged-out-{number}")
        site.shop.revoke(site.db, session.session_id)
        assert refresh(site.db, session.refresh_token).reason == "revoked"


def no_access(site, prometheus):
    call(site.db, "revoke_access", role="exporter", access="monitor")
    return lambda: call(site.db, "grant_access", role="exporter", access="monitor")


def stopped_exporter(site, prometheus):
    prometheus.exporter.stop()


# The exporter goes last.
TROUBLES = {
    "DialstackFiguresIncomplete": waiting_activity,
    "DialstackMaintenanceLate": late_maintenance,
    "DialstackMaintenanceHeld": held_maintenance,
    "DialstackHealthError": published_tables,
    "DialstackHealthWarning": library_not_preloaded,
    "DialstackKeyOld": old_key,
    "DialstackApiKeyExpires": api_key_that_ends,
    "DialstackRefreshTokensReused": stolen_tokens,
    "DialstackRefreshesRefused": refused_refreshes,
    "DialstackFiguresMissing": no_access,
    "DialstackExporterDown": stopped_exporter,
}


@contextmanager
def lasting(trouble, *arguments):
    end = trouble(*arguments)
    try:
        yield end
    finally:
        if end:
            end()


def test_each_query_of_the_dashboard_has_an_answer(site, prometheus, dashboard):
    # The only panels that are empty on a good day, which is right: there is nothing to list.
    with lasting(api_key_that_ends, site, prometheus), lasting(published_tables, site, prometheus):
        until(
            lambda: prometheus.query("dialstack_api_key_expires_timestamp_seconds")
            and prometheus.query('dialstack_health_findings{severity="error"} > 0'),
            "the figures of these",
        )
        answers = {name: prometheus.query(filled_in(expression)) for name, expression in targets(dashboard)}
    assert len(answers) > 15
    assert {name for name, series in answers.items() if not series} == set()
    # Counts, durations and shares.
    odd = {name: series for name, series in answers.items() if not all(0 <= value < math.inf for _, value in series)}
    assert odd == {}
    assert 0 < answers["Refreshes refused A"][0][1] < 1
    # They say what has happened.
    assert {name for name in ("Log-ins A", "Living sessions A", "Ends A", "Ends C") if not answers[name][0][1] > 0} == set()


@pytest.mark.parametrize("alert", TROUBLES)
def test_an_alert_tells_of_its_trouble(site, prometheus, alert):
    expression = prometheus.alerts()[alert]
    assert prometheus.query(expression) == []
    with lasting(TROUBLES[alert], site, prometheus) as end:
        until(lambda: prometheus.query(expression), f"the alert {alert}")
    if end:
        until(lambda: not prometheus.query(expression), f"the end of the alert {alert}")


def test_there_is_a_trouble_for_every_alert(prometheus):
    assert set(prometheus.alerts()) == set(TROUBLES)


def test_both_exporters_tell_the_same():
    """The queries of the two files are the same, so that one dashboard serves both."""
    of_each = []
    for file in ("postgres_exporter.yml", "sql_exporter.yml"):
        text = (MONITORING / file).read_text(encoding="utf-8")
        queries = re.findall(r"query: \|\n(.*?)(?=^ *(?:cache_seconds|- name)|\Z)", text, re.M | re.S)
        of_each.append([" ".join(query.split()) for query in queries])
    assert len(of_each[0]) == 5
    assert of_each[0] == of_each[1]


def promtool(*arguments):
    done = subprocess.run([PROGRAMS / "promtool", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_and_the_configuration_are_valid():
    promtool("check", "config", MONITORING / "prometheus.yml")
    promtool("check", "rules", MONITORING / "alerts.yml")


def test_alerts_weigh_reuses_and_refusals_and_miss_an_exporter(tmp_path):
    tests = MONITORING.parent / "tests/prometheus/alerts_test.yml"
    for file in (MONITORING / "alerts.yml", tests):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    promtool("test", "rules", tmp_path / tests.name)


def test_the_manual_lists_the_alerts_and_the_files():
    page = (MONITORING.parent / "docs/operate/monitoring.md").read_text(encoding="utf-8")
    section = page.split("## Prometheus and Grafana\n")[1].split("\n## ")[0]
    alerts = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    assert re.findall(r"^\| `(Dialstack\w+)` \|", section, re.M) == alerts
    assert sorted(re.findall(r"^\| `([\w.-]+\.\w+)` \|", section, re.M)) == sorted(f.name for f in MONITORING.iterdir())


def test_the_dashboard_uses_each_of_its_variables_and_no_other(dashboard):
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", str(dashboard["panels"]))) == variables
