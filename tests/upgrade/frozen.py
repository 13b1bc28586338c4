"""The versions that were released, each frozen in this folder as the script that installed it."""

import pathlib
import re

_HERE = pathlib.Path(__file__).parent
_NAME = re.compile(r"dialstack_sessions--([0-9.]+)\.sql")
FROZEN = {
    _NAME.fullmatch(path.name).group(1): path
    for path in sorted(_HERE.glob("dialstack_sessions--*.sql"))
}
_CARGO = (_HERE.parent.parent / "Cargo.toml").read_text()
PRESENT = re.search(r'^version = "([0-9.]+)"$', _CARGO, re.MULTILINE).group(1)
OLDER = [version for version in FROZEN if version != PRESENT]
UPDATE = "ALTER EXTENSION dialstack_sessions UPDATE"
