//! Looking at users: who has sessions, and which.

use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use serde_json::json;

use super::places::{Place, place};
use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{Columns, Statement, bind};
use crate::service::level::Level;
use crate::service::required;
use crate::service::user_sessions::session_data::with_data;
use crate::session::{Page, check_identifier};
use crate::tables::paging::List;
use crate::tables::persons::exported;

/// A user without a living session counts as inactive this long after being seen, then as expired.
const INACTIVE_FOR: Micros = 30 * 86_400 * clock::SECOND;

/// The newest sessions that a user's details show.
const MOST_SESSIONS: i64 = 1_000;

/// A user as lists show it.
pub struct User {
    pub identifier: String,
    pub env: String,
    /// Creation of the first session.
    pub first_seen: TimestampWithTimeZone,
    /// The latest creation or refresh of a session.
    pub last_seen: TimestampWithTimeZone,
    /// Sessions ever created.
    pub total_sessions: i64,
    pub active_sessions: i64,
    /// `active`, `inactive` or `expired`.
    pub status: &'static str,
}

fn user(row: &Columns<'_, '_>) -> Result<User> {
    let active_sessions = row.required(6)?;
    Ok(User {
        identifier: row.required(1)?,
        env: row.required(2)?,
        first_seen: row.required(3)?,
        last_seen: row.required(4)?,
        total_sessions: row.required(5)?,
        active_sessions,
        status: status(active_sessions, row.required(7)?),
    })
}

/// `active`: has a living session; `inactive`: none, seen lately; `expired`: neither.
const fn status(active_sessions: i64, seen_lately: bool) -> &'static str {
    match (active_sessions, seen_lately) {
        (1.., _) => "active",
        (_, true) => "inactive",
        (_, false) => "expired",
    }
}

/// The columns of [`User`] for the users `u`. Only their own sessions are counted, through the index by subject.
/// `$1`: now; `$2`: the definition; `$3`: from when on a user was seen lately; `$4`: environments.
macro_rules! users {
    ($users:literal) => {
        concat!(
            "WITH u AS MATERIALIZED (",
            $users,
            ") SELECT u.identifier, e.env, u.first_seen, seen.at, u.total_sessions, s.active, \
                      seen.at >= $3 \
                 FROM u \
                 JOIN dialstack.environments e USING (env_id) \
                CROSS JOIN LATERAL ( \
                      SELECT count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > $1) \
                                 AS active, \
                             max(last_seen_at) AS last_seen \
                        FROM dialstack.sessions s \
                       WHERE s.env_id = u.env_id AND s.definition_id = $2 \
                         AND s.subject = u.identifier) s \
                CROSS JOIN LATERAL (SELECT greatest(u.last_seen, s.last_seen) AS at) seen \
                ORDER BY u.first_seen DESC, u.identifier DESC, e.env_id"
        )
    };
}

/// Each environment gives its newest users in the order of its index; the page is among those.
static PAGE: Statement = Statement::new(users!(
    "SELECT u.* FROM unnest($4) AS e (env_id) \
          CROSS JOIN LATERAL ( \
                SELECT * FROM dialstack.session_users u \
                 WHERE u.env_id = e.env_id AND u.definition_id = $2 \
                 ORDER BY first_seen DESC, identifier DESC LIMIT $5 + $6) u \
          ORDER BY u.first_seen DESC, u.identifier DESC, u.env_id LIMIT $5 OFFSET $6"
));

static ONE: Statement = Statement::new(users!(
    "SELECT * FROM dialstack.session_users \
          WHERE env_id = ANY ($4) AND definition_id = $2 AND identifier = $5"
));

static TOTAL: Statement = Statement::new(
    "SELECT count(*) FROM dialstack.session_users \
           WHERE env_id = ANY ($4) AND definition_id = $2",
);

/// A page of a definition's users, newest first, and how many there are on all pages.
///
/// # Errors
/// `FETCH_USERS_FAILED` for bad arguments; those of [`place`].
pub fn list(
    [product, tag, env]: [Option<&str>; 3],
    page: Option<i32>,
    per_page: Option<i32>,
    with_total: Option<bool>,
) -> Result<(Vec<User>, Option<i64>)> {
    let code = Code::FetchUsersFailed;
    let page = Page::new(page, per_page).coded(code)?;
    let with_total = required(with_total, "with_total", code)?;
    let users = place(Level::Server, product, tag, env, code)?;
    let _plain = Setting::no_jit();
    let list = List { page: &PAGE, total: &TOTAL };
    list.read(&AsOwner::enter()?, users_of(&users, clock::now()), &page, with_total, user)
}

