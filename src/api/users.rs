//! Who has sessions, and which.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::places::{UserSessionsOf, user_sessions_of};
use super::required;
use crate::dashboard::users::{self, User, UserSession, Users};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::service::session_data::SessionData;
use crate::session::{Page, check_identifier};

fn users(
    product: Option<&str>,
    tag: Option<&str>,
    env: Option<&str>,
    code: Code,
) -> error::Result<Users> {
    let UserSessionsOf {
        envs,
        definition_id,
    } = user_sessions_of(product, tag, env, code)?;
    Ok(Users {
        env_ids: envs.ids,
        definition_id,
    })
}

/// A page of a definition's users, newest first, of one environment or of all.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_users(
    product: Option<&str>,
    tag: Option<&str>,
    env: default!(Option<&str>, "NULL"),
    page: default!(Option<i32>, "1"),
    per_page: default!(Option<i32>, "20"),
    with_total: default!(Option<bool>, "true"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(identifier, String),
            name!(env, String),
            name!(first_seen, TimestampWithTimeZone),
            name!(last_seen, TimestampWithTimeZone),
            name!(total_sessions, i64),
            name!(active_sessions, i64),
            name!(status, &'static str),
            name!(total, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    let code = Code::FetchUsersFailed;
    let page = Page::new(page, per_page).coded(code)?;
    let with_total = required(with_total, "with_total", code)?;
    let users = users(product, tag, env, code)?;
    let rows = users::list(&users, &page, clock::now())?;
    let total = if with_total {
        Some(users::count(&users)?)
    } else {
        None
    };
    Ok(TableIterator::new(rows.into_iter().map(move |user| {
        (
            user.identifier,
            user.env,
            user.first_seen,
            user.last_seen,
            user.total_sessions,
            user.active_sessions,
            user.status,
            total,
        )
    })))
}

/// All about one user, with the data of the user's sessions, which this decrypts.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_user_details(
    product: Option<&str>,
    tag: Option<&str>,
    identifier: Option<&str>,
    env: default!(Option<&str>, "NULL"),
) -> Result<JsonText, ErrorReport> {
    Ok(details(product, tag, identifier, env)?)
}

fn details(
    product: Option<&str>,
    tag: Option<&str>,
    identifier: Option<&str>,
    env: Option<&str>,
) -> error::Result<JsonText> {
    let code = Code::FetchUserDetailsFailed;
    let identifier = required(identifier, "identifier", code)?;
    let users = users(product, tag, env, code)?;
    check_identifier("identifier", identifier).coded(code)?;
    let now = clock::now();
    let found = users::find(&users, identifier, now)?;
    let summary = summary(&found)?.ok_or_else(|| {
        Error::new(Code::UserNotFound, "there is no user with that identifier").hint(
            "dialstack.session_users() lists those that there are; identifiers are case-sensitive.",
        )
    })?;
    let sessions = users::sessions(&users, identifier, now)?;
    let sessions = sessions.iter().map(with_data);
    let sessions = sessions.collect::<error::Result<Vec<_>>>()?;
    let latest = sessions.first().map_or("null", |(_, data)| data.as_str());
    let told: Vec<&str> = sessions.iter().map(|(told, _)| told.as_str()).collect();
    // As text: a number in the data keeps its digits.
    Ok(JsonText(format!(
        r#"{summary}, "sessions": [{}], "latestSessionData": {latest}}}"#,
        told.join(", ")
    )))
}

/// What the rows of a user, one an environment, come to: an object that is not closed yet.
fn summary(found: &[User]) -> error::Result<Option<String>> {
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let at = |at: &User,
              moment: fn(&User) -> TimestampWithTimeZone|
     -> (Micros, TimestampWithTimeZone) { (clock::micros(moment(at)), moment(at)) };
    let moments =
        |moment: fn(&User) -> TimestampWithTimeZone| found.iter().map(move |user| at(user, moment));
    let first_seen = moments(|user| user.first_seen).min_by_key(|(micros, _)| *micros);
    let last_seen = moments(|user| user.last_seen).max_by_key(|(micros, _)| *micros);
    let sum = |count: fn(&User) -> i64| found.iter().map(count).sum::<i64>();
    let active = sum(|user| user.active_sessions);
    let lately = found.iter().any(|user| user.status != "expired");
    let env = if found.len() == 1 {
        json!(first.env)
    } else {
        Value::Null
    };
    let time = |at: Option<(Micros, TimestampWithTimeZone)>| match at {
        Some((_, at)) => users::json_of(at),
        None => Ok("null".to_owned()),
    };
    Ok(Some(format!(
        r#"{{"identifier": {}, "env": {env}, "status": "{}", "first_seen": {}, "last_seen": {}, "totalSessions": {}, "activeSessionsCount": {active}"#,
        json!(first.identifier),
        users::status(active, lately),
        time(first_seen)?,
        time(last_seen)?,
        sum(|user| user.total_sessions),
    )))
}

/// A session with its data, and the data alone.
fn with_data(session: &UserSession) -> error::Result<(String, String)> {
    let data = match &session.sealed_data {
        Some(sealed) => SessionData::open(session.session_id, session.key_number, sealed)?,
        None => None,
    };
    let data = data.map_or_else(|| "null".to_owned(), |data| data.text().0);
    let told = session.told.strip_suffix('}').unwrap_or("{");
    Ok((format!(r#"{told}, "data": {data}}}"#), data))
}
