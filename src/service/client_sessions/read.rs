//! Looking at client sessions.

use super::{Call, Named, Place, Sessions, not_found};
use crate::error::{Code, Coded, Error, Result};
use crate::guc;
use crate::pg::clock;
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::service::caller;
use crate::service::level::Level;
use crate::service::reach;
use crate::service::verification::verdict::{self, Verdict};
use crate::session::{Expected, Page};
use crate::tables::client_sessions::list::{self, Filter};
use crate::token::Family;

const CODE: Code = Code::ListFailed;

/// One living client session; without a name that of the current token.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `VERIFY_FAILED` where a good token is needed; those of [`Call::of_named`].
pub fn get(place: Place<'_>, named: Named<'_>) -> Result<Sessions> {
    let none = named.client_session_id.is_none() && named.user_identifier_key.is_none();
    let (call, named) =
        if none { own(place)? } else { (Call::of_named(place, named.client_session_id, CODE)?, named) };
    let session = call.find(&AsOwner::enter()?, named, CODE)?;
    Ok(call.one(session))
}

/// The session of the current token: what a user's own connection may see without an API key.
fn own([product, env]: Place<'_>) -> Result<(Call, Named<'static>)> {
    let expected = Expected { product, env, ..Expected::default() };
    let verdict = match guc::token() {
        Some(token) => verdict::judge(&token, &expected, &*reach::of_caller(Level::Client)?)?,
        None => {
            return Err(Error::new(Code::VerifyFailed, "no session token is presented").hint(
                "Name a client_session_id or user_identifier_key, or present a token with SET LOCAL dialstack_sessions.token.",
            ));
        }
    };
    let Verdict::Live(live) = verdict else {
        return Err(Error::new(Code::VerifyFailed, "the presented session token is not good")
            .hint("dialstack.session_verify() tells the reason."));
    };
    let caller = caller::narrowed(Level::Client)?;
    caller.check(live.session.env_id)?;
    if live.session.family() != Family::Client {
        return Err(not_found());
    }
    let call = Call { caller, env: live.env, now: clock::now() };
    let named =
        Named { client_session_id: Some(pg_uuid(&live.session.session_id)), user_identifier_key: None };
    Ok((call, named))
}

/// A page of living client sessions, newest first, and how many there are on all pages; of those only that hold the webview
/// and the identity, as far as they are given.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; those of [`Call::full`].
pub fn list(
    place: Place<'_>,
    named: Named<'_>,
    [connect_webview_id, user_identity_id]: [Option<pgrx::Uuid>; 2],
    without_key: Option<bool>,
    [page, per_page]: [Option<i32>; 2],
) -> Result<(Sessions, Option<i64>)> {
    let page = Page::new(page, per_page).coded(CODE)?;
    let call = Call::full(place, CODE)?;
    let key_forms = named.user_identifier_key.map(|key| call.key_forms(key));
    let filter = Filter {
        session_id: named.client_session_id.map(uuid),
        key_forms: key_forms.transpose()?,
        connect_webview_id: connect_webview_id.map(uuid),
        user_identity_id: user_identity_id.map(uuid),
        without_key: without_key == Some(true),
    };
    let owner = AsOwner::enter()?;
    let (stored, total) = list::list(&owner, call.env.env_id, filter, &page, call.now)?;
    let sessions = stored.into_iter().map(|stored| call.session(stored));
    // One whose key was revoked while it was created must not keep the others from being listed.
    let sessions = sessions.filter_map(Result::transpose);
    let sessions = sessions.collect::<Result<Vec<_>>>()?;
    let env = call.env;
    Ok((Sessions { env, sessions }, total))
}
