//! Versions of the library and of what works with it, and whether it is loaded early enough.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::Finding;
use super::kinds::LIBRARY_NOT_PRELOADED;
use crate::error::Result;
use crate::guc;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

static VERSIONS: Statement = Statement::new(
    "SELECT (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = $1), \
                 current_setting('server_version')",
);

/// The versions of the library that this connection has loaded, of the tables and functions in this database, of the
/// PostgreSQL that the library was built for and of the one that runs; one row.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension is not in this database.
pub fn versions() -> Result<Vec<(&'static str, String, String, String)>> {
    VERSIONS.read(&AsOwner::enter()?, &[bind(env!("CARGO_PKG_NAME"))], |row| {
        let built_for = pg_sys::PG_VERSION.to_string_lossy().into_owned();
        Ok((env!("CARGO_PKG_VERSION"), row.required(1)?, built_for, row.required(2)?))
    })
}

const PRELOADING: [&CStr; 3] =
    [c"shared_preload_libraries", c"session_preload_libraries", c"local_preload_libraries"];

/// Longest value of a setting that is looked at.
const MAX_VALUE: usize = 65_536;

/// Where the library is loaded too late.
pub fn finding() -> Option<Finding> {
    let preloads =
        |setting| guc::foreign(setting, MAX_VALUE).is_ok_and(|it| it.is_some_and(|it| names_library(&it)));
    let detail = "A connection loads the library with its first call.";
    (!PRELOADING.into_iter().any(preloads)).then(|| Finding::new(&LIBRARY_NOT_PRELOADED, detail))
}

/// Whether a list of libraries, as in `shared_preload_libraries`, names ours.
fn names_library(list: &str) -> bool {
    list.split(',').any(|name| {
        let name = name.trim().trim_matches('"');
        let file = name.rsplit('/').next().unwrap_or(name);
        file.strip_suffix(".so").unwrap_or(file) == env!("CARGO_PKG_NAME")
    })
}

#[cfg(test)]
mod tests;
