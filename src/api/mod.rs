//! What SQL calls: thin adapters that convert, call and convert back. A file a chapter of the reference; here is how
//! functions are declared: each once, with its comment and its access level beside it.
//!
//! Every argument may be NULL; what must not be is refused with the function's own error.

#![allow(
    clippy::result_large_err,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "the error type and the shape of signatures are pgrx's"
)]

mod access;
mod account_sessions;
mod client_sessions;
mod dashboard;
mod definitions;
mod identity;
mod keys;
mod maintenance;
mod protection;
mod session_sets;
mod sessions;
mod setup;
mod triggers;
mod user_sessions;
mod verify;

use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::datum::uuid::pg_uuid;
use crate::service::access::Functions;
use crate::service::required;

/// All functions of the extension, a list a chapter.
pub const CHAPTERS: &Functions = &[
    setup::FUNCTIONS,
    definitions::FUNCTIONS,
    keys::FUNCTIONS,
    access::FUNCTIONS,
    user_sessions::FUNCTIONS,
    verify::FUNCTIONS,
    sessions::FUNCTIONS,
    session_sets::FUNCTIONS,
    account_sessions::FUNCTIONS,
    client_sessions::FUNCTIONS,
    identity::FUNCTIONS,
    identity::HELPERS,
    protection::FUNCTIONS,
    dashboard::FUNCTIONS,
    maintenance::FUNCTIONS,
    triggers::FUNCTIONS,
];

/// What a function returns to the server.
type Result<T> = std::result::Result<T, ErrorReport>;

