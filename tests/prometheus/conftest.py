import json

import pytest
from support import service
from support.cluster import ROOT_KEY_FILE, Cluster, configure
from support.service import call, until

from programs import MONITORING, Prometheus, postgres_exporter, sql_exporter

EXPORTERS = {"postgres_exporter": postgres_exporter, "sql_exporter": sql_exporter}
# Of a user, which no figure shows.
PERSON = {"identifier": "ada.lovelace@example.com", "ip": "203.0.113.77", "user_agent": "Analytical Engine"}


class Site:
    """A database that is run as the manual advises, with sessions of every kind."""

    def __init__(self, connection):
        self.db = connection
        configure(connection, ROOT_KEY_FILE, Cluster.given().write_root_key())
        call(connection, "root_key_rotate")
        connection.execute("CREATE ROLE exporter LOGIN")
        call(connection, "grant_access", role="exporter", access="monitor")
        self.shop = service.Shop.make(connection, max_sessions=3)
        call(connection, "account_session_create", account="acct_1", **self.shop.home)
        call(connection, "client_session_create", **self.shop.home)
        call(connection, "maintain")

    def configure(self, change):
        self.db.execute(f"ALTER SYSTEM {change}")
        self.db.execute("SELECT pg_reload_conf()")

    def use(self):
        """What users do on a good day: each counter of a user's session moves."""
        shop, db = self.shop, self.db
        data = json.dumps({"userId": PERSON["identifier"]})
        arguments = {**shop.place, "data": data, "ip": PERSON["ip"], "user_agent": PERSON["user_agent"]}
        for _ in range(5):
            # The cap evicts the oldest.
            session = call(db, "session_create", **arguments)
            session = service.refresh(db, session.refresh_token)
        shop.revoke(db, session.session_id)
        # What has ended is not refreshed.
        service.refresh(db, session.refresh_token)


@pytest.fixture(scope="session")
def site(installed):
    with service.connect() as connection:
        yield Site(connection)


@pytest.fixture(scope="session", params=EXPORTERS)
def exporter(request):
    return request.param


@pytest.fixture(scope="session")
def prometheus(site, exporter, tmp_path_factory):
    """A Prometheus that has seen a good day: each figure twice, and the counters moving."""
    folder = tmp_path_factory.mktemp(exporter)
    started = Prometheus(folder, EXPORTERS[exporter](folder))
    try:
        created = 'sum(dialstack_sessions_created_total{tag!=""})'
        site.use()
        until(lambda: started.query(created), "the first figures")
        before = started.value(created)
        site.use()
        until(lambda: started.value(created) > before, "the next figures")
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def dashboard():
    return json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
