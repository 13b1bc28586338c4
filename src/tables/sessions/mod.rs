//! The table `sessions`, of user and account sessions: by direct scan where a session is verified or refreshed, else by statements, which
//! are in the modules of their flows.

pub mod change;
pub mod create;

use pgrx::datum::{Date, Interval};
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros};
use crate::pg::scan::{self, Row};
use crate::pg::table::table;

table! {
    Sessions = c"sessions" {
        session_id: Uuid,
        created_at: Timestamptz,
        expires_at: Timestamptz,
        last_seen_at: Timestamptz,
        rotated_at: Timestamptz null,
        revoked_at: Timestamptz null,
        authenticated_at: Timestamptz null,
        env_id: Int4,
        definition_id: Int4 null,
        generation: Int4,
        key_number: Int4,
        purge_after: Day,
        subject: Text,
        revoke_reason: Text null,
        scopes: Texts null,
        sealed_data: Bytea null,
        ip: Address null,
        user_agent: Text null,
        api_key_id: Uuid null,
        expires_in: Span null,
        identifier: Text null,
    }
    indexes { BY_ID: (Uuid) = c"sessions_pkey" (session_id), }
}

/// The last day of a session that dies then: when that is over, and then the retention, its row may be deleted.
pub fn purge_after(dies_at: Micros) -> Date {
    clock::utc_date(dies_at)
}

/// A session as it is now, as far as verifying and refreshing need it; or as it is to be stored.
#[derive(Default)]
pub struct SessionRow {
    pub session_id: Uuid,
    pub env_id: i32,
    /// Its definition; none: an account session.
    pub definition_id: Option<i32>,
    /// Identifier of the user, or account.
    pub subject: String,
    pub created_at: Micros,
    /// When the user proved again who they are, if that was after the creation.
    pub authenticated_at: Option<Micros>,
    /// When it ends unless it is refreshed.
    pub expires_at: Micros,
    /// Last rotation of the refresh token.
    pub rotated_at: Option<Micros>,
    pub revoke_reason: Option<String>,
    /// How often the refresh token has rotated.
    pub generation: u32,
    /// The key that sealed the data or made the token.
    pub key_number: u32,
    pub scopes: Option<Vec<String>>,
    /// Its data, encrypted.
    pub sealed_data: Option<Vec<u8>>,
    /// How long it lives without a refresh, where its definition is not to say that.
    pub expires_in: Option<Interval>,
    /// For whom an account session was made, if that was said.
    pub identifier: Option<String>,
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

    /// The user; of an account session for whom it was made, if that was said.
    pub fn user(&self) -> Option<&str> {
        match self.definition_id {
            Some(_) => Some(&self.subject),
            None => self.identifier.as_deref(),
        }
    }

    /// Whether it is neither revoked nor at its end.
    pub fn lives(&self, now: Micros) -> bool {
        self.revoke_reason.is_none() && now < self.expires_at
    }
}

/// Why a session was revoked, if it was. An administrator who revokes in psql may give no reason.
pub(super) fn reason_of(revoked_at: Option<Micros>, reason: Option<String>) -> Option<String> {
    reason.or_else(|| revoked_at.map(|_| "revoked".to_owned()))
}

fn read(row: &Row<'_, Sessions>) -> Result<SessionRow> {
    Ok(SessionRow {
        session_id: row.get(Sessions::session_id)?,
        created_at: row.get(Sessions::created_at)?,
        authenticated_at: row.get(Sessions::authenticated_at)?,
        expires_at: row.get(Sessions::expires_at)?,
        rotated_at: row.get(Sessions::rotated_at)?,
        env_id: row.get(Sessions::env_id)?,
        definition_id: row.get(Sessions::definition_id)?,
        generation: row.get(Sessions::generation)?.unsigned_abs(),
        key_number: row.get(Sessions::key_number)?.unsigned_abs(),
        subject: row.get(Sessions::subject)?,
        revoke_reason: reason_of(row.get(Sessions::revoked_at)?, row.get(Sessions::revoke_reason)?),
        scopes: row.get(Sessions::scopes)?,
        sealed_data: row.get(Sessions::sealed_data)?,
        expires_in: row.get(Sessions::expires_in)?,
        identifier: row.get(Sessions::identifier)?,
        in_progress: row.in_progress(),
    })
}

/// True if any session is like that which the transaction's snapshot does not show, in its latest committed state.
pub fn any_hidden(like: impl Fn(&SessionRow) -> bool) -> Result<bool> {
    scan::any_hidden(|row| Ok(like(&read(row)?)))
}

/// The session with this id, in its latest committed state or as this transaction has changed it.
pub fn by_id(session_id: &Uuid) -> Result<Option<SessionRow>> {
    scan::first_by(&BY_ID, (session_id,), read)
}
