//! Revoking a user's sessions in the transaction that changes or deletes the user's row.

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::pg::transaction::patience::patiently;
use crate::pg::triggers::{Answer, Change, Event};
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration;
use crate::session::check_identifier;
use crate::session::problem::shown;
use crate::tables::session_users::UserKey;

/// Revokes the sessions of the user whose row is deleted or changed, and for TRUNCATE those of every
/// user of the definition. Returns the row unmodified.
///
/// # Errors
/// `REVOKE_FAILED` for a call that is not a trigger's, and for a trigger that is not of a kind that
/// this can serve; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; for TRUNCATE that of
/// [`patiently`].
pub fn revoke_on_change(call: pg_sys::FunctionCallInfo) -> Result<Answer> {
    let change = Change::of(call).ok_or_else(|| {
        refused("revoke_on_change() was not called by a trigger")
            .hint("Name it in CREATE TRIGGER … EXECUTE FUNCTION.")
    })?;
    revoke(&change)?;
    Ok(change.go_on())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Code::RevokeFailed, message)
}

fn revoke(change: &Change<'_>) -> Result<()> {
    let (product, env, tag, column) = match change.arguments() {
        [product, env, tag, column] => (product, env, tag, Some(column)),
        [product, env, tag] if change.event() == Event::Truncate => (product, env, tag, None),
        _ => {
            return Err(
                refused("the trigger gives revoke_on_change() the wrong arguments").hint(
                    "The arguments are product, env, tag and the column that holds the identifier.",
                ),
            );
        }
    };
    let column = column.map(|name| key_column(change, name)).transpose()?;
    let env = configuration::env(product, env)?;
    let definition_id = configuration::definition(&env.product_id, tag)?.definition_id;
    let env_id = env.env_id;
    match (change.event(), column) {
        (Event::Truncate, _) => {
            let which = Which::Tag {
                env_id,
                definition_id,
            };
            patiently(&AsOwner::enter()?, || run(&which))
        }
        (Event::UpdateRow, Some(column)) if !change.is_changed(column) => Ok(()),
        (Event::UpdateRow | Event::DeleteRow, Some(column)) => {
            match change.old_text(column) {
                // No session has an identifier that can't be one.
                Some(identifier) if check_identifier("identifier", &identifier).is_ok() => {
                    let user = UserKey {
                        env_id,
                        definition_id,
                        identifier: &identifier,
                    };
                    run(&Which::User { user, except: None })
                }
                _ => Ok(()),
            }
        }
        _ => Err(refused("revoke_on_change() does not serve such a trigger").hint(
            "Create it BEFORE or AFTER UPDATE or DELETE … FOR EACH ROW, or TRUNCATE … FOR EACH STATEMENT.",
        )),
    }
}

/// The column that holds the identifier.
fn key_column(change: &Change<'_>, name: &str) -> Result<i32> {
    let column = change.column(name).ok_or_else(|| {
        refused(format!("the table has no column {:?}", shown(name)))
            .hint("The fourth argument names the column that holds the user's identifier.")
    })?;
    if change.is_virtual(column) {
        return Err(refused(format!("column {:?} is not stored", shown(name)))
            .detail("What it was before the change is not known.")
            .hint("Name a column that is stored: a generated one must be STORED."));
    }
    Ok(column)
}

fn run(which: &Which<'_>) -> Result<()> {
    let owner = AsOwner::enter()?;
    revocations::revoke(&owner, which, revocations::REVOKED, clock::now()).map(|_| ())
}
