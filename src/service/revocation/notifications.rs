//! Notifications of revocations for programs that LISTEN, where an administrator wants them.

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

/// Most notifications of one statement. The server keeps them all until the transaction ends, and then
/// in one queue for all databases.
pub const MOST: usize = 1_000;

static SESSIONS: Statement = Statement::new(
    "SELECT count(pg_notify('dialstack_sessions', session_id::text)) \
            FROM unnest($1) AS revoked (session_id)",
);

static MANY: Statement = Statement::new("SELECT pg_notify('dialstack_sessions', '')");

/// Sends the id of each session, when the transaction commits. For more than [`MOST`] it sends one
/// notification without an id instead.
pub fn revoked(owner: &AsOwner, sessions: Vec<pgrx::Uuid>) -> Result<()> {
    if sessions.is_empty() {
        return Ok(());
    }
    if sessions.len() > MOST {
        return MANY.execute(owner, &[]).map(|_| ());
    }
    SESSIONS.execute(owner, &[bind(sessions)]).map(|_| ())
}
