//! How many devices client sessions reach: rows of the tables that are registered with
//! `device`, whose connected account is granted.
//!
//! The tables belong to somebody else. Each is counted as its own owner, under a restricted security
//! context: run as a superuser, the query would execute whatever casts and functions the owner
//! has put there.

use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::{Spi, spi};
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::pg::roles::{AsOwner, AsRole};
use crate::pg::statements::{Statement, bind};
use crate::service::configuration::Env;

/// The registered tables that are still there, with names quoted as SQL needs them.
static TABLES: Statement = Statement::new(
    "SELECT c.relowner, format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), \
                 format_type(a.atttypid, NULL) \
            FROM dialstack.protected_tables t \
            JOIN pg_catalog.pg_class c ON c.oid = t.relation \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_catalog.pg_attribute a \
              ON a.attrelid = c.oid AND a.attname = t.column_name AND NOT a.attisdropped \
           WHERE t.device AND t.product_id = $1 AND t.env = $2 \
             AND a.atttypid IN ('uuid'::regtype, 'text'::regtype) \
           ORDER BY t.relation",
);

struct DeviceTable {
    owner: pg_sys::Oid,
    name: String,
    column: String,
    column_type: String,
}

/// Devices by connected account, of the accounts given.
pub fn by_account(owner: &AsOwner, env: &Env, accounts: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let mut counts = HashMap::new();
    if accounts.is_empty() {
        return Ok(counts);
    }
    let arguments = [
        bind(pgrx::Uuid::from_bytes(env.product_id)),
        bind(env.env.as_str()),
    ];
    let tables = TABLES.read(owner, &arguments, |row| {
        Ok(DeviceTable {
            owner: row.required(1)?,
            name: row.required(2)?,
            column: row.required(3)?,
            column_type: row.required(4)?,
        })
    })?;
    let accounts: Vec<String> = accounts.iter().map(Uuid::to_string).collect();
    for table in &tables {
        for (account, count) in count_one(table, &accounts)? {
            if let Ok(account) = Uuid::parse_str(&account) {
                *counts.entry(account).or_default() += count;
            }
        }
    }
    Ok(counts)
}

/// One grouped query, as the table's owner. The text holds only names that the catalogue quoted;
/// the accounts are bound.
fn count_one(table: &DeviceTable, accounts: &[String]) -> Result<Vec<(String, i64)>> {
    let DeviceTable {
        name,
        column,
        column_type,
        ..
    } = table;
    let sql = format!(
        "SELECT d.{column}::pg_catalog.text, pg_catalog.count(*) FROM {name} d \
          WHERE d.{column} OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.{column_type}[]) \
          GROUP BY d.{column}"
    );
    let _role = AsRole::enter(table.owner);
    let failed = |error: spi::Error| {
        Error::new(Code::ListFailed, "a table of devices can't be counted")
            .detail(error.to_string())
            .hint("Check the tables in dialstack.protected_tables that have device set.")
    };
    Spi::connect(|client| {
        let argument: DatumWithOid<'_> = accounts.to_vec().into();
        let rows = client
            .select(sql.as_str(), None, &[argument])
            .map_err(failed)?;
        rows.map(|row| {
            let account = row.get::<String>(1).map_err(failed)?.unwrap_or_default();
            Ok((
                account,
                row.get::<i64>(2).map_err(failed)?.unwrap_or_default(),
            ))
        })
        .collect()
    })
}
