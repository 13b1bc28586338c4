//! Findings about settings of the server, of roles and of databases, and about publications.

mod logging;

use std::ffi::CStr;

use super::Finding;
use super::kinds::{
    LIBRARY_NOT_PRELOADED, PARAMETERS_LOGGED, SECRET_IN_CATALOGUE, STATEMENTS_LOGGED, TABLES_PUBLISHED,
};
use crate::error::Result;
use crate::guc;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;
use logging::{Logged, Settings};

/// Longest value of a setting that is looked at.
const MAX_VALUE: usize = 65_536;

const PRELOADING: [&CStr; 3] =
    [c"shared_preload_libraries", c"session_preload_libraries", c"local_preload_libraries"];

/// Where a secret lies in a catalogue that everybody reads. Settings of databases are shared by all of them.
static SECRETS: Statement = Statement::new(
    "SELECT format('%s sets %s.', s.owner, split_part(c.setting, '=', 1)) \
            FROM (SELECT concat_ws(' in ', 'Role ' || quote_ident(r.rolname), \
                                           'Database ' || quote_ident(d.datname)), s.setconfig \
                    FROM pg_catalog.pg_db_role_setting s \
                    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
                    LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
                   UNION ALL \
                  SELECT format('Function %s', p.oid::regprocedure), p.proconfig \
                    FROM pg_catalog.pg_proc p WHERE p.proconfig IS NOT NULL) AS s (owner, settings), \
                 unnest(s.settings) AS c (setting) \
           WHERE lower(split_part(c.setting, '=', 1)) IN ('dialstack_sessions.token', \
                                                          'dialstack_sessions.api_key') \
             AND split_part(c.setting, '=', 2) <> ''",
);

/// What roles and this database set, where it is not for another database.
static OF_ROLES: Statement = Statement::new(
    "SELECT concat_ws(' in ', 'role ' || quote_ident(r.rolname), \
                              'database ' || quote_ident(d.datname)), s.setconfig \
            FROM pg_catalog.pg_db_role_setting s \
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
            LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
           WHERE s.setdatabase = 0 OR d.datname = current_database() \
           ORDER BY 1",
);

static PUBLISHED: Statement = Statement::new(
    "SELECT format('Publication %I sends %s tables of schema dialstack.', p.pubname, count(*)) \
            FROM pg_catalog.pg_publication p \
            JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname \
           WHERE t.schemaname = 'dialstack' \
             AND (p.pubinsert OR p.pubupdate OR p.pubdelete OR p.pubtruncate) \
           GROUP BY p.pubname",
);

/// What is wrong with settings and publications.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (statement, kind) in [(&SECRETS, &SECRET_IN_CATALOGUE), (&PUBLISHED, &TABLES_PUBLISHED)] {
        let details = statement.read(owner, &[], |row| row.required::<String>(1))?;
        found.extend(details.into_iter().map(|detail| Finding::new(kind, detail)));
    }
    if !PRELOADING.into_iter().any(|setting| value(setting).is_some_and(|list| names_library(&list))) {
        let detail = "A connection loads the library with its first call.";
        found.push(Finding::new(&LIBRARY_NOT_PRELOADED, detail));
    }
    let here = Settings::read(value);
    add(&mut found, &here.logged(), None);
    for (of, settings) in
        OF_ROLES.read(owner, &[], |row| Ok((row.required::<String>(1)?, row.get::<Vec<String>>(2)?)))?
    {
        let there = here.with(&settings.unwrap_or_default());
        add(&mut found, &there.logged().beyond(&here.logged()), Some(&of));
    }
    Ok(found)
}

fn add(found: &mut Vec<Finding>, logged: &Logged, of: Option<&str>) {
    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
    for (kind, settings) in
        [(&PARAMETERS_LOGGED, &logged.parameters), (&STATEMENTS_LOGGED, &logged.statements)]
    {
        if !settings.is_empty() {
            found.push(Finding::new(kind, format!("By the settings{of}: {}.", settings.join(", "))));
        }
    }
}

/// The value that a setting has in this connection; none where there is no such setting.
fn value(name: &CStr) -> Option<String> {
    guc::foreign(name, MAX_VALUE).ok().flatten()
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
mod tests {
    use super::names_library;

    #[test]
    fn the_library_is_found_in_a_list_however_it_is_written() {
        for list in [
            "dialstack_sessions",
            "pg_cron, dialstack_sessions",
            "\"$libdir/dialstack_sessions\",pg_cron",
            " /usr/lib/postgresql/15/lib/dialstack_sessions.so ",
        ] {
            assert!(names_library(list), "{list}");
        }
        for list in ["", "pg_cron", "dialstack_sessions_more", "dialstack_sessions/other"] {
            assert!(!names_library(list), "{list}");
        }
    }
}
