-- What administrators and monitoring look at. The views read the tables as their owner, past row-level
-- security, and no column is a secret. Each calls a function that the access level allows: by SELECT alone
-- pg_read_all_data would read them.

CREATE VIEW dialstack.active_sessions WITH (security_barrier) AS
SELECT s.session_id, s.kind, p.product, e.env, d.tag, s.identifier, s.created_at, s.last_seen_at,
       s.expires_at, s.generation, s.ip, s.user_agent, s.scopes, s.api_key_id
  FROM (SELECT session_id, CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind,
               env_id, definition_id, coalesce(identifier, subject) AS identifier, created_at, last_seen_at, expires_at,
               revoked_at, generation, ip, user_agent, scopes, api_key_id
          FROM dialstack.sessions
         UNION ALL
        SELECT session_id, 'client', env_id, NULL, NULL, created_at, created_at, expires_at,
               revoked_at, 0, NULL, NULL, NULL, api_key_id
          FROM dialstack.client_sessions) s
  JOIN dialstack.environments e ON e.env_id OPERATOR(pg_catalog.=) s.env_id
  JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id
  LEFT JOIN dialstack.session_definitions d ON d.definition_id OPERATOR(pg_catalog.=) s.definition_id
 WHERE dialstack.access_admin()
   AND s.revoked_at IS NULL AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
COMMENT ON VIEW dialstack.active_sessions IS 'the living sessions of all kinds';
COMMENT ON COLUMN dialstack.active_sessions.session_id IS 'id of the session';
COMMENT ON COLUMN dialstack.active_sessions.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.active_sessions.product IS 'its product';
COMMENT ON COLUMN dialstack.active_sessions.env IS 'its environment';
COMMENT ON COLUMN dialstack.active_sessions.tag IS 'its definition; user sessions only';
COMMENT ON COLUMN dialstack.active_sessions.identifier IS 'identifier of the user, or account; null for client sessions, whose user_identifier_key is secret';
COMMENT ON COLUMN dialstack.active_sessions.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.active_sessions.last_seen_at IS 'creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.expires_at IS 'when it ends unless it is refreshed';
COMMENT ON COLUMN dialstack.active_sessions.generation IS 'how often the refresh token has rotated';
COMMENT ON COLUMN dialstack.active_sessions.ip IS 'address of the user at creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.user_agent IS 'user agent at creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.scopes IS 'scopes that it holds';
COMMENT ON COLUMN dialstack.active_sessions.api_key_id IS 'API key that created it';

-- The count reads all sessions, but only where its column is asked for.
CREATE VIEW dialstack.signing_key_status AS
SELECT k.kid, k.key_number, k.purpose, k.alg, k.state, k.created_at, k.active_at, k.retired_at, k.revoked_at,
       coalesce(k.alg OPERATOR(pg_catalog.<>) 'HS256', false) AS published,
       CASE WHEN k.purpose OPERATOR(pg_catalog.<>) 'jwt'
            THEN coalesce(s.living, 0) OPERATOR(pg_catalog.+) coalesce(c.living, 0) END
           AS living_sessions
  FROM dialstack.signing_key_list() k
  LEFT JOIN (SELECT key_number, pg_catalog.count(*) AS living
               FROM dialstack.sessions
              WHERE revoked_at IS NULL
                AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
              GROUP BY key_number) s
    ON s.key_number OPERATOR(pg_catalog.=) k.key_number
  LEFT JOIN (SELECT n.number, pg_catalog.count(*) AS living
               FROM dialstack.client_sessions
              CROSS JOIN LATERAL (VALUES (pg_catalog.int4send(key_number)),
                                         (pg_catalog.substr(sealed_key, 1, 4))) AS n (number)
              WHERE revoked_at IS NULL
                AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
              GROUP BY n.number) c
    ON c.number OPERATOR(pg_catalog.=) pg_catalog.int4send(k.key_number)
 WHERE dialstack.access_admin();
