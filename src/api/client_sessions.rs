//! Client sessions.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::function::{Result, functions};
use super::uuid;
use crate::service::client_sessions::{self, Ids, IfThere, List, Place, Request};
use crate::tables::client_sessions::ClientFilter;

functions! { FUNCTIONS;
    rows {
        workspace_id: pgrx::Uuid,
        client_session_id: pgrx::Uuid,
        token: String,
        user_identifier_key: Option<String>,
        created_at: TimestampWithTimeZone,
        expires_at: TimestampWithTimeZone,
        device_count: i64,
        connected_account_ids: Vec<pgrx::Uuid>,
        third_party_account_ids: Vec<pgrx::Uuid>,
        connect_webview_ids: Vec<pgrx::Uuid>,
        user_identity_ids: Vec<pgrx::Uuid>,
    }

    /// Creates a client session and returns its token; a living one with the same user_identifier_key is returned
    /// unmodified.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let request = Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        };
        client_sessions::create(Place { product, env }, request, IfThere::Unmodified)?
    }

    /// As client_session_create, but an expiry that is given replaces that of a living session.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_get_or_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let request = Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        };
        client_sessions::create(Place { product, env }, request, IfThere::MoveExpiry)?
    }

    /// One client session, with the count of its devices; without id and key the caller's own.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_get(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        client_sessions::get(Place { product, env }, client_session_id, user_identifier_key)?
    }

    /// A page of living client sessions, newest first.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_list(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connect_webview_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identity_id: default!(Option<pgrx::Uuid>, "NULL"),
        without_user_identifier_key: default!(Option<bool>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "10"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => page shared {
        let filter = ClientFilter {
            session_id: client_session_id.map(uuid),
            user_identifier_key,
            connect_webview_id: connect_webview_id.map(uuid),
            user_identity_id: user_identity_id.map(uuid),
            without_key: without_user_identifier_key.filter(|without| *without),
        };
        client_sessions::list(&List { place: Place { product, env }, filter, page, per_page })?
    }

    /// Adds to what a client session reaches, from the next statement on; never takes away.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_grant_access(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let added = [connected_account_ids, connect_webview_ids, user_identity_ids];
        client_sessions::grant_access(Place { product, env }, client_session_id, user_identifier_key, added)?
    }

    /// Revokes a client session: its token is dead, its row stays.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_revoke(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(client_sessions::revoke(Place { product, env }, client_session_id)?)
    }

    /// Deletes a client session, token and row.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_delete(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(client_sessions::delete(Place { product, env }, client_session_id)?)
    }
}
