"""SQLAlchemy 2, synchronous and asynchronous, and Alembic."""

import logging
from pathlib import Path

import alembic.command
import alembic.config
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import CLIENT, SERVER
from dialstack_sessions import AsyncClient, Client, SessionError
from dialstack_sessions import sqlalchemy as ours
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from support import service
from support.cluster import Cluster
from support.service import call, value


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    owner: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]


def url(route, user, driver="psycopg"):
    return sa.URL.create(
        f"postgresql+{driver}", user, database=route["dbname"], query={"host": route["host"], "port": str(route["port"])}
    )


@pytest.fixture
def make_engine(route, roles):
    """Makes engines; behind PgBouncer they prepare nothing."""
    engines = []

    def make(user=CLIENT, **options):
        engine = sa.create_engine(url(route, user), connect_args={"prepare_threshold": None}, **options)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def token(admin, shop):
    return shop.create(admin, "user_1").token


@pytest.fixture
def client(make_engine, shop):
    return Client(ours.connections(make_engine()), **shop.place)


@pytest.fixture
def factory(make_engine):
    return sessionmaker(make_engine(pool_size=1, max_overflow=0))


def bodies(session):
    return session.scalars(sa.select(Note.body)).all()


def test_the_client_takes_connections_of_an_engine(make_engine, shop):
    engine = make_engine(SERVER, pool_size=1, max_overflow=0, pool_timeout=0.1)
    client = Client(ours.connections(engine), **shop.place)
    created = client.sessions.start(data={"userId": "user_1"})
    assert client.sessions.verify(created.token).data == {"userId": "user_1"}
    assert client.sessions.refresh(created.refresh_token).ok
    with engine.connect(), pytest.raises(SessionError) as caught:
        client.sessions.verify(created.token)
    assert caught.value.code == "CONNECTION_TIMEOUT" and caught.value.__context__ is None


def test_an_orm_session_shows_what_the_user_may_see(client, factory, token, notes):
    with ours.presenting(client, factory, token) as session:
        assert bodies(session) == ["of one"]
        session.add(Note(owner="user_1", body="new"))
    with factory() as session:
        assert bodies(session) == []
    assert ours.with_token(client, factory, token, bodies) == ["of one", "new"]


def test_writing_for_another_is_refused_and_rolled_back(client, factory, token, notes, admin):
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
        with ours.presenting(client, factory, token) as session:
            session.add(Note(owner="user_1", body="new"))
            session.flush()
            session.execute(sa.insert(Note).values(owner="user_2", body="forged"))
    assert value(admin, "SELECT count(*) FROM notes") == 2


def test_a_bad_token_is_refused(client, factory, token, notes):
    with pytest.raises(SessionError) as caught, ours.presenting(client, factory, "x"):
        raise AssertionError("is not reached")
    assert caught.value.code == "VERIFY_FAILED"
    with pytest.raises(SessionError):
        ours.with_token(client.at(tag="other"), factory, token, bodies)


def test_calls_are_a_part_of_the_session_s_transaction(make_engine, shop, admin):
    engine = make_engine(SERVER)
    client = Client(ours.connections(engine), **shop.place)
    with sessionmaker(engine)() as session:
        created = ours.on(client, session).sessions.start(data={"userId": "user_1"})
        session.rollback()
    assert client.sessions.verify(created.token).reason == "invalid"
    with engine.begin() as connection:
        created = ours.on(client, connection).sessions.start(data={"userId": "user_1"})
    assert client.sessions.verify(created.token).valid


def test_a_token_needs_a_transaction(client, make_engine, token):
    engine = make_engine(isolation_level="AUTOCOMMIT")
    with sessionmaker(engine)() as session, pytest.raises(SessionError) as caught:
        ours.on(client, session).present(token)
    assert caught.value.code == "NO_TRANSACTION"


