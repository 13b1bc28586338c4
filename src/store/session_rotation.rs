//! The steps of a refresh token, in the table `sessions`.

use pgrx::IntoDatum;
use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::pg_sys::BuiltinOid as T;

use super::activity::{self, Entry, Origin};
use super::clock::{self, Micros, timestamptz, timestamptz_datum};
use super::ids::pg_uuid;
use super::owner::AsOwner;
use super::relations::{self, Rel};
use super::rows::Table;
use super::scan::Location;
use super::session_writes::{WithoutNews, purge_after};
use super::sessions::SessionRow;
use super::statements::{Statement, bind};
use crate::error::Result;

/// Columns of `sessions`, counted from 1.
mod column {
    pub const TOKEN_EXPIRES_AT: usize = 3;
    pub const EXPIRES_AT: usize = 4;
    pub const LAST_SEEN_AT: usize = 5;
    pub const ROTATED_AT: usize = 6;
    pub const REVOKED_AT: usize = 7;
    pub const GENERATION: usize = 10;
    pub const KEY_NUMBER: usize = 11;
    pub const PURGE_AFTER: usize = 12;
    pub const SEALED_DATA: usize = 20;
    pub const IP: usize = 21;
    pub const USER_AGENT: usize = 22;
}

/// One step of a session's refresh token.
pub struct Step<'a> {
    /// The session as this call has read it and expects it to be: its generation, and its end, because an
    /// extension meanwhile must not be lost.
    pub from: &'a SessionRow,
    /// Where it was read.
    pub at: Location,
    /// The generation that it gets.
    pub to: u32,
    /// When.
    pub now: Micros,
    /// When the new access token expires.
    pub token_expires_at: Micros,
    /// When the session now ends unless it is refreshed.
    pub expires_at: Micros,
    /// From where; what is absent stays as it was.
    pub origin: Origin<'a>,
}

/// The data of a session whose token was rotated, as it is now.
pub struct Rotated {
    /// The key that sealed it.
    pub key_number: u32,
    /// The data, encrypted.
    pub sealed_data: Option<Vec<u8>>,
}

/// A step that was taken: the data, and from where the user now is known to come.
type Taken = (Rotated, Option<Inet>, Option<String>);

/// Takes the step past SQL. Touches no indexed column but once a day, so that it stays a heap-only update.
fn take(sessions: Table, step: &Step<'_>) -> Result<Option<Taken>> {
    sessions.change(step.at, |stored| {
        let ends_at = |column| {
            stored
                .get::<TimestampWithTimeZone>(column)
                .map(clock::micros)
        };
        let row = step.from;
        let as_expected = stored.get(column::GENERATION) == Some(row.generation.cast_signed())
            && ends_at(column::EXPIRES_AT) == Some(row.expires_at)
            && ends_at(column::REVOKED_AT).is_none();
        if !as_expected {
            return None;
        }
        let rotated = Rotated {
            key_number: stored
                .get::<i32>(column::KEY_NUMBER)
                .map_or(0, i32::unsigned_abs),
            sealed_data: stored.get(column::SEALED_DATA),
        };
        let ip = step.origin.ip.cloned();
        let ip = ip.or_else(|| stored.get::<Inet>(column::IP));
        let user_agent = step.origin.user_agent.map(str::to_owned);
        let user_agent = user_agent.or_else(|| stored.get::<String>(column::USER_AGENT));
        let purge_after = purge_after(step.expires_at);
        let changes = vec![
            (column::GENERATION, step.to.cast_signed().into_datum()),
            // The reuse interval begins when the step is taken, which may have waited for another.
            (column::ROTATED_AT, timestamptz_datum(clock::now())),
            (column::LAST_SEEN_AT, timestamptz_datum(step.now)),
            (
                column::TOKEN_EXPIRES_AT,
                timestamptz_datum(step.token_expires_at),
            ),
            (column::EXPIRES_AT, timestamptz_datum(step.expires_at)),
            (column::PURGE_AFTER, purge_after.into_datum()),
            (column::IP, ip.clone().into_datum()),
            (column::USER_AGENT, user_agent.as_deref().into_datum()),
        ];
        Some((changes, (rotated, ip, user_agent)))
    })
}

static TAKE: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET \
              generation = $3, rotated_at = clock_timestamp(), last_seen_at = $4, \
              token_expires_at = $5, expires_at = $6, purge_after = $7, \
              ip = coalesce($8, ip), user_agent = coalesce($9, user_agent) \
           WHERE session_id = $1 AND generation = $2 AND expires_at = $10 \
             AND revoked_at IS NULL \
       RETURNING key_number, sealed_data, ip, user_agent",
    parameters: &[
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::DATEOID,
        T::INETOID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
    ],
};

/// The same by a statement, with all that somebody has added to the table.
fn take_by_statement(step: &Step<'_>) -> Result<Option<Taken>> {
    let row = step.from;
    let arguments = [
        bind(pg_uuid(&row.session_id)),
        bind(row.generation.cast_signed()),
        bind(step.to.cast_signed()),
        bind(timestamptz(step.now)),
        bind(timestamptz(step.token_expires_at)),
        bind(timestamptz(step.expires_at)),
        bind(purge_after(step.expires_at)),
        bind(step.origin.ip.cloned()),
        bind(step.origin.user_agent),
        bind(timestamptz(row.expires_at)),
    ];
    let _silent = (step.expires_at >= row.expires_at).then(WithoutNews::begin);
    let taken = TAKE.write(&AsOwner::enter()?, &arguments, |row| {
        let rotated = Rotated {
            key_number: row.required::<i32>(1)?.unsigned_abs(),
            sealed_data: row.get(2)?,
        };
        Ok((rotated, row.get(3)?, row.get(4)?))
    })?;
    Ok(taken.into_iter().next())
}

/// Takes the step and notes it, unless the row is no longer as expected, or a trigger of somebody else
/// keeps it as it is: then `None`.
pub fn rotate(step: &Step<'_>) -> Result<Option<Rotated>> {
    let row = step.from;
    let taken = match Table::open(Rel::Sessions)? {
        Some(sessions) => take(sessions, step)?,
        None => take_by_statement(step)?,
    };
    let Some((rotated, ip, user_agent)) = taken else {
        return Ok(None);
    };
    // An access token of before may live longer than a session whose definition has become stricter:
    // then there is something to forget.
    if step.expires_at < row.expires_at {
        relations::invalidate(relations::oid(Rel::Sessions)?)?;
    }
    let entry = Entry {
        origin: Origin {
            ip: ip.as_ref(),
            user_agent: user_agent.as_deref(),
            ..step.origin
        },
        session_created_at: Some(row.created_at),
        expires_before: Some(row.expires_at),
        expires_after: Some(step.expires_at),
        ..Entry::of(row, "refresh", step.now)
    };
    activity::write(&entry)?;
    Ok(Some(rotated))
}
