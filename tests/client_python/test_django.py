"""Django: its connections, its transactions, its middleware, its migrations."""

import importlib
import logging
import os
import sys

import django
import pytest
from conftest import CLIENT, SERVER
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.http import HttpResponse, JsonResponse
from django.urls import path
from support import service
from support.service import call, info, until, value, verify

HOST = "shop.test"
SAME = {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_HOST": HOST}
PLACE = {"product": "django-shop", "env": "production", "tag": "web"}

MODELS = """
from django.db import models

class Note(models.Model):
    owner = models.TextField()
    body = models.TextField(){more}
"""


def database(user, name="django"):
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": user,
        "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
    }  # fmt: skip


def index(request):
    session = request.dialstack_session
    return JsonResponse({"in": bool(session), "id": session.identifier, "why": session.reason})


def log_in(request):
    request.dialstack_session.start({"userId": request.POST["user"]}, client=server())
    return HttpResponse("welcome")


def log_out(request):
    request.dialstack_session.revoke()
    return HttpResponse("bye")


def broken(request):
    raise LookupError("a bug")


def devices(request):
    session = request.dialstack_session
    others = [d.session_id for d in session.devices(client=server()) if d.session_id != session.session_id]
    ended = session.log_out_device(others[0], client=server()), session.log_out_elsewhere(client=server())
    return JsonResponse({"ended": ended, "left": len(session.devices(client=server()))})


def notes(request):
    from shopapp.models import Note

    with ours().presenting(client(), request.dialstack_session.token):
        return JsonResponse(list(Note.objects.values_list("body", flat=True)), safe=False)


urlpatterns = [path("", index), path("login", log_in), path("logout", log_out), path("notes", notes), path("broken", broken), path("devices", devices)]


def ours():
    return importlib.import_module("dialstack_sessions.django")


def client():
    from dialstack_sessions import Client

    return Client(ours().connections(), **PLACE)


def server():
    from dialstack_sessions import Client

    return Client(ours().connections("log_in"), **PLACE)


