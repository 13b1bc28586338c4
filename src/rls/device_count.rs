//! How many devices client sessions reach: rows of the tables that `protect_table` marked as devices
//! ([`crate::rls::registry`] says how), whose connected account is granted.
//!
//! The tables belong to somebody else. Each is counted as its own owner, under a restricted security
//! context: run as a superuser, the query would execute whatever casts and functions the owner
//! has put there. It goes past the table's policies, also where they are forced, so that the owner needs
//! no access to ours and no code of a policy runs.

use std::collections::HashMap;

use pgrx::PgSqlErrorCode;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::{Spi, spi};

use crate::error::{Code, Error, Result};
use crate::pg::clock::{Micros, SECOND};
use crate::pg::deadline::Deadline;
use crate::pg::roles::{AsOwner, AsRole};
use crate::pg::settings::Setting;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction::has_old_snapshot;
use crate::pg::transaction::subtransaction::recovering;
use crate::service::setup::configuration::Env;

/// The longest that the tables of one call may take.
const MOST: Micros = 2 * SECOND;

/// The tables that are marked as devices of an environment, or of any, with names quoted as SQL needs
/// them. The triggers of the function are found by index, however many policies and triggers there are.
/// Their third argument is the column. A part that was marked before it became one is counted with the whole.
static TABLES: Statement = Statement::new(
    "SELECT c.oid, c.relowner, format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), \
                 format_type(a.atttypid, NULL) \
            FROM pg_catalog.pg_depend d \
            JOIN pg_catalog.pg_trigger g ON g.oid = d.objid \
            JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped \
           CROSS JOIN LATERAL (SELECT convert_to($1, 'UTF8') || e.nd || convert_to($2, 'UTF8') || e.nd \
                                 FROM decode('00', 'hex') AS e (nd)) AS of (place) \
           WHERE d.refclassid = 'pg_proc'::regclass AND d.classid = 'pg_trigger'::regclass \
             AND d.refobjid = 'dialstack.device_table()'::regprocedure \
             AND ($1 IS NULL OR substr(g.tgargs, 1, octet_length(place)) = place) \
             AND split_part(encode(g.tgargs, 'escape'), chr(92) || '000', 3) \
                 = encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape') \
             AND a.atttypid IN ('uuid'::regtype, 'text'::regtype) \
             AND NOT EXISTS (WITH RECURSIVE whole (oid) AS ( \
                                    SELECT inhparent FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid \
                                     UNION \
                                    SELECT i.inhparent FROM whole JOIN pg_catalog.pg_inherits i ON i.inhrelid = whole.oid) \
                             SELECT FROM whole JOIN pg_catalog.pg_trigger w ON w.tgrelid = whole.oid \
                              WHERE w.tgfoid = g.tgfoid AND w.tgargs = g.tgargs) \
           ORDER BY c.oid",
);

pub struct DeviceTable {
    pub oid: pg_sys::Oid,
    owner: pg_sys::Oid,
    name: String,
    column: String,
    column_type: String,
}

/// The tables of an environment, or of all.
pub fn tables(owner: &AsOwner, env: Option<&Env>) -> Result<Vec<DeviceTable>> {
    let arguments = [bind(env.map(|env| env.product.as_str())), bind(env.map(|env| env.env.as_str()))];
    TABLES.read(owner, &arguments, |row| {
        Ok(DeviceTable {
            oid: row.required(1)?,
            owner: row.required(2)?,
            name: row.required(3)?,
            column: row.required(4)?,
            column_type: row.required(5)?,
        })
    })
}

/// Devices by connected account, of the accounts given; `None` where a table can't be counted.
pub fn by_account(
    owner: &AsOwner,
    env: &Env,
    accounts: &[pgrx::Uuid],
) -> Result<Option<HashMap<String, i64>>> {
    let accounts: Vec<String> = accounts.iter().map(pgrx::Uuid::to_string).collect();
    let tables = if accounts.is_empty() { Vec::new() } else { tables(owner, Some(env))? };
    let mut counts = HashMap::new();
    if tables.is_empty() {
        return Ok(Some(counts));
    }
    let Ok(counted) = count(owner, &tables, &accounts)? else {
        return Ok(None);
    };
    for (account, count) in counted {
        *counts.entry(account).or_default() += count;
    }
    Ok(Some(counts))
}

/// Why tables of devices can't be counted.
pub enum Uncountable {
    /// They took longer than [`MOST`].
    Slow,
    /// An error with this SQLSTATE.
    Failed(PgSqlErrorCode),
}

/// Counts the rows of each account, by accounts. Neither an error of the tables, nor a lock on one, nor
/// code that its owner has put there holds the caller up for longer than a moment.
pub fn count(
    owner: &AsOwner,
    tables: &[DeviceTable],
    accounts: &[String],
) -> Result<std::result::Result<Vec<(String, i64)>, Uncountable>> {
    let deadline = Deadline::within(MOST);
    let work = || {
        let _patience = Setting::short_lock_timeout();
        let mut counted = Vec::new();
        for table in tables {
            counted.extend(count_one(table, accounts)?);
        }
        deadline.end();
        Ok(Ok(counted))
    };
    recovering(owner, work, |code, _| match code {
        // The transaction is lost, or the caller cancelled it.
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE if has_old_snapshot() => None,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED => deadline.is_over().then_some(Ok(Err(Uncountable::Slow))),
        code => Some(Ok(Err(Uncountable::Failed(code)))),
    })
}

/// One grouped query, as the table's owner. The text holds only names that the catalogue quoted;
/// the accounts are bound.
fn count_one(table: &DeviceTable, accounts: &[String]) -> Result<Vec<(String, i64)>> {
    let DeviceTable { name, column, column_type, .. } = table;
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
        let rows = client.select(sql.as_str(), None, &[argument]).map_err(failed)?;
        rows.map(|row| {
            let account = row.get::<String>(1).map_err(failed)?.unwrap_or_default();
            Ok((account, row.get::<i64>(2).map_err(failed)?.unwrap_or_default()))
        })
        .collect()
    })
}
