//! The table `session_users`: one row a user, which is locked before the user's sessions are counted
//! or revoked, so that the cap and revoke-all are exact.

use pgrx::datum::DatumWithOid;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::table;
use crate::tables::sessions::Sessions;

table! {
    SessionUsers = c"session_users" {
        env_id: Int4,
        definition_id: Int4,
        identifier: Text,
        first_seen: Timestamptz,
        last_seen: Timestamptz,
        total_sessions: Int8,
    }
}

/// A user of a definition in an environment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserKey<'a> {
    pub env_id: i32,
    pub definition_id: i32,
    pub identifier: &'a str,
}

impl<'a> UserKey<'a> {
    /// The key and more as parameters.
    pub fn bound<const N: usize>(self, more: [DatumWithOid<'a>; N]) -> Vec<DatumWithOid<'a>> {
        let key = [bind(self.env_id), bind(self.definition_id), bind(self.identifier)];
        key.into_iter().chain(more).collect()
    }
}

/// Updates the row of a known user without a change and makes one of an unknown user, so that it waits also
/// for the first session of a user, which other snapshots do not show yet.
static LOCK_USER: Statement = Statement::new(
    "INSERT INTO dialstack.session_users AS u \
              (env_id, definition_id, identifier, first_seen, last_seen, total_sessions) \
          VALUES ($1, $2, $3, $4, $4, 0) \
          ON CONFLICT (env_id, definition_id, identifier) DO UPDATE \
              SET total_sessions = u.total_sessions",
);

static FORGET_UNKNOWN_USER: Statement = Statement::new(
    "DELETE FROM dialstack.session_users \
           WHERE env_id = $1 AND definition_id = $2 AND identifier = $3 AND total_sessions = 0",
);

/// Also those whose time is over: a refresh that is not committed yet may be giving them more. The rows are
/// as they were locked, so with the end that it gave. In the order in which revocations lock.
static LOCK_UNREVOKED: Statement = Statement::new(
    "SELECT session_id, expires_at FROM dialstack.sessions \
           WHERE env_id = $1 AND definition_id = $2 AND subject = $3 AND revoked_at IS NULL \
           ORDER BY created_at, session_id FOR NO KEY UPDATE",
);

/// Locks the row of a user until the transaction ends. The row of a user who is not known yet counts no
/// session.
pub fn lock(owner: &AsOwner, user: UserKey<'_>, now: Micros) -> Result<()> {
    lock_for_writing::<SessionUsers>()?;
    LOCK_USER.execute(owner, &user.bound([bind(timestamptz(now))])).map(|_| ())
}

/// The user's living sessions, oldest first. Exact after [`lock`], until the transaction ends.
pub fn living(owner: &AsOwner, user: UserKey<'_>, now: Micros) -> Result<Vec<Uuid>> {
    lock_for_writing::<Sessions>()?;
    let unrevoked = LOCK_UNREVOKED
        .write(owner, &user.bound([]), |row| Ok((uuid(row.required(1)?), clock::micros(row.required(2)?))))?;
    Ok(unrevoked.into_iter().filter(|(_, ends_at)| now < *ends_at).map(|(id, _)| id).collect())
}

/// Deletes the row of a user who never had a session, which [`lock`] made.
pub fn forget_unknown(owner: &AsOwner, user: UserKey<'_>) -> Result<()> {
    FORGET_UNKNOWN_USER.execute(owner, &user.bound([])).map(|_| ())
}
