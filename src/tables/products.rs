//! The tables `products` and `environments`.

use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::pg::scan::{self, Row};
use crate::pg::statements::{Statement, bind};
use crate::pg::table::table;
use crate::pg::transaction;

table! {
    Products: Configuration = c"products" {
        product_id: Uuid,
        product: Text,
        name: Text,
        created_at: Timestamptz,
    }
    indexes {
        BY_ID: (Uuid) = c"products_pkey" (product_id),
        BY_NAME: (Text) = c"products_product_key" (product),
    }
}

/// The id of a product.
pub type ProductId = Uuid;

table! {
    Environments: Configuration = c"environments" {
        env_id: Int4,
        product_id: Uuid,
        env: Text,
        live: Bool,
        created_at: Timestamptz,
        former_names: Texts,
    }
    indexes {
        ENV_BY_ID: (Int4) = c"environments_pkey" (env_id),
        ENV_BY_NAME: (Uuid, Text) = c"environments_product_id_env_key" (product_id, env),
    }
}

pub struct EnvRow {
    pub env_id: i32,
    pub product_id: ProductId,
    pub env: String,
    pub live: bool,
    pub former_names: Vec<String>,
}

fn env_row(row: &Row<'_, Environments>) -> Result<EnvRow> {
    Ok(EnvRow {
        env_id: row.get(Environments::env_id)?,
        product_id: row.get(Environments::product_id)?,
        env: row.get(Environments::env)?,
        live: row.get(Environments::live)?,
        former_names: row.get(Environments::former_names)?,
    })
}

/// The name of a product, in its latest committed state.
pub fn name(product_id: &ProductId) -> Result<Option<String>> {
    scan::first_by(&BY_ID, (product_id,), |row| row.get(Products::product))
}

/// The id of the product of this name, in its latest committed state.
pub fn id(product: &str) -> Result<Option<ProductId>> {
    scan::first_by(&BY_NAME, (product,), |row| row.get(Products::product_id))
}

/// The environment with this number, in its latest committed state.
pub fn env_by_id(env_id: i32) -> Result<Option<EnvRow>> {
    scan::first_by(&ENV_BY_ID, (env_id,), env_row)
}

/// The environment of this name, in its latest committed state.
pub fn env_by_name(product_id: &ProductId, env: &str) -> Result<Option<EnvRow>> {
    scan::first_by(&ENV_BY_NAME, (product_id, env), env_row)
}

/// All products, in their latest committed state: id, name and display name of each.
pub fn all() -> Result<Vec<(ProductId, String, String)>> {
    scan::all(|row| {
        Ok((row.get(Products::product_id)?, row.get(Products::product)?, row.get(Products::name)?))
    })
}

/// All environments, in their latest committed state.
pub fn all_envs() -> Result<Vec<EnvRow>> {
    scan::all(env_row)
}

static INSERT_PRODUCT: Statement = Statement::new(
    "INSERT INTO dialstack.products (product, name) VALUES ($1, $2) \
          ON CONFLICT (product) DO NOTHING RETURNING product_id",
);

static INSERT_ENV: Statement = Statement::new(
    "INSERT INTO dialstack.environments (product_id, env, live) VALUES ($1, $2, $3) \
          ON CONFLICT (product_id, env) DO NOTHING",
);

static DELETE_ENV: Statement = Statement::new("DELETE FROM dialstack.environments WHERE env_id = $1");

/// Stores a product and returns its id; `None` if the name is taken.
pub fn insert(owner: &AsOwner, product: &str, name: &str) -> Result<Option<ProductId>> {
    let rows = INSERT_PRODUCT.write(owner, &[bind(product), bind(name)], |row| row.required(1))?;
    Ok(rows.into_iter().next().map(uuid))
}

/// The numbers of a product's environments, in their latest committed state. Reads all environments.
pub fn env_ids(product_id: &ProductId) -> Result<Vec<i32>> {
    let of_product = all_envs()?.into_iter().filter(|env| env.product_id == *product_id);
    Ok(of_product.map(|env| env.env_id).collect())
}

/// Stores an environment; `false` if the product has one of that name.
pub fn insert_env(owner: &AsOwner, product_id: &ProductId, env: &str, live: bool) -> Result<bool> {
    let arguments = [bind(pg_uuid(product_id)), bind(env), bind(live)];
    Ok(INSERT_ENV.execute(owner, &arguments)? == 1)
}

