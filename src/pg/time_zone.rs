//! Time zones, by PostgreSQL's own table of them.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::clock::{Micros, SECOND, timestamptz};

/// Rollups count by quarters of an hour, and so does every time zone in use.
const QUARTER: i64 = 15 * 60 * SECOND;

/// Longest name of a time zone, in bytes. A longer one is not even copied: a failed allocation would end all connections.
const MAX_NAME: usize = 255;

/// The setting `TimeZone`, as SHOW has it: what was set as a number or an interval has a name there.
pub fn of_session() -> String {
    // SAFETY: a built-in setting; the text is made in the current memory context, and copied at once.
    unsafe {
        let name = pg_sys::GetConfigOptionByName(c"TimeZone".as_ptr(), std::ptr::null_mut(), false);
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// Checks that the server knows a time zone, and that at these moments, as far as they are of this
/// century, it differs from UTC by whole quarters of an hour.
///
/// # Errors
/// `FETCH_DASHBOARD_FAILED`.
pub fn check(name: &str, moments: &[Micros]) -> Result<()> {
    for moment in moments {
        let known = Some(name).filter(|name| name.len() <= MAX_NAME);
        let local = known.and_then(|name| timestamptz(*moment).at_timezone(name).ok());
        let local = local.ok_or_else(|| {
            Error::new(Code::FetchDashboardFailed, "the server does not know the time zone")
                .hint("Give a name like UTC or Europe/Berlin; the view pg_timezone_names lists them.")
        })?;
        let ahead = pg_sys::Timestamp::from(local).saturating_sub(*moment);
        if *moment >= 0 && ahead % QUARTER != 0 {
            return Err(Error::new(
                Code::FetchDashboardFailed,
                "the time zone differs from UTC by a part of a quarter of an hour",
            )
            .hint("Give a time zone that is in use, like UTC or Europe/Berlin."));
        }
    }
    Ok(())
}
