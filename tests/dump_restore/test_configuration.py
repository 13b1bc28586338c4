"""The configuration as a document: what one database exports, another one becomes."""

import json

from support.service import Shop, call, value, verify

APPLY = "SELECT * FROM dialstack.configuration_apply(%s, dry_run => false)"


def export(connection):
    return value(connection, "SELECT dialstack.configuration_export()")


def test_another_database_becomes_equal_and_then_nothing_changes(original, elsewhere):
    """That one has a product of its own, which goes, and one of the same name with other parts."""
    document = export(original.connection)
    with elsewhere.database("configured") as other:
        stranger = Shop.make(other)
        theirs = stranger.create(other)
        call(other, "product_create", product=original.shop.product, name="Another", scopes=["own"])
        call(other, "env_create", product=original.shop.product, env="staging", live=True)

        dry = other.execute(
            "SELECT * FROM dialstack.configuration_apply(%s)", [json.dumps(document)]
        ).fetchall()
        rows = other.execute(APPLY, [json.dumps(document)]).fetchall()

        assert rows == dry
        gone = next(row for row in rows if row.name == stranger.product)
        assert (gone.action, gone.change["living_sessions"]) == ("delete", 1)
        assert verify(other, theirs.token).reason == "revoked"
        assert export(other) == document
        assert other.execute(APPLY, [json.dumps(document)]).fetchall() == []
        # It works: sessions are created as in the original.
        assert verify(other, original.shop.create(other).token, env=original.shop.env).valid


def test_the_document_holds_no_secret_and_no_id(original):
    text = json.dumps(export(original.connection))
    secrets = dict((secret, what) for what, secret in original.secrets())
    assert [what for secret, what in secrets.items() if secret in text] == []
    ids = original.connection.execute("SELECT product_id FROM dialstack.product_list()").fetchall()
    assert ids and not [row for row in ids if str(row.product_id) in text]
