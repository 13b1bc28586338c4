//! How many devices client sessions reach: rows of the tables that `protect_table` marked as devices
//! ([`crate::rls::registry`] says how), whose connected account is granted.
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
use crate::service::setup::configuration::Env;

/// The tables that are marked as devices of an environment, with names quoted as SQL needs them. The
/// triggers of the function are found by index, however many policies and triggers there are.
static TABLES: Statement = Statement::new(
    "SELECT c.relowner, format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), \
                 format_type(a.atttypid, NULL) \
            FROM pg_catalog.pg_depend d \
            JOIN pg_catalog.pg_trigger g ON g.oid = d.objid \
            JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped \
           CROSS JOIN decode('00', 'hex') AS e (nd) \
           WHERE d.refclassid = 'pg_proc'::regclass AND d.classid = 'pg_trigger'::regclass \
             AND d.refobjid = 'dialstack.device_table()'::regprocedure \
             AND g.tgargs = convert_to($1, 'UTF8') || e.nd || convert_to($2, 'UTF8') || e.nd \
                            || convert_to(a.attname::text, getdatabaseencoding()) || e.nd \
             AND a.atttypid IN ('uuid'::regtype, 'text'::regtype) \
           ORDER BY c.oid",
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
    let arguments = [bind(env.product.as_str()), bind(env.env.as_str())];
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
            .hint("Check the tables that dialstack.protect_table() marked with device => true.")
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
