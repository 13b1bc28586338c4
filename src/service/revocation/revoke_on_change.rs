//! Revoking a user's sessions in the transaction that changes or deletes the user's row.

use pgrx::pg_sys;
use pgrx::spi::quote_identifier;
use pgrx::{Spi, spi};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::table::is_indexable;
use crate::pg::clock;
use crate::pg::datum::sql_type::Trigger;
use crate::pg::roles::{AsOwner, AsRole};
use crate::pg::statements::{FromRow, Statement, bind};
use crate::pg::transaction::patience::patiently;
use crate::pg::triggers::{Change, Event};
use crate::service::level::{Level, has_level};
use crate::service::reach;
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration::{self, Env};
use crate::session::check_identifier;
use crate::session::problem::shown;
use crate::tables::definitions;
use crate::tables::session_users::UserKey;

/// An argument that stands for every column.
pub const ANY_COLUMN: &str = "*";
/// An argument that stands for every definition.
pub const ANY_TAG: &str = "";

/// Revokes the sessions of the user whose row is deleted or changed, and for TRUNCATE those of every
/// user of the definition. Returns the row unmodified.
///
/// The trigger's arguments are product, env, tag (empty: of any definition) and the column that holds
/// the identifier; then come the columns that matter, as in UPDATE OF, or `*`: any. A trigger for DELETE
/// alone that names columns serves only rows that an UPDATE moves to another partition.
///
/// # Errors
/// `REVOKE_FAILED` for a call that is not a trigger's, and for a trigger that is not of a kind that
/// this can serve; `PERMISSION_DENIED` where the table's owner has no access of level `server` that reaches there;
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; for TRUNCATE those of [`patiently`].
pub fn revoke_on_change(call: pg_sys::FunctionCallInfo) -> Result<Trigger> {
    let change = Change::of(call).ok_or_else(|| {
        refused("revoke_on_change() was not called by a trigger")
            .hint("Name it in CREATE TRIGGER ... EXECUTE FUNCTION.")
    })?;
    revoke(&change)?;
    Ok(change.go_on())
}

/// Refuses a table whose owner may not revoke sessions of the environment: the trigger does it for whoever changes a row.
pub fn check_owner(owner: pg_sys::Oid, env: &Env) -> Result<()> {
    if has_level(owner, Level::Server)? {
        return reach::of(owner, Level::Server)?.check(env);
    }
    Err(Error::new(
        Code::PermissionDenied,
        "the owner of the table may not revoke sessions",
    )
    .detail("The table's triggers revoke sessions, and its owner has no access of level server.")
    .hint("Call dialstack.grant_access(owner, 'server'), or drop the triggers with dialstack.revoke_sessions_off() or DROP TRIGGER."))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Code::RevokeFailed, message)
}

fn revoke(change: &Change<'_>) -> Result<()> {
    let arguments = change.arguments();
    let (product, env, tag, columns) = match arguments.as_slice() {
        [product, env, tag, columns @ ..] => (product, env, tag, columns),
        _ => return Err(wrong_arguments()),
    };
    let env = configuration::env(product, env)?;
    check_owner(change.owner(), &env)?;
    match change.event() {
        Event::Truncate if columns.len() <= 1 => {
            for column in columns {
                key_column(change, column)?;
            }
            for definition_id in definitions(&env, tag)? {
                let which = Which::All { env_id: Some(env.env_id), definition_id: Some(definition_id) };
                patiently(&AsOwner::enter()?, || run(&which))?;
            }
            Ok(())
        }
        Event::UpdateRow | Event::DeleteRow => {
            let Some((key, columns)) = columns.split_first() else {
                return Err(wrong_arguments());
            };
            let key = key_column(change, key)?;
            let definitions = definitions(&env, tag)?;
            if !is_meant(change, key, columns)? {
                return Ok(());
            }
            // No session has an identifier that can't be one.
            let identifier = change.old_text(key);
            let identifier = identifier.filter(|it| check_identifier("identifier", it).is_ok());
            for definition_id in definitions.into_iter().filter(|_| identifier.is_some()) {
                let user = UserKey {
                    env_id: env.env_id,
                    definition_id,
                    identifier: identifier.as_deref().unwrap_or_default(),
                };
                run(&Which::User { user, except: None })?;
            }
            Ok(())
        }
        Event::Truncate => Err(wrong_arguments()),
        Event::Other => Err(refused("revoke_on_change() does not serve such a trigger").hint(
            "Create it BEFORE or AFTER UPDATE or DELETE ... FOR EACH ROW, or TRUNCATE ... FOR EACH STATEMENT.",
        )),
    }
}

