"""That a token is refused."""

from support.service import verify


def is_invalid(admin, token):
    answer = verify(admin, token)
    # Nothing is shown of the session.
    return answer[:2] == (False, "invalid") and set(answer[2:]) == {None}


def assert_invalid(admin, *tokens):
    assert [token for token in tokens if not is_invalid(admin, token)] == []


def assert_all_invalid(admin, tokens):
    """`tokens` are pairs: what is wrong, and the token."""
    assert [what for what, token in tokens if not is_invalid(admin, token)] == []
