"""Where the root key lies, how it moves, and what happens when it is not to be had."""

import base64
import os

import pytest
from psycopg import errors
from support.cluster import ROOT_KEY_FILE as SETTING
from support.cluster import as_server, run
from support.service import call, refresh, value, verify


def rotate(connection):
    return value(connection, "SELECT dialstack.root_key_rotate()")


# The row.


def test_a_rolled_back_rotation_changes_nothing(house):
    before = (house.row, house.wrapped)

    with house.old.transaction(force_rollback=True):
        rotate(house.old)
        assert verify(house.old, house.session.token).valid

    assert (house.row, house.wrapped) == before
    house.assert_all_is_well()


# From the row into the file, and from key to key within it.


def test_setting_a_file_alone_leaves_the_row_in_force(house, file, use_file):
    file.write(file.new_key())
    before = house.row

    use_file(house.old)

    assert house.row == before
    house.assert_all_is_well()


def test_rotating_moves_the_root_key_from_the_row_to_the_file(house, file, use_file):
    key, instance_id = file.new_key(), house.row.instance_id
    file.write(key)
    use_file(house.old)

    assert rotate(house.connect()) == "file"

    house.assert_opens_with(key)
    assert house.row.instance_id == instance_id
    house.assert_all_is_well()


FORMS = {
    "base64": lambda key: base64.b64encode(key).decode(),
    "with_a_comment": lambda key: f"# made for production\n\n{key.hex()}",
    "with_line_ends_of_windows": lambda key: f"{key.hex()}\r",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_file_takes_every_documented_form(house, file, use_file, form):
    key = file.new_key()
    file.write(FORMS[form](key))
    use_file(house.old)

    rotate(house.old)

    house.assert_opens_with(key)
    house.assert_all_is_well()


def in_file(house, file, use_file):
    """Moves the root key of a house into the file, and returns it."""
    key = file.new_key()
    file.write(key)
    use_file(house.old)
    assert rotate(house.old) == "file"
    return key


def test_rotating_takes_the_first_of_two_keys(house, file, use_file):
    # Given a ring that the second, older key opens
    old = in_file(house, file, use_file)
    new = file.new_key()
    file.write(new, old)
    house.assert_all_is_well()

    # When
    assert rotate(house.connect()) == "file"

    # Then the older one is of no more use
    house.assert_opens_with(new)
    file.write(new)
    house.assert_all_is_well()


def test_a_new_key_in_the_file_waits_for_the_rotation(house, file, use_file):
    old = in_file(house, file, use_file)

    file.write(file.new_key(), old)

    house.assert_opens_with(old)
    house.assert_all_is_well()


def test_rotating_to_the_same_key_wraps_anew(house, file, use_file):
    key, before = in_file(house, file, use_file), house.wrapped

    assert rotate(house.old) == "file"

    house.assert_opens_with(key)
    assert not {row.wrapped for row in house.wrapped} & {row.wrapped for row in before}
    house.assert_all_is_well()


def test_signing_keys_rotate_under_a_root_key_in_the_file(house, file, use_file):
    key = in_file(house, file, use_file)

    for purpose in ("jwt", "seal", "token"):
        call(house.connect(), "signing_key_rotate", purpose=purpose)

    house.assert_opens_with(key)
    house.assert_all_is_well()


def test_instance_reset_takes_the_key_of_the_file(house, file, use_file):
    key, before = in_file(house, file, use_file), house.row.instance_id

    call(house.old, "instance_reset")

    house.assert_opens_with(key)
    assert house.row.instance_id != before
    assert not verify(house.old, house.session.token).valid
    assert verify(house.old, house.shop.create(house.old).token).valid


def test_an_installation_with_a_file_never_has_a_key_in_the_row(house, file, use_file):
    key = file.new_key()
    file.write(key)
    use_file(house.old)

    house.old.execute("DROP EXTENSION dialstack_sessions")
    house.old.execute("CREATE EXTENSION dialstack_sessions")

    house.assert_opens_with(key)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file to root")
def test_a_file_of_roots_may_be_readable_to_the_servers_group(house, file, use_file):
    key = file.new_key()
    file.write(key, mode="640")
    run("chown", "root", file.path)
    use_file(house.old)

    rotate(house.old)

    house.assert_opens_with(key)
    house.assert_all_is_well()


# Files that are of no use.

SENTINEL = "this-is-no-key-but-could-be-a-secret"


def a_directory(file, good):
    file.remove()
    as_server("mkdir", "-m", "700", file.path)


def garbage(file, good):
    file.write(SENTINEL)


BAD = {
    "missing": lambda file, good: file.remove(),
    "a directory": a_directory,
    "unreadable": lambda file, good: file.write(good, mode="000"),
    "readable to the world": lambda file, good: file.write(good, mode="604"),
    "readable to the group": lambda file, good: file.write(good, mode="640"),
    "writable to the world": lambda file, good: file.write(good, mode="602"),
    "empty": lambda file, good: file.write_text(""),
    "comments only": lambda file, good: file.write("# nothing here", ""),
    "garbage": garbage,
    "garbage after the key": lambda file, good: file.write(good, SENTINEL),
    "half a digit missing": lambda file, good: file.write(good.hex()[:-1]),
    "two keys in a line": lambda file, good: file.write(f"{good.hex()} {good.hex()}"),
}


def assert_not_available(file, use):
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
        use()
    diag = refused.value.diag
    assert diag.message_primary.startswith("JWT_NOT_AVAILABLE: ")
    assert diag.message_hint
    message = " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.message_hint)))
    assert [text for text in file.texts if text.lower() in message.lower()] == []
    return diag


SPOILT = {**BAD, "another key": lambda file, good: file.write(file.new_key())}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_without_the_root_key_nothing_goes_and_nothing_is_replaced(house, file, use_file, spoil):
    # Given a ring that the key in the file opens
    good = in_file(house, file, use_file)
    file.texts.append(SENTINEL)
    before = (house.row, house.wrapped)

    # When the file is spoilt
    spoil(file, good)

    # Then every use of a key says so, and what to do
    for use in (
        lambda c: verify(c, house.session.token),
        lambda c: refresh(c, house.session.refresh_token),
        lambda c: house.shop.create(c),
        lambda c: call(c, "signing_key_rotate"),
        rotate,
    ):
        connection = house.connect()
        diag = assert_not_available(file, lambda: use(connection))
        assert SETTING in diag.message_hint or "0600" in diag.message_hint
    # And the ring is as it was: with the right file, all is well again
    assert (house.row, house.wrapped) == before
    file.write(good)
    house.assert_all_is_well()
    assert refresh(house.connect(), house.session.refresh_token).ok


def test_the_root_key_does_not_leave_the_row_for_a_file_of_no_use(house, file, use_file):
    file.texts.append(SENTINEL)
    use_file(house.old)
    before = (house.row, house.wrapped)

    for spoil in BAD.values():
        file.remove()
        spoil(file, file.new_key())
        assert_not_available(file, lambda: rotate(house.old))

    assert (house.row, house.wrapped) == before
    house.assert_all_is_well()


def test_a_file_of_no_use_stops_an_installation(house, file, use_file):
    garbage(file, None)
    file.texts.append(SENTINEL)
    use_file(house.old)
    house.old.execute("DROP EXTENSION dialstack_sessions")

    assert_not_available(file, lambda: house.old.execute("CREATE EXTENSION dialstack_sessions"))

    assert value(house.old, "SELECT count(*) FROM pg_namespace WHERE nspname = 'dialstack'") == 0


def test_without_the_setting_a_root_key_in_a_file_is_missed(house, file, use_file):
    in_file(house, file, use_file)
    before = (house.row, house.wrapped)

    use_file(house.old, path="")

    connection = house.connect()
    diag = assert_not_available(file, lambda: verify(connection, house.session.token))
    assert SETTING in diag.message_hint
    assert_not_available(file, lambda: rotate(connection))
    assert (house.row, house.wrapped) == before
    use_file(house.old)
    house.assert_all_is_well()


# Who may see and set the path.


@pytest.fixture
def somebody(house):
    """Connects as a role that may verify tokens, and has no other privilege."""
    house.old.execute(
        "CREATE ROLE somebody LOGIN; GRANT USAGE ON SCHEMA dialstack TO somebody; "
        "GRANT EXECUTE ON FUNCTION dialstack.session_verify TO somebody"
    )
    yield lambda: house.connect(user="somebody")
    house.close()
    with house.cluster.connect(house.name) as admin:
        admin.execute("DROP OWNED BY somebody; DROP ROLE somebody")


def assert_path_is_hidden(connection, path):
    for query in (f"SHOW {SETTING}", f"SELECT current_setting('{SETTING}')"):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(query)
    settings = connection.execute("SELECT * FROM pg_settings").fetchall()
    assert not any(path in str(setting) for setting in settings)


def test_an_ordinary_role_does_not_see_the_path(house, file, use_file, somebody):
    in_file(house, file, use_file)
    connection = somebody()
    assert verify(connection, house.session.token).valid

    assert_path_is_hidden(connection, file.path)
    assert value(house.old, f"SHOW {SETTING}") == file.path


def test_an_ordinary_role_does_not_see_the_path_before_its_first_call_where_we_are_preloaded(
    house, file, use_file, somebody
):
    # Where nothing has loaded the library yet, PostgreSQL takes the setting for anybody's own
    # and shows it: hence the preloading.
    in_file(house, file, use_file)
    house.old.execute("ALTER ROLE somebody SET session_preload_libraries = 'dialstack_sessions'")

    assert_path_is_hidden(somebody(), file.path)


def test_a_path_set_before_the_library_is_loaded_does_not_count(house, file, use_file, somebody):
    in_file(house, file, use_file)
    connection = somebody()
    try:
        connection.execute(f"SET {SETTING} = '/tmp/mine'")
    except errors.Error:
        pass  # refused at once: just as good

    assert verify(connection, house.session.token).valid
