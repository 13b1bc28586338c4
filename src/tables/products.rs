//! The tables `products` and `environments`.

use crate::error::{Code, Error, Result};
use crate::pg::relcache::Rel;
use crate::pg::roles::AsOwner;
use crate::pg::scan::{self, Key};
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction;

/// The id of a product: the bytes of a UUID.
pub type ProductId = [u8; 16];

static INSERT_PRODUCT: Statement = Statement::new(
    "INSERT INTO dialstack.products (product, name) VALUES ($1, $2) \
          ON CONFLICT (product) DO NOTHING RETURNING product_id",
);

static FIRST: Statement =
    Statement::new("SELECT product_id, product FROM dialstack.products ORDER BY product LIMIT $1");

static INSERT_ENV: Statement = Statement::new(
    "INSERT INTO dialstack.environments (product_id, env, live) VALUES ($1, $2, $3) \
          ON CONFLICT (product_id, env) DO NOTHING",
);

static DELETE_ENV: Statement =
    Statement::new("DELETE FROM dialstack.environments WHERE env_id = $1");

/// Stores a product and returns its id; `None` if the name is taken.
pub fn insert(owner: &AsOwner, product: &str, name: &str) -> Result<Option<ProductId>> {
    let rows = INSERT_PRODUCT.write(owner, &[bind(product), bind(name)], |row| row.required(1))?;
    Ok(rows.first().map(|id: &pgrx::Uuid| *id.as_bytes()))
}

/// Ids and names of the first `limit` products, by name.
pub fn first(owner: &AsOwner, limit: usize) -> Result<Vec<(ProductId, String)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    FIRST.read(owner, &[bind(limit)], |row| {
        let product_id: pgrx::Uuid = row.required(1)?;
        Ok((*product_id.as_bytes(), row.required(2)?))
    })
}

/// The numbers of a product's environments, in the latest committed state.
pub fn env_ids(product_id: &ProductId) -> Result<Vec<i32>> {
    let mut env_ids = Vec::new();
    let keys = [Key::uuid(2, product_id)];
    let index = Some(Rel::EnvironmentsByName);
    scan::each(Rel::Environments, index, &keys, |row| {
        env_ids.extend(row.get::<i32>(1));
        true
    })?;
    Ok(env_ids)
}

/// Stores an environment; `false` if the product has one of that name.
pub fn insert_env(owner: &AsOwner, product_id: &ProductId, env: &str, live: bool) -> Result<bool> {
    let arguments = [
        bind(pgrx::Uuid::from_bytes(*product_id)),
        bind(env),
        bind(live),
    ];
    Ok(INSERT_ENV.execute(owner, &arguments)? == 1)
}

/// Deletes an environment that was just looked up; one that was deleted meanwhile is no error.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show it.
pub fn delete_env(owner: &AsOwner, env_id: i32) -> Result<()> {
    let deleted = DELETE_ENV.execute(owner, &[bind(env_id)])?;
    if deleted == 0 && transaction::has_old_snapshot() {
        return Err(Error::new(
            Code::Conflict,
            "the environment was created after this transaction began",
        )
        .hint("Retry the transaction."));
    }
    Ok(())
}