COMMENT ON VIEW dialstack.signing_key_status IS 'the key ring without its secrets, and what depends on each key';
COMMENT ON COLUMN dialstack.signing_key_status.kid IS 'key id, as in the header of a token';
COMMENT ON COLUMN dialstack.signing_key_status.key_number IS 'number of the key, as in opaque tokens and sealed data';
COMMENT ON COLUMN dialstack.signing_key_status.purpose IS 'jwt, seal or token';
COMMENT ON COLUMN dialstack.signing_key_status.alg IS 'HS256, EdDSA or ES256; only for purpose jwt';
COMMENT ON COLUMN dialstack.signing_key_status.state IS 'active: makes and checks; retired: only checks; revoked: neither';
COMMENT ON COLUMN dialstack.signing_key_status.created_at IS 'when it was made';
COMMENT ON COLUMN dialstack.signing_key_status.active_at IS 'from when on it makes tokens';
COMMENT ON COLUMN dialstack.signing_key_status.retired_at IS 'when a newer key took over';
COMMENT ON COLUMN dialstack.signing_key_status.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.signing_key_status.published IS 'whether it has a public part';
COMMENT ON COLUMN dialstack.signing_key_status.living_sessions IS 'living sessions whose data or user_identifier_key it encrypts (seal), or whose client token it makes (token); null for jwt';

CREATE VIEW dialstack.refresh_reuse WITH (security_barrier) AS
SELECT a.at, p.product, e.env, d.tag, a.session_id, a.subject AS identifier, a.ip, a.user_agent
  FROM dialstack.activity a
  JOIN dialstack.environments e ON e.env_id OPERATOR(pg_catalog.=) a.env_id
  JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id
  LEFT JOIN dialstack.session_definitions d ON d.definition_id OPERATOR(pg_catalog.=) a.definition_id
 WHERE dialstack.access_admin() AND a.operation OPERATOR(pg_catalog.=) 'reuse';
COMMENT ON VIEW dialstack.refresh_reuse IS 'old refresh tokens that were presented: each may be a theft';
COMMENT ON COLUMN dialstack.refresh_reuse.at IS 'when it was presented';
COMMENT ON COLUMN dialstack.refresh_reuse.product IS 'product of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.env IS 'environment of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.tag IS 'definition of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.session_id IS 'the session, which was revoked by it';
COMMENT ON COLUMN dialstack.refresh_reuse.identifier IS 'the user';
COMMENT ON COLUMN dialstack.refresh_reuse.ip IS 'address of who presented it';
COMMENT ON COLUMN dialstack.refresh_reuse.user_agent IS 'user agent of who presented it';

CREATE VIEW dialstack.stat_maintenance AS
SELECT CASE WHEN r.done IS NOT NULL THEN r.ran_at END AS last_run_at, r.took AS duration,
       (r.done OPERATOR(pg_catalog.->>) 'more')::boolean AS more,
       (r.done OPERATOR(pg_catalog.->>) 'activity_rolled_up')::bigint AS activity_rolled_up,
       (r.done OPERATOR(pg_catalog.->>) 'activity_waiting')::bigint AS activity_waiting,
       r.done OPERATOR(pg_catalog.->>) 'held_by' AS held_by,
       (r.done OPERATOR(pg_catalog.->>) 'held_since')::pg_catalog.timestamptz AS held_since,
       (r.done OPERATOR(pg_catalog.->>) 'sessions_purged')::bigint AS sessions_purged,
       (r.done OPERATOR(pg_catalog.->>) 'sessions_kept')::bigint AS sessions_kept,
       (r.done OPERATOR(pg_catalog.->>) 'other_rows_kept')::bigint AS other_rows_kept,
       ARRAY(SELECT t.name
               FROM pg_catalog.jsonb_array_elements_text(
                        r.done OPERATOR(pg_catalog.->) 'kept_for') AS t (name)) AS kept_for
  FROM dialstack.rollup_state r
 WHERE dialstack.may_monitor();
