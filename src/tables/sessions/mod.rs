//! The table `sessions`: by direct scan where a session is verified or refreshed, else by statements, which
//! are in the modules of their flows.

pub mod change;
pub mod create;
pub mod list;
pub mod refresh;

use pgrx::datum::{Date, TimestampWithTimeZone};
use uuid::Uuid;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::datum::uuid::uuid;
use crate::pg::datum::varlena::Varlena;
use crate::pg::relcache::Rel;
use crate::pg::scan::{self, Key, Row};

/// The day after which the row of a session that dies then may be deleted.
pub fn purge_after(dies_at: Micros) -> Date {
    clock::utc_date(dies_at.saturating_add(guc::session_retention_micros()))
}

/// A session as it is now, as far as verifying and refreshing need it.
pub struct SessionRow {
    /// Its id.
    pub session_id: Uuid,
    /// `user`, `account` or `client`.
    pub kind: String,
    /// Its environment.
    pub env_id: i32,
    /// Its definition; user sessions only.
    pub definition_id: Option<i32>,
    /// Identifier, account or user_identifier_key.
    pub subject: Option<String>,
    /// When it was created.
    pub created_at: Micros,
    /// When it ends unless it is refreshed.
    pub expires_at: Micros,
    /// Last rotation of the refresh token.
    pub rotated_at: Option<Micros>,
    /// Why it was revoked, if it was.
    pub revoke_reason: Option<String>,
    /// How often the refresh token has rotated.
    pub generation: u32,
    /// The key that sealed the data or made the token.
    pub key_number: u32,
    /// Scopes that it holds.
    pub scopes: Option<Vec<String>>,
    /// Its connected accounts, a `uuid[]`; client sessions only.
    pub connected_account_ids: Option<Varlena>,
    /// Its user identities, a `uuid[]`; client sessions only.
    pub user_identity_ids: Option<Varlena>,
    /// Its data, encrypted.
    pub sealed_data: Option<Vec<u8>>,
    /// Whether this version of the row was made by the running transaction.
    pub in_progress: bool,
}

impl SessionRow {
    /// Whether what a refresh compares is the same in another reading of the row.
    pub fn is_same_step(&self, other: &SessionRow) -> bool {
        self.generation == other.generation
            && self.expires_at == other.expires_at
            && self.revoke_reason == other.revoke_reason
            && self.key_number == other.key_number
            && self.sealed_data == other.sealed_data
    }

    /// Whether it is neither revoked nor at its end.
    pub fn lives(&self, now: Micros) -> bool {
        self.revoke_reason.is_none() && now < self.expires_at
    }
}

fn read(row: &Row<'_>) -> Option<SessionRow> {
    let at = |column| row.get::<TimestampWithTimeZone>(column).map(clock::micros);
    Some(SessionRow {
        session_id: uuid(row.get(1)?),
        created_at: at(2)?,
        expires_at: at(4)?,
        rotated_at: at(6),
        env_id: row.get(8)?,
        definition_id: row.get(9),
        generation: row.get::<i32>(10)?.unsigned_abs(),
        key_number: row.get::<i32>(11)?.unsigned_abs(),
        kind: row.get(13)?,
        subject: row.get(14),
        // A manual revocation may give no reason.
        revoke_reason: row.get(15).or_else(|| at(7).map(|_| "revoked".to_owned())),
        scopes: row.get(16),
        connected_account_ids: row.kept(17),
        user_identity_ids: row.kept(19),
        sealed_data: row.get(20),
        in_progress: row.in_progress(),
    })
}

/// Whether any session is like that, in its latest committed state. Reads the whole table.
pub fn any(like: impl Fn(&SessionRow) -> bool) -> Result<bool> {
    let mut found = false;
    scan::each(Rel::Sessions, None, &[], |row| {
        found = read(row).is_some_and(|row| like(&row));
        !found
    })?;
    Ok(found)
}

/// The session with this id, in its latest committed state or as this transaction has changed it.
pub fn by_id(session_id: &Uuid) -> Result<Option<SessionRow>> {
    let keys = [Key::uuid(1, session_id.as_bytes())];
    scan::first(Rel::Sessions, Some(Rel::SessionsById), &keys, read)
}