/// Declares the SQL functions of a chapter, and lists them in the constant that is named first, for
/// `grant_access`, `access_list` and the comments that `\df+` shows.
///
/// Each function has, in this order: its documentation, whose first paragraph is its comment in SQL; the access
/// levels that may call it, without those that include one of them (`Internal`: the extension only); the arguments
/// of `pg_extern`, if there are any; the function. Without any it is VOLATILE and PARALLEL UNSAFE. Where Rust's type does
/// not say the SQL type, `pg::datum::sql_type` does.
///
/// A function of level `Admin` also says whether its calls are recorded in `administration`: `unrecorded`, if it only
/// shows configuration or figures, else `audit(…)` with the arguments that name what is meant, and behind `=>` what it
/// returns or the column of its first row that says what came of it:
///
/// ```ignore
/// #[level(Admin; audit(product, env, kind => api_key_id))]
/// ```
///
/// `=> all name` is that column of all rows.
///
/// A function that returns a table says `=> rows { column: Type, … }` where others say `-> Type`. Its body is a
/// `Vec` of structs, whose fields of those names become the columns. With `table` the rows are tuples of the columns,
/// as `pg::statements::FromRow` reads them; with `table_page` it is a pair of those and the value of one more column,
/// `total`. `shared` in the place of the columns stands for those that `rows { … }` lists at the head of the chapter;
/// `rows as Columns { … }` also names the type of their tuples.
macro_rules! functions {
    (@all $list:ident $shared:tt $(
        $(#[doc = $line:literal])+
        #[level($($level:ident),+ $(; $record:ident $(($($recorded:tt)*))?)?)]
        $(#[pg_extern($($mark:tt)+)])?
        fn $name:ident $arguments:tt $(-> $returned:ty)? $(=> $kind:ident $columns:tt)? $body:block
    )+) => {
        $($crate::api::functions! {
            @function
            [$(#[doc = $line])+ #[pg_extern(schema = "dialstack" $(, $($mark)+)?)]]
            $name $arguments ($($returned)?) ($($kind $columns)?) $shared
            [$($record $(($($recorded)*))?)?] $body
        })+

        pub(super) const $list: &[$crate::service::access::Function] = &[$(
            $crate::service::access::Function {
                symbol: concat!(stringify!($name), "_wrapper"),
                levels: $crate::api::levels!($($level),+ $(; $record)?),
                documentation: &[$($line),+],
            }
        ),+];
    };
    (@function
        [$($attributes:tt)+] $name:ident ($($arguments:tt)*) ($($returned:ty)?) () $_:tt $record:tt $body:block
    ) => {
        $($attributes)+
        fn $name($($arguments)*) $(-> $returned)? {
            $crate::api::recorded! { $record $name ($($returned)?) value $body }
        }
    };
    (@function
        $attributes:tt $name:ident $arguments:tt () ($kind:ident shared) $shared:tt $record:tt $body:block
    ) => {
        $crate::api::functions! {
            @function $attributes $name $arguments () ($kind $shared) {} $record $body
        }
    };
    (@function [$($attributes:tt)+] $name:ident ($($arguments:tt)*) ()
        (table_page { $($column:ident: $type:ty),+ $(,)? }) $_:tt [$(unrecorded)?] $body:block
    ) => {
        $($attributes)+
        fn $name($($arguments)*) -> $crate::api::Result<
            ::pgrx::iter::TableIterator<'static, ($(name!($column, $type),)+ name!(total, Option<i64>))>
        > {
            let (rows, total): (Vec<($($type,)+)>, Option<i64>) = $body;
            Ok(::pgrx::iter::TableIterator::new(
                rows.into_iter().map(move |($($column,)+)| ($($column,)+ total)),
            ))
        }
    };
    (@function [$($attributes:tt)+] $name:ident ($($arguments:tt)*) ()
        ($kind:ident { $($column:ident: $type:ty),+ $(,)? }) $_:tt $record:tt $body:block
    ) => {
        $($attributes)+
        fn $name($($arguments)*) -> $crate::api::Result<
            ::pgrx::iter::TableIterator<'static, ($(name!($column, $type),)+)>
        > {
            let rows: $crate::api::Result<Vec<_>> =
                $crate::api::recorded! { $record $name ($crate::api::Result<Vec<_>>) rows { Ok($body) } };
            let rows = rows?;
            Ok(::pgrx::iter::TableIterator::new($crate::api::tuples!($kind rows $($column)+)))
        }
    };
    ($list:ident; rows as $alias:ident { $($column:ident: $type:ty),+ $(,)? } $($functions:tt)+) => {
        type $alias = ($($type,)+);
        $crate::api::functions! { @all $list { $($column: $type),+ } $($functions)+ }
    };
    ($list:ident; rows $shared:tt $($functions:tt)+) => {
        $crate::api::functions! { @all $list $shared $($functions)+ }
    };
    ($list:ident; $($functions:tt)+) => {
        $crate::api::functions! { @all $list {} $($functions)+ }
    };
}

/// The levels of a function; none where it is internal.
macro_rules! levels {
    (Internal) => {
        &[]
    };
    (Admin) => {
        compile_error!("a function of level Admin says audit(...) or unrecorded")
    };
    ($($level:ident),+ $(; $record:ident)?) => {
        &[$($crate::service::level::Level::$level),+]
    };
}

/// The rows of a table as tuples of its columns.
macro_rules! tuples {
    (table $rows:ident $($column:ident)+) => {
        $rows
    };
    (rows $rows:ident $($column:ident)+) => {
        $rows.into_iter().map(|row| ($(row.$column,)+))
    };
}

/// The body of a function, and where its calls are recorded, the record of a call that succeeds.
macro_rules! recorded {
    ([$(unrecorded)?] $name:ident ($($returned:ty)?) $kind:ident $body:block) => {
        $body
    };
    (
        [audit($($argument:ident),* $(=> $($effect:ident)+)?)]
        $name:ident ($returned:ty) $kind:ident $body:block
    ) => {{
        let call = $crate::service::audit::Call::begin(stringify!($name));
        #[allow(clippy::redundant_closure_call, reason = "it catches the returns of the body")]
        let returned = (|| -> $returned { $body })()?;
        call.end(
            &[$((stringify!($argument), $crate::service::audit::Shown::shown(&$argument))),*],
            &[$($crate::api::effect!($kind returned $($effect)+))?],
        )?;
        Ok(returned)
    }};
}

/// What came of a call, with its name.
macro_rules! effect {
    (value $returned:ident $name:ident) => {
        (stringify!($name), $crate::service::audit::Shown::shown(&$returned))
    };
    (rows $rows:ident $column:ident) => {{
        let first = $rows.first().map(|row| $crate::service::audit::Shown::shown(&row.$column));
        (stringify!($column), first.unwrap_or_default())
    }};
    (rows $rows:ident all $column:ident) => {
        (
            stringify!($column),
            $rows.iter().map(|row| $crate::service::audit::Shown::shown(&row.$column)).collect(),
        )
    };
}

use {effect, functions, levels, recorded, tuples};
