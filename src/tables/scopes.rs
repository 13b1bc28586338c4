//! The table `scopes`.

use crate::error::Result;
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::table;
use crate::tables::products::ProductId;

table! {
    Scopes = c"scopes" {
        product_id: Uuid,
        scope: Text,
        description: Text,
        created_at: Timestamptz,
    }
}

/// All scopes, in their latest committed state: product, name and description of each.
pub fn all() -> Result<Vec<(ProductId, String, String)>> {
    scan::all(|row| {
        Ok((row.get(Scopes::product_id)?, row.get(Scopes::scope)?, row.get(Scopes::description)?))
    })
}

/// A name that stands twice is stored once.
static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.scopes (product_id, scope, description) \
          SELECT $1, scope, description FROM unnest($2, $3) AS given (scope, description) \
          ON CONFLICT (product_id, scope) DO NOTHING",
);

static DELETE: Statement =
    Statement::new("DELETE FROM dialstack.scopes WHERE product_id = $1 AND scope = $2");

/// Keeps every other transaction from reading or writing scopes until this one ends, and waits for those that create
/// account sessions: they have read this table.
pub static LOCK: Statement = Statement::new("LOCK TABLE dialstack.scopes IN ACCESS EXCLUSIVE MODE");

static TAKE_AWAY: Statement = Statement::new(
    "UPDATE dialstack.sessions SET scopes = array_remove(scopes, $1) \
           WHERE revoked_at IS NULL AND env_id = ANY ($2) AND $1 = ANY (scopes)",
);

/// Stores scopes, each a name and a description, and returns how many are new.
pub fn insert(owner: &AsOwner, product_id: &ProductId, scopes: &[(&str, &str)]) -> Result<u64> {
    let (names, descriptions): (Vec<&str>, Vec<&str>) = scopes.iter().copied().unzip();
    INSERT.execute(owner, &[bind(pg_uuid(product_id)), bind(names), bind(descriptions)])
}

/// Deletes a scope; `false` if the product has none of that name.
pub fn delete(owner: &AsOwner, product_id: &ProductId, scope: &str) -> Result<bool> {
    Ok(DELETE.execute(owner, &[bind(pg_uuid(product_id)), bind(scope)])? == 1)
}

/// Takes a scope away from the sessions of these environments that are not revoked.
pub fn take_away(owner: &AsOwner, env_ids: &[i32], scope: &str) -> Result<()> {
    TAKE_AWAY.execute(owner, &[bind(scope), bind(env_ids.to_vec())]).map(|_| ())
}

/// The names of a product's scopes in their latest committed state, in the order of their creation.
pub fn names(product_id: &ProductId) -> Result<Vec<String>> {
    let all = scan::all(|row| {
        Ok((row.get(Scopes::product_id)?, row.get(Scopes::created_at)?, row.get(Scopes::scope)?))
    })?;
    let mut names: Vec<_> = all.into_iter().filter(|(of, ..)| of == product_id).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|(.., scope)| scope).collect())
}

static DESCRIBE: Statement =
    Statement::new("UPDATE dialstack.scopes SET description = $3 WHERE product_id = $1 AND scope = $2");

/// Describes a scope anew; `false` if the transaction's snapshot does not show it.
pub fn describe(owner: &AsOwner, product_id: &ProductId, scope: &str, description: &str) -> Result<bool> {
    Ok(DESCRIBE.execute(owner, &[bind(pg_uuid(product_id)), bind(scope), bind(description)])? == 1)
}

/// The scopes of a product, or of all, by name.
pub static LIST: Statement = Statement::new(
    "SELECT p.product, s.scope, s.description, s.created_at \
            FROM dialstack.scopes s JOIN dialstack.products p USING (product_id) \
           WHERE $1 IS NULL OR p.product_id = $1 ORDER BY p.product, s.scope",
);
