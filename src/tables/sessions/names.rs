//! Locks of names, by which creates and revocations of account sessions wait for each other. User sessions have a row in
//! `session_users` for that, and account sessions have none.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::server::lock_number;
use crate::pg::table::Table;
use crate::tables::sessions::{Sessions, change};

/// Names share so many locks: the server's memory for locks is small, and a transaction may create many sessions.
const LOCKS: u32 = 64;

/// Waits for those who keep one of these names to themselves, and keeps them out until the transaction ends.
pub fn share<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    lock(names, pg_sys::RowExclusiveLock)
}

/// Waits for transactions that create account sessions of this account, or for this person, and keeps them out until the
/// transaction ends.
pub fn keep(name: &str) -> Result<()> {
    change::lock_table()?;
    lock([name].into_iter(), pg_sys::ShareRowExclusiveLock)
}

fn lock<'a>(names: impl Iterator<Item = &'a str>, mode: u32) -> Result<()> {
    let relation = Sessions::relation().oid()?;
    // In one order.
    let numbers: BTreeSet<u32> = names.map(number).collect();
    numbers.into_iter().for_each(|number| lock_number(relation, number, mode));
    Ok(())
}

fn number(name: &str) -> u32 {
    name.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % LOCKS
}
