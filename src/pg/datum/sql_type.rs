//! The SQL types that functions are declared with, where Rust's own types stand for others or for none.

use std::ffi::CStr;
use std::marker::PhantomData;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Array, Datum};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, pg_sys};

use super::record::Value;

/// A value that Rust has as a `V`, and SQL under the type of `S`; who names both says that they fit.
#[derive(Clone, Copy)]
pub struct As<S, V>(pub V, PhantomData<S>);

impl<S, V> From<V> for As<S, V> {
    fn from(value: V) -> Self {
        As(value, PhantomData)
    }
}

// SAFETY: the same as `S`.
unsafe impl<S: SqlTranslatable, V> SqlTranslatable for As<S, V> {
    const TYPE_IDENT: &'static str = S::TYPE_IDENT;
    const TYPE_ORIGIN: TypeOrigin = S::TYPE_ORIGIN;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = S::ARGUMENT_SQL;
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = S::RETURN_SQL;
}

// SAFETY: the same as `V`, which reads values of the type of `S`.
unsafe impl<'fcx, S, V: ArgAbi<'fcx>> ArgAbi<'fcx> for As<S, V> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: by this function's own contract.
        unsafe { V::unbox_arg_unchecked(arg) }.into()
    }
}

impl<S, V: IntoDatum> IntoDatum for As<S, V> {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        V::type_oid()
    }
}

// SAFETY: the same as `V`, which is a value of the type of `S`.
unsafe impl<S, V: BoxRet> BoxRet for As<S, V> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: by this function's own contract.
        unsafe { self.0.box_into(fcinfo) }
    }
}

/// Declares SQL types by their names.
macro_rules! sql_types {
    ($($name:ident = $sql:literal;)+) => { $(
        #[derive(Clone, Copy)]
        pub struct $name;
        const _: () = {
            // What the macro means by it, whatever the place does.
            use ::std::result::Result;
            ::pgrx::pgrx_sql_entity_graph::impl_sql_translatable!($name, $sql);
        };
    )+ };
}
pub(crate) use sql_types;

/// Types that Rust has none for.
pub mod of {
    super::sql_types! {
        Name = "name";
        Regclass = "regclass";
        Regrole = "regrole";
        Trigger = "trigger";
    }
}

pub type Name<'a> = As<of::Name, &'a CStr>;
pub type Names<'a> = As<Vec<of::Name>, Array<'a, &'a CStr>>;
pub type Regclass = As<of::Regclass, pg_sys::Oid>;
pub type Regrole = As<of::Regrole, pg_sys::Oid>;
pub type Regroles<'a> = As<Vec<of::Regrole>, Array<'a, pg_sys::Oid>>;
/// What a trigger function answers with.
pub type Trigger = As<of::Trigger, Value>;

impl Trigger {
    /// The answer of an AFTER trigger: a null pointer, which is not NULL.
    pub fn done() -> Self {
        Value(Some(pg_sys::Datum::null())).into()
    }
}
