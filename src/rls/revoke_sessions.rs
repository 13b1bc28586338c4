//! The triggers that revoke a user's sessions with the user's row.
//!
//! They fire AFTER the change and compare what the rows hold then, so that it does not matter who changed
//! a column: the statement, a BEFORE trigger, a generated column. Those for rows come with every
//! partition, also with one that is made later.

use pgrx::pg_sys;
use pgrx::spi::quote_literal;

use crate::error::{Code, Error, Result};
use crate::pg::catalog::table::{self, Table};
use crate::rls::ddl::{drop_if_exists, run};
use crate::rls::protected::keep_name;
use crate::service::revocation::revoke_on_change::{ANY_COLUMN, ANY_TAG, check_owner};
use crate::service::setup::configuration::{self, Env};
use crate::session::problem::shown;

const CODE: Code = Code::RevokeFailed;

/// For rows that change or go.
const ROWS: &str = "dialstack_sessions_revoke";
/// For rows that change by moving to another partition, where those that go do not matter.
const MOVED: &str = "dialstack_sessions_revoke_moved";
/// For all rows at once.
const ALL: &str = "dialstack_sessions_revoke_all";

/// What ends which sessions.
pub struct Revocation<'a> {
    /// The column that holds the user's identifier.
    pub identifier: &'a str,
    pub env: &'a Env,
    /// Their definition; `None`: any.
    pub tag: Option<&'a str>,
    /// The columns whose change ends them; `None`: any.
    pub columns: Option<Vec<String>>,
    /// Whether they end when the row is gone.
    pub on_delete: bool,
}

/// Makes the triggers on a table, in place of those that were there.
///
/// # Errors
/// `REVOKE_FAILED` for a table that is not the caller's, or a column that it has not;
/// `DEFINITION_NOT_FOUND`; `PERMISSION_DENIED` where the owner may not revoke.
pub fn on(relation: pg_sys::Oid, wanted: &Revocation<'_>) -> Result<()> {
    keep_name(&wanted.env.product, &wanted.env.env)?;
    if let Some(tag) = wanted.tag {
        configuration::definition(&wanted.env.product_id, tag)?;
    }
    let family = table::lock(relation, CODE)?;
    let table = &family.table;
    let columns = wanted.columns.as_deref().unwrap_or_default();
    for column in columns.iter().map(String::as_str).chain([wanted.identifier]) {
        check_column(table, column)?;
    }
    for one in family.all() {
        if let Some(owner) = table::owner(one) {
            check_owner(owner, wanted.env)?;
        }
        drop_triggers(one)?;
    }
    let tag = wanted.tag.unwrap_or(ANY_TAG);
    let place = [&wanted.env.product, &wanted.env.env, tag].map(quote_literal);
    let place = place.join(", ");
    let any = [ANY_COLUMN.to_owned()];
    let columns = if wanted.columns.is_some() { columns } else { &any };
    let named: Vec<String> = columns.iter().map(quote_literal).collect();
    let arguments = format!("{place}, {}, {}", quote_literal(wanted.identifier), named.join(", "));
    let create = |table: &Table, name, events, level, arguments: &str| {
        run(&format!(
            "CREATE TRIGGER {name} AFTER {events} ON {} FOR EACH {level} \
             EXECUTE FUNCTION dialstack.revoke_on_change({arguments})",
            table.name
        ))
    };
    // A partition gets its own with that of the whole; a table that inherits does not.
    let is_partitioned = family.is_partitioned;
    let for_rows = family.all().take(if is_partitioned { 1 } else { usize::MAX });
    for one in for_rows {
        if wanted.on_delete {
            create(one, ROWS, "UPDATE OR DELETE", "ROW", &arguments)?;
        } else {
            create(one, ROWS, "UPDATE", "ROW", &arguments)?;
            if is_partitioned {
                create(one, MOVED, "DELETE", "ROW", &arguments)?;
            }
        }
    }
    if wanted.on_delete {
        for one in family.all() {
            create(one, ALL, "TRUNCATE", "STATEMENT", &place)?;
        }
    }
    Ok(())
}

/// Drops the triggers of a table and its parts. Nothing happens to a table that has none.
///
/// # Errors
/// `REVOKE_FAILED` for a table that is not the caller's.
pub fn off(relation: pg_sys::Oid) -> Result<()> {
    let family = table::lock(relation, CODE)?;
    family.all().try_for_each(drop_triggers)
}

fn drop_triggers(table: &Table) -> Result<()> {
    [ROWS, MOVED, ALL].iter().try_for_each(|name| drop_if_exists("TRIGGER", name, &table.name))
}

fn check_column(table: &Table, name: &str) -> Result<()> {
    if table::has_column(table, name) {
        return Ok(());
    }
    let (name, table) = (shown(name), shown(&table.name));
    Err(Error::new(CODE, format!("{table} has no column {name:?}"))
        .hint("Check the spelling: the name is the column's own, without quotes."))
}
