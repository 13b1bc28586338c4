//! The statements that revoke sessions, each with the plan of its index, and note it in the activity.
//!
//! All bind the same ten values first: the time, the reason, the last day, the operation and
//! the status of the activity, address and user agent where they are not the session's own, the latency, the API key,
//! and whether programs that LISTEN are notified, at commit: of each session by its id, and of more than 1,000 by one
//! notification without an id. The server keeps them all until the transaction ends, and then in one queue for all
//! databases. They return how many were revoked.

use crate::pg::statements::Statement;
use crate::tables::session_sets::conditions;

/// What is revoked is locked first, in one order for all callers, so that no two of them wait for each other: users'
/// sessions as [`session_users`](crate::tables::session_users) locks them, then those of accounts.
macro_rules! revocation {
    (sessions $condition:expr) => {
        revocation!(
            "sessions",
            "definition_id IS NULL, env_id, definition_id, subject, created_at, session_id",
            "definition_id, CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind, \
             coalesce(identifier, subject) AS subject, \
             CASE WHEN definition_id IS NULL THEN subject END AS account, ip, user_agent",
            $condition
        )
    };
    (client_sessions $condition:expr) => {
        revocation!(
            "client_sessions",
            "session_id",
            "NULL::integer AS definition_id, 'client' AS kind, NULL::text AS subject, \
             NULL::text AS account, NULL::inet AS ip, NULL::text AS user_agent",
            $condition
        )
    };
    ($table:literal, $order:literal, $of_family:literal, $condition:expr) => {
        Statement::new(concat!(
            "WITH meant AS MATERIALIZED ( \
                     SELECT session_id AS id FROM dialstack.",
            $table,
            " WHERE revoked_at IS NULL AND expires_at > $1 AND ",
            $condition,
            " ORDER BY ",
            $order,
            " FOR NO KEY UPDATE), \
                 revoked AS ( \
                     UPDATE dialstack.",
            $table,
            " SET revoked_at = $1, revoke_reason = $2, purge_after = $3 \
                       FROM meant WHERE session_id = id \
                  RETURNING session_id, env_id, created_at, expires_at, ",
            $of_family,
            "), \
                 logged AS ( \
                     INSERT INTO dialstack.activity \
                         (at, month, session_id, api_key_id, env_id, definition_id, kind, \
                          operation, status, reason, subject, account, ip, user_agent, latency_us, \
                          session_created_at, expires_before) \
                     SELECT $1, extract(month FROM $1 AT TIME ZONE 'UTC'), session_id, $9, env_id, \
                            definition_id, kind, $4, $5, $2, subject, account, coalesce($6, ip), \
                            coalesce($7, user_agent), $8, created_at, expires_at \
                       FROM revoked) \
                 SELECT count(*), \
                        CASE WHEN NOT $10 THEN 0 \
                             WHEN count(*) > 1000 \
                             THEN (SELECT count(pg_notify('dialstack_sessions', ''))) \
                             ELSE (SELECT count(pg_notify('dialstack_sessions', session_id::text)) \
                                     FROM revoked) END \
                   FROM revoked"
        ))
    };
}

/// A user or account session: id.
pub static ONE: Statement = revocation!(sessions "session_id = $11");

/// A client session: id.
pub static CLIENT: Statement = revocation!(client_sessions "session_id = $11");

/// All of a user, but for one: environment, definition, identifier, id or null.
pub static USER: Statement = revocation!(
    sessions "env_id = $11 AND definition_id = $12 AND subject = $13 \
         AND ($14 IS NULL OR session_id <> $14)"
);

/// User and account sessions that match a filter.
pub static MATCHING: Statement = revocation!(sessions conditions!(sessions));

/// Client sessions that match a filter.
pub static MATCHING_CLIENTS: Statement = revocation!(client_sessions conditions!(clients));

/// Keeps creates out until the transaction ends, so that a whole environment or definition dies
/// without a straggler and without a deadlock. Verifies and refreshes go on.
pub static KEEP_CREATES_OUT: Statement =
    Statement::new("LOCK TABLE dialstack.session_users IN SHARE ROW EXCLUSIVE MODE");
