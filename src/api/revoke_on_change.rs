//! Revoking a user's sessions in the transaction that changes or deletes the user.

use pgrx::prelude::*;

use super::function::{Result, functions};
use crate::error::{self, Code, Error};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::pg::triggers::{Answer, Change, Event};
use crate::service::configuration;
use crate::service::revocations::{self, Which};
use crate::session::check_identifier;
use crate::session::problem::shown;
use crate::tables::session_users::UserKey;

functions! { FUNCTIONS;
    /// Trigger function (product, env, tag, identifier column): revokes the sessions of a user whose row is changed or
    /// deleted.
    ///
    /// For TRUNCATE those of every user. The role that makes the change need not be allowed to revoke.
    #[level(Server)]
    #[pg_extern(
        sql = "CREATE FUNCTION dialstack.revoke_on_change() RETURNS trigger \
               LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn revoke_on_change(call: pg_sys::FunctionCallInfo) -> Result<Answer> {
        let change = Change::of(call).ok_or_else(|| {
            refused("revoke_on_change() was not called by a trigger")
                .hint("Name it in CREATE TRIGGER … EXECUTE FUNCTION.")
        })?;
        revoke(&change)?;
        Ok(change.go_on())
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Code::RevokeFailed, message)
}

fn revoke(change: &Change<'_>) -> error::Result<()> {
    let arguments = change.arguments();
    let (product, env, tag, column) = match &arguments[..] {
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
            run(&which)
        }
        (Event::UpdateRow, Some(column)) if !change.is_changed(column) => Ok(()),
        (Event::UpdateRow | Event::DeleteRow, Some(column)) => {
            match change.old_text(column) {
                // What can't be an identifier has no sessions.
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
fn key_column(change: &Change<'_>, name: &str) -> error::Result<i32> {
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

fn run(which: &Which<'_>) -> error::Result<()> {
    let owner = AsOwner::enter()?;
    revocations::revoke(&owner, which, revocations::REVOKED, clock::now()).map(|_| ())
}