/// What `users!` binds.
fn users_of(users: &Place, now: Micros) -> Vec<DatumWithOid<'static>> {
    vec![
        bind(timestamptz(now)),
        bind(users.definition_id),
        bind(timestamptz(now - INACTIVE_FOR)),
        bind(users.envs.ids.clone()),
    ]
}

/// All about one user, with the data of the user's sessions.
///
/// # Errors
/// `USER_NOT_FOUND`; `FETCH_USER_DETAILS_FAILED` for bad arguments; those of [`place`].
pub fn details([product, tag, env]: [Option<&str>; 3], identifier: Option<&str>) -> Result<JsonText> {
    let code = Code::FetchUserDetailsFailed;
    let identifier = required(identifier, "identifier", code)?;
    let users = place(Level::Server, product, tag, env, code)?;
    check_identifier("identifier", identifier).coded(code)?;
    let now = clock::now();
    let owner = AsOwner::enter()?;
    let _plain = Setting::no_jit();
    let mut arguments = users_of(&users, now);
    arguments.push(bind(identifier));
    let found = ONE.read(&owner, &arguments, user)?;
    let summary = summary(&found).ok_or_else(|| {
        Error::new(Code::UserNotFound, "there is no user with that identifier")
            .hint("dialstack.session_users() lists those that there are; identifiers are case-sensitive.")
    })?;
    let arguments = [
        bind(timestamptz(now)),
        bind(users.definition_id),
        bind(users.envs.ids),
        bind(identifier),
        bind(MOST_SESSIONS),
    ];
    let sessions = SESSIONS.read(&owner, &arguments, exported)?;
    let sessions = sessions.iter().map(with_data).collect::<Result<Vec<_>>>()?;
    let latest = sessions.first().map_or("null", |(_, data)| data.as_str());
    let shown: Vec<&str> = sessions.iter().map(|(shown, _)| shown.as_str()).collect();
    // Put together as text, so that a number in the data keeps its digits.
    let summary = summary.strip_suffix('}').unwrap_or("{");
    Ok(JsonText(format!(r#"{summary}, "sessions": [{}], "latestSessionData": {latest}}}"#, shown.join(", "))))
}

/// The sums over a user's rows, one an environment, as a JSON object; `None` without a row.
fn summary(found: &[User]) -> Option<String> {
    let first = found.first()?;
    let sum = |count: fn(&User) -> i64| found.iter().map(count).sum::<i64>();
    let active = sum(|user| user.active_sessions);
    let summary = json!({
        "identifier": first.identifier,
        "env": (found.len() == 1).then_some(&first.env),
        "status": status(active, found.iter().any(|user| user.status != "expired")),
        "first_seen": found.iter().map(|user| user.first_seen).min(),
        "last_seen": found.iter().map(|user| user.last_seen).max(),
        "totalSessions": sum(|user| user.total_sessions),
        "activeSessionsCount": active,
    });
    Some(summary.to_string())
}

static SESSIONS: Statement = Statement::new(
    "SELECT json_build_object( \
                     'session_id', s.session_id, 'env', n.env, 'start_at', s.created_at, \
                     'end_at', least(s.expires_at, coalesce(s.revoked_at, s.expires_at)), \
                     'active', s.revoked_at IS NULL AND s.expires_at > $1, \
                     'ip', s.ip, 'user_agent', s.user_agent)::text, \
                 s.session_id, s.key_number, s.sealed_data \
            FROM unnest($3) AS e (env_id) \
           CROSS JOIN LATERAL ( \
                 SELECT * FROM dialstack.sessions s \
                  WHERE s.env_id = e.env_id AND s.definition_id = $2 AND s.subject = $4 \
                  ORDER BY s.created_at DESC, s.session_id LIMIT $5) s \
            JOIN dialstack.environments n ON n.env_id = s.env_id \
           ORDER BY s.created_at DESC, s.session_id LIMIT $5",
);
