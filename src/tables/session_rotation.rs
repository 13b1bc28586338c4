//! The steps of a refresh token, in the table `sessions`.

use pgrx::IntoDatum;
use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::pg_sys::BuiltinOid as T;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz_datum};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::relcache;
use crate::pg::rows::Location;
use crate::pg::rows::Update;
use crate::pg::statements::Statement;
use crate::tables::activity::{self, Entry, Origin};
use crate::tables::session_writes::purge_after;
use crate::tables::sessions::SessionRow;

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

static TAKE: Update = Update {
    rel: "",
    // No index has any of them but purge_after, which moves once a day: all other updates are heap-only.
    columns: &[
        column::GENERATION,
        column::ROTATED_AT,
        column::LAST_SEEN_AT,
        column::TOKEN_EXPIRES_AT,
        column::EXPIRES_AT,
        column::PURGE_AFTER,
        column::IP,
        column::USER_AGENT,
    ],
    statement: Statement {
        sql: "UPDATE dialstack.sessions SET \
                  generation = $2, rotated_at = $3, last_seen_at = $4, token_expires_at = $5, \
                  expires_at = $6, purge_after = $7, ip = $8, user_agent = $9 \
               WHERE session_id = $1",
        parameters: &[
            T::UUIDOID,
            T::INT4OID,
            T::TIMESTAMPTZOID,
            T::TIMESTAMPTZOID,
            T::TIMESTAMPTZOID,
            T::TIMESTAMPTZOID,
            T::DATEOID,
            T::INETOID,
            T::TEXTOID,
        ],
    },
};

/// A step that was taken: the data, and from where the user now is known to come.
type Taken = (Rotated, Option<Inet>, Option<String>);

fn take(step: &Step<'_>) -> Result<Option<Taken>> {
    let row = step.from;
    let key = [pg_uuid(&row.session_id).into_datum()];
    TAKE.run(step.at, &key, |stored| {
        let ends_at = |column| {
            stored
                .get::<TimestampWithTimeZone>(column)
                .map(clock::micros)
        };
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
        let values = vec![
            step.to.cast_signed().into_datum(),
            // The reuse interval begins when the step is taken, which may have waited for another.
            timestamptz_datum(clock::now()),
            timestamptz_datum(step.now),
            timestamptz_datum(step.token_expires_at),
            timestamptz_datum(step.expires_at),
            purge_after(step.expires_at).into_datum(),
            ip.clone().into_datum(),
            user_agent.as_deref().into_datum(),
        ];
        Some((values, (rotated, ip, user_agent)))
    })
}

/// Takes the step and notes it, unless the row is no longer as expected, or a trigger of somebody else
/// keeps it as it is: then `None`.
pub fn rotate(step: &Step<'_>) -> Result<Option<Rotated>> {
    let row = step.from;
    let Some((rotated, ip, user_agent)) = take(step)? else {
        return Ok(None);
    };
    // An access token of before may live longer than a session whose definition has become stricter:
    // then there is something to forget.
    if step.expires_at < row.expires_at {
        relcache::invalidate(unimplemented!())?;
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
