//! The table `administration`: who did what as an administrator.

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.administration (at, session_role, acting_role, function, target, effect, client_addr) \
     VALUES (clock_timestamp(), session_user, pg_get_userbyid($1), $2, $3, $4, inet_client_addr())",
);

/// Notes a call. `acting` is the role that called.
pub fn insert(
    owner: &AsOwner,
    acting: pg_sys::Oid,
    function: &str,
    target: JsonText,
    effect: JsonText,
) -> Result<()> {
    let arguments = [bind(acting), bind(function), bind(target), bind(effect)];
    INSERT.execute(owner, &arguments).map(|_| ())
}

static DELETE: Statement = Statement::new(
    "DELETE FROM dialstack.administration \
      WHERE administration_id = ANY (ARRAY( \
                SELECT administration_id FROM dialstack.administration \
                 WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))",
);

/// Deletes so many of the oldest rows, of those before then; returns how many.
pub fn delete(owner: &AsOwner, before: Micros, limit: i64) -> Result<u64> {
    DELETE.execute(owner, &[bind(timestamptz(before)), bind(limit)])
}