COMMENT ON VIEW dialstack.stat_maintenance IS 'the last run of maintain(): when, how long, what it did and what held it back; one row';
COMMENT ON COLUMN dialstack.stat_maintenance.last_run_at IS 'when it began; null: there was none yet';
COMMENT ON COLUMN dialstack.stat_maintenance.duration IS 'how long it lasted';
COMMENT ON COLUMN dialstack.stat_maintenance.more IS 'whether it left something to do';
COMMENT ON COLUMN dialstack.stat_maintenance.activity_rolled_up IS 'rows of activity that it rolled up';
COMMENT ON COLUMN dialstack.stat_maintenance.activity_waiting IS 'rows of activity that it left, counted up to 100,000';
COMMENT ON COLUMN dialstack.stat_maintenance.held_by IS 'the transaction because of which they wait, in any database of the server';
COMMENT ON COLUMN dialstack.stat_maintenance.held_since IS 'when that began; null where the owner of the extension may not see it';
COMMENT ON COLUMN dialstack.stat_maintenance.sessions_purged IS 'sessions that it deleted';
COMMENT ON COLUMN dialstack.stat_maintenance.sessions_kept IS 'sessions that were due on that day (UTC) and that a table of the application keeps from being deleted';
COMMENT ON COLUMN dialstack.stat_maintenance.other_rows_kept IS 'users and keys that a table of the application keeps from being deleted';
COMMENT ON COLUMN dialstack.stat_maintenance.kept_for IS 'those tables';

CREATE VIEW dialstack.stat_sessions AS
SELECT * FROM dialstack.stat_get_sessions();
COMMENT ON VIEW dialstack.stat_sessions IS 'totals of sessions since the installation, from rollups: a row for each definition in each environment, and one each for its account and its client sessions';
COMMENT ON COLUMN dialstack.stat_sessions.product IS 'product';
COMMENT ON COLUMN dialstack.stat_sessions.env IS 'environment';
COMMENT ON COLUMN dialstack.stat_sessions.tag IS 'definition; null for account and client sessions';
COMMENT ON COLUMN dialstack.stat_sessions.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.stat_sessions.living IS 'unrevoked sessions whose end is to come; goes up and down';
COMMENT ON COLUMN dialstack.stat_sessions.created IS 'sessions that were created';
COMMENT ON COLUMN dialstack.stat_sessions.refreshed IS 'successful refreshes';
COMMENT ON COLUMN dialstack.stat_sessions.refresh_failed IS 'refused refreshes of authentic tokens; of one user about ten in an hour are counted';
COMMENT ON COLUMN dialstack.stat_sessions.revoked IS 'sessions that ended before their time, for whatever reason: by call, by reuse, by eviction, by deletion';
COMMENT ON COLUMN dialstack.stat_sessions.expired IS 'unrevoked sessions whose end passed more than a minute ago';
COMMENT ON COLUMN dialstack.stat_sessions.reused IS 'sessions that were revoked because an old refresh token was presented: each may be a theft';
COMMENT ON COLUMN dialstack.stat_sessions.evicted IS 'sessions that were revoked for a newer one of their user';
COMMENT ON COLUMN dialstack.stat_sessions.is_complete IS 'whether all of it is counted; false: more than 100,000 rows of activity wait for maintain(), and the latest are not';

CREATE VIEW dialstack.stat_keys AS
SELECT k.kid, k.purpose, k.alg, k.state,
       coalesce(k.alg OPERATOR(pg_catalog.<>) 'HS256', false) AS published,
       k.created_at, k.active_at, k.retired_at, k.revoked_at,
       CASE WHEN k.state OPERATOR(pg_catalog.=) 'active'
            THEN pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) k.active_at)
       END AS active_seconds
  FROM dialstack.signing_key_list() k;
COMMENT ON VIEW dialstack.stat_keys IS 'the key ring: a row for each key';
COMMENT ON COLUMN dialstack.stat_keys.kid IS 'key id, as in the header of a token';
COMMENT ON COLUMN dialstack.stat_keys.purpose IS 'jwt, seal or token';
COMMENT ON COLUMN dialstack.stat_keys.alg IS 'HS256, EdDSA or ES256; only for purpose jwt';
COMMENT ON COLUMN dialstack.stat_keys.state IS 'pending: checks, and takes over at active_at; active: makes and checks; retired: only checks; revoked: neither';
COMMENT ON COLUMN dialstack.stat_keys.published IS 'whether it has a public part';
COMMENT ON COLUMN dialstack.stat_keys.created_at IS 'when it was made';
COMMENT ON COLUMN dialstack.stat_keys.active_at IS 'from when on it makes tokens';
COMMENT ON COLUMN dialstack.stat_keys.retired_at IS 'when a newer key took over';
COMMENT ON COLUMN dialstack.stat_keys.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.stat_keys.active_seconds IS 'for how long it makes tokens; null unless it is active';

