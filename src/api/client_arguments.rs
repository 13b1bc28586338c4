//! What the client session functions are given, checked.

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;

use super::uuid;
use crate::error::{self, Code, Error};
use crate::pg::clock::{self, Micros};
use crate::service::account_sessions::MAX_LIFE;
use crate::tables::client_session_writes::Grants;

/// Most ids of one kind that a client session may reach.
const MAX_GRANTS: usize = 1000;

/// Ids as they are given: none where the argument is left out.
pub(super) type Ids<'a> = Option<pgrx::Array<'a, pgrx::Uuid>>;

fn ids(given: Ids<'_>, name: &'static str) -> error::Result<Vec<Uuid>> {
    let code = Code::CreateFailed;
    let Some(given) = given else {
        return Ok(Vec::new());
    };
    check_size(given.len(), name)?;
    let mut ids = Vec::with_capacity(given.len());
    for id in given.iter() {
        let id = uuid(id.ok_or_else(|| {
            Error::new(code, format!("{name} holds a null")).hint("Leave the nulls out.")
        })?);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

pub(super) fn check_size(count: usize, name: &'static str) -> error::Result<()> {
    if count <= MAX_GRANTS {
        return Ok(());
    }
    Err(Error::new(
        Code::CreateFailed,
        format!("{name} would hold too many ids"),
    )
    .hint(format!(
        "A client session reaches at most {MAX_GRANTS} of a kind."
    )))
}

pub(super) fn grants(
    accounts: Ids<'_>,
    webviews: Ids<'_>,
    identities: Ids<'_>,
) -> error::Result<Grants> {
    Ok(Grants {
        connected_account_ids: ids(accounts, "connected_account_ids")?,
        connect_webview_ids: ids(webviews, "connect_webview_ids")?,
        user_identity_ids: ids(identities, "user_identity_ids")?,
    })
}

/// The end that was asked for, or none.
pub(super) fn end(
    expires_at: Option<TimestampWithTimeZone>,
    now: Micros,
) -> error::Result<Option<Micros>> {
    let Some(at) = expires_at.map(clock::micros) else {
        return Ok(None);
    };
    if at <= now || at > clock::add(now, &MAX_LIFE, Code::CreateFailed)? {
        return Err(Error::new(
            Code::CreateFailed,
            "expires_at is not a time that a client session can end",
        )
        .hint("Give a time to come within ten years, or leave it out for one year."));
    }
    Ok(Some(at))
}
