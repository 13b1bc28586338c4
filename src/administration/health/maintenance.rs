//! Findings about maintenance: late, without a schedule, held up.

use super::Finding;
use super::kinds::{MAINTENANCE_HELD, MAINTENANCE_LATE, MAINTENANCE_NOT_SCHEDULED};
use crate::error::Result;
use crate::maintenance::cron;
use crate::pg::clock::{self, Micros, SECOND};
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;

/// Maintenance should run every few minutes; after so long it is late.
const LATE: Micros = 3600 * SECOND;

static STATE: Statement = Statement::new(
    "SELECT ran_at, \
                 format('%s %s.', CASE WHEN done IS NULL THEN 'It has not run since the installation at' \
                                       ELSE 'It ran last at' END, \
                        to_char(ran_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')), \
                 (done ->> 'held_since')::timestamptz, \
                 format('%s rows of activity wait for %s.', done ->> 'activity_waiting', done ->> 'held_by') \
            FROM dialstack.rollup_state",
);

/// What is wrong with maintenance.
pub fn findings(owner: &AsOwner, now: Micros) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let state = STATE.read(owner, &[], |row| {
        let held_since: Option<_> = row.get(3)?;
        let ran = (clock::micros(row.required(1)?), row.required::<String>(2)?);
        Ok((ran, held_since.map(clock::micros), row.required::<String>(4)?))
    })?;
    for ((ran_at, ran), held_since, held) in state {
        if is_late(now, ran_at) {
            let kind =
                if cron::is_scheduled(owner)? { &MAINTENANCE_LATE } else { &MAINTENANCE_NOT_SCHEDULED };
            found.push(Finding::new(kind, ran));
        }
        if held_since.is_some_and(|since| is_late(now, since)) {
            found.push(Finding::new(&MAINTENANCE_HELD, held));
        }
    }
    Ok(found)
}

fn is_late(now: Micros, since: Micros) -> bool {
    now.saturating_sub(since) > LATE
}