CREATE VIEW dialstack.stat_api_keys AS
SELECT k.api_key_id, p.product, e.env, k.kind, k.name,
       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() THEN 'expired'
            ELSE 'active' END AS state,
       k.created_at, k.expires_at, k.revoked_at,
       CASE WHEN k.revoked_at IS NULL
            THEN pg_catalog.date_part('epoch', k.expires_at OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())
       END AS expires_in_seconds
  FROM dialstack.api_keys k
  LEFT JOIN (dialstack.environments e
             JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id)
    ON e.env_id OPERATOR(pg_catalog.=) k.env_id
 WHERE dialstack.may_monitor();
COMMENT ON VIEW dialstack.stat_api_keys IS 'the API keys: a row for each; api_key_usage counts how often each was used';
COMMENT ON COLUMN dialstack.stat_api_keys.api_key_id IS 'id of the key';
COMMENT ON COLUMN dialstack.stat_api_keys.product IS 'the product that it is for';
COMMENT ON COLUMN dialstack.stat_api_keys.env IS 'the environment that it is for; null once that is deleted';
COMMENT ON COLUMN dialstack.stat_api_keys.kind IS 'secret or publishable';
COMMENT ON COLUMN dialstack.stat_api_keys.name IS 'display name';
COMMENT ON COLUMN dialstack.stat_api_keys.state IS 'active, expired or revoked';
COMMENT ON COLUMN dialstack.stat_api_keys.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.stat_api_keys.expires_at IS 'when it expires; null: never';
COMMENT ON COLUMN dialstack.stat_api_keys.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.stat_api_keys.expires_in_seconds IS 'how long until it expires, negative where it has; null: never, or it is revoked';

CREATE VIEW dialstack.api_key_usage AS
SELECT s.api_key_id, s.product, s.env, s.kind, s.name, k.hint, s.state, s.created_at, s.expires_at, s.revoked_at,
       coalesce(a.uses, 0) AS uses, a.last_used_at
  FROM dialstack.stat_api_keys s
  JOIN dialstack.api_keys k ON k.api_key_id OPERATOR(pg_catalog.=) s.api_key_id
  LEFT JOIN (SELECT api_key_id, pg_catalog.count(*) AS uses, pg_catalog.max(at) AS last_used_at
               FROM dialstack.activity
              WHERE api_key_id IS NOT NULL
              GROUP BY api_key_id) a
    ON a.api_key_id OPERATOR(pg_catalog.=) s.api_key_id
 WHERE dialstack.access_admin();
COMMENT ON VIEW dialstack.api_key_usage IS 'the API keys, and how often each was used as far as activity is kept; reading leaves no activity';
COMMENT ON COLUMN dialstack.api_key_usage.api_key_id IS 'id of the key';
COMMENT ON COLUMN dialstack.api_key_usage.product IS 'the product that it is for';
COMMENT ON COLUMN dialstack.api_key_usage.env IS 'the environment that it is for; null once that is deleted';
COMMENT ON COLUMN dialstack.api_key_usage.kind IS 'secret or publishable';
COMMENT ON COLUMN dialstack.api_key_usage.name IS 'display name';
COMMENT ON COLUMN dialstack.api_key_usage.hint IS 'last four characters of the key';
COMMENT ON COLUMN dialstack.api_key_usage.state IS 'active, expired or revoked';
COMMENT ON COLUMN dialstack.api_key_usage.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.api_key_usage.expires_at IS 'when it expires; null: never';
COMMENT ON COLUMN dialstack.api_key_usage.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.api_key_usage.uses IS 'operations that were done with it';
COMMENT ON COLUMN dialstack.api_key_usage.last_used_at IS 'the latest of them';
