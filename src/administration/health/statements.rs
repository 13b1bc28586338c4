//! Findings whose details are the rows of statements.

use super::Finding;
use super::kinds::{
    ACCESS_LIMIT, API_KEY_EXPIRES, MAINTENANCE_HELD, MAINTENANCE_LATE, MAINTENANCE_NOT_SCHEDULED,
    OLD_SIGNING_KEY, PARAMETERS_LOGGED, ROOT_KEY_IN_ROW, SECRET_IN_CATALOGUE, STATEMENTS_LOGGED,
    TABLES_PUBLISHED, VERSIONS_DIFFER,
};
use crate::error::Result;
use crate::maintenance::cron;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;
use crate::rls::lint::weakness::Weakness;

/// More of a kind are counted only.
pub const MOST_SHOWN: usize = 100;

static STATEMENTS: [(&Weakness, Statement); 8] = [
    // Settings of databases are shared by all of them.
    (
        &SECRET_IN_CATALOGUE,
        Statement::new(
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
        ),
    ),
    (
        &TABLES_PUBLISHED,
        Statement::new(
            "SELECT format('Publication %I sends %s tables of schema dialstack.', p.pubname, count(*)) \
               FROM pg_catalog.pg_publication p \
               JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname \
              WHERE t.schemaname = 'dialstack' \
                AND (p.pubinsert OR p.pubupdate OR p.pubdelete OR p.pubtruncate) \
              GROUP BY p.pubname",
        ),
    ),
    (
        &ROOT_KEY_IN_ROW,
        Statement::new(
            "SELECT 'A backup or a copy of the data directory opens every token and all session data.' \
               FROM dialstack.instance WHERE root_key IS NOT NULL",
        ),
    ),
    (
        &OLD_SIGNING_KEY,
        Statement::new(
            "SELECT format('The %s key %s is in use since %s.', purpose, kid, \
                           to_char(active_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')) \
               FROM dialstack.stat_keys WHERE active_seconds > 365 * 86400",
        ),
    ),
    (
        &API_KEY_EXPIRES,
        Statement::new(
            "SELECT format('The %s key %s%s of %s of product %s ends at %s.', kind, api_key_id, \
                           ' (' || name || ')', env, product, \
                           to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')) \
               FROM dialstack.stat_api_keys \
              WHERE state = 'active' AND expires_in_seconds <= 14 * 86400 AND env IS NOT NULL \
              ORDER BY expires_at",
        ),
    ),
    (
        &ACCESS_LIMIT,
        Statement::new(
            "SELECT format('Role %s, level %s%s: %s.', role, level, \
                           ' for ' || nullif(concat_ws('/', product, env), ''), finding) \
               FROM dialstack.access_of_roles() WHERE finding IS NOT NULL",
        ),
    ),
    (
        &MAINTENANCE_HELD,
        Statement::new(
            "SELECT format('%s rows of activity wait for %s.', activity_waiting, held_by) \
               FROM dialstack.stat_maintenance WHERE held_since < clock_timestamp() - interval '1 hour'",
        ),
    ),
    (
        &VERSIONS_DIFFER,
        Statement::new(concat!(
            "SELECT format('The library is version %s, its tables and functions are %s.', '",
            env!("CARGO_PKG_VERSION"),
            "', extversion) FROM pg_catalog.pg_extension WHERE extname = '",
            env!("CARGO_PKG_NAME"),
            "' AND extversion <> '",
            env!("CARGO_PKG_VERSION"),
            "'"
        )),
    ),
];

static LOGGED: Statement = Statement::new(include_str!("logging.sql"));

/// Maintenance should run every few minutes.
static LATE: Statement = Statement::new(
    "SELECT format('%s %s.', CASE WHEN done IS NULL THEN 'It has not run since the installation at' \
                                  ELSE 'It ran last at' END, \
                   to_char(ran_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')) \
       FROM dialstack.rollup_state WHERE ran_at < clock_timestamp() - interval '1 hour'",
);

pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (kind, statement) in &STATEMENTS {
        let mut details = statement.read(owner, &[], |row| row.required::<String>(1))?;
        let more = details.len().saturating_sub(MOST_SHOWN);
        details.truncate(MOST_SHOWN);
        if more > 0 {
            details.push(format!("There are {more} more."));
        }
        found.extend(details.into_iter().map(|detail| Finding::new(kind, detail)));
    }
    found.extend(LOGGED.read(owner, &[], |row| {
        let kind = if row.required(1)? { &PARAMETERS_LOGGED } else { &STATEMENTS_LOGGED };
        Ok(Finding::new(kind, row.required::<String>(2)?))
    })?);
    for detail in LATE.read(owner, &[], |row| row.required::<String>(1))? {
        let kind = if cron::is_scheduled(owner)? { &MAINTENANCE_LATE } else { &MAINTENANCE_NOT_SCHEDULED };
        found.push(Finding::new(kind, detail));
    }
    Ok(found)
}
