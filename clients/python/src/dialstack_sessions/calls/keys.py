"""What a program needs that verifies access tokens offline."""

from __future__ import annotations

from typing import Any

from .call import Call, Place, value


def jwks(place: Place) -> Call[dict[str, Any]]:
    """The public keys that sign access tokens, for programs that verify offline."""
    return Call("jwks", {}, value)


def issuer(place: Place) -> Call[str]:
    """The `iss` of the access tokens of this database."""
    return Call("issuer", {}, value)
