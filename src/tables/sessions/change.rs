//! Locking sessions, changing their data and moving their ends, and the steps of refresh tokens. What shows in the
//! activity is noted there by the same statement.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::server::lock_number;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::Table;
use crate::tables::activity::Origin;
use crate::tables::sessions::{SessionRow, Sessions, purge_after};
use crate::token::Family;

static LOCK_ONE: Statement =
    Statement::new("SELECT 1 FROM dialstack.sessions WHERE session_id = $1 FOR UPDATE");

static SET_DATA: Statement = Statement::new(
    "UPDATE dialstack.sessions SET sealed_data = $2, key_number = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
);

/// Moves the end of a session that is not revoked from `$4` to `$2`.
macro_rules! extension {
    ($table:literal, $kind:literal, $of_kind:literal) => {
        Statement::new(concat!(
            "WITH extended AS ( \
                 UPDATE dialstack.",
            $table,
            " SET expires_at = $2, purge_after = $3 \
                  WHERE session_id = $1 AND revoked_at IS NULL AND expires_at = $4 \
              RETURNING env_id, created_at, ",
            $of_kind,
            ") \
             INSERT INTO dialstack.activity \
                 (at, month, session_id, api_key_id, env_id, kind, operation, status, latency_us, \
                  session_created_at, expires_before, expires_after, definition_id, subject, ip, user_agent) \
             SELECT $5, extract(month FROM $5 AT TIME ZONE 'UTC'), $1, $7, env_id, '",
            $kind,
            "', 'extend', 'success', $6, created_at, $4, $2, definition_id, subject, ip, user_agent \
               FROM extended"
        ))
    };
}

static EXTEND_USER: Statement = extension!("sessions", "user", "definition_id, subject, ip, user_agent");

static EXTEND_CLIENT: Statement = extension!(
    "client_sessions",
    "client",
    "NULL::integer AS definition_id, NULL AS subject, NULL::inet AS ip, NULL AS user_agent"
);

static REAUTHENTICATE: Statement = Statement::new(
    "WITH reauthenticated AS ( \
              UPDATE dialstack.sessions SET authenticated_at = $2 \
               WHERE session_id = $1 AND revoked_at IS NULL \
           RETURNING env_id, definition_id, subject, ip, user_agent) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, api_key_id, env_id, definition_id, kind, operation, status, \
               subject, ip, user_agent, latency_us) \
          SELECT $2, extract(month FROM $2 AT TIME ZONE 'UTC'), $1, $4, env_id, definition_id, 'user', \
                 'reauthenticate', 'success', subject, ip, user_agent, $3 \
            FROM reauthenticated",
);

/// Locks a session's row until the transaction ends, so that what is read next stays true until it is
/// written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    lock_for_writing::<Sessions>()?;
    LOCK_ONE.execute(owner, &[bind(pg_uuid(session_id))]).map(|_| ())
}

/// Replaces a living session's data; `false` if it was revoked meanwhile.
pub fn set_data(owner: &AsOwner, session_id: &Uuid, sealed_data: Vec<u8>, key_number: i32) -> Result<bool> {
    let arguments = [bind(pg_uuid(session_id)), bind(sealed_data), bind(key_number)];
    Ok(SET_DATA.execute(owner, &arguments)? == 1)
}

/// Moves the end of a living user or client session; `false` if it was revoked or its end moved meanwhile.
pub fn extend(
    owner: &AsOwner,
    family: Family,
    session_id: &Uuid,
    [before, after]: [Micros; 2],
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(timestamptz(after)),
        bind(purge_after(after)),
        bind(timestamptz(before)),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    let statement = if family == Family::Client { &EXTEND_CLIENT } else { &EXTEND_USER };
    Ok(statement.execute(owner, &arguments)? == 1)
}

/// Notes that the user of a living session has proved again who they are; `false` if it was revoked meanwhile.
pub fn reauthenticate(
    owner: &AsOwner,
    session_id: &Uuid,
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    Ok(REAUTHENTICATE.execute(owner, &arguments)? == 1)
}

/// No index has a column that this sets but `purge_after`, which moves once a day: other steps are heap-only
/// updates. The reuse interval begins when the step is taken, which may have waited for another call: hence
/// the clock in `rotated_at`. Where the new end is over already, the refresh has failed, and the session with it.
static ROTATE: Statement = Statement::new(
    "WITH taken AS ( \
              UPDATE dialstack.sessions SET \
                  generation = $6, rotated_at = clock_timestamp(), last_seen_at = $7, \
                  expires_at = $9, purge_after = $10, \
                  ip = coalesce($11, ip), user_agent = coalesce($12, user_agent) \
               WHERE session_id = $1 AND generation = $2 AND expires_at = $3 \
                 AND key_number = $4 AND sealed_data = $5 AND revoked_at IS NULL \
           RETURNING env_id, definition_id, subject, ip, user_agent, created_at) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, reason, subject, \
               ip, user_agent, latency_us, session_created_at, expires_before, expires_after) \
          SELECT $7, extract(month FROM $7 AT TIME ZONE 'UTC'), $1, env_id, definition_id, 'user', 'refresh', \
                 CASE WHEN $9 > $7 THEN 'success' ELSE 'fail' END, \
                 CASE WHEN $9 > $7 THEN NULL ELSE 'expired' END, subject, ip, \
                 user_agent, $8, created_at, $3, $9 \
            FROM taken",
);

/// Takes a step of a session's refresh token to the generation `to`, after waiting for other calls that are changing the
/// row. `false` where its generation, end or data are not as they were read: an extension or new data meanwhile must not
/// be lost. What the origin does not say stays as it was.
///
/// # Errors
/// 40001 where the row was changed after the transaction's snapshot (REPEATABLE READ and above).
pub fn rotate(
    from: &SessionRow,
    to: u32,
    now: Micros,
    expires_at: Micros,
    origin: Origin<'_>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&from.session_id)),
        bind(from.generation.cast_signed()),
        bind(timestamptz(from.expires_at)),
        bind(from.key_number.cast_signed()),
        bind(from.sealed_data.as_deref()),
        bind(to.cast_signed()),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
        bind(origin.ip.cloned()),
        bind(origin.user_agent),
    ];
    Ok(ROTATE.execute(&AsOwner::enter()?, &arguments)? == 1)
}

/// By locks of names creates and revocations of account sessions wait for each other: user sessions have a row in
/// `session_users` for that, and account sessions have none. Names share so many locks: the server's memory for locks is
/// small, and a transaction may create many sessions.
const LOCKS: u32 = 64;

/// Waits for those who keep one of these names to themselves, and keeps them out until the transaction ends.
pub fn share_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    lock_names(names, pg_sys::RowExclusiveLock)
}

/// Waits for transactions that create account sessions of this account, or for this person, and keeps them out until the
/// transaction ends.
pub fn keep_name(name: &str) -> Result<()> {
    lock_for_writing::<Sessions>()?;
    lock_names([name].into_iter(), pg_sys::ShareRowExclusiveLock)
}

fn lock_names<'a>(names: impl Iterator<Item = &'a str>, mode: u32) -> Result<()> {
    let relation = Sessions::relation().oid()?;
    // In one order.
    let numbers: BTreeSet<u32> = names.map(number).collect();
    numbers.into_iter().for_each(|number| lock_number(relation, number, mode));
    Ok(())
}

fn number(name: &str) -> u32 {
    name.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % LOCKS
}
