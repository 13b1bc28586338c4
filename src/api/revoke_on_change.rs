//! Revoking a user's sessions in the transaction that changes or deletes the user.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::triggers::Answer;
use crate::service::revoke_on_change as flow;

/// Trigger function for the application's own tables: revokes the sessions of the user whose row is
/// deleted or changed, and for TRUNCATE those of every user. The role that makes the change need not
/// be allowed to revoke.
#[pg_extern(
    schema = "dialstack",
    sql = "CREATE FUNCTION dialstack.revoke_on_change() RETURNS trigger \
           LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn revoke_on_change(call: pg_sys::FunctionCallInfo) -> Result<Answer, ErrorReport> {
    Ok(flow::revoke_on_change(call)?)
}
