//! The table `protected_tables`.

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::tables::products::ProductId;

/// How a table is protected.
pub struct Protection<'a> {
    /// The column that is compared with the session.
    pub column_name: &'a str,
    /// The product whose sessions reach it.
    pub product_id: ProductId,
    /// Its environment.
    pub env: &'a str,
    /// What of the session it is compared with.
    pub by: &'static str,
    /// The only definition whose sessions reach it.
    pub tag: Option<&'a str>,
    /// The scope that a session needs.
    pub scope: Option<&'a str>,
    /// Whether its rows are devices.
    pub device: bool,
    /// The roles that see every row.
    pub open_to: &'a [pg_sys::Oid],
    /// Whether its owner is bound too.
    pub force: bool,
}

/// A table that was dropped leaves its row behind, and its number may be given out again.
static FORGET_DROPPED: Statement = Statement::new(
    "DELETE FROM dialstack.protected_tables t \
           WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.relation)",
);

static FORGET: Statement =
    Statement::new("DELETE FROM dialstack.protected_tables WHERE relation = ANY ($1::oid[])");

static STORE: Statement = Statement::new(
    "INSERT INTO dialstack.protected_tables AS t \
              (relation, column_name, product_id, env, by, tag, scope, device, open_to, force) \
          VALUES ($1, $2::name, $3, $4, $5, $6, $7, $8, $9::oid[]::regrole[], $10) \
          ON CONFLICT (relation) DO UPDATE SET \
              column_name = excluded.column_name, product_id = excluded.product_id, \
              env = excluded.env, by = excluded.by, tag = excluded.tag, scope = excluded.scope, \
              device = excluded.device, open_to = excluded.open_to, force = excluded.force",
);

/// Registers a table, in place of what was registered of it.
pub fn store(owner: &AsOwner, relation: pg_sys::Oid, protection: &Protection<'_>) -> Result<()> {
    let arguments = [
        bind(relation),
        bind(protection.column_name),
        bind(pgrx::Uuid::from_bytes(protection.product_id)),
        bind(protection.env),
        bind(protection.by),
        bind(protection.tag),
        bind(protection.scope),
        bind(protection.device),
        bind(protection.open_to.to_vec()),
        bind(protection.force),
    ];
    STORE.execute(owner, &arguments).map(|_| ())
}

/// Forgets these tables, and those that were dropped. Tells whether one of these was registered.
pub fn forget(owner: &AsOwner, relations: &[pg_sys::Oid]) -> Result<bool> {
    let forgotten = FORGET.execute(owner, &[bind(relations.to_vec())])?;
    FORGET_DROPPED.execute(owner, &[])?;
    Ok(forgotten > 0)
}
