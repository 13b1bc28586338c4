//! Versions of the library and of what works with it, and findings about where it is loaded.

use std::ffi::CStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use pgrx::pg_sys;

use super::kinds::{CONNECTIONS_WITH_OLDER_LIBRARY, LIBRARY_NOT_PRELOADED};
use super::{Finding, value};
use crate::error::Result;
use crate::pg::clock::{self, Micros, SECOND};
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

/// Those of this database.
static PROCESSES: Statement = Statement::new(
    "SELECT a.pid FROM pg_catalog.pg_stat_activity a \
           WHERE a.datname = current_database() ORDER BY a.pid LIMIT $1",
);

/// Most connections that are looked at, and the longest that this takes.
const MOST: i64 = 1000;
const TIME: Micros = SECOND;

/// Most processes that are named.
const MOST_NAMED: usize = 10;

/// Most bytes that are read of the mappings of a process.
const MAX_MAPPINGS: u64 = 4 << 20;

/// Where the library is loaded too late, and where it is too old.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    if !PRELOADING.into_iter().any(|setting| value(setting).is_some_and(|list| names_library(&list))) {
        let detail = "A connection loads the library with its first call.";
        found.push(Finding::new(&LIBRARY_NOT_PRELOADED, detail));
    }
    let until = clock::now() + TIME;
    let mut older = PROCESSES.read(owner, &[bind(MOST)], |row| row.required::<i32>(1))?;
    older.retain(|process| clock::now() < until && runs_replaced_library(*process));
    if !older.is_empty() {
        let named: Vec<String> = older.iter().take(MOST_NAMED).map(i32::to_string).collect();
        let more = older.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let detail = format!("Processes {}{more}.", named.join(", "));
        found.push(Finding::new(&CONNECTIONS_WITH_OLDER_LIBRARY, detail));
    }
    Ok(found)
}

/// Whether a list of libraries, as in `shared_preload_libraries`, names ours.
fn names_library(list: &str) -> bool {
    list.split(',').any(|name| {
        let name = name.trim().trim_matches('"');
        let file = name.rsplit('/').next().unwrap_or(name);
        file.strip_suffix(".so").unwrap_or(file) == env!("CARGO_PKG_NAME")
    })
}

/// Whether a process of the server has a library of our name loaded whose file was replaced since. Linux says so;
/// elsewhere nothing does, and the answer is no.
fn runs_replaced_library(process: i32) -> bool {
    // One that has ended meanwhile runs nothing.
    let Ok(mappings) = File::open(format!("/proc/{process}/maps")) else {
        return false;
    };
    let lines = BufReader::new(mappings.take(MAX_MAPPINGS)).lines();
    lines.map_while(std::result::Result::ok).any(|mapping| is_replaced_library(&mapping))
}

/// Whether a line of `/proc/PID/maps` maps our library from a file that is not there any more: the server loads a
/// library once, and an installation puts a new file into the place of the old one.
fn is_replaced_library(mapping: &str) -> bool {
    const REPLACED: &str = concat!("/", env!("CARGO_PKG_NAME"), ".so (deleted)");
    mapping.ends_with(REPLACED)
}

#[cfg(test)]
mod tests;
