//! Who is there: presenting a token, and what policies ask. Declared in sql/65_context.sql.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::verify::{VerdictRow, live_row, verify, verify_failed};
use super::{pg_uuid, required};
use crate::error::{self, Code, Error};
use crate::guc;
use crate::pg::clock;
use crate::pg::datum::record::Value;
use crate::pg::datum::varlena::Varlena;
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::identity::{self, Standing};
use crate::service::revocations::{self, Which};
use crate::service::session_data::SessionData;
use crate::service::verdict::{self, LiveSession, Verdict};
use crate::session::{Expected, Reason};
use crate::tables::sessions;

/// Presents a token that is good, for the transaction or the connection.
#[pg_extern(sql = false)]
fn session_use(token: Option<&str>, is_local: Option<bool>) -> Result<VerdictRow, ErrorReport> {
    Ok(use_token(token, is_local)?)
}

fn use_token(token: Option<&str>, is_local: Option<bool>) -> error::Result<VerdictRow> {
    let is_local = required(is_local, "is_local", Code::VerifyFailed)?;
    let live = match verify(token, Expected::default())? {
        Verdict::Live(live) => live,
        Verdict::Refused { reason, .. } => return Err(verify_failed(reason)),
    };
    if is_local && transaction::is_single_statement() {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
            "the token is presented for this statement only: there is no transaction block",
            "session_use",
        )
        .set_hint("Call it after BEGIN, or with is_local => false.")
        .report(PgLogLevel::WARNING);
    }
    guc::set_token(token.unwrap_or_default(), is_local);
    Ok(live_row(&live))
}

/// Presents no token any more.
#[pg_extern(sql = false)]
fn session_clear() {
    guc::set_token("", false);
}

/// Revokes the session of the current token: a user's own log-out. Tells how many it revoked.
#[pg_extern(sql = false)]
fn session_end() -> Result<i64, ErrorReport> {
    Ok(end()?)
}

fn end() -> error::Result<i64> {
    let Some(token) = guc::token() else {
        return Err(
            Error::new(Code::VerifyFailed, "no session token is presented")
                .hint("Present one with dialstack.session_use()."),
        );
    };
    let now = clock::now();
    let live = match verdict::verify(&token, &Expected::default())? {
        Verdict::Live(live) => live,
        // It is what was asked for already.
        Verdict::Refused {
            reason: Reason::Revoked | Reason::Reused,
            ..
        } => return Ok(0),
        Verdict::Refused { reason, .. } => return Err(verify_failed(reason)),
    };
    let row = &live.session.row;
    let (session_id, env_id) = (row.session_id, row.env_id);
    let which = match row.definition_id {
        Some(definition_id) => Which::One {
            session_id,
            env_id,
            definition_id,
        },
        None => Which::Opaque { session_id, env_id },
    };
    let owner = AsOwner::enter()?;
    let revoked = revocations::revoke(&owner, &which, revocations::REVOKED, now)?;
    if revoked == 0 && sessions::by_id(&session_id)?.is_some_and(|row| row.lives(now)) {
        return Err(revocations::conflict());
    }
    Ok(i64::try_from(revoked).unwrap_or(i64::MAX))
}

/// For PostgREST's `db-pre-request`: presents the session token of the request, or none.
#[pg_extern(sql = false)]
fn postgrest_pre_request() -> Result<(), ErrorReport> {
    Ok(pre_request()?)
}

fn pre_request() -> error::Result<()> {
    let headers = guc::foreign(c"request.headers").filter(|headers| !headers.is_empty());
    let token = match &headers {
        Some(headers) => request_token(headers)?,
        None => None,
    };
    // Whatever an earlier request may have left.
    guc::set_token("", true);
    match token {
        Some(token) => use_token(Some(&token), Some(true)).map(|_| ()),
        None => Ok(()),
    }
}

