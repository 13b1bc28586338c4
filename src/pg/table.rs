//! How the tables of the extension are declared: each once, by [`table!`], with the name, the type and the
//! nullability of every column.
//!
//! From one declaration come the check that the table still has these columns, the typed columns that a
//! scan takes, and the indexes with the types of their keys.

use std::ffi::CStr;
use std::marker::PhantomData;

use pgrx::datum::{Date, Inet, Interval, TimestampWithTimeZone};
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::Error;
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::uuid::uuid;
use crate::pg::datum::varlena::Varlena;
use crate::pg::relcache::Relation;
use crate::pg::relcache::epoch::Received;

/// A type of column: as the server names it, and as Rust reads it. An [`Option`] of one may be NULL.
pub trait SqlType {
    const OID: pg_sys::Oid;
    /// What a value is in Rust.
    type Value;

    /// Copies a value; `None` for a NULL where none can be.
    ///
    /// # Safety
    /// The datum is of this type, or `is_null`.
    unsafe fn read(datum: pg_sys::Datum, is_null: bool) -> Option<Self::Value>;
}

impl<T: SqlType> SqlType for Option<T> {
    const OID: pg_sys::Oid = T::OID;
    type Value = Option<T::Value>;

    unsafe fn read(datum: pg_sys::Datum, is_null: bool) -> Option<Self::Value> {
        // SAFETY: by this function's own contract.
        Some(unsafe { T::read(datum, is_null) })
    }
}

/// Declares the types that columns of our tables have.
macro_rules! column_types {
    ($($(#[$doc:meta])* $name:ident = $oid:ident, $value:ty $(, $stored:ty, $from:expr)?;)*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl SqlType for $name {
            const OID: pg_sys::Oid = pg_sys::$oid;
            type Value = $value;

            unsafe fn read(datum: pg_sys::Datum, is_null: bool) -> Option<Self::Value> {
                // SAFETY: by this function's own contract, a datum of the type that the conversion reads.
                let value = unsafe { FromDatum::from_datum(datum, is_null) };
                $(let value = value.map(|stored: $stored| $from(stored));)?
                value
            }
        }
    )* };
}

column_types! {
    Bool = BOOLOID, bool;
    Int4 = INT4OID, i32;
    Int8 = INT8OID, i64;
    Oid = OIDOID, pg_sys::Oid;
    Day = DATEOID, Date;
    /// `timestamptz`, as microseconds since 2000-01-01 00:00 UTC
    Timestamptz = TIMESTAMPTZOID, Micros, TimestampWithTimeZone, clock::micros;
    Span = INTERVALOID, Interval;
    Uuid = UUIDOID, uuid::Uuid, pgrx::Uuid, uuid;
    Text = TEXTOID, String;
    /// `text[]` without nulls
    Texts = TEXTARRAYOID, Vec<String>;
    /// `uuid[]`, in the server's own form
    Uuids = UUIDARRAYOID, Varlena;
    Bytea = BYTEAOID, Vec<u8>;
    Jsonb = JSONBOID, JsonText;
    Address = INETOID, Inet;
}

/// A type that index look-ups compare by equality.
pub trait Comparable: SqlType {
    /// The server's equality function of the type.
    const EQUALS: u32;
    /// A value to look for.
    type Key<'a>;

    /// The value in the server's form: inside `key`, or in the current memory context.
    fn key(key: Self::Key<'_>) -> pg_sys::Datum;
}

macro_rules! comparable {
    ($($name:ident = $equals:ident, $key:ty, $datum:expr;)*) => { $(
        impl Comparable for $name {
            const EQUALS: u32 = pg_sys::$equals;
            type Key<'a> = $key;

            fn key(key: Self::Key<'_>) -> pg_sys::Datum {
                $datum(key)
            }
        }
    )* };
}

comparable! {
    Int4 = F_INT4EQ, i32, pg_sys::Datum::from;
    Uuid = F_UUID_EQ, &'a uuid::Uuid, |key: &uuid::Uuid| pg_sys::Datum::from(key.as_bytes().as_ptr());
    Text = F_TEXTEQ, &'a str, copied;
    Bytea = F_BYTEAEQ, &'a [u8], copied;
}

fn copied(key: impl IntoDatum) -> pg_sys::Datum {
    key.into_datum().unwrap_or(pg_sys::Datum::null())
}

/// A declared table. Its columns come first, in order; others may have added some behind them.
pub trait Table: Sized + 'static {
    fn relation() -> &'static Relation;
    /// Names and types of all its columns, in order.
    const COLUMNS: &'static [(&'static str, pg_sys::Oid)];

    /// The error of a column that the extension did not make so.
    fn altered(column: &str, what: &str) -> Error {
        Self::relation().altered(&format!("Column {column} {what}."))
    }
}

/// A column of table `R` with type `T`.
pub struct Column<R, T> {
    pub(super) number: i16,
    pub(super) name: &'static str,
    of: PhantomData<(R, T)>,
}

impl<R: Table, T: SqlType> Column<R, T> {
    /// The column with this number, counted from 1. Only [`table!`] calls this: it knows type and number.
    pub const fn declared(number: i16, name: &'static str) -> Self {
        Column { number, name, of: PhantomData }
    }
}

