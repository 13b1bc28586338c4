//! The dashboards of user sessions.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::places::{UserSessionsOf, user_sessions_of};
use super::required;
use crate::dashboard::figures::{self, Range};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::time_zone;
use crate::session::series::{self, GroupBy};
use crate::session::{Problem, check_identifier};

const CODE: Code = Code::FetchDashboardFailed;

/// What both dashboards are asked for.
struct Asked<'a> {
    product: Option<&'a str>,
    tag: Option<&'a str>,
    env: Option<&'a str>,
    group_by: Option<&'a str>,
    start_at: Option<TimestampWithTimeZone>,
    end_at: Option<TimestampWithTimeZone>,
    time_zone: Option<&'a str>,
}

impl Asked<'_> {
    fn place(&self) -> error::Result<UserSessionsOf> {
        user_sessions_of(self.product, self.tag, self.env, CODE)
    }

    /// Calls `with` with the range of the series.
    fn with_range<T>(
        &self,
        now: Micros,
        with: impl FnOnce(&Range<'_>) -> error::Result<T>,
    ) -> error::Result<T> {
        let group_by = GroupBy::parse(required(self.group_by, "group_by", CODE)?)
            .ok_or_else(|| Problem::not_one_of("group_by", GroupBy::TEXTS))
            .coded(CODE)?;
        let start_at = self.start_at.map(clock::micros);
        let end_at = self.end_at.map(clock::micros);
        let (first, last) = series::range(group_by, start_at, end_at, now).coded(CODE)?;
        let default = time_zone::of_session();
        let time_zone = self.time_zone.unwrap_or(&default);
        time_zone::check(time_zone, &[first, last, now])?;
        with(&Range {
            group_by: group_by.as_str(),
            first,
            last,
            time_zone,
        })
    }
}

fn unknown_definition() -> Error {
    Error::new(Code::Conflict, "the definition changed meanwhile").hint("Retry the transaction.")
}

fn of_sessions(asked: &Asked<'_>) -> error::Result<JsonText> {
    let UserSessionsOf {
        envs,
        definition_id,
    } = asked.place()?;
    let now = clock::now();
    asked.with_range(now, |range| {
        figures::sessions(envs, definition_id, range, now)?.ok_or_else(unknown_definition)
    })
}

fn of_user(asked: &Asked<'_>, identifier: Option<&str>) -> error::Result<JsonText> {
    let identifier = required(identifier, "identifier", CODE)?;
    check_identifier("identifier", identifier).coded(CODE)?;
    let UserSessionsOf {
        envs,
        definition_id,
    } = asked.place()?;
    asked.with_range(clock::now(), |range| {
        figures::user(envs, definition_id, identifier, range)?.ok_or_else(|| {
            Error::new(
                Code::UserNotFound,
                "nobody with that identifier ever had a session there",
            )
            .hint("dialstack.session_users() lists the users; identifiers are case-sensitive.")
        })
    })
}

/// Figures and series of a definition's user sessions, in one environment or all of the product.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_dashboard(
    product: Option<&str>,
    tag: Option<&str>,
    env: default!(Option<&str>, "NULL"),
    group_by: default!(Option<&str>, "'day'"),
    start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    time_zone: default!(Option<&str>, "NULL"),
) -> Result<JsonText, ErrorReport> {
    Ok(of_sessions(&Asked {
        product,
        tag,
        env,
        group_by,
        start_at,
        end_at,
        time_zone,
    })?)
}

/// Figures and series of one user's operations, as far back as activity is kept.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_user_dashboard(
    product: Option<&str>,
    tag: Option<&str>,
    identifier: Option<&str>,
    env: default!(Option<&str>, "NULL"),
    group_by: default!(Option<&str>, "'day'"),
    start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    time_zone: default!(Option<&str>, "NULL"),
) -> Result<JsonText, ErrorReport> {
    let asked = Asked {
        product,
        tag,
        env,
        group_by,
        start_at,
        end_at,
        time_zone,
    };
    Ok(of_user(&asked, identifier)?)
}
