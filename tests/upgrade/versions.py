"""The versions that are upgraded: released ones, and a made-up next one that keeps the comparison honest.

To release a version, copy its install script into this folder, as dialstack_sessions--VERSION.sql, and never
change it again; sql/dialstack_sessions--VERSION--NEXT.sql then leads on from it.
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
_CARGO = (HERE.parent.parent / "Cargo.toml").read_text()
PRESENT = re.search(r'^version = "([0-9.]+)"$', _CARGO, re.MULTILINE).group(1)
RELEASED = sorted(HERE.glob("dialstack_sessions--*.sql"))
# What the made-up version adds, a kind of object a statement.
MADE_UP = "made_up"
ADDED = {
    "table": "CREATE TABLE dialstack.made_up (id bigint NOT NULL)",
    "column": "ALTER TABLE dialstack.made_up ADD note text",
    "index": "CREATE INDEX made_up_id ON dialstack.made_up (id)",
    "comment": "COMMENT ON COLUMN dialstack.made_up.id IS 'a number'",
    "function": "CREATE FUNCTION dialstack.made_up_answer() RETURNS int LANGUAGE sql IMMUTABLE RETURN 42",
    "type": "CREATE TYPE dialstack.made_up_pair AS (a int, b int)",
    "trigger": "CREATE TRIGGER made_up AFTER UPDATE ON dialstack.products "
    "FOR EACH STATEMENT EXECUTE FUNCTION dialstack.invalidate_verdicts()",
    "setting of a trigger": "ALTER TABLE dialstack.products ENABLE ALWAYS TRIGGER made_up",
    "row-level security": "ALTER TABLE dialstack.made_up ENABLE ROW LEVEL SECURITY",
    "revoked privilege": "REVOKE ALL ON FUNCTION dialstack.made_up_answer() FROM PUBLIC",
    "granted privilege": "GRANT SELECT ON dialstack.made_up TO pg_monitor",
    "constraint": "ALTER TABLE dialstack.made_up ADD CONSTRAINT made_up_check CHECK (id > 0)",
    "default": "ALTER TABLE dialstack.products ALTER name SET DEFAULT ''",
    "row": "UPDATE dialstack.rollup_state SET activity_id = 1",
    "dump": "SELECT pg_catalog.pg_extension_config_dump('dialstack.made_up', '')",
}
# Those that no other statement needs.
OPTIONAL = [what for what in ADDED if what not in ("table", "function", "trigger")]


def script(statements):
    return "".join(f"{statement};\n" for statement in statements)


def upgrades():
    """From which version to which."""
    old = [path.stem.removeprefix("dialstack_sessions--") for path in RELEASED]
    return [(version, PRESENT) for version in old if version != PRESENT] + [(PRESENT, MADE_UP)]