@pytest.fixture(scope="module")
def project(roles, tmp_path_factory):
    """A Django project in this process, with an application whose migrations have run."""
    folder = tmp_path_factory.mktemp("django")
    package = folder / "shopapp"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "migrations/__init__.py").touch()
    (package / "models.py").write_text(MODELS.format(more=""))
    sys.path.insert(0, str(folder))
    with service.connect() as root:
        root.execute("CREATE DATABASE django TEMPLATE template0")
    settings.configure(
        ALLOWED_HOSTS=[HOST],
        DATABASES={"default": database(CLIENT), "log_in": database(SERVER), "owner": database("postgres")},
        DEBUG=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DIALSTACK_SESSIONS=PLACE,
        INSTALLED_APPS=["shopapp"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["dialstack_sessions.django.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of a test",
        USE_TZ=False,
    )
    django.setup()
    yield Project(package)
    connections.close_all()
    with service.connect() as root:
        root.execute("DROP DATABASE django WITH (FORCE)")


SET_UP = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shopapp", "{after}")]
    operations = [
        migrations.RunSQL("CREATE EXTENSION dialstack_sessions", "DROP EXTENSION dialstack_sessions"),
        migrations.RunSQL('''
            SELECT dialstack.product_create('django-shop');
            SELECT dialstack.env_create('django-shop', 'production');
            SELECT dialstack.definition_create('django-shop', 'web', 'Web', '', '{{"userId": {{"type": "string"}}}}',
                '$Session{{userId}}', 15, 'minutes');
            SELECT dialstack.grant_access('web_client', 'client');
            SELECT dialstack.grant_access('web_server', 'server');
            GRANT ALL ON shopapp_note TO web_client;
            GRANT SELECT ON django_migrations TO web_client;
            GRANT USAGE ON SEQUENCE shopapp_note_id_seq TO web_client;
            ''', migrations.RunSQL.noop),
        migrations.RunSQL(
            "SELECT dialstack.protect_table('shopapp_note', 'owner', 'django-shop', 'production', by => 'identifier')",
            "SELECT dialstack.unprotect_table('shopapp_note')",
        ),
    ]
"""


class Project:
    def __init__(self, package):
        self.package = package
        self.generate("note")
        (package / "migrations/0002_protect.py").write_text(SET_UP.format(after="0001_note"))
        importlib.invalidate_caches()
        self.migrate()
        self.owner = connections["owner"]

    def generate(self, name):
        """Makes the migrations that Django thinks are needed, and returns the text of the new one."""
        before = set(self.package.glob("migrations/*.py"))
        call_command("makemigrations", "shopapp", name=name, verbosity=0)
        importlib.invalidate_caches()
        return "".join(p.read_text() for p in set(self.package.glob("migrations/*.py")) - before)

    def migrate(self, *where):
        call_command("migrate", *where, database="owner", verbosity=0)

    def ask(self, query):
        with connections["owner"].cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()


@pytest.fixture
def root(project):
    """A connection to the project's database that no policy binds, with two notes there."""
    with service.connect(dbname="django") as root:
        root.execute("TRUNCATE shopapp_note")
        root.execute("INSERT INTO shopapp_note (owner, body) VALUES ('user_1', 'of one'), ('user_2', 'of two')")
        yield root


@pytest.fixture
def token(root):
    return call(root, "session_create", **PLACE, data='{"userId": "user_1"}').token


@pytest.fixture
def browser(project):
    from django.test import Client as Browser

    return Browser(headers={"sec-fetch-site": "same-origin", "host": HOST, "user-agent": "a browser"})


def own_notes():
    from shopapp.models import Note

    return [note.body for note in Note.objects.all()]


def test_the_client_takes_django_s_connections(root):
    created = server().sessions.start(data={"userId": "user_1"}, ip="10.0.0.7")
    verdict = client().sessions.verify(created.token)
    # Django's own connections read jsonb as text, and without USE_TZ times without their zone.
    assert verdict.data == {"userId": "user_1"} and verdict.expires_at.tzinfo is not None
    assert server().sessions.get_info(created.session_id).ip == "10.0.0.7"
    assert client().sessions.refresh(created.refresh_token).ok


def test_a_block_shows_what_the_user_may_see(root, token):
    from shopapp.models import Note

    with ours().presenting(client(), token) as verdict:
        assert verdict.identifier == "user_1" and own_notes() == ["of one"]
        Note.objects.create(owner="user_1", body="new")
    assert own_notes() == []
    assert value(root, "SELECT count(*) FROM shopapp_note WHERE body = 'new'") == 1

    with pytest.raises(django.db.utils.ProgrammingError, match="row-level security"):
        with ours().presenting(client(), token):
            Note.objects.create(owner="user_2", body="forged")
    assert value(root, "SELECT count(*) FROM shopapp_note") == 3


def test_a_token_needs_a_block_of_its_own_or_an_open_one(root, token):
    from dialstack_sessions import SessionError

    with pytest.raises(SessionError) as caught:
        ours().present(client(), token)
    assert caught.value.code == "NO_TRANSACTION"
    with transaction.atomic():
        ours().present(client(), token)
        assert own_notes() == ["of one"]
        with pytest.raises(RuntimeError, match="durable"), ours().presenting(client(), token):
            raise AssertionError("is not reached")
    with pytest.raises(SessionError) as caught, ours().presenting(client(), "x"):
        raise AssertionError("is not reached")
    assert caught.value.code == "VERIFY_FAILED"
    assert own_notes() == []


def test_calls_in_a_block_are_a_part_of_it(root):
    with pytest.raises(LookupError), transaction.atomic(using="log_in"):
        created = server().sessions.start(data={"userId": "user_1"})
        raise LookupError
    assert client().sessions.verify(created.token).reason == "invalid"
    with transaction.atomic(using="log_in"):
        created = server().sessions.start(data={"userId": "user_1"})
    assert client().sessions.verify(created.token).valid


def test_nothing_that_is_logged_shows_a_token(root, token, caplog):
    caplog.set_level(logging.DEBUG)
    with ours().presenting(client(), token):
        assert own_notes() == ["of one"]
    assert "shopapp_note" in caplog.text and token not in caplog.text
    assert not any(token in query["sql"] for query in connection.queries)
    with connection.cursor() as cursor:
        cursor.execute("SELECT valid FROM dialstack.session_verify(%s)", [token])
    assert token in caplog.text, "what the manual warns of does not happen any more"


def test_an_unreachable_database_is_a_typed_error(root, monkeypatch):
    from dialstack_sessions import SessionError

    connections["log_in"].close()
    monkeypatch.setitem(connections["log_in"].settings_dict, "NAME", "none")
    with pytest.raises(SessionError) as caught:
        server().sessions.verify("x")
    assert caught.value.code == "CONNECTION_FAILED"


# --- the middleware


def test_a_user_logs_in_and_out(root, browser):
    assert browser.get("/").json() == {"in": False, "id": None, "why": "missing"}
    answer = browser.post("/login", {"user": "user_1"})
    assert answer.headers["Cache-Control"] == "no-store"
    access, refresh = browser.cookies["__Host-session"], browser.cookies["__Host-refresh"]
    for cookie in (access, refresh):
        said = {name: value for name, value in cookie.items() if value}
        said.pop("expires", None)
        assert said == {"path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
    assert refresh["expires"].endswith("GMT") and not access["expires"]
    assert browser.get("/").json()["id"] == "user_1"
    assert browser.get("/notes").json() == ["of one"]
    kept = info(root, verify(root, access.value).session_id)
    assert (str(kept.ip), kept.user_agent) == ("127.0.0.1", "a browser")

    assert browser.post("/logout").status_code == 200
    assert [browser.cookies[name].value for name in ("__Host-session", "__Host-refresh")] == ["", ""]
    assert verify(root, access.value).reason == "revoked"


def test_a_user_ends_other_devices(root, browser):
    browser.post("/login", {"user": "user_3"})
    for _ in range(3):
        call(root, "session_create", **PLACE, data='{"userId": "user_3"}')
    assert browser.post("/devices").json() == {"ended": [True, 2], "left": 1}
    assert browser.get("/").json()["id"] == "user_3"


def test_refreshes_and_clears(root, browser):
    session = call(root, "session_create", **PLACE, data='{"userId": "user_1"}', expires_in="1 second")
    until(lambda: verify(root, session.token).reason == "expired", "the token to expire")
    browser.cookies.load({"__Host-session": session.token, "__Host-refresh": session.refresh_token})
    assert browser.get("/").json()["id"] == "user_1"
    assert verify(root, browser.cookies["__Host-session"].value).valid
    call(root, "session_end", token=session.token)
    assert browser.get("/").json()["why"] == "revoked"
    assert browser.cookies["__Host-session"].value == ""


def test_a_refresh_is_not_lost_where_the_application_fails(root, browser):
    session = call(root, "session_create", **PLACE, data='{"userId": "user_1"}')
    browser.raise_request_exception = False
    browser.cookies.load({"__Host-refresh": session.refresh_token})
    assert browser.get("/broken").status_code == 500
    assert browser.cookies["__Host-refresh"].value not in ("", session.refresh_token)
    assert browser.get("/").json()["id"] == "user_1"


def test_requests_of_other_sites_are_refused(root, browser):
    assert browser.post("/login", {"user": "user_1"}, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_without_a_database_it_is_503(root, browser, monkeypatch, caplog):
    connections["default"].close()
    with monkeypatch.context() as patch:
        patch.setitem(connections["default"].settings_dict, "NAME", "none")
        answer = browser.get("/", HTTP_COOKIE="__Host-session=eyToken")
    assert answer.status_code == 503 and "CONNECTION_FAILED" in caplog.text and "eyToken" not in caplog.text


# --- migrations


def test_migrations_leave_the_schema_and_row_level_security_alone(project, root):
    security = "SELECT relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class c "
    security += "WHERE oid = 'shopapp_note'::regclass"
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace ORDER BY 1"
    before, catalogue = project.ask(security), project.ask(tables)
    assert before[0][0] and before[0][1] > 0
    assert project.generate("nothing") == ""

    (project.package / "models.py").write_text(
        MODELS.format(more="\n    more = models.IntegerField(null=True, db_index=True)")
    )
    # As another process would see the models.
    from django.db import models
    from shopapp.models import Note

    models.IntegerField(null=True, db_index=True).contribute_to_class(Note, "more")
    text = project.generate("more")
    assert "AddField" in text and "dialstack" not in text
    project.migrate()
    assert project.ask(security) == before and project.ask(tables) == catalogue
    call_command("flush", database="owner", interactive=False, verbosity=0)
    assert project.ask(security) == before
    assert project.ask("SELECT tag FROM dialstack.definition_list('django-shop')") == [("web",)]
    project.migrate("shopapp", "0001")
    assert project.ask(security) == [(False, 0)]
