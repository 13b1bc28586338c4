"""Commands: `python -m dialstack_sessions types --product my-product`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from .client import Client
from .errors import SessionError
from .models import pydantic_models


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dialstack-sessions", description="Commands of the client of dialstack_sessions.")
    commands = parser.add_subparsers(required=True)
    types = commands.add_parser(
        "types", help="print Pydantic models of what the sessions of a product hold, one for each of its definitions"
    )
    types.add_argument("--product", required=True)
    types.add_argument("--tag", help="only this definition")
    types.add_argument("--connection", "--dsn", dest="dsn", default="", help="a URL of the database; what is missing comes from PGHOST, PGDATABASE and so on")
    chosen = parser.parse_args(arguments)
    try:
        client = Client(lambda: psycopg.connect(chosen.dsn), product=chosen.product)
        definitions = client.sessions.fetch_all()
        if chosen.tag is not None:
            definitions = [client.sessions.fetch(chosen.tag)]
    except SessionError as error:
        print(error, error.hint or "", sep="\n", file=sys.stderr)
        return 1
    print(pydantic_models({d.tag: d.schema for d in definitions}), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
