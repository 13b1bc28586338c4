//! What lives in environments: what deleting them, or a change of their mode, would end.

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::tables::client_sessions::ClientSessions;
use crate::tables::sessions::Sessions;
use crate::tables::{api_keys, client_sessions, sessions};

/// `$1`: the environments; `$2`: a definition, or null: all that there is; `$3`: the time.
static COUNT: Statement = Statement::new(
    "SELECT (SELECT count(*) FROM dialstack.sessions \
              WHERE env_id = ANY ($1) AND ($2 IS NULL OR definition_id = $2) \
                AND revoked_at IS NULL AND expires_at > $3) \
          + (SELECT count(*) FROM dialstack.client_sessions \
              WHERE $2 IS NULL AND env_id = ANY ($1) AND revoked_at IS NULL AND expires_at > $3), \
            (SELECT count(*) FROM dialstack.api_keys \
              WHERE $2 IS NULL AND env_id = ANY ($1) \
                AND revoked_at IS NULL AND coalesce(expires_at > $3, true))",
);

/// How many sessions of all kinds and how many API keys live in these environments, or of this definition in them.
pub fn count(
    owner: &AsOwner,
    env_ids: Vec<i32>,
    definition_id: Option<i32>,
    now: Micros,
) -> Result<(i64, i64)> {
    let arguments = [bind(env_ids), bind(definition_id), bind(timestamptz(now))];
    let counts = COUNT.read(owner, &arguments, FromRow::from_row)?;
    Ok(counts.into_iter().next().unwrap_or_default())
}

/// Keeps new sessions and API keys out until the transaction ends. Verifies and refreshes go on.
pub static KEEP_NEW_OUT: Statement =
    Statement::new("LOCK TABLE dialstack.session_users, dialstack.api_keys IN SHARE ROW EXCLUSIVE MODE");

/// Those whose time is over.
macro_rules! lock_ended {
    ($table:literal) => {
        Statement::new(concat!(
            "SELECT 1 FROM dialstack.",
            $table,
            " WHERE env_id = $1 AND revoked_at IS NULL AND expires_at <= $2 FOR NO KEY UPDATE"
        ))
    };
}

static LOCK_ENDED: [Statement; 2] = [lock_ended!("sessions"), lock_ended!("client_sessions")];

/// Waits for calls that give more time to a session of an environment which would have ended by now, and keeps others
/// from doing so until the transaction ends.
pub fn lock_ended(owner: &AsOwner, env_id: i32, now: Micros) -> Result<()> {
    lock_for_writing::<Sessions>()?;
    lock_for_writing::<ClientSessions>()?;
    for statement in &LOCK_ENDED {
        statement.execute(owner, &[bind(env_id), bind(timestamptz(now))])?;
    }
    Ok(())
}

/// Whether something lives in an environment that the transaction's snapshot is too old to show.
pub fn any_hidden(env_id: i32, now: Micros) -> Result<bool> {
    Ok(sessions::any_hidden(|row| row.env_id == env_id && row.lives(now))?
        || client_sessions::any_hidden(|row| row.env_id == env_id && row.lives(now))?
        || api_keys::any_hidden(|row| {
            row.env_id == env_id && !row.revoked && row.expires_at.is_none_or(|at| now < at)
        })?)
}
