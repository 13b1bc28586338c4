//! The table `scopes`.

use pgrx::pg_sys::BuiltinOid as T;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction;
use crate::service::revocations::conflict;
use crate::tables::sessions::{self, SessionRow};

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.scopes (scope, description) VALUES ($1, $2) \
          ON CONFLICT (scope) DO NOTHING",
    parameters: &[T::TEXTOID, T::TEXTOID],
};

static DELETE: Statement = Statement {
    sql: "DELETE FROM dialstack.scopes WHERE scope = $1 AND NOT built_in",
    parameters: &[T::TEXTOID],
};

/// Waits for sessions that are being created with the scope: their creators have read this table.
static LOCK: Statement = Statement {
    sql: "LOCK TABLE dialstack.scopes IN ACCESS EXCLUSIVE MODE",
    parameters: &[],
};

static TAKE_AWAY: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET scopes = array_remove(scopes, $1) \
           WHERE revoked_at IS NULL AND $1 = ANY (scopes)",
    parameters: &[T::TEXTOID],
};

/// The built-in ones first, in the order of their making.
static NAMES: Statement = Statement {
    sql: "SELECT scope FROM dialstack.scopes ORDER BY NOT built_in, created_at, scope",
    parameters: &[],
};

/// Stores a scope; `false` if there is one of that name.
pub fn insert(owner: &AsOwner, scope: &str, description: &str) -> Result<bool> {
    Ok(INSERT.execute(owner, &[bind(scope), bind(description)])? == 1)
}

/// Deletes a scope and takes it away from every living session; `false` if there is none of that
/// name, or it is built in.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show one of the sessions.
pub fn delete(owner: &AsOwner, scope: &str) -> Result<bool> {
    LOCK.execute(owner, &[])?;
    if DELETE.execute(owner, &[bind(scope)])? == 0 {
        return Ok(false);
    }
    TAKE_AWAY.execute(owner, &[bind(scope)])?;
    // At READ COMMITTED the statement saw all that there is.
    let holds = |row: &SessionRow| row.scopes.iter().flatten().any(|held| held == scope);
    let missed = transaction::has_old_snapshot()
        && sessions::any(|row| row.revoke_reason.is_none() && holds(row))?;
    if missed { Err(conflict()) } else { Ok(true) }
}

/// The names of all scopes.
pub fn names(owner: &AsOwner) -> Result<Vec<String>> {
    NAMES.read(owner, &[], |row| row.required(1))
}