/// The session token of a request, from its headers as JSON: the header `x-session-token`, beside which
/// `Authorization` may hold somebody else's token, or else `Authorization: Bearer` (RFC 6750, section 2.1).
fn request_token(headers: &str) -> error::Result<Option<Zeroizing<String>>> {
    let Ok(Json::Object(headers)) = serde_json::from_str(headers) else {
        return Err(Error::new(
            Code::VerifyFailed,
            "the setting request.headers is not a JSON object",
        )
        .hint("PostgREST sets it; else set it to an object of header names, in lower case, and values."));
    };
    let header = |name| headers.get(name).and_then(Json::as_str).map(str::trim);
    let token = match header("x-session-token") {
        Some(token) => Some(token).filter(|token| !token.is_empty()),
        None => header("authorization").and_then(bearer_token),
    };
    Ok(token.map(|token| Zeroizing::new(token.to_owned())))
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_start())
}

/// Where a policy says that a session must belong. A name that is NULL by mistake opens nothing; the
/// tag may be left out.
struct Place<'a> {
    product: Option<&'a str>,
    env: Option<&'a str>,
    tag: Option<&'a str>,
}

impl Place<'_> {
    fn holds(&self, live: &LiveSession) -> bool {
        self.product == Some(&live.env.product)
            && self.env == Some(&live.env.env)
            && (self.tag.is_none() || self.tag == live.session.tag())
    }
}

/// An answer as the server takes it.
///
/// # Safety
/// `call` is a call by the server.
unsafe fn give(call: pg_sys::FunctionCallInfo, answer: Option<pg_sys::Datum>) -> pg_sys::Datum {
    // SAFETY: the caller promises a call.
    unsafe { (*call).isnull = answer.is_none() };
    answer.unwrap_or(pg_sys::Datum::null())
}

/// Declares helpers without arguments: their C symbol, by hand, because a policy may ask them for each
/// row; the length of their type; how they answer by the standing.
macro_rules! helpers {
    ($($symbol:ident, $information:ident, $length:literal, $answer:expr;)*) => { $(
        /// Tells the server how the function is called.
        #[unsafe(no_mangle)]
        pub extern "C" fn $information() -> &'static pg_sys::Pg_finfo_record {
            const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &VERSION_1
        }

        /// The function as the server calls it.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $symbol(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            #[pg_guard]
            unsafe extern "C-unwind" fn ask(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
                // SAFETY: the server's own call, handed on; sql/65_context.sql declares the type.
                unsafe {
                    match identity::answer(call, $length, $answer) {
                        Ok(answer) => give(call, answer),
                        Err(error) => {
                            ErrorReport::from(error).report(PgLogLevel::ERROR);
                            unreachable!("an error was raised")
                        }
                    }
                }
            }
            // SAFETY: as above.
            unsafe {
                match identity::same_answer(call) {
                    Some(answer) => give(call, answer),
                    None => ask(call),
                }
            }
        }
    )* };
}

/// Declares the same for a session that belongs to a product, env and tag.
macro_rules! helpers_of_a_place {
    ($($name:ident: $answer:expr;)*) => { $(
        #[pg_extern(sql = false)]
        fn $name(
            product: Option<&str>,
            env: Option<&str>,
            tag: Option<&str>,
        ) -> Result<Value, ErrorReport> {
            let place = Place { product, env, tag };
            let answer = |live: &LiveSession| place.holds(live).then(|| $answer(live)).flatten();
            Ok(Value(identity::with_live(answer)?))
        }
    )* };
}

fn identifier(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.user().into_datum()
}

fn account(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.account().into_datum()
}

fn connected_accounts(live: &LiveSession) -> Option<pg_sys::Datum> {
    let ids = live.session.row.connected_account_ids.as_ref();
    ids.map(Varlena::datum)
}

fn user_identities(live: &LiveSession) -> Option<pg_sys::Datum> {
    let ids = live.session.row.user_identity_ids.as_ref();
    ids.map(Varlena::datum)
}

fn session_id(live: &LiveSession) -> Option<pg_sys::Datum> {
    pg_uuid(&live.session.row.session_id).into_datum()
}

fn kind(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.row.kind.as_str().into_datum()
}

fn product(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.env.product.as_str().into_datum()
}

fn env(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.env.env.as_str().into_datum()
}

