//! Remembering a function's answer at a place in a query.
//!
//! A policy may call a function without arguments for each row of a table. The server keeps memory for each
//! place in a query that calls a function (`fn_extra`), and there the last answer is kept. As long as it holds, a
//! call costs neither pgrx's guard nor a copy.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::submodules::panic::pgrx_extern_c_guard;

use crate::error::Result;
use crate::pg::clock::Micros;
use crate::pg::server::{self, bare};

/// How long an answer holds.
pub trait Validity: Copy {
    /// Whether the answer holds in a statement and transaction of which the later began at this time. Pending
    /// invalidations have been accepted.
    fn holds_at(&self, began: Micros) -> bool;
}

/// What one place in a query remembers, in memory that lives as long as the place.
struct Site<V> {
    validity: V,
    answer: Option<pg_sys::Datum>,
    /// How many answers were copied for it.
    copies: u32,
}

/// Most answers that are copied for one place: no copy is freed before the place is. Later ones are not remembered.
const MOST_COPIES: u32 = 1000;

/// Declares the C function `NAME_wrapper`, which has no arguments and remembers its answers. `$length` is the
/// `typlen` of its SQL type, which is passed by reference; `$ask` computes an answer and its [`Validity`].
macro_rules! remembering {
    ($name:literal, $length:literal, $ask:expr) => {
        const _: () = {
            #[unsafe(export_name = concat!("pg_finfo_", $name, "_wrapper"))]
            extern "C" fn information() -> &'static ::pgrx::pg_sys::Pg_finfo_record {
                &::pgrx::pg_sys::Pg_finfo_record { api_version: 1 }
            }

            #[unsafe(export_name = concat!($name, "_wrapper"))]
            unsafe extern "C-unwind" fn function(
                call: ::pgrx::pg_sys::FunctionCallInfo,
            ) -> ::pgrx::pg_sys::Datum {
                // SAFETY: only the server calls this symbol, and always with the same way to ask, by which the
                // type of what is remembered is the same in all calls.
                unsafe { $crate::pg::call_site::answer(call, $length, $ask) }
            }
        };
    };
}
pub(crate) use remembering;

/// Answers a call: with what its place in the query remembers, if that holds, else anew.
///
/// # Safety
/// `call` is a call by the server of a function that only this answers, each time with the same `length` and the
/// same `V`; what is answered is of a type that is passed by reference and has that length, -1 where it varies.
pub unsafe fn answer<V: Validity>(
    call: pg_sys::FunctionCallInfo,
    length: i16,
    ask: impl FnOnce() -> Result<(Option<pg_sys::Datum>, V)>,
) -> pg_sys::Datum {
    // SAFETY: the call is the server's. An error that leaves the guard is raised as one of the server's.
    unsafe {
        let answer = match remembered::<V>(call) {
            Some(answer) => answer,
            None => pgrx_extern_c_guard(|| match ask() {
                Ok((answer, validity)) => remember(call, length, answer, validity),
                Err(error) => {
                    ErrorReport::from(error).report(pgrx::PgLogLevel::ERROR);
                    unreachable!("an error was raised")
                }
            }),
        };
        (*call).isnull = answer.is_none();
        answer.unwrap_or(pg_sys::Datum::null())
    }
}

/// The answer that this place in a query got last, if it still holds.
///
/// # Safety
/// As [`answer`].
unsafe fn remembered<V: Validity>(call: pg_sys::FunctionCallInfo) -> Option<Option<pg_sys::Datum>> {
    // SAFETY: only `remember` sets fn_extra of these functions, to a Site that lives as long as it. An error that
    // is raised while accepting invalidations leaves this frame by a jump; it owns nothing.
    unsafe {
        let function = (*call).flinfo;
        if function.is_null() || (*function).fn_extra.is_null() {
            return None;
        }
        let site: *const Site<V> = (*function).fn_extra.cast();
        bare::AcceptInvalidationMessages();
        let began =
            bare::GetCurrentStatementStartTimestamp().max(bare::GetCurrentTransactionStartTimestamp());
        (*site).validity.holds_at(began).then_some((*site).answer)
    }
}

/// Remembers an answer at this place in a query, and returns the copy that lives as long as the place; else the answer.
///
/// # Safety
/// As [`answer`].
unsafe fn remember<V: Validity>(
    call: pg_sys::FunctionCallInfo,
    length: i16,
    answer: Option<pg_sys::Datum>,
    validity: V,
) -> Option<pg_sys::Datum> {
    // SAFETY: fn_mcxt lives as long as fn_extra. The answer of before may still be in use by this very query, so it
    // is neither freed nor changed, and kept where the new one is equal. MemoryContextAlloc returns as many bytes as are
    // asked for, or raises an error.
    unsafe {
        let function = (*call).flinfo;
        if function.is_null() {
            return answer;
        }
        let mut site: *mut Site<V> = (*function).fn_extra.cast();
        let (before, copies) = if site.is_null() { (None, 0) } else { ((*site).answer, (*site).copies) };
        let (answer, copies) = match (answer, before) {
            (None, _) => (None, copies),
            (Some(answer), Some(before)) if server::datum_image_eq(before, answer, false, length) => {
                (Some(before), copies)
            }
            (Some(_), _) if copies == MOST_COPIES => return answer,
            (Some(answer), _) => {
                let value: *const u8 = answer.cast_mut_ptr();
                // One that varies begins with its own length.
                let length = usize::try_from(length).unwrap_or_else(|_| pgrx::varsize_any(value.cast()));
                let copy: *mut u8 = pg_sys::MemoryContextAlloc((*function).fn_mcxt, length).cast();
                copy.copy_from_nonoverlapping(value, length);
                (Some(pg_sys::Datum::from(copy)), copies + 1)
            }
        };
        if site.is_null() {
            site = pg_sys::MemoryContextAlloc((*function).fn_mcxt, size_of::<Site<V>>()).cast();
        }
        site.write(Site { validity, answer, copies });
        (*function).fn_extra = site.cast();
        answer
    }
}
