//! User sessions that exist: listing, changing and ending them.

use pgrx::datum::{Inet, Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::{Result, functions};
use crate::dashboard::sessions;
use crate::pg::datum::jsonb::Jsonb;
use crate::service::revocation::revoke;
use crate::service::user_sessions::change;

functions! { FUNCTIONS;
    /// Revokes one session of any kind by its id, or all user sessions of a user; returns how many.
    ///
    /// A session must belong to what else is given. A user's end in all definitions where no tag is given, and in
    /// all environments of the product where no env is.
    #[level(Server)]
    fn session_revoke(
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        session_id: default!(Option<pgrx::Uuid>, "NULL"),
        identifier: default!(Option<&str>, "NULL"),
        reason: default!(Option<&str>, "'revoked'"),
    ) -> Result<i64> {
        Ok(revoke::revoke([product, env, tag], session_id, identifier, reason)?)
    }

    /// Revokes all sessions of a user, but for one if it is named; returns how many.
    #[level(Server)]
    fn session_revoke_all(
        product: Option<&str>,
        env: Option<&str>,
        tag: Option<&str>,
        identifier: Option<&str>,
        except_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        reason: default!(Option<&str>, "'revoked'"),
    ) -> Result<i64> {
        Ok(revoke::revoke_all([product, env, tag], identifier, except_session_id, reason)?)
    }

    /// Replaces the data of a living session.
    ///
    /// Access tokens that are out keep the old data; `session_verify` returns the new data at once.
    #[level(Server)]
    fn session_update_data(
        session_id: Option<pgrx::Uuid>,
        data: Option<Jsonb<'_>>,
    ) => table { session_id: pgrx::Uuid, expires_at: TimestampWithTimeZone } {
        vec![change::update_data(session_id, data)?]
    }

    /// Moves the end of a living session, within what its definition allows.
    ///
    /// Access tokens that are out keep their own expiry.
    #[level(Server)]
    fn session_extend(
        session_id: Option<pgrx::Uuid>,
        by: Option<Interval>,
    ) => table { session_id: pgrx::Uuid, expires_at: TimestampWithTimeZone } {
        vec![change::extend(session_id, by)?]
    }

    /// Notes that the user of a living session has just proved again who they are, for max_age of session_verify.
    #[level(Server)]
    fn session_reauthenticate(
        session_id: Option<pgrx::Uuid>,
    ) => table { session_id: pgrx::Uuid, authenticated_at: TimestampWithTimeZone } {
        vec![change::reauthenticate(session_id)?]
    }

    /// A page of sessions, of one user (newest first) or of all of a definition (by identifier).
    #[level(Server)]
    fn session_list(
        product: Option<&str>,
        env: Option<&str>,
        tag: Option<&str>,
        identifier: default!(Option<&str>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "10"),
        active_only: default!(Option<bool>, "true"),
        with_total: default!(Option<bool>, "true"),
    ) => table_page {
        session_id: pgrx::Uuid,
        identifier: Option<String>,
        start_at: TimestampWithTimeZone,
        end_at: TimestampWithTimeZone,
        active: bool,
        last_seen_at: TimestampWithTimeZone,
        ip: Option<Inet>,
        user_agent: Option<String>,
    } {
        sessions::list([product, env, tag], identifier, active_only, [page, per_page], with_total)?
    }

    /// All about one session but its data, dead or alive.
    #[level(Server)]
    fn session_info(session_id: Option<pgrx::Uuid>) => table {
        session_id: pgrx::Uuid,
        identifier: Option<String>,
        start_at: TimestampWithTimeZone,
        end_at: TimestampWithTimeZone,
        active: bool,
        last_seen_at: TimestampWithTimeZone,
        ip: Option<Inet>,
        user_agent: Option<String>,
        kind: String,
        product: Option<String>,
        env: Option<String>,
        tag: Option<String>,
        generation: i32,
        revoked_at: Option<TimestampWithTimeZone>,
        revoke_reason: Option<String>,
        scopes: Option<Vec<String>>,
    } {
        sessions::info(session_id)?
    }
}
