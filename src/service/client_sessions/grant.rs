//! Granting a client session more.

use super::{Call, Ids, Named, Place, Sessions, check_size, gone, grants};
use crate::error::{Code, Error, Result};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::tables::client_sessions::change;

const CODE: Code = Code::CreateFailed;

/// Adds to what a living client session reaches.
///
/// # Errors
/// `CREATE_FAILED` where nothing is granted, or too much; `SESSION_NOT_FOUND`; those of [`Call::of_named`]; `CONFLICT`.
pub fn grant(
    place: Place<'_>,
    named: Named<'_>,
    connected_account_ids: Ids<'_>,
    connect_webview_ids: Ids<'_>,
    user_identity_ids: Ids<'_>,
) -> Result<Sessions> {
    let grants = grants(connected_account_ids, connect_webview_ids, user_identity_ids)?;
    let call = Call::of_named(place, named.client_session_id, CODE)?;
    if grants.is_empty() {
        return Err(Error::new(CODE, "nothing is granted")
            .hint("Give connected_account_ids, connect_webview_ids or user_identity_ids."));
    }
    let owner = AsOwner::enter()?;
    change::lock_table()?;
    let id = call.find(&owner, named, CODE)?.stored.session_id;
    change::lock(&owner, &id)?;
    let named = Named { client_session_id: Some(pg_uuid(&id)), user_identifier_key: None };
    let before = call.find(&owner, named, CODE)?.stored.grants;
    for ((name, new), (_, old)) in grants.kinds().into_iter().zip(before.kinds()) {
        let added = new.iter().filter(|id| !old.contains(id)).count();
        check_size(old.len() + added, name)?;
    }
    if !change::grant(&owner, &id, &grants, call.now, call.caller.api_key_id())? {
        return Err(gone());
    }
    let session = call.find(&owner, named, CODE)?;
    Ok(call.one(session))
}
