//! Statements that note in the activity the ends of the sessions that they revoked.
//!
//! Version 0.1.0 had no columns for that. Between the installation of a newer library and ALTER
//! EXTENSION … UPDATE sessions are revoked as before, so each such statement has a second form, which
//! leaves the ends out. (What is noted past SQL leaves them out by itself.)

use pgrx::pg_sys;

use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, must_be_able_to_write};

/// A statement in its two forms, with the same parameters.
pub struct NotingEnds {
    /// For the present tables.
    pub noting: Statement,
    /// For those of 0.1.0.
    pub silent: Statement,
}

/// Makes both forms: `$text!` gets its own arguments, the columns with the ends, and their values.
macro_rules! noting_ends {
    ($text:ident!($($argument:literal),*), $columns:literal, $values:literal, $parameters:expr) => {
        $crate::tables::ends::NotingEnds {
            noting: $crate::pg::statements::Statement {
                sql: $text!($($argument,)* $columns, $values),
                parameters: $parameters,
            },
            silent: $crate::pg::statements::Statement {
                sql: $text!($($argument,)* "", ""),
                parameters: $parameters,
            },
        }
    };
}
pub(crate) use noting_ends;

impl NotingEnds {
    /// The form for the tables that there are.
    pub fn form(&self, _owner: &AsOwner) -> &Statement {
        if has_columns() || has_columns_for_sure() {
            &self.noting
        } else {
            &self.silent
        }
    }
}

/// Once there, the columns stay. Costs a look into the server's own caches.
fn has_columns() -> bool {
    let activity = activity();
    // SAFETY: a constant NUL-terminated name; answers 0 where there is no such column.
    activity == pg_sys::InvalidOid
        || unsafe { pg_sys::get_attnum(activity, c"expires_after".as_ptr()) } != 0
}

/// Asks again with the table locked as the statement is about to lock it: an update that somebody
/// commits meanwhile is seen, and none comes in between.
fn has_columns_for_sure() -> bool {
    must_be_able_to_write();
    // SAFETY: the table may have been dropped meanwhile; then the lock is of nothing.
    unsafe { pg_sys::LockRelationOid(activity(), pg_sys::RowExclusiveLock.cast_signed()) };
    has_columns()
}

fn activity() -> pg_sys::Oid {
    // SAFETY: constant NUL-terminated names; both look-ups answer InvalidOid for what is missing.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
        pg_sys::get_relname_relid(c"activity".as_ptr(), schema)
    }
}
