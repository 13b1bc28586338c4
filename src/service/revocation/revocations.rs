//! Revoking sessions. Locking order: the user's row, the name of an account, then sessions.

use pgrx::datum::DatumWithOid;
use serde_json::json;
use uuid::Uuid;

use crate::error::{Code, Coded, Error, Result};
use crate::guc;
use crate::log_events::Event;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::bind;
use crate::pg::transaction::subtransaction;
use crate::service::{events, required};
use crate::session::verdict::{REVOKED_FOR_REUSE, check_reason};
use crate::tables::activity::Origin;
use crate::tables::client_sessions;
use crate::tables::revocations as sql;
use crate::tables::session_sets::Matching;
use crate::tables::session_users::{self, UserKey};
use crate::tables::sessions::{self, SessionRow, change, purge_after};

/// Which sessions to revoke.
pub enum Which<'a> {
    /// The user or account session with this id.
    One(Uuid),
    /// All of a user, but for one.
    User {
        user: UserKey<'a>,
        /// The one that stays.
        except: Option<Uuid>,
    },
    /// The client session with this id.
    Client(Uuid),
    /// All of the environment and of the definition, as far as they are given.
    All { env_id: Option<i32>, definition_id: Option<i32> },
    /// Those that a filter of administrators finds.
    Matching(&'a Matching<'a>),
}

/// Why sessions are revoked, and how it shows in their activity.
#[derive(Clone, Copy)]
pub struct Cause<'a> {
    /// What the row's `revoke_reason` says.
    pub reason: &'a str,
    /// `revoke`, `reuse` or `evict`.
    pub operation: &'static str,
    /// `success`, or `fail` where the caller's own operation failed by it.
    pub status: &'static str,
    /// Who caused it, where that is not the session's own user.
    pub origin: Origin<'a>,
}

impl<'a> Cause<'a> {
    /// This cause with the origin of the request.
    pub const fn by(self, origin: Origin<'a>) -> Cause<'a> {
        Cause { origin, ..self }
    }
}

/// A revocation that was asked for, with the reason that the caller gives.
///
/// # Errors
/// `REVOKE_FAILED` for a reason that is NULL or not valid (see [`check_reason`]).
pub fn because(reason: Option<&str>) -> Result<Cause<'_>> {
    let code = Code::RevokeFailed;
    let reason = required(reason, "reason", code)?;
    check_reason(reason).coded(code)?;
    Ok(Cause { reason, ..REVOKED })
}

/// A caller asked for it.
pub const REVOKED: Cause<'_> =
    Cause { reason: "revoked", operation: "revoke", status: "success", origin: Origin::UNKNOWN };
/// A newer session took its place.
pub const EVICTED: Cause<'_> =
    Cause { reason: "evicted", operation: "evict", status: "success", origin: Origin::UNKNOWN };
/// An old refresh token was presented.
pub const REUSED: Cause<'_> =
    Cause { reason: REVOKED_FOR_REUSE, operation: "reuse", status: "fail", origin: Origin::UNKNOWN };
/// The key that it depends on was revoked.
pub const KEY_REVOKED: Cause<'_> = Cause { reason: "key_revoked", ..REVOKED };
pub const ERASED: Cause<'_> = Cause { reason: "erased", ..REVOKED };
pub const ENV_DELETED: Cause<'_> = Cause { reason: "env_deleted", ..REVOKED };
pub const DEFINITION_DELETED: Cause<'_> = Cause { reason: "definition_deleted", ..REVOKED };
pub const INSTANCE_RESET: Cause<'_> = Cause { reason: "instance_reset", ..REVOKED };

/// Revokes the living sessions among those meant, counts them and returns how many. Idempotent.
pub fn revoke(owner: &AsOwner, which: &Which<'_>, cause: Cause<'_>, now: Micros) -> Result<i64> {
    let revoked = revoke_living(owner, which, cause, now)?;
    if revoked > 0 {
        subtransaction::count(revoked.unsigned_abs());
        let session_id = match which {
            Which::One(session_id) | Which::Client(session_id) => Some(session_id.to_string()),
            _ => None,
        };
        let (operation, reason) = (cause.operation, cause.reason);
        events::log(
            Event::Revoke,
            || json!({ "operation": operation, "reason": reason, "sessions": revoked, "session_id": session_id }),
        )?;
    }
    Ok(revoked)
}

