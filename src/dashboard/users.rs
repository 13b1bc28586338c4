//! Looking at users: who has sessions, and which.

use pgrx::datum::DatumWithOid;

use super::places::{Place, place};
use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::level::Level;
use crate::service::required;
use crate::service::user_sessions::session_data::with_data;
use crate::session::{Page, check_identifier};
use crate::tables::paging;

/// A user without a living session counts as inactive this long after being seen, then as expired.
const INACTIVE_FOR: Micros = 30 * 86_400 * clock::SECOND;

/// The newest sessions that a user's details show.
const MOST_SESSIONS: i64 = 1_000;

/// The users `$users` with their sessions, which are counted through the index by subject. `$1`: now; `$2`: the
/// definition; `$3`: from when on a user was seen lately; `$4`: environments.
macro_rules! users {
    ($users:literal, $shown:expr) => {
        concat!(
            "WITH u AS MATERIALIZED (",
            $users,
            "), shown AS ( \
               SELECT u.identifier, e.env, e.env_id, u.first_seen, seen.at AS last_seen, u.total_sessions, s.active, \
                      CASE WHEN s.active > 0 THEN 1 WHEN seen.at >= $3 THEN 2 ELSE 3 END AS status \
                 FROM u \
                 JOIN dialstack.environments e USING (env_id) \
                CROSS JOIN LATERAL ( \
                      SELECT count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > $1) \
                                 AS active, \
                             max(last_seen_at) AS last_seen \
                        FROM dialstack.sessions s \
                       WHERE s.env_id = u.env_id AND s.definition_id = $2 \
                         AND s.subject = u.identifier) s \
                CROSS JOIN LATERAL (SELECT greatest(u.last_seen, s.last_seen) AS at) seen) ",
            $shown
        )
    };
}

/// The name of a status.
macro_rules! named {
    ($number:literal) => {
        concat!("(ARRAY['active', 'inactive', 'expired'])[", $number, "]")
    };
}

/// Each environment gives its newest users in the order of its index; the page is among those.
static PAGE: Statement = Statement::new(users!(
    "SELECT u.* FROM unnest($4) AS e (env_id) \
          CROSS JOIN LATERAL ( \
                SELECT * FROM dialstack.session_users u \
                 WHERE u.env_id = e.env_id AND u.definition_id = $2 \
                 ORDER BY first_seen DESC, identifier DESC LIMIT $5 + $6) u \
          ORDER BY u.first_seen DESC, u.identifier DESC, u.env_id LIMIT $5 OFFSET $6",
    concat!(
        "SELECT identifier, env, first_seen, last_seen, total_sessions, active, ",
        named!("status"),
        " FROM shown ORDER BY first_seen DESC, identifier DESC, env_id"
    )
));

/// The sums over a user's rows, one an environment.
static SUMMARY: Statement = Statement::new(users!(
    "SELECT * FROM dialstack.session_users \
          WHERE env_id = ANY ($4) AND definition_id = $2 AND identifier = $5",
    concat!(
        "SELECT json_build_object( \
             'identifier', min(identifier), 'env', CASE count(*) WHEN 1 THEN min(env) END, \
             'status', ",
        named!("min(status)"),
        ", 'first_seen', min(first_seen), 'last_seen', max(last_seen), \
             'totalSessions', sum(total_sessions), 'activeSessionsCount', sum(active))::text \
           FROM shown HAVING count(*) > 0"
    )
));

static TOTAL: Statement = Statement::new(
    "SELECT count(*) FROM dialstack.session_users \
           WHERE env_id = ANY ($4) AND definition_id = $2",
);

/// A page of a definition's users, newest first, and how many there are on all pages.
///
/// # Errors
/// `FETCH_USERS_FAILED` for bad arguments; those of [`place`].
pub fn list<R: FromRow>(
    named: [Option<&str>; 3],
    page: Option<i32>,
    per_page: Option<i32>,
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    let code = Code::FetchUsersFailed;
    let page = Page::new(page, per_page).coded(code)?;
    let with_total = required(with_total, "with_total", code)?;
    let users = place(Level::Server, named, code)?;
    let _plain = Setting::no_jit();
    let list = [&PAGE, &TOTAL];
    paging::read(&AsOwner::enter()?, list, users_of(&users, clock::now()), &page, with_total, R::from_row)
}

/// What `users!` binds.
fn users_of(users: &Place, now: Micros) -> Vec<DatumWithOid<'static>> {
    vec![
        bind(timestamptz(now)),
        bind(users.definition_id),
        bind(timestamptz(now - INACTIVE_FOR)),
        bind(users.env_ids.clone()),
    ]
}

/// All about one user, with the data of the user's sessions.
///
/// # Errors
/// `USER_NOT_FOUND`; `FETCH_USER_DETAILS_FAILED` for bad arguments; those of [`place`].
pub fn details(named: [Option<&str>; 3], identifier: Option<&str>) -> Result<JsonText> {
    let code = Code::FetchUserDetailsFailed;
    let identifier = required(identifier, "identifier", code)?;
    let users = place(Level::Server, named, code)?;
    check_identifier("identifier", identifier).coded(code)?;
    let now = clock::now();
    let owner = AsOwner::enter()?;
    let _plain = Setting::no_jit();
    let mut arguments = users_of(&users, now);
    arguments.push(bind(identifier));
    let found = SUMMARY.read(&owner, &arguments, |row| row.required::<String>(1))?;
    let summary = found.first().ok_or_else(|| {
        Error::new(Code::UserNotFound, "there is no user with that identifier")
            .hint("dialstack.session_users() lists those that there are; identifiers are case-sensitive.")
    })?;
    let arguments = [
        bind(timestamptz(now)),
        bind(users.definition_id),
        bind(users.env_ids),
        bind(identifier),
        bind(MOST_SESSIONS),
    ];
    let sessions = SESSIONS.read(&owner, &arguments, FromRow::from_row)?;
    let sessions = sessions.iter().map(with_data).collect::<Result<Vec<_>>>()?;
    let latest = sessions.first().map_or("null", |(_, data)| data.as_str());
    let shown: Vec<&str> = sessions.iter().map(|(shown, _)| shown.as_str()).collect();
    // Put together as text, so that a number in the data keeps its digits.
    let summary = summary.strip_suffix('}').unwrap_or("{");
    Ok(JsonText(format!(r#"{summary}, "sessions": [{}], "latestSessionData": {latest}}}"#, shown.join(", "))))
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
