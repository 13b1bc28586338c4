-- What rows of activity change in what is counted of sessions. Continues a WITH list whose CTE `uncounted` holds rows
-- of activity, with 0 as the definition of account sessions and -1 as that of client sessions; ends with the CTE
-- `of_sessions`: at `at`, `metric` changes by `count` and `sum`. The rollups are the sums of changes, and what is
-- newer is added to them as such.
--
--   OPERATION/STATUS  operations, by when they happened; sum: microseconds that they took
--   ends              unrevoked sessions, by their end; sum: seconds from creation to end
--   revoked           revoked sessions, by their revocation or deletion; sum: seconds from creation until then
of_sessions AS MATERIALIZED (
    SELECT env_id, definition_id, operation || '/' || status AS metric, at, 1::bigint AS count,
           coalesce(latency_us, 0)::numeric AS sum
      FROM uncounted
    UNION ALL
    SELECT n.env_id, n.definition_id, 'ends', e.at, e.count,
           e.count * extract(epoch FROM e.at - coalesce(n.session_created_at, n.at))
      FROM uncounted n
     CROSS JOIN LATERAL (VALUES (n.expires_after, 1), (n.expires_before, -1)) AS e (at, count)
     WHERE e.at IS NOT NULL AND n.expires_before IS DISTINCT FROM n.expires_after
    UNION ALL
    -- A revocation may have begun before the creation that it waited for.
    SELECT env_id, definition_id, 'revoked', at, 1,
           greatest(extract(epoch FROM at - session_created_at), 0)
      FROM uncounted
     WHERE expires_before IS NOT NULL AND expires_after IS NULL
)
