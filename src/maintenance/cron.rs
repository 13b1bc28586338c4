//! Scheduling through the extension pg_cron, where this database has it.

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction::subtransaction::recovering;
use crate::service::required;

/// Longest schedule, in bytes.
const MAX_CRON: usize = 200;

/// The function is pg_cron's own: any other in a schema of that name would run as the owner of our
/// extension.
static HAS_CRON: Statement = Statement::new(
    "SELECT 1 FROM pg_catalog.pg_extension x \
            JOIN pg_catalog.pg_depend d \
              ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = x.oid \
           WHERE x.extname = 'pg_cron' AND d.deptype = 'e' \
             AND d.classid = 'pg_catalog.pg_proc'::regclass \
             AND d.objid = to_regprocedure('cron.schedule(text, text, text)')",
);

/// By its name a job is there once for each user: the same name again changes it.
static SCHEDULE: Statement = Statement::new(
    "SELECT cron.schedule('dialstack_sessions_maintain'::text, $1, \
                               'SELECT dialstack.maintain()'::text)",
);

/// The statement by which an administrator of the database that has pg_cron schedules this one.
static ELSEWHERE: Statement = Statement::new(
    "SELECT current_setting('cron.database_name', true), \
                 format('SELECT cron.schedule_in_database(%L, %L, %L, %L);', \
                        concat('dialstack_sessions_maintain in ', current_database()), $1, \
                        'SELECT dialstack.maintain()', current_database()), \
                 current_database()::text",
);

/// Only planned where pg_cron is.
static IS_SCHEDULED: Statement = Statement::new(
    "SELECT count(*) FROM cron.job j \
           WHERE j.active AND j.database = current_database() \
             AND position('dialstack.maintain' IN j.command) > 0",
);

/// Whether pg_cron of this database has a job that runs the maintenance of this database.
pub fn is_scheduled(owner: &AsOwner) -> Result<bool> {
    if HAS_CRON.read(owner, &[], |_| Ok(()))?.is_empty() {
        return Ok(false);
    }
    Ok(IS_SCHEDULED.count(owner, &[])? > 0)
}

/// Lets pg_cron run the maintenance of this database by this schedule, as the owner of the extension.
/// Returns the number of the job.
///
/// # Errors
/// `CRON_NOT_AVAILABLE` where pg_cron is not in this database; `DEFINE_FAILED` for a schedule that it
/// does not understand.
pub fn schedule(cron: Option<&str>) -> Result<i64> {
    let cron = required(cron, "cron", Code::DefineFailed)?;
    if cron.len() > MAX_CRON {
        return Err(Error::new(Code::DefineFailed, "the schedule is too long")
            .hint("Write five fields: minute, hour, day of the month, month, day of the week."));
    }
    let owner = AsOwner::enter()?;
    if HAS_CRON.read(&owner, &[], |_| Ok(()))?.is_empty() {
        return Err(not_available(&owner, cron)?);
    }
    let schedule = || SCHEDULE.write(&owner, &[bind(cron)], |row| row.required::<i64>(1));
    let job = recovering(&owner, schedule, |code, _| {
        (code == PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE).then(|| {
            Err(Error::new(
                Code::DefineFailed,
                "the schedule is not one that pg_cron understands",
            )
            .hint("Write five fields: minute, hour, day of the month, month, day of the week; for example '*/5 * * * *'."))
        })
    })?;
    Ok(job.into_iter().next().unwrap_or_default())
}

fn not_available(owner: &AsOwner, cron: &str) -> Result<Error> {
    let rows = ELSEWHERE.read(owner, &[bind(cron)], |row| {
        Ok((row.get::<String>(1)?, row.required::<String>(2)?, row.required::<String>(3)?))
    })?;
    let error =
        Error::new(Code::CronNotAvailable, "the extension pg_cron, 1.4 or later, is not in this database");
    Ok(match rows.into_iter().next() {
        Some((Some(home), statement, here)) if home != here => error
            .detail(format!("pg_cron works in the database {home:?} of this server."))
            .hint(format!(
                "Run there, as the owner of the extension dialstack_sessions: {statement}"
            )),
        Some((Some(_), _, _)) => error.hint("Run CREATE EXTENSION pg_cron, or ALTER EXTENSION pg_cron UPDATE."),
        _ => error.hint(format!(
            "Install pg_cron (on Debian the package postgresql-{}-cron), put it into shared_preload_libraries, set cron.database_name to this database, restart the server and run CREATE EXTENSION pg_cron.",
            pg_sys::PG_VERSION_NUM / 10_000
        )),
    })
}
