//! PostgreSQL's clock and calendar. Times are microseconds since 2000-01-01 00:00 UTC, as the
//! server keeps them.

use std::ffi::CString;

use pgrx::datum::{Date, Interval, TimestampWithTimeZone};
use pgrx::{IntoDatum, PgSqlErrorCode, PgTryBuilder, pg_sys};

use crate::error::{Code, Error, Result};
use crate::session::Span;
pub use crate::session::ceil_to_second;
pub use crate::session::period::{DAY, SECOND};

/// Microseconds since 2000-01-01 00:00 UTC.
pub type Micros = i64;

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_OFFSET_SECONDS: i64 = 946_684_800;

/// Not the transaction's start.
pub fn now() -> Micros {
    // SAFETY: reads the system clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// Microseconds since a call began, as activity keeps them.
pub fn latency(began: Micros) -> i32 {
    i32::try_from(now().saturating_sub(began)).unwrap_or(i32::MAX).max(0)
}

/// When the running statement or its transaction began, whichever is later: inside a procedure the statement's
/// start stands still over a COMMIT.
pub fn began() -> Micros {
    // SAFETY: reads variables of the backend.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp().max(pg_sys::GetCurrentTransactionStartTimestamp()) }
}

pub fn utc_date(at: Micros) -> Date {
    Date::saturating_from_raw(i32::try_from(at.div_euclid(DAY)).unwrap_or(i32::MAX))
}

/// Whole seconds since 1970, rounded down.
pub fn unix_seconds(at: Micros) -> i64 {
    at.div_euclid(SECOND) + UNIX_OFFSET_SECONDS
}

/// The moment of a Unix time. Saturates.
pub fn from_unix_seconds(seconds: i64) -> Micros {
    seconds.saturating_sub(UNIX_OFFSET_SECONDS).saturating_mul(SECOND)
}

/// The moment a span later, by PostgreSQL's calendar in UTC.
///
/// # Errors
/// `code` when the result is beyond what a timestamp holds.
pub fn add(at: Micros, span: &Span, code: Code) -> Result<Micros> {
    let interval = pg_sys::Interval { time: span.micros, day: span.days, month: span.months };
    PgTryBuilder::new(|| {
        // SAFETY: timestamp_pl_interval takes a timestamp by value and a pointer to an interval.
        let sum = unsafe {
            pgrx::direct_function_call_as_datum(
                pg_sys::timestamp_pl_interval,
                &[Some(pg_sys::Datum::from(at)), Some(pg_sys::Datum::from(&raw const interval))],
            )
        };
        Ok(sum.map_or(at, |datum| datum.value() as i64))
    })
    .catch_when(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, |_| {
        Err(Error::new(code, "the expiry is beyond what a timestamp can hold").hint("Choose a shorter time."))
    })
    .execute()
}

pub fn timestamptz(at: Micros) -> TimestampWithTimeZone {
    // A value out of the type's range can't come from the clock plus at most a century.
    TimestampWithTimeZone::try_from(at).unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

pub fn micros(at: TimestampWithTimeZone) -> Micros {
    at.into()
}

pub fn span(interval: &Interval) -> Span {
    Span { months: interval.months(), days: interval.days(), micros: interval.micros() }
}

/// Reads an interval as PostgreSQL writes and accepts it (`2 hours`, `PT2H`).
pub fn parse_interval(text: &str) -> Option<Span> {
    let text = CString::new(text).ok()?;
    PgTryBuilder::new(|| {
        // SAFETY: interval_in takes a C string, a type id that it ignores, and a modifier.
        unsafe {
            pgrx::direct_function_call::<Interval>(
                pg_sys::interval_in,
                &[
                    Some(pg_sys::Datum::from(text.as_ptr())),
                    pg_sys::InvalidOid.into_datum(),
                    (-1i32).into_datum(),
                ],
            )
        }
        .map(|interval| span(&interval))
    })
    // The three ways in which interval_in refuses a text; nothing else was started.
    .catch_when(PgSqlErrorCode::ERRCODE_INVALID_DATETIME_FORMAT, |_| None)
    .catch_when(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, |_| None)
    .catch_when(PgSqlErrorCode::ERRCODE_INTERVAL_FIELD_OVERFLOW, |_| None)
    .execute()
}