fn wrong_arguments() -> Error {
    refused("the trigger gives revoke_on_change() the wrong arguments")
        .hint("The arguments are product, env, tag and the column that holds the identifier.")
}

/// The definitions that a tag stands for.
fn definitions(env: &Env, tag: &str) -> Result<Vec<i32>> {
    if tag == ANY_TAG {
        return definitions::ids(Some(&env.product_id), None);
    }
    Ok(vec![configuration::definition(&env.product_id, tag)?.definition_id])
}

/// Whether the change of a row is one that ends the user's sessions.
fn is_meant(change: &Change<'_>, key: i32, columns: &[String]) -> Result<bool> {
    let mut watched = change.watched();
    let named = columns.iter().filter(|name| *name != ANY_COLUMN);
    for name in named {
        watched.push(column(change, name)?);
    }
    // A virtual column changes with any other.
    let any = columns.iter().any(|name| name == ANY_COLUMN)
        || watched.is_empty() && change.is_for_update()
        || watched.iter().any(|column| change.is_virtual(*column));
    watched.push(key);
    Ok(match change.event() {
        Event::UpdateRow if any => change.row_differs(),
        Event::UpdateRow => {
            if watched.iter().any(|column| change.is_computed_later(*column)) {
                return Err(refused("a generated column gets its new value after this trigger")
                    .detail("Whether it changes is not known to a trigger that fires BEFORE.")
                    .hint(
                        "Create the trigger AFTER UPDATE, or let dialstack.revoke_sessions_on() create it.",
                    ));
            }
            watched.iter().any(|column| change.differs(*column))
        }
        _ if change.moved_away() => any || !is_still_there(change, &watched)?,
        _ => change.is_for_update() || columns.is_empty(),
    })
}

/// The whole that a partition is part of, and its owner.
static WHOLE: Statement = Statement::new(
    "SELECT format('%I.%I', n.nspname, c.relname), c.relowner \
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE c.oid = coalesce(pg_partition_root($1), $1)",
);

/// Whether the table has a row whose values in these columns are those of the old row; the last is the
/// identifier. Asked as the table's owner, whatever the caller may see. The text holds only names that
/// the catalogue quoted; the values are bound.
fn is_still_there(change: &Change<'_>, columns: &[i32]) -> Result<bool> {
    let whole: Vec<(String, pg_sys::Oid)> =
        WHOLE.read(&AsOwner::enter()?, &[bind(change.table())], FromRow::from_row)?;
    let Some((table, owner)) = whole.into_iter().next() else {
        return Ok(false);
    };
    let (names, values): (Vec<_>, Vec<_>) = columns
        .iter()
        .filter_map(|column| change.old_value(*column))
        .map(|(name, value)| (format!("r.{}", quote_identifier(name)), value))
        .unzip();
    let bound: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    let (names_list, bound_list) = (names.join(", "), bound.join(", "));
    let mut sql = format!(
        "SELECT FROM {table} r \
          WHERE ROW({names_list})::pg_catalog.record \
                OPERATOR(pg_catalog.*=) ROW({bound_list})::pg_catalog.record"
    );
    // By itself the comparison of rows can use no index.
    if let (Some(name), Some(number), Some(value)) = (names.last(), bound.last(), values.last())
        && is_indexable(value.oid())
    {
        sql.push_str(&format!(" AND {name} OPERATOR(pg_catalog.=) {number}"));
    }
    let _role = AsRole::enter(owner);
    Spi::connect(|client| {
        let found = client.select(sql.as_str(), Some(1), &values)?;
        Ok(!found.is_empty())
    })
    .map_err(|error: spi::Error| {
        refused("a row that moved to another partition can't be looked for")
            .detail(error.to_string())
            .hint("Check that the table's owner may read it.")
    })
}

/// The column that holds the identifier.
fn key_column(change: &Change<'_>, name: &str) -> Result<i32> {
    let number = column(change, name)?;
    if change.is_virtual(number) {
        return Err(refused(format!("column {:?} is not stored", shown(name)))
            .detail("What it was before the change is not known.")
            .hint("Name a column that is stored: a generated one must be STORED."));
    }
    Ok(number)
}

fn column(change: &Change<'_>, name: &str) -> Result<i32> {
    change.column(name).ok_or_else(|| {
        refused(format!("the table has no column {:?}", shown(name)))
            .detail("The trigger's fourth argument names the column that holds the user's identifier; those behind it name columns that matter.")
            .hint("Create the trigger with the names that the columns have now, by CREATE TRIGGER or dialstack.revoke_sessions_on().")
    })
}

fn run(which: &Which<'_>) -> Result<()> {
    let owner = AsOwner::enter()?;
    revocations::revoke(&owner, which, revocations::REVOKED, clock::now()).map(|_| ())
}
