//! The table `activity`. What changes a session notes it in the same statement; this notes the rest.

use pgrx::datum::Inet;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::session::cut_user_agent;
use crate::tables::session_users::UserKey;

/// Where a request came from, as far as the application says, and with which API key.
#[derive(Clone, Copy, Default)]
pub struct Origin<'a> {
    pub ip: Option<&'a Inet>,
    /// User agent of the user, of at most 1,000 characters.
    pub user_agent: Option<&'a str>,
    /// The API key that the caller presents.
    pub api_key_id: Option<Uuid>,
}

impl Origin<'_> {
    pub const UNKNOWN: Origin<'static> = Origin { ip: None, user_agent: None, api_key_id: None };

    /// From this user, as the application says.
    pub fn of_user<'a>(ip: Option<&'a Inet>, user_agent: Option<&'a str>) -> Origin<'a> {
        Origin { ip, user_agent: user_agent.map(cut_user_agent), api_key_id: None }
    }

    /// From a caller with this API key, if any.
    pub const fn of_key(api_key_id: Option<Uuid>) -> Origin<'static> {
        Origin { api_key_id, ..Origin::UNKNOWN }
    }
}

/// Notes an operation that changed no session.
macro_rules! note {
    ($condition:literal) => {
        Statement::new(concat!(
            "INSERT INTO dialstack.activity \
                  (at, month, session_id, env_id, definition_id, kind, operation, status, reason, \
                   subject, ip, user_agent, latency_us) \
             SELECT $1, extract(month FROM $1 AT TIME ZONE 'UTC'), $2, $3, $4, 'user', $5, \
                    CASE WHEN $6 IS NULL THEN 'success' ELSE 'fail' END, $6, $7, $8, $9, $10",
            $condition
        ))
    };
}

static NOTE: Statement = note!("");

/// Only where fewer than ten of the twenty rows that the user got last in an hour are refused refreshes: a caller that
/// presents dead tokens again and again must not fill the disk. On its own: with the condition, a statement is planned
/// anew each time, which would double what a noted verification costs.
static NOTE_REFUSED_REFRESH: Statement = note!(
    " WHERE (SELECT count(*) \
               FROM (SELECT operation, status FROM dialstack.activity \
                      WHERE month = extract(month FROM $1 AT TIME ZONE 'UTC')::smallint \
                        AND env_id = $3 AND subject = $7 AND at > $1 - interval '1 hour' \
                      ORDER BY at DESC LIMIT 20) a \
              WHERE operation = 'refresh' AND status = 'fail') < 10"
);

/// Notes an operation (`verify` or `refresh`) on a user session that did not change it; `refused` says why it failed. A
/// refused refresh is not noted where ten of the user's were lately.
pub fn note(
    session_id: &Uuid,
    user: UserKey<'_>,
    operation: &'static str,
    refused: Option<&'static str>,
    began: Micros,
    origin: Origin<'_>,
) -> Result<()> {
    let arguments = [
        bind(timestamptz(began)),
        bind(pg_uuid(session_id)),
        bind(user.env_id),
        bind(user.definition_id),
        bind(operation),
        bind(refused),
        bind(user.identifier),
        bind(origin.ip.cloned()),
        bind(origin.user_agent),
        bind(clock::latency(began)),
    ];
    let statement = match (operation, refused) {
        ("refresh", Some(_)) => &NOTE_REFUSED_REFRESH,
        _ => &NOTE,
    };
    statement.execute(&AsOwner::enter()?, &arguments).map(|_| ())
}
