//! Ending client sessions.

use serde_json::json;
use uuid::Uuid;

use super::{Call, Place, gone};
use crate::error::{Code, Result};
use crate::guc;
use crate::log_events::Event;
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::service::revocation::notifications;
use crate::service::revocation::revocations;
use crate::service::revocation::revoke::Stored;
use crate::service::{events, required};
use crate::tables::activity::Origin;
use crate::tables::client_sessions::change;

const CODE: Code = Code::RevokeFailed;

/// The call, and the id of a client session, dead or alive.
fn known(place: Place<'_>, id: Option<pgrx::Uuid>) -> Result<(Call, Uuid)> {
    let id = required(id, "client_session_id", CODE)?;
    Ok((Call::of_named(place, Some(id), CODE)?, uuid(id)))
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
    let owner = AsOwner::enter()?;
    let deleted = change::delete(&owner, &session_id, call.now, call.caller.api_key_id())?;
    // Its token dies with it.
    if deleted.ok_or_else(gone)? {
        events::log(
            Event::Revoke,
            || json!({ "operation": "delete", "sessions": 1, "session_id": session_id.to_string() }),
        )?;
        if guc::notify_revocations() {
            notifications::revoked(&owner, vec![pg_uuid(&session_id)])?;
        }
    }
    Ok(())
}
