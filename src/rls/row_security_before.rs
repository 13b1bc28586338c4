//! The table `row_security_before`: what `unprotect_table` goes back to.
//!
//! It has a row of its own for every part of a protected table. Parts are attached and detached, and
//! each remembers how it was before it was touched first, whichever table that was for.

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::catalog::table::RowSecurity;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

/// What is remembered of a table.
pub struct Before {
    /// How row-level security stood.
    pub row_security: RowSecurity,
    /// Whether it binds the owner because `protect_table` made it so.
    pub force_added: bool,
}

/// A row that is there stays as it is. The update does nothing but return it, and fail with 40001 where
/// an old snapshot does not show it.
static REMEMBER: Statement = Statement::new(
    "INSERT INTO dialstack.row_security_before AS b (relation, enabled, forced) \
          VALUES ($1, $2, $3) \
          ON CONFLICT (relation) DO UPDATE SET relation = excluded.relation \
          RETURNING b.enabled, b.forced, b.force_added",
);

static FORCE_ADDED: Statement =
    Statement::new("UPDATE dialstack.row_security_before SET force_added = $2 WHERE relation = $1");

/// A table that was dropped leaves its row behind, and its number may be given out again.
static FORGET: Statement = Statement::new(
    "DELETE FROM dialstack.row_security_before b \
           WHERE b.relation = ANY ($1::oid[]) \
              OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = b.relation)",
);

/// What is remembered of a table: how it is `now`, unless something is remembered already.
pub fn remember(owner: &AsOwner, relation: pg_sys::Oid, now: RowSecurity) -> Result<Before> {
    let arguments = [bind(relation), bind(now.enabled), bind(now.forced)];
    let rows = REMEMBER.write(owner, &arguments, |row| {
        Ok(Before {
            row_security: RowSecurity {
                enabled: row.required(1)?,
                forced: row.required(2)?,
            },
            force_added: row.required(3)?,
        })
    })?;
    rows.into_iter().next().ok_or_else(|| {
        Error::new(
            Code::ProtectFailed,
            "the table's row-level security can't be remembered",
        )
        .hint("Check that nobody altered the tables in schema dialstack.")
    })
}

/// Writes down whether the owner is bound because `protect_table` made it so.
pub fn set_force_added(owner: &AsOwner, relation: pg_sys::Oid, added: bool) -> Result<()> {
    let arguments = [bind(relation), bind(added)];
    FORCE_ADDED.execute(owner, &arguments).map(|_| ())
}

/// Forgets these tables, and those that were dropped.
pub fn forget(owner: &AsOwner, relations: &[pg_sys::Oid]) -> Result<()> {
    FORGET
        .execute(owner, &[bind(relations.to_vec())])
        .map(|_| ())
}