/// Deletes an environment that was just looked up; one that was deleted meanwhile is no error.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show it.
pub fn delete_env(owner: &AsOwner, env_id: i32) -> Result<()> {
    let deleted = DELETE_ENV.execute(owner, &[bind(env_id)])?;
    if deleted == 0 && transaction::has_old_snapshot() {
        return Err(env_too_new());
    }
    Ok(())
}

/// The transaction's snapshot does not show an environment that is there.
pub fn env_too_new() -> Error {
    Error::new(Code::Conflict, "the environment was created after this transaction began")
        .hint("Retry the transaction.")
}

static SET_NAME: Statement = Statement::new("UPDATE dialstack.products SET name = $2 WHERE product_id = $1");

/// Gives a product another display name; `false` if the transaction's snapshot does not show the product.
pub fn set_name(owner: &AsOwner, product_id: &ProductId, name: &str) -> Result<bool> {
    Ok(SET_NAME.execute(owner, &[bind(pg_uuid(product_id)), bind(name)])? == 1)
}

static UPDATE_ENV: Statement = Statement::new(
    "UPDATE dialstack.environments \
        SET env = $2, live = $3, \
            former_names = array_remove(array_append(array_remove(former_names, env), env), $2) \
      WHERE env_id = $1",
);

/// Changes an environment, whose name so far becomes a former one if it is another; `false` if the transaction's
/// snapshot does not show it.
pub fn update_env(owner: &AsOwner, env_id: i32, env: &str, live: bool) -> Result<bool> {
    Ok(UPDATE_ENV.execute(owner, &[bind(env_id), bind(env), bind(live)])? == 1)
}

/// An update, not a lock: so one fails that would rename it by an older snapshot.
static KEEP_ENV_NAME: Statement =
    Statement::new("UPDATE dialstack.environments SET env = env WHERE env_id = $1 AND env = $2");

/// Keeps an environment from being renamed or deleted until the transaction ends; `false` if it was meanwhile, or the
/// transaction's snapshot does not show it.
pub fn keep_env_name(owner: &AsOwner, env_id: i32, env: &str) -> Result<bool> {
    Ok(KEEP_ENV_NAME.execute(owner, &[bind(env_id), bind(env)])? == 1)
}

/// Keeps every other transaction from changing environments until this one ends.
pub static LOCK_ENVS: Statement =
    Statement::new("LOCK TABLE dialstack.environments IN SHARE ROW EXCLUSIVE MODE");

static KEEP: Statement =
    Statement::new("SELECT 1 FROM dialstack.products WHERE product_id = $1 FOR KEY SHARE");

static KEEP_ENV: Statement =
    Statement::new("SELECT 1 FROM dialstack.environments WHERE env_id = $1 FOR KEY SHARE");

/// Keeps a product from being deleted until this transaction ends, with the lock that a row takes which refers to it.
/// `false` if it was deleted meanwhile, or the transaction's snapshot does not show it.
pub fn keep(owner: &AsOwner, product_id: &ProductId) -> Result<bool> {
    Ok(KEEP.execute(owner, &[bind(pg_uuid(product_id))])? == 1)
}

/// The same of an environment.
pub fn keep_env(owner: &AsOwner, env_id: i32) -> Result<bool> {
    Ok(KEEP_ENV.execute(owner, &[bind(env_id)])? == 1)
}

/// Keeps every other transaction from changing the configuration until this one ends.
pub static LOCK_CONFIGURATION: Statement = Statement::new(
    "LOCK TABLE dialstack.products, dialstack.environments, dialstack.session_definitions, dialstack.scopes \
       IN SHARE ROW EXCLUSIVE MODE",
);

/// All products, by name.
pub static LIST: Statement =
    Statement::new("SELECT product, product_id, name, created_at FROM dialstack.products ORDER BY product");

/// The environments of a product, or of all, by name.
pub static LIST_ENVS: Statement = Statement::new(
    "SELECT p.product, e.env, e.live, e.created_at \
            FROM dialstack.environments e JOIN dialstack.products p USING (product_id) \
           WHERE $1 IS NULL OR p.product_id = $1 ORDER BY p.product, e.env",
);

static DELETE_PRODUCT: Statement = Statement::new("DELETE FROM dialstack.products WHERE product_id = $1");

/// Deletes a product with all that is configured of it.
pub fn delete(owner: &AsOwner, product_id: &ProductId) -> Result<()> {
    DELETE_PRODUCT.execute(owner, &[bind(pg_uuid(product_id))]).map(|_| ())
}
