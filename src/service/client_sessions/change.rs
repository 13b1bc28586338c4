//! Granting a client session more, and ending it.

use serde_json::json;
use uuid::Uuid;

use super::{Call, Ids, Named, Place, Sessions, check_size, gone, grants};
use crate::error::{Code, Error, Result};
use crate::guc;
use crate::log_events::Event;
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::service::revocation::revocations;
use crate::service::revocation::revoke::Stored;
use crate::service::{events, required};
use crate::tables::activity::Origin;
use crate::tables::client_sessions::{ClientSessions, change};

/// Adds to what a living client session reaches.
///
/// # Errors
/// `CREATE_FAILED` where nothing is granted, or too much; `SESSION_NOT_FOUND`; those of [`Call::of_named`]; `CONFLICT`.
pub fn grant(place: Place<'_>, named: Named<'_>, ids: [Ids<'_>; 3]) -> Result<Sessions> {
    let code = Code::CreateFailed;
    let mut grants = grants(ids)?;
    let call = Call::of_named(place, named.client_session_id, code)?;
    if grants.is_empty() {
        return Err(Error::new(code, "nothing is granted")
            .hint("Give connected_account_ids, connect_webview_ids or user_identity_ids."));
    }
    let owner = AsOwner::enter()?;
    lock_for_writing::<ClientSessions>()?;
    let id = call.find(&owner, named, code)?.stored.session_id;
    change::lock(&owner, &id)?;
    let named = Named { client_session_id: Some(pg_uuid(&id)), user_identifier_key: None };
    let mut session = call.find(&owner, named, code)?;
    for ((name, held), (_, new)) in session.stored.grants.kinds().into_iter().zip(grants.kinds()) {
        new.retain(|id| !held.contains(id));
        held.append(new);
        check_size(held.len(), name)?;
    }
    if !change::set_grants(&owner, &session.stored, call.now, call.caller.api_key_id())? {
        return Err(gone());
    }
    Ok(call.one(session))
}

/// The call, and the id of a client session, dead or alive.
fn known(place: Place<'_>, id: Option<pgrx::Uuid>) -> Result<(Call, Uuid)> {
    let id = required(id, "client_session_id", Code::RevokeFailed)?;
    Ok((Call::of_named(place, Some(id), Code::RevokeFailed)?, uuid(id)))
}

/// Revokes a client session. Idempotent.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `REVOKE_FAILED` for NULL and a reason that is not valid; those of [`Call::of_named`];
/// `CONFLICT`.
pub fn revoke(place: Place<'_>, client_session_id: Option<pgrx::Uuid>, reason: Option<&str>) -> Result<()> {
    let (call, session_id) = known(place, client_session_id)?;
    let cause = revocations::because(reason)?.by(Origin::of_key(call.caller.api_key_id()));
    Stored::find(&session_id)?.ok_or_else(gone)?.end(cause).map(|_| ())
}

/// Deletes a client session, dead or alive.
///
/// # Errors
/// As [`revoke`].
pub fn delete(place: Place<'_>, client_session_id: Option<pgrx::Uuid>) -> Result<()> {
    let (call, session_id) = known(place, client_session_id)?;
    let (api_key_id, notify) = (call.caller.api_key_id(), guc::notify_revocations());
    let deleted = change::delete(&AsOwner::enter()?, &session_id, call.now, api_key_id, notify)?;
    // Its token dies with it.
    if deleted.ok_or_else(gone)? {
        events::log(
            Event::Revoke,
            || json!({ "operation": "delete", "sessions": 1, "session_id": session_id.to_string() }),
        )?;
    }
    Ok(())
}