fn revoke_living(owner: &AsOwner, which: &Which<'_>, cause: Cause<'_>, now: Micros) -> Result<i64> {
    let mut arguments = vec![
        bind(timestamptz(now)),
        bind(cause.reason),
        bind(purge_after(now)),
        bind(cause.operation),
        bind(cause.status),
        bind(cause.origin.ip.cloned()),
        bind(cause.origin.user_agent),
        bind(clock::latency(now)),
        bind(cause.origin.api_key_id.as_ref().map(pg_uuid)),
        bind(guc::notify_revocations()),
    ];
    match which {
        Which::One(session_id) => {
            // A refresh that is not committed yet may be giving it more time: wait for it.
            change::lock(owner, session_id)?;
            arguments.push(bind(pg_uuid(session_id)));
            sql::ONE.count_writing(owner, &arguments)
        }
        Which::User { user, except } => {
            session_users::lock(owner, *user, now)?;
            let mut revoked = 0;
            if !session_users::living(owner, *user, now)?.is_empty() {
                arguments.extend(user.bound([bind(except.as_ref().map(pg_uuid))]));
                revoked = sql::USER.count_writing(owner, &arguments)?;
            }
            session_users::forget_unknown(owner, *user)?;
            Ok(revoked)
        }
        Which::Client(session_id) => {
            client_sessions::change::lock(owner, session_id)?;
            arguments.push(bind(pg_uuid(session_id)));
            sql::CLIENT.count_writing(owner, &arguments)
        }
        Which::All { env_id, definition_id } => all(owner, *env_id, *definition_id, arguments, now),
        // Creates go on: a set is what there is when the statement begins.
        Which::Matching(filter) => matching(owner, filter, arguments, now),
    }
}

/// Revokes what a filter matches.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show one that may be meant.
fn matching<'a>(
    owner: &AsOwner,
    filter: &'a Matching<'a>,
    mut arguments: Vec<DatumWithOid<'a>>,
    now: Micros,
) -> Result<i64> {
    arguments.extend(filter.arguments());
    let _by_index = Setting::custom_plans();
    let _by_id = Setting::nested_loops();
    let mut revoked = sql::MATCHING.count_writing(owner, &arguments)?;
    check_none_hidden(|row| row.lives(now) && filter.may_mean(row))?;
    // Who means none waits for nobody who has their table locked.
    if filter.may_mean_clients() {
        revoked += sql::MATCHING_CLIENTS.count_writing(owner, &arguments)?;
        check_done(!client_sessions::any_hidden(|row| row.lives(now) && filter.is_of_env(row.env_id))?)?;
    }
    Ok(revoked)
}

/// Revokes all of an environment and of a definition, as far as they are given, with creates kept out.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show one of them.
fn all(
    owner: &AsOwner,
    env_id: Option<i32>,
    definition_id: Option<i32>,
    arguments: Vec<DatumWithOid<'_>>,
    now: Micros,
) -> Result<i64> {
    sql::KEEP_CREATES_OUT.execute(owner, &[])?;
    let filter = Matching {
        env_ids: env_id.map(|id| vec![id]),
        definition_ids: definition_id.map(|id| vec![id]),
        ..Matching::default()
    };
    matching(owner, &filter, arguments, now)
}

/// Refuses to go on where a user or account session like that is left which the transaction's snapshot does not show.
pub fn check_none_hidden(like: impl Fn(&SessionRow) -> bool) -> Result<()> {
    check_done(!sessions::any_hidden(like)?)
}

/// Refuses to go on where something could not be done, because the transaction's snapshot does not show it.
pub fn check_done(done: bool) -> Result<()> {
    if done { Ok(()) } else { Err(conflict()) }
}

/// A living session that the transaction's snapshot does not show as it is.
pub fn conflict() -> Error {
    Error::new(Code::Conflict, "a session changed after this transaction began")
        .hint("Retry the transaction.")
}
