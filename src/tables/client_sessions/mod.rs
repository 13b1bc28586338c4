//! The table `client_sessions`: by direct scan where a token is verified, else by statements.

pub mod change;
pub mod list;

use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::Micros;
use crate::pg::datum::varlena::Varlena;
use crate::pg::scan::{self, Row};
use crate::pg::table::table;
use crate::tables::sessions::reason_of;

table! {
    ClientSessions = c"client_sessions" {
        session_id: Uuid,
        created_at: Timestamptz,
        expires_at: Timestamptz,
        revoked_at: Timestamptz null,
        env_id: Int4,
        key_number: Int4,
        purge_after: Day,
        revoke_reason: Text null,
        sealed_key: Bytea null,
        connected_account_ids: Uuids,
        connect_webview_ids: Uuids,
        user_identity_ids: Uuids,
        api_key_id: Uuid null,
    }
    indexes { BY_ID: (Uuid) = c"client_sessions_pkey" (session_id), }
}

/// A client session as it is now, as far as verifying needs it.
pub struct ClientSessionRow {
    pub session_id: Uuid,
    pub env_id: i32,
    pub created_at: Micros,
    pub expires_at: Micros,
    pub revoke_reason: Option<String>,
    /// Its user_identifier_key, encrypted.
    pub sealed_key: Option<Vec<u8>>,
    /// Its connected accounts, a `uuid[]`.
    pub connected_account_ids: Varlena,
    /// Its user identities, a `uuid[]`.
    pub user_identity_ids: Varlena,
    /// Whether this version of the row was made by the running transaction.
    pub in_progress: bool,
}

impl ClientSessionRow {
    /// Whether it is neither revoked nor at its end.
    pub fn lives(&self, now: Micros) -> bool {
        self.revoke_reason.is_none() && now < self.expires_at
    }
}

fn read(row: &Row<'_, ClientSessions>) -> Result<ClientSessionRow> {
    Ok(ClientSessionRow {
        session_id: row.get(ClientSessions::session_id)?,
        env_id: row.get(ClientSessions::env_id)?,
        created_at: row.get(ClientSessions::created_at)?,
        expires_at: row.get(ClientSessions::expires_at)?,
        revoke_reason: reason_of(
            row.get(ClientSessions::revoked_at)?,
            row.get(ClientSessions::revoke_reason)?,
        ),
        sealed_key: row.get(ClientSessions::sealed_key)?,
        connected_account_ids: row.get(ClientSessions::connected_account_ids)?,
        user_identity_ids: row.get(ClientSessions::user_identity_ids)?,
        in_progress: row.in_progress(),
    })
}

/// The client session with this id, in its latest committed state or as this transaction has changed it.
pub fn by_id(session_id: &Uuid) -> Result<Option<ClientSessionRow>> {
    scan::first_by(&BY_ID, (session_id,), read)
}

/// True if any client session is like that which the transaction's snapshot does not show, in its latest committed state.
pub fn any_hidden(like: impl Fn(&ClientSessionRow) -> bool) -> Result<bool> {
    scan::any_hidden(|row| Ok(like(&read(row)?)))
}
