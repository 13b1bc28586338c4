//! SQL statements, planned once a backend and kept.
//!
//! Every statement is a constant with parameters; no text is ever put together with values.
//! Running one takes an [`AsOwner`], which proves that names mean what we wrote.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::datum::{DatumWithOid, Inet, Interval, TimestampWithTimeZone};
use pgrx::pg_sys::Oid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiError, SpiTupleTable};
use pgrx::{FromDatum, IntoDatum, PgOid, Spi};

use crate::error::{Code, Error, Result};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;

/// A constant SQL statement. The types of its parameters are those of the values that are bound first: one place
/// binds them, always of the same types.
pub struct Statement(&'static str);

/// A statement that is planned, and the types of its parameters.
struct Plan {
    prepared: OwnedPreparedStatement,
    types: Vec<Oid>,
}

thread_local! {
    /// By the address of the text, which is quicker to hash than the text.
    static PLANS: RefCell<HashMap<usize, &'static Plan>> = RefCell::default();
}

impl Statement {
    pub const fn new(sql: &'static str) -> Self {
        Statement(sql)
    }

    fn plan(
        &self,
        client: &SpiClient<'_>,
        arguments: &[DatumWithOid<'_>],
    ) -> Result<&'static OwnedPreparedStatement> {
        let types = arguments.iter().map(DatumWithOid::oid);
        let address = self.0.as_ptr().addr();
        if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&address).copied()) {
            // The server takes what is bound for the type that was planned.
            debug_assert!(types.eq(plan.types.iter().copied()), "{}", self.0);
            return Ok(&plan.prepared);
        }
        let types: Vec<Oid> = types.collect();
        let of_parameters: Vec<PgOid> = types.iter().copied().map(PgOid::from).collect();
        let prepared = client.prepare_mut(self.0, &of_parameters).map_err(spi_failed)?;
        // Kept for the life of the backend: there are as many as there are constants.
        let plan: &'static Plan = Box::leak(Box::new(Plan { prepared: prepared.keep(), types }));
        PLANS.with_borrow_mut(|plans| plans.insert(address, plan));
        Ok(&plan.prepared)
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
            rows(client.update(plan, None, arguments).map_err(spi_failed)?, read)
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
            rows(client.select(plan, None, arguments).map_err(spi_failed)?, read)
        })
    }

    /// Runs a statement that only reads, and returns the number that it answers.
    pub fn count(&self, owner: &AsOwner, arguments: &[DatumWithOid<'_>]) -> Result<i64> {
        Ok(self.read(owner, arguments, |row| row.required::<i64>(1))?.into_iter().sum())
    }

    /// Runs a statement that writes (or locks), and returns the number that it answers.
    pub fn count_writing(&self, owner: &AsOwner, arguments: &[DatumWithOid<'_>]) -> Result<i64> {
        Ok(self.write(owner, arguments, |row| row.required::<i64>(1))?.into_iter().sum())
    }

    /// Runs a statement that writes, and returns the number of rows that it wrote.
    pub fn execute(&self, _owner: &AsOwner, arguments: &[DatumWithOid<'_>]) -> Result<u64> {
        must_be_able_to_write();
        Spi::connect_mut(|client| {
            let plan = self.plan(client, arguments)?;
            Ok(client.update(plan, None, arguments).map_err(spi_failed)?.len() as u64)
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

fn rows<T>(mut table: SpiTupleTable<'_>, read: impl Fn(&Columns<'_, '_>) -> Result<T>) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(table.len());
    // The item is a copy of the row that nobody asked for; what counts is the step.
    while table.next().is_some() {
        values.push(read(&Columns(&table))?);
    }
    Ok(values)
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
            Error::new(Code::JwtNotAvailable, "a table of the extension holds an unexpected NULL")
                .detail(format!("Column {ordinal} of a row that was read."))
                .hint("Restore the table's NOT NULL constraints; they are part of the extension.")
        })
    }
}

/// A column as it is read: an [`Option`] of its type where it may be NULL.
pub trait FromColumn: Sized {
    /// Reads the column.
    fn from_column(row: &Columns<'_, '_>, ordinal: usize) -> Result<Self>;
}

macro_rules! columns {
    ($($type:ty),+) => { $(
        impl FromColumn for $type {
            fn from_column(row: &Columns<'_, '_>, ordinal: usize) -> Result<Self> {
                row.required(ordinal)
            }
        }

        impl FromColumn for Option<$type> {
            fn from_column(row: &Columns<'_, '_>, ordinal: usize) -> Result<Self> {
                row.get(ordinal)
            }
        }
    )+ };
}
columns! {
    bool, i16, i32, i64, String, Vec<String>, Vec<u8>, JsonText, Inet, Interval, TimestampWithTimeZone, pgrx::Uuid,
    Vec<pgrx::Uuid>, Oid
}

/// A row of a list: a tuple of all columns in their order. Which types they have, the function in `api/` says.
pub trait FromRow: Sized {
    /// Reads the row.
    fn from_row(row: &Columns<'_, '_>) -> Result<Self>;
}

macro_rules! rows {
    ($first:ident $($rest:ident)*) => {
        impl<$first: FromColumn, $($rest: FromColumn),*> FromRow for ($first, $($rest,)*) {
            fn from_row(row: &Columns<'_, '_>) -> Result<Self> {
                let mut ordinals = 1..;
                let mut next = || ordinals.next().unwrap_or_default();
                Ok(($first::from_column(row, next())?, $($rest::from_column(row, next())?,)*))
            }
        }
        rows!($($rest)*);
    };
    () => {};
}
rows!(A B C D E F G H I J K L M N O P Q);

fn spi_failed(error: SpiError) -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not as it made them",
    )
    .detail(error.to_string())
    .hint("Undo what was changed in schema dialstack; if the library is newer than its tables, run ALTER EXTENSION dialstack_sessions UPDATE.")
}

pub fn bind<'a, T: IntoDatum + 'a>(value: T) -> DatumWithOid<'a> {
    DatumWithOid::from(value)
}
