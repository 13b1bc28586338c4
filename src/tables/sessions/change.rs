//! Locking sessions, changing their data and moving their ends.

use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::tables::sessions::{SessionRow, Sessions, purge_after};

static LOCK_ONE: Statement =
    Statement::new("SELECT 1 FROM dialstack.sessions WHERE session_id = $1 FOR UPDATE");

static SET_DATA: Statement = Statement::new(
    "UPDATE dialstack.sessions SET sealed_data = $2, key_number = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
);

static EXTEND: Statement = Statement::new(
    "WITH extended AS ( \
              UPDATE dialstack.sessions SET expires_at = $2, purge_after = $3 \
               WHERE session_id = $1 AND revoked_at IS NULL AND expires_at = $4 \
           RETURNING env_id, definition_id, subject, ip, user_agent, created_at) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, api_key_id, env_id, definition_id, kind, operation, status, \
               subject, ip, user_agent, latency_us, session_created_at, expires_before, \
               expires_after) \
          SELECT $5, $6, $1, $8, env_id, definition_id, 'user', 'extend', 'success', subject, ip, \
                 user_agent, $7, created_at, $4, $2 \
            FROM extended",
);

static REAUTHENTICATE: Statement = Statement::new(
    "WITH reauthenticated AS ( \
              UPDATE dialstack.sessions SET authenticated_at = $2 \
               WHERE session_id = $1 AND revoked_at IS NULL \
           RETURNING env_id, definition_id, subject, ip, user_agent) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, api_key_id, env_id, definition_id, kind, operation, status, \
               subject, ip, user_agent, latency_us) \
          SELECT $2, $3, $1, $5, env_id, definition_id, 'user', 'reauthenticate', 'success', \
                 subject, ip, user_agent, $4 \
            FROM reauthenticated",
);

/// Locks the table for writing, for flows whose first statement only reads or locks rows of it: those lock
/// its indexes too, and a REINDEX, which locks the table and then its indexes, would wait for them while
/// their flow waits for the table.
pub fn lock_table() -> Result<()> {
    scan::lock_for_writing::<Sessions>()
}

/// Locks a session's row until the transaction ends, so that what is read next stays true until it is
/// written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    lock_table()?;
    LOCK_ONE.execute(owner, &[bind(pg_uuid(session_id))]).map(|_| ())
}

/// Replaces a living session's data; `false` if it was revoked meanwhile.
pub fn set_data(owner: &AsOwner, session_id: &Uuid, sealed_data: Vec<u8>, key_number: i32) -> Result<bool> {
    let arguments = [bind(pg_uuid(session_id)), bind(sealed_data), bind(key_number)];
    Ok(SET_DATA.execute(owner, &arguments)? == 1)
}

/// Moves a living user session's end; `false` if the session was revoked or its end moved meanwhile.
pub fn extend(
    owner: &AsOwner,
    row: &SessionRow,
    expires_at: Micros,
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&row.session_id)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
        bind(timestamptz(row.expires_at)),
        bind(timestamptz(now)),
        bind(clock::utc_month(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    Ok(EXTEND.execute(owner, &arguments)? == 1)
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
        bind(clock::utc_month(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    Ok(REAUTHENTICATE.execute(owner, &arguments)? == 1)
}