/// A B-tree of table `R` over the columns `C`.
pub struct Index<R, C> {
    pub relation: Relation,
    pub(super) columns: C,
    of: PhantomData<R>,
}

impl<R: Table, C> Index<R, C> {
    /// The index of this name. Only [`table!`] calls this.
    pub const fn declared(name: &'static CStr, columns: C) -> Self {
        Index { relation: Relation::new(name, Received::Other), columns, of: PhantomData }
    }
}

/// The columns of an index, and what is looked for in them.
pub trait IndexColumns {
    type Values<'a>;

    fn numbers(&self) -> Vec<i16>;

    /// The condition `column = value AND …`.
    fn scan_keys(&self, values: Self::Values<'_>) -> Vec<pg_sys::ScanKeyData>;
}

macro_rules! index_columns {
    ($($t:ident $n:tt),*) => {
        impl<R: Table, $($t: Comparable),*> IndexColumns for ($(Column<R, $t>,)*) {
            type Values<'a> = ($($t::Key<'a>,)*);

            fn numbers(&self) -> Vec<i16> {
                vec![$(self.$n.number),*]
            }

            fn scan_keys(&self, values: Self::Values<'_>) -> Vec<pg_sys::ScanKeyData> {
                vec![$(equals(&self.$n, values.$n)),*]
            }
        }
    };
}

// As many columns as the widest index of the extension has. More do not compile.
index_columns!(A 0);
index_columns!(A 0, B 1);

fn equals<R, T: Comparable>(column: &Column<R, T>, value: T::Key<'_>) -> pg_sys::ScanKeyData {
    let mut key = pg_sys::ScanKeyData::default();
    let strategy = pg_sys::BTEqualStrategyNumber as u16;
    // SAFETY: fills the key; the function is a built-in equality function of the value's type.
    unsafe { pg_sys::ScanKeyInit(&mut key, column.number, strategy, T::EQUALS.into(), T::key(value)) }
    key
}

/// The error of a value that cannot be what the table's own code has written.
pub fn unreadable<R: Table, T>(column: Column<R, T>) -> Error {
    R::altered(column.name, "holds a value that the extension does not know")
}

/// Declares a table of the extension.
///
/// ```text
/// table! {
///     /// One row a session.
///     Sessions = c"sessions" {
///         session_id: Uuid,
///         revoked_at: Timestamptz null,
///     }
///     indexes { BY_ID: (Uuid) = c"sessions_pkey" (session_id), }
/// }
/// ```
///
/// gives the type `Sessions` with a typed constant for each column (`Sessions::session_id`), and the
/// statics of its indexes. A table whose change makes more than itself outdated says `Products: Configuration = …`.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $table:ident $(: $means:ident)? = $name:literal {
            $($column:ident: $type:ident $($null:ident)?,)*
        }
        $(indexes { $($index:ident: ($($key:ident),*) = $index_name:literal ($($part:ident),*),)* })?
    ) => {
        $(#[$doc])*
        pub struct $table;

        const _: () = {
            static RELATION: $crate::pg::relcache::Relation =
                $crate::pg::relcache::Relation::new($name, $crate::pg::table::table!(@means $($means)?));

            impl $crate::pg::table::Table for $table {
                fn relation() -> &'static $crate::pg::relcache::Relation {
                    &RELATION
                }

                const COLUMNS: &'static [(&'static str, ::pgrx::pg_sys::Oid)] = &[$(
                    (stringify!($column), <$crate::pg::table::$type as $crate::pg::table::SqlType>::OID),
                )*];
            }
        };

        $crate::pg::table::table!(@columns $table { $($column: $type $($null)?,)* });
        $($(
            #[doc = concat!("The index `", stringify!($index), "` over ", stringify!($($part),*), ".")]
            pub static $index: $crate::pg::table::Index<
                $table,
                ($($crate::pg::table::Column<$table, $crate::pg::table::$key>,)*),
            > = $crate::pg::table::Index::declared($index_name, ($($table::$part,)*));
        )*)?
    };
    (@columns $table:ident { $($column:ident: $type:ident $($null:ident)?,)* }) => {
        const _: () = {
            #[allow(non_camel_case_types, dead_code, reason = "only the order counts")]
            enum Number { before_the_first, $($column),* }

            #[allow(non_upper_case_globals, dead_code, reason = "named as in SQL; all are declared, some are read")]
            impl $table {
                $(
                    #[doc = concat!("The column `", stringify!($column), "`.")]
                    pub const $column: $crate::pg::table::Column<
                        $table,
                        $crate::pg::table::table!(@type $type $($null)?),
                    > = $crate::pg::table::Column::declared(Number::$column as i16, stringify!($column));
                )*
            }
        };
    };
    (@means) => { $crate::pg::relcache::epoch::Received::Other };
    (@means $means:ident) => { $crate::pg::relcache::epoch::Received::$means };
    (@type $type:ident) => { $crate::pg::table::$type };
    (@type $type:ident null) => { Option<$crate::pg::table::$type> };
}
pub(crate) use table;
