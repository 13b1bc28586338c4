//! Which versions there are, and findings about them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use pgrx::pg_sys;

use super::Finding;
use super::kinds::{CONNECTIONS_WITH_OLDER_LIBRARY, VERSIONS_DIFFER};
use crate::error::Result;
use crate::pg::clock::{self, Micros, SECOND};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// The versions of what works together.
pub struct Versions {
    /// Of the library that this connection has loaded.
    pub library: &'static str,
    /// Of the tables and functions in this database.
    pub sql: String,
    /// Of the PostgreSQL that the library was built for.
    pub postgresql_built_for: String,
    /// Of the PostgreSQL that runs.
    pub postgresql: String,
}

static VERSIONS: Statement = Statement::new(
    "SELECT (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = $1), \
                 current_setting('server_version')",
);

/// The versions of library, SQL and PostgreSQL.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension is not in this database.
pub fn versions() -> Result<Vec<Versions>> {
    read(&AsOwner::enter()?)
}

fn read(owner: &AsOwner) -> Result<Vec<Versions>> {
    VERSIONS.read(owner, &[bind(env!("CARGO_PKG_NAME"))], |row| {
        Ok(Versions {
            library: LIBRARY,
            sql: row.required(1)?,
            postgresql_built_for: pg_sys::PG_VERSION.to_string_lossy().into_owned(),
            postgresql: row.required(2)?,
        })
    })
}

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

/// What is wrong with versions.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for Versions { library, sql, .. } in read(owner)? {
        if sql != library {
            let detail = format!("The library is version {library}, its tables and functions are {sql}.");
            found.push(Finding::new(&VERSIONS_DIFFER, detail));
        }
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
mod tests {
    use super::is_replaced_library;

    #[test]
    fn a_mapping_of_a_file_that_was_replaced_is_told_from_others() {
        let line = |path: &str| format!("7f1c2a000000-7f1c2a400000 r-xp 00000000 08:01 1048602   {path}");
        assert!(is_replaced_library(&line("/usr/lib/postgresql/15/lib/dialstack_sessions.so (deleted)")));
        for other in [
            "/usr/lib/postgresql/15/lib/dialstack_sessions.so",
            "/usr/lib/postgresql/15/lib/not_dialstack_sessions.so (deleted)",
            "/dev/zero (deleted)",
            "",
        ] {
            assert!(!is_replaced_library(&line(other)), "{other}");
        }
    }
}
