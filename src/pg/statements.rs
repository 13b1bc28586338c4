//! SQL statements, planned once a backend and kept.
//!
//! Every statement is a constant with parameters; no text is ever put together with values.
//! Running one takes an [`AsOwner`], which proves that names mean what we wrote.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiError, SpiTupleTable};
use pgrx::{FromDatum, IntoDatum, PgOid, Spi};

use crate::error::{Code, Error, Result};
use crate::pg::roles::AsOwner;

/// A constant SQL statement and the types of its parameters.
pub struct Statement {
    /// The text.
    pub sql: &'static str,
    /// The types of `$1`, `$2`, …
    pub parameters: &'static [pgrx::pg_sys::BuiltinOid],
}

thread_local! {
    static PLANS: RefCell<HashMap<&'static str, &'static OwnedPreparedStatement>> =
        RefCell::new(HashMap::new());
}

impl Statement {
    fn plan(
        &self,
        client: &SpiClient<'_>,
        arguments: &[DatumWithOid<'_>],
    ) -> Result<&'static OwnedPreparedStatement> {
        // The server takes what is bound for the type that was declared.
        debug_assert!(
            self.parameters.len() == arguments.len()
                && self
                    .parameters
                    .iter()
                    .zip(arguments)
                    .all(|(declared, bound)| declared.value() == bound.oid()),
            "{}",
            self.sql
        );
        if let Some(plan) = PLANS.with(|plans| plans.borrow().get(self.sql).copied()) {
            return Ok(plan);
        }
        let types: Vec<PgOid> = self
            .parameters
            .iter()
            .map(|oid| PgOid::from(oid.value()))
            .collect();
        let plan = client
            .prepare_mut(self.sql, &types)
            .map_err(spi_failed)?
            .keep();
        // Kept for the life of the backend: there are as many as there are constants.
        let plan: &'static OwnedPreparedStatement = Box::leak(Box::new(plan));
        PLANS.with(|plans| plans.borrow_mut().insert(self.sql, plan));
        Ok(plan)
    }

    /// Runs a statement that writes (or locks) and hands each row that it returns to `read`.
    pub fn write<T>(
        &self,
        _owner: &AsOwner,
        arguments: &[DatumWithOid<'_>],
        read: impl Fn(&Columns<'_, '_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        must_be_able_to_write();
        Spi::connect_mut(|client| {
            let plan = self.plan(client, arguments)?;
            rows(
                client.update(plan, None, arguments).map_err(spi_failed)?,
                read,
            )
        })
    }

    /// Runs a statement that only reads, and hands each row to `read`.
    pub fn read<T>(
        &self,
        _owner: &AsOwner,
        arguments: &[DatumWithOid<'_>],
        read: impl Fn(&Columns<'_, '_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        Spi::connect(|client| {
            let plan = self.plan(client, arguments)?;
            rows(
                client.select(plan, None, arguments).map_err(spi_failed)?,
                read,
            )
        })
    }

    /// Runs a statement that writes, and returns the number of rows that it wrote.
    pub fn execute(&self, _owner: &AsOwner, arguments: &[DatumWithOid<'_>]) -> Result<u64> {
        must_be_able_to_write();
        Spi::connect_mut(|client| {
            let plan = self.plan(client, arguments)?;
            client.update(plan, None, arguments).map_err(spi_failed)?;
            // SAFETY: set by the statement that just ran, in this one thread.
            Ok(unsafe { pgrx::pg_sys::SPI_processed })
        })
    }
}

/// Raises 25006 on a standby and in a READ ONLY transaction, before a transaction id is asked for,
/// which a standby would refuse less clearly. The standby first: there a BEGIN READ WRITE does not help.
pub(crate) fn must_be_able_to_write() {
    const WHAT: &std::ffi::CStr = c"a writing function of dialstack_sessions";
    // SAFETY: constant names; all raise ordinary errors.
    unsafe {
        pgrx::pg_sys::PreventCommandDuringRecovery(WHAT.as_ptr());
        pgrx::pg_sys::PreventCommandIfReadOnly(WHAT.as_ptr());
        pgrx::pg_sys::PreventCommandIfParallelMode(WHAT.as_ptr());
    }
}

fn rows<T>(
    mut table: SpiTupleTable<'_>,
    read: impl Fn(&Columns<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = table.len();
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        table = advance(table);
        values.push(read(&Columns(&table))?);
    }
    Ok(values)
}

fn advance(mut table: SpiTupleTable<'_>) -> SpiTupleTable<'_> {
    // The item is a copy of the row that nobody asked for; what counts is the step.
    let _ = table.next();
    table
}

/// The columns of a returned row.
pub struct Columns<'table, 'client>(&'table SpiTupleTable<'client>);

impl Columns<'_, '_> {
    /// The value of a column, `None` for NULL. Columns count from 1.
    pub fn get<T: FromDatum + IntoDatum>(&self, ordinal: usize) -> Result<Option<T>> {
        self.0.get(ordinal).map_err(spi_failed)
    }

    /// The value of a column that is declared NOT NULL.
    pub fn required<T: FromDatum + IntoDatum>(&self, ordinal: usize) -> Result<T> {
        self.get(ordinal)?.ok_or_else(|| {
            Error::new(
                Code::JwtNotAvailable,
                "a table of the extension holds an unexpected NULL",
            )
            .detail(format!("Column {ordinal} of a row that was read."))
            .hint("Restore the table's NOT NULL constraints; they are part of the extension.")
        })
    }
}

fn spi_failed(error: SpiError) -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not as it made them",
    )
    .detail(error.to_string())
    .hint("Undo what was changed in schema dialstack; if the library is newer than its tables, run ALTER EXTENSION dialstack_sessions UPDATE.")
}

/// A bound value.
pub fn bind<'a, T: IntoDatum + 'a>(value: T) -> DatumWithOid<'a> {
    DatumWithOid::from(value)
}
