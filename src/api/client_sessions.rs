//! Client sessions: a token that reaches only what a user has connected.

use std::collections::HashMap;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::{Result, functions, pg_uuid};
use crate::error;
use crate::pg::roles::AsOwner;
use crate::rls::device_count;
use crate::service::client_sessions::create::{IfExists, create};
use crate::service::client_sessions::{Ids, Named, Session, Sessions, change, read};

/// The rows of sessions of one environment; devices are counted for all at once.
fn rows(found: Sessions) -> error::Result<Vec<Columns>> {
    let accounts = |session: &Session| session.stored.grants.connected_account_ids.clone();
    let mut of_all: Vec<pgrx::Uuid> = found.sessions.iter().flat_map(accounts).collect();
    of_all.sort_unstable();
    of_all.dedup();
    let devices = device_count::by_account(&AsOwner::enter()?, &found.env, &of_all)?;
    let row = |session: Session| {
        let (stored, key) = (session.stored, session.user_identifier_key);
        let accounts = stored.grants.connected_account_ids;
        let count =
            |devices: &HashMap<_, i64>| accounts.iter().filter_map(|id| devices.get(&id.to_string())).sum();
        (
            pg_uuid(&found.env.product_id),
            pg_uuid(&stored.session_id),
            session.token,
            key.map(|key| key.to_string()),
            stored.created_at,
            stored.expires_at,
            devices.as_ref().map(count),
            accounts.clone(),
            accounts,
            stored.grants.connect_webview_ids,
            stored.grants.user_identity_ids,
        )
    };
    Ok(found.sessions.into_iter().map(row).collect())
}

functions! { FUNCTIONS;
    rows as Columns {
        workspace_id: pgrx::Uuid,
        client_session_id: pgrx::Uuid,
        token: String,
        user_identifier_key: Option<String>,
        created_at: TimestampWithTimeZone,
        expires_at: TimestampWithTimeZone,
        device_count: Option<i64>,
        connected_account_ids: Vec<pgrx::Uuid>,
        third_party_account_ids: Vec<pgrx::Uuid>,
        connect_webview_ids: Vec<pgrx::Uuid>,
        user_identity_ids: Vec<pgrx::Uuid>,
    }

    /// Creates a client session and returns its token; a living one with the same user_identifier_key is returned
    /// unmodified.
    #[level(Client)]
    fn client_session_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => table shared {
        let ids = [connected_account_ids, connect_webview_ids, user_identity_ids];
        rows(create([product, env], user_identifier_key, ids, expires_at, IfExists::Unmodified)?)?
    }

    /// As client_session_create, but an expiry that is given replaces that of a living session.
    #[level(Client)]
    fn client_session_get_or_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => table shared {
        let ids = [connected_account_ids, connect_webview_ids, user_identity_ids];
        rows(create([product, env], user_identifier_key, ids, expires_at, IfExists::MoveExpiry)?)?
    }

    /// One client session, with the count of its devices; without id and key the caller's own.
    #[level(Client)]
    fn client_session_get(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => table shared {
        let named = Named { client_session_id, user_identifier_key };
        rows(read::get([product, env], named)?)?
    }

    /// A page of living client sessions, newest first.
    #[level(Client)]
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
    ) => table_page shared {
        let (place, named) = ([product, env], Named { client_session_id, user_identifier_key });
        let holding = [connect_webview_id, user_identity_id];
        let (sessions, total) =
            read::list(place, named, holding, without_user_identifier_key, [page, per_page])?;
        (rows(sessions)?, total)
    }

    /// Adds to what a client session reaches, from the next statement on; never takes away.
    #[level(Client)]
    fn client_session_grant_access(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => table shared {
        let place = [product, env];
        let named = Named { client_session_id, user_identifier_key };
        rows(change::grant(place, named, [connected_account_ids, connect_webview_ids, user_identity_ids])?)?
    }

    /// Revokes a client session: its token is dead, its row stays.
    #[level(Client)]
    fn client_session_revoke(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        reason: default!(Option<&str>, "'revoked'"),
    ) -> Result<()> {
        Ok(change::revoke([product, env], client_session_id, reason)?)
    }

    /// Deletes a client session, token and row.
    #[level(Client)]
    fn client_session_delete(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(change::delete([product, env], client_session_id)?)
    }
}