def test_work_that_met_a_newer_change_is_repeated(client, factory, token, notes):
    calls = []

    def work(session):
        calls.append(1)
        if len(calls) < 3:
            session.execute(sa.text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
        return bodies(session)

    assert ours.with_token(client, factory, token, work) == ["of one"] and len(calls) == 3

    def fails(session):
        session.execute(sa.text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    with pytest.raises(sa.exc.OperationalError):
        ours.with_token(client, factory, token, fails)


def test_asynchronous_sessions(route, roles, shop, token, notes, wait):
    async def main():
        options = {"connect_args": {"prepare_threshold": None}}
        engine = create_async_engine(url(route, CLIENT), **options)
        log_in = create_async_engine(url(route, SERVER), pool_size=1, max_overflow=0, pool_timeout=0.1, **options)
        client = AsyncClient(ours.async_connections(engine), **shop.place)
        server = AsyncClient(ours.async_connections(log_in), **shop.place)
        factory = async_sessionmaker(engine)

        async def mine(session):
            return (await session.scalars(sa.select(Note.body))).all()

        assert (await client.sessions.verify(token)).valid
        async with ours.async_presenting(client, factory, token) as session:
            session.add(Note(owner="user_1", body="new"))
        assert await ours.async_with_token(client, factory, token, mine) == ["of one", "new"]
        async with factory() as session:
            assert await mine(session) == []

        async with async_sessionmaker(log_in)() as session:
            here = await ours.async_on(server, session)
            created = await here.sessions.start(data={"userId": "user_1"})
            with pytest.raises(SessionError) as caught:
                await server.sessions.verify(created.token)
            assert caught.value.code == "CONNECTION_TIMEOUT"
        assert (await server.sessions.verify(created.token)).reason == "invalid"
        await engine.dispose()
        await log_in.dispose()

    wait(main())


def test_another_driver_is_refused():
    with pytest.raises(SessionError, match="does not use psycopg 3"):
        ours.connections(sa.create_engine("sqlite://"))


def test_nothing_that_is_logged_shows_a_token(make_engine, shop, token, notes, caplog):
    """SQLAlchemy logs and shows what is bound; what the client presents is none of it."""
    caplog.set_level(logging.DEBUG)
    engine = make_engine(echo="debug")
    client, factory = Client(ours.connections(engine), **shop.place), sessionmaker(engine)
    assert ours.with_token(client, factory, token, bodies) == ["of one"]
    assert "SELECT notes.body" in caplog.text and token[-40:] not in caplog.text

    query = sa.text("SELECT * FROM dialstack.session_require(:token, 'another product')")
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as connection:
        connection.execute(query, {"token": token})
    assert token[-40:] in str(caught.value), "what the manual warns of does not happen any more"
    engine = make_engine(hide_parameters=True)
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as connection:
        connection.execute(query, {"token": token})
    assert token[-40:] not in str(caught.value)


def test_a_server_that_is_not_there_is_a_typed_error(shop):
    nowhere = sa.create_engine("postgresql+psycopg://x@/x?host=/nowhere")
    with pytest.raises(SessionError) as caught:
        Client(ours.connections(nowhere), **shop.place).sessions.verify("x")
    assert caught.value.code == "CONNECTION_FAILED"


# --- Alembic


@pytest.fixture
def database(direct):
    """A database of the test's own, with the extension."""
    with Cluster.given().database("migrated") as connection:
        call(connection, "product_create", product="p")
        call(connection, "env_create", product="p", env="e")
        yield sa.create_engine(url({**direct, "dbname": "migrated"}, "postgres"), poolclass=sa.NullPool)


ENV = """
from alembic import context
from dialstack_sessions.sqlalchemy import include_name

engine, metadata = context.config.attributes["engine"], context.config.attributes["metadata"]
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, include_schemas=True, include_name=include_name
    )
    with context.begin_transaction():
        context.run_migrations()
"""

PROTECT = """
    op.execute("SELECT dialstack.protect_table('notes', 'owner', 'p', 'e', by => 'identifier')")
"""


class Migrations:
    """A folder of migrations, and Alembic's commands in it."""

    def __init__(self, folder, engine):
        self.config, self.engine = alembic.config.Config(str(folder / "alembic.ini")), engine
        self.config.set_main_option("script_location", str(folder / "migrations"))
        self.config.set_main_option("path_separator", "os")
        self.config.attributes["engine"] = engine
        alembic.command.init(self.config, str(folder / "migrations"))
        Path(folder / "migrations/env.py").write_text(ENV)

    def generate(self, metadata, message, append=""):
        self.config.attributes["metadata"] = metadata
        script = alembic.command.revision(self.config, message, autogenerate=True)
        path = Path(script.path)
        text = path.read_text()
        path.write_text(text.replace("# ### end Alembic commands ###\n", append or "pass\n", 1))
        return text

    def upgrade(self):
        alembic.command.upgrade(self.config, "head")


def security(engine):
    with engine.connect() as connection:
        enabled = connection.scalar(sa.text("SELECT relrowsecurity FROM pg_class WHERE oid = 'notes'::regclass"))
        policies = connection.scalar(sa.text("SELECT count(*) FROM pg_policy WHERE polrelid = 'notes'::regclass"))
        return enabled, policies


def catalogue(engine):
    with engine.connect() as connection:
        query = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace ORDER BY 1"
        return connection.execute(sa.text(query)).all()


@pytest.mark.filterwarnings("ignore:Did not recognize type:sqlalchemy.exc.SAWarning")
def test_autogenerate_would_drop_the_extension_s_tables_and_is_kept_from_it(database):
    def differences(**options):
        with database.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_schemas": True, **options})
            return compare_metadata(context, sa.MetaData())

    removed = {step[1].schema for step in differences() if step[0] == "remove_table"}
    assert removed == {"dialstack"}, "what the manual warns of does not happen any more"
    assert differences(include_name=ours.include_name) == []


def test_migrations_leave_the_schema_and_row_level_security_alone(database, tmp_path, capsys):
    before = catalogue(database)
    migrations = Migrations(tmp_path, database)
    first = migrations.generate(Base.metadata, "notes", PROTECT)
    assert "create_table('notes'" in first
    migrations.upgrade()
    enabled, policies = security(database)
    assert enabled and policies > 0

    changed = sa.MetaData()
    sa.Table(
        "notes", changed, sa.Column("owner", sa.String, primary_key=True), sa.Column("body", sa.String, nullable=False),
        sa.Column("more", sa.Integer), sa.Index("notes_more", "more"),
    )  # fmt: skip
    second = migrations.generate(changed, "more")
    assert "add_column('notes'" in second
    migrations.upgrade()
    assert security(database) == (enabled, policies)
    third = migrations.generate(changed, "nothing")
    for text in (first, second, third):
        assert "dialstack" not in text.replace("dialstack.protect", "") and "ROW LEVEL" not in text.upper()
    assert "drop_table" not in third and "op." not in third.split("def downgrade")[0].split("def upgrade")[1]
    assert catalogue(database) == before

    with pytest.raises(psycopg.Error), service.connect(dbname="migrated") as connection:
        connection.execute("DROP SCHEMA dialstack CASCADE")