fn tag(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.tag().into_datum()
}

fn scopes(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.row.scopes.clone().into_datum()
}

fn data(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.data.as_ref().map(SessionData::datum)
}

/// Makes an answer about a living session one about any standing.
fn of_live(
    answer: fn(&LiveSession) -> Option<pg_sys::Datum>,
) -> impl Fn(&Standing) -> Option<pg_sys::Datum> {
    move |standing| standing.live().and_then(answer)
}

/// Why the presented token is refused; NULL where none is presented or it is good.
fn refusal(standing: &Standing) -> Option<pg_sys::Datum> {
    match standing {
        Standing::Refused(reason) => reason.as_str().into_datum(),
        Standing::Nobody | Standing::Live(_) => None,
    }
}

helpers! {
    current_session_id_wrapper, pg_finfo_current_session_id_wrapper, 16, of_live(session_id);
    current_session_kind_wrapper, pg_finfo_current_session_kind_wrapper, -1, of_live(kind);
    current_identifier_wrapper, pg_finfo_current_identifier_wrapper, -1, of_live(identifier);
    current_account_wrapper, pg_finfo_current_account_wrapper, -1, of_live(account);
    current_connected_accounts_wrapper, pg_finfo_current_connected_accounts_wrapper, -1,
        of_live(connected_accounts);
    current_user_identities_wrapper, pg_finfo_current_user_identities_wrapper, -1,
        of_live(user_identities);
    current_product_wrapper, pg_finfo_current_product_wrapper, -1, of_live(product);
    current_env_wrapper, pg_finfo_current_env_wrapper, -1, of_live(env);
    current_tag_wrapper, pg_finfo_current_tag_wrapper, -1, of_live(tag);
    current_scopes_wrapper, pg_finfo_current_scopes_wrapper, -1, of_live(scopes);
    current_data_wrapper, pg_finfo_current_data_wrapper, -1, of_live(data);
    current_session_error_wrapper, pg_finfo_current_session_error_wrapper, -1, refusal;
}

helpers_of_a_place! {
    current_identifier_of: identifier;
    current_account_of: account;
    current_connected_accounts_of: connected_accounts;
    current_user_identities_of: user_identities;
}

fn holds_scope(live: &LiveSession, scope: Option<&str>) -> bool {
    let scopes = live.session.row.scopes.as_deref().unwrap_or_default();
    scope.is_some_and(|scope| scopes.iter().any(|held| held == scope))
}

#[pg_extern(sql = false)]
fn has_scope(scope: Option<&str>) -> Result<bool, ErrorReport> {
    let holds = identity::with_live(|live| Some(holds_scope(live, scope)))?;
    Ok(holds == Some(true))
}

#[pg_extern(sql = false)]
fn has_scope_of(
    scope: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
) -> Result<bool, ErrorReport> {
    let place = Place { product, env, tag };
    let holds = identity::with_live(|live| Some(place.holds(live) && holds_scope(live, scope)))?;
    Ok(holds == Some(true))
}

/// Raises an error unless the session holds the scope.
#[pg_extern(sql = false)]
fn require_scope(scope: Option<&str>) -> Result<(), ErrorReport> {
    Ok(check_scope(scope)?)
}

fn check_scope(scope: Option<&str>) -> error::Result<()> {
    let refused = identity::with(|standing| match standing {
        Standing::Live(live) if holds_scope(live, scope) => None,
        Standing::Live(_) => Some((
            "The session is good, but was created without it.".to_owned(),
            "Create the session with that scope enabled.",
        )),
        Standing::Nobody => Some((
            "No session token is presented.".to_owned(),
            "Present one with dialstack.session_use().",
        )),
        Standing::Refused(reason) => Some((
            format!("The presented token is refused: {}.", reason.as_str()),
            "Sign in again.",
        )),
    })?;
    match refused {
        None => Ok(()),
        Some((detail, hint)) => Err(Error::new(
            Code::ScopeDisabled,
            "the session does not hold the scope",
        )
        .detail(detail)
        .hint(hint)),
    }
}
