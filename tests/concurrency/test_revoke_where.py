"""Revocations of sets of sessions, beside those of one user, one account or one person."""

from contextlib import suppress

from psycopg import errors
from support.service import call, refresh, retrying, together

ROUNDS = 300
USERS = ("user_1", "user_2", "user_3")
ACCOUNT = "acct_1"


def test_overlapping_revocations_wait_for_each_other_in_one_order(admin, shop):
    """A deadlock would end the test."""

    def create(connection):
        for number in range(ROUNDS):
            user = USERS[number % len(USERS)]
            session = retrying(lambda user=user: shop.create(connection, user))
            # A new place in the table, behind sessions that were created later.
            retrying(lambda token=session.refresh_token: refresh(connection, token))
            retrying(
                lambda user=user: call(
                    connection, "account_session_create", account=ACCOUNT, identifier=user, **shop.home
                )
            )

    def repeatedly(function, **arguments):
        def work(connection):
            for number in range(ROUNDS):
                of_user = {key: user(number) for key, user in arguments.items() if callable(user)}
                with suppress(errors.NoDataFound):
                    retrying(lambda of_user=of_user: call(connection, function, **{**arguments, **of_user}))

        return work

    def each_user(number):
        return USERS[number % len(USERS)]

    together(
        [create] * 4
        + [repeatedly("session_revoke_where", product=shop.product, dry_run=False)] * 2
        + [
            repeatedly("session_revoke", product=shop.product, identifier=each_user),
            repeatedly("account_session_revoke", account=ACCOUNT, **shop.home),
            repeatedly("user_erase", product=shop.product, identifier=each_user),
        ]
    )
