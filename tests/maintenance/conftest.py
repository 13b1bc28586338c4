"""Sessions and activity of long ago, which nobody could wait for."""

import pytest
from support.service import call, value


class Past:
    """Makes rows as if they had been made long ago."""

    def __init__(self, connection, shop):
        self.connection, self.shop = connection, shop

    def dead(self, count=1, user="long-gone", days=31):
        """Sessions that ended so many days ago. Returns their ids."""
        rows = self.connection.execute(
            """
            INSERT INTO dialstack.sessions
                (session_id, env_id, definition_id, subject, created_at,
                 expires_at, last_seen_at, purge_after, key_number)
            SELECT gen_random_uuid(), e.env_id, d.definition_id, concat(%(user)s::text, n), ended - interval '30 days',
                   ended, ended - interval '30 days', (ended AT TIME ZONE 'UTC')::date, 2
              FROM dialstack.products p JOIN dialstack.environments e USING (product_id)
              JOIN dialstack.session_definitions d USING (product_id),
                   generate_series(1, %(count)s) n,
                   -- The day of its end is kept whole.
                   LATERAL (SELECT now() - make_interval(days => %(days)s, hours => 24) AS ended) t
             WHERE p.product = %(product)s
            RETURNING session_id
            """,
            {"user": user, "count": count, "days": days, "product": self.shop.product},
        )
        return {row.session_id for row in rows}

    def activity(self, months):
        """A row in the middle of the month so many months ago. Returns the month as YYYY-MM."""
        return value(
            self.connection,
            """
            INSERT INTO dialstack.activity (at, month, env_id, kind, operation, status)
            SELECT at, extract(month FROM at AT TIME ZONE 'UTC'), env_id, 'user', 'create', 'success'
              FROM dialstack.environments,
                   LATERAL (SELECT (date_trunc('month', now() AT TIME ZONE 'UTC')
                                    - make_interval(months => %s) + interval '14 days')
                                   AT TIME ZONE 'UTC' AS at) t
             LIMIT 1
            RETURNING to_char(at AT TIME ZONE 'UTC', 'YYYY-MM')
            """,
            months,
        )

    def left(self, ids):
        """Those of the sessions that are still there."""
        rows = self.connection.execute(
            "SELECT session_id FROM dialstack.sessions WHERE session_id = ANY (%s)", [list(ids)]
        )
        return {row.session_id for row in rows}


@pytest.fixture
def past(admin, shop):
    return Past(admin, shop)


def maintain(connection, **arguments):
    return call(connection, "maintain", **arguments)[0]


@pytest.fixture
def clean(admin):
    """Nothing is left to do."""
    while maintain(admin)["more"]:
        pass
