//! Users, activity and figures.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::{Result, functions};
use crate::dashboard::{figures, logs, users};
use crate::pg::datum::json::JsonText;

functions! { FUNCTIONS;
    /// A page of a definition's users, newest first, of one environment or of all of the product.
    #[level(Server)]
    fn session_users(
        product: Option<&str>,
        tag: Option<&str>,
        env: default!(Option<&str>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "20"),
        with_total: default!(Option<bool>, "true"),
    ) => table_page {
        identifier: String,
        env: String,
        first_seen: TimestampWithTimeZone,
        last_seen: TimestampWithTimeZone,
        total_sessions: i64,
        active_sessions: i64,
        status: String,
    } {
        users::list([product, tag, env], page, per_page, with_total)?
    }

    /// All about one user, with the data of their sessions.
    #[level(Server)]
    fn session_user_details(
        product: Option<&str>,
        tag: Option<&str>,
        identifier: Option<&str>,
        env: default!(Option<&str>, "NULL"),
    ) -> Result<JsonText> {
        Ok(users::details([product, tag, env], identifier)?)
    }

    /// A page of what happened to sessions, newest first.
    #[level(Server)]
    fn session_activity_logs(
        product: Option<&str>,
        tag: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        identifier: default!(Option<&str>, "NULL"),
        status: default!(Option<&str>, "NULL"),
        start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "20"),
        with_total: default!(Option<bool>, "true"),
    ) => table_page {
        activity_id: i64,
        at: TimestampWithTimeZone,
        product: String,
        env: String,
        tag: Option<String>,
        kind: String,
        operation: String,
        status: String,
        reason: Option<String>,
        session_id: Option<pgrx::Uuid>,
        identifier: Option<String>,
        latency_us: Option<i32>,
        ip: Option<Inet>,
        user_agent: Option<String>,
        detail: Option<JsonText>,
    } {
        let (place, time) = ([product, tag, env], [start_at, end_at]);
        logs::activity(place, identifier, status, time, [page, per_page], with_total)?
    }

    /// Figures and series of a definition's sessions, in one environment or in all of the product.
    #[level(Server, Monitor)]
    fn session_dashboard(
        product: Option<&str>,
        tag: Option<&str>,
        env: default!(Option<&str>, "NULL"),
        group_by: default!(Option<&str>, "'day'"),
        start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        time_zone: default!(Option<&str>, "NULL"),
    ) -> Result<JsonText> {
        Ok(figures::sessions([product, tag, env], group_by, [start_at, end_at], time_zone)?)
    }

    /// Figures and series of one user's operations, as far back as activity is kept.
    #[level(Server)]
    fn session_user_dashboard(
        product: Option<&str>,
        tag: Option<&str>,
        identifier: Option<&str>,
        env: default!(Option<&str>, "NULL"),
        group_by: default!(Option<&str>, "'day'"),
        start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        time_zone: default!(Option<&str>, "NULL"),
    ) -> Result<JsonText> {
        Ok(figures::user([product, tag, env], identifier, group_by, [start_at, end_at], time_zone)?)
    }
}
