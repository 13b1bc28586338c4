//! The table `access_limits`: what grants of access levels are limited to.

use crate::error::Result;
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::{table, unreadable};
use crate::tables::products::ProductId;

table! {
    AccessLimits: Configuration = c"access_limits" {
        role_name: Text,
        level: Text,
        product_id: Uuid null,
        env_id: Int4 null,
    }
    indexes {}
}

/// What a grant is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The environments of a product, also those that are made later.
    Product(ProductId),
    Env(i32),
}

/// The role's name, the level and the limit of each row, in their latest committed state.
pub fn all() -> Result<Vec<(String, String, Limit)>> {
    scan::all(|row| {
        let limit = match (row.get(AccessLimits::product_id)?, row.get(AccessLimits::env_id)?) {
            (_, Some(env_id)) => Limit::Env(env_id),
            (Some(product_id), None) => Limit::Product(product_id),
            (None, None) => return Err(unreadable(AccessLimits::product_id)),
        };
        Ok((row.get(AccessLimits::role_name)?, row.get(AccessLimits::level)?, limit))
    })
}

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.access_limits (role_name, level, product_id, env_id) VALUES ($1, $2, $3, $4) \
          ON CONFLICT DO NOTHING",
);

static DELETE: Statement =
    Statement::new("DELETE FROM dialstack.access_limits WHERE role_name = $1 AND ($2 IS NULL OR level = $2)");

/// Adds a limit to a role's level, unless it is there.
pub fn insert(owner: &AsOwner, role_name: &str, level: &str, limit: Limit) -> Result<()> {
    let (product_id, env_id) = match limit {
        Limit::Product(product_id) => (Some(pg_uuid(&product_id)), None),
        Limit::Env(env_id) => (None, Some(env_id)),
    };
    let arguments = [bind(role_name), bind(level), bind(product_id), bind(env_id)];
    INSERT.execute(owner, &arguments).map(|_| ())
}

/// Deletes the limits of a role's level, or of all its levels, and returns how many there were.
pub fn delete(owner: &AsOwner, role_name: &str, level: Option<&str>) -> Result<u64> {
    DELETE.execute(owner, &[bind(role_name), bind(level)])
}
