//! The steps of a refresh token: a compare-and-set of the session's row, noted in the activity by the same
//! statement.

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::tables::activity::Origin;
use crate::tables::sessions::{SessionRow, purge_after};

/// One step of a session's refresh token.
pub struct Step<'a> {
    /// The session as it was read. Its generation, end and data must still be these: an extension or new data
    /// meanwhile must not be lost.
    pub from: &'a SessionRow,
    /// The generation that it gets.
    pub to: u32,
    /// When the call began.
    pub now: Micros,
    /// When the session now ends unless it is refreshed.
    pub expires_at: Micros,
    /// Where the request came from; what is absent stays as it was.
    pub origin: Origin<'a>,
}

/// No index has a column that this sets but `purge_after`, which moves once a day: other steps are heap-only
/// updates. The reuse interval begins when the step is taken, which may have waited for another call: hence
/// the clock in `rotated_at`.
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
              (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
               ip, user_agent, latency_us, session_created_at, expires_before, expires_after) \
          SELECT $7, $13, $1, env_id, definition_id, 'user', 'refresh', 'success', subject, ip, \
                 user_agent, $8, created_at, $3, $9 \
            FROM taken",
);

/// Takes the step, after waiting for other calls that are changing the row. `false` where the row is not, or
/// is no longer, as expected.
///
/// # Errors
/// 40001 where the row was changed after the transaction's snapshot (REPEATABLE READ and above).
pub fn rotate(step: &Step<'_>) -> Result<bool> {
    let from = step.from;
    let arguments = [
        bind(pg_uuid(&from.session_id)),
        bind(from.generation.cast_signed()),
        bind(timestamptz(from.expires_at)),
        bind(from.key_number.cast_signed()),
        bind(from.sealed_data.as_deref()),
        bind(step.to.cast_signed()),
        bind(timestamptz(step.now)),
        bind(clock::latency(step.now)),
        bind(timestamptz(step.expires_at)),
        bind(purge_after(step.expires_at)),
        bind(step.origin.ip.cloned()),
        bind(step.origin.user_agent),
        bind(clock::utc_month(step.now)),
    ];
    Ok(ROTATE.execute(&AsOwner::enter()?, &arguments)? == 1)
}
