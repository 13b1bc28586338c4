//! The current session: presenting a token, and what policies ask.
//!
//! The helpers are STABLE: within a statement their answer is one, and wrapped in a sub-select they are called once.
//! PARALLEL SAFE: workers get the token with the other settings and verify it themselves. Without a good token they
//! answer NULL or false, so that policies show nothing.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::pg_uuid;
use super::verify::{VerdictRow, live_row};
use super::{Result, functions};
use crate::pg::call_site::remembering;
use crate::pg::clock::{self, Micros};
use crate::pg::datum::record::Value;
use crate::pg::datum::sql_type::As;
use crate::service::user_sessions::session_data::SessionData;
use crate::service::verification::identity::{self, Place, holds_scope};
use crate::service::verification::present;
use crate::service::verification::verdict::{LiveSession, Verdict};
use crate::session::{Reason, conversion};

/// Declares the helpers without arguments. Each has its documentation, its name, the length of its SQL type (-1
/// where it varies), the answer by the verdict on the presented token, and its declaration.
macro_rules! helpers {
    ($list:ident; $($(#[doc = $line:literal])+ $name:tt $length:literal $answer:expr, $declaration:tt;)+) => {
        $(
            remembering!($name, $length, || identity::with_validity($answer));
            extension_sql!($declaration, name = $name);
        )+

        pub(super) const $list: &[crate::service::access::Function] = &[$(
            crate::service::access::Function {
                symbol: concat!($name, "_wrapper"),
                levels: super::levels!(Client),
                documentation: &[$($line),+],
            }
        ),+];
    };
}

/// Answers by the current session; NULL without one.
fn of_live(answer: fn(&LiveSession) -> Option<pg_sys::Datum>) -> impl Fn(&Verdict) -> Option<pg_sys::Datum> {
    move |verdict| verdict.live().and_then(answer)
}

/// Answers by the current session if it belongs to the place; else NULL.
fn of_live_at<S>(
    place: &Place<'_>,
    answer: fn(&LiveSession) -> Option<pg_sys::Datum>,
) -> Result<As<S, Value>> {
    let answer = |live: &LiveSession| place.holds(live).then(|| answer(live)).flatten();
    Ok(Value(identity::with_live(answer)?).into())
}

fn identifier(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.user()?.identifier.into_datum()
}

fn account(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.account().into_datum()
}

fn connected_accounts(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.client().map(|of| of.connected_account_ids.datum())
}

fn user_identities(live: &LiveSession) -> Option<pg_sys::Datum> {
    live.session.client().map(|of| of.user_identity_ids.datum())
}

/// The time from a moment to the beginning of the statement; none, where that is later by a clock that was set back.
fn age(since: Micros) -> Option<Interval> {
    Some(Interval::from_micros((clock::began() - since).max(0)))
}

fn refusal(verdict: &Verdict) -> Option<pg_sys::Datum> {
    match verdict {
        Verdict::Live(_) | Verdict::Refused { reason: Reason::Missing, .. } => None,
        Verdict::Refused { reason, .. } => reason.as_str().into_datum(),
    }
}

helpers! { HELPERS;
    /// Id of the session of the presented token.
    "current_session_id" 16 of_live(|live| pg_uuid(&live.session.session_id).into_datum()),
    "CREATE FUNCTION dialstack.current_session_id() RETURNS uuid \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_id_wrapper';";

    /// Kind of the session: user, account or client.
    "current_session_kind" -1 of_live(|live| live.session.family().as_str().into_datum()),
    "CREATE FUNCTION dialstack.current_session_kind() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_kind_wrapper';";

    /// Identifier of the user.
    "current_identifier" -1 of_live(identifier),
    "CREATE FUNCTION dialstack.current_identifier() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_identifier_wrapper';";

    /// Account of the account session.
    "current_account" -1 of_live(account),
    "CREATE FUNCTION dialstack.current_account() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_account_wrapper';";

    /// Connected accounts that the client session reaches.
    "current_connected_accounts" -1 of_live(connected_accounts),
    "CREATE FUNCTION dialstack.current_connected_accounts() RETURNS uuid[] \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_connected_accounts_wrapper';";

    /// User identities of the client session.
    "current_user_identities" -1 of_live(user_identities),
    "CREATE FUNCTION dialstack.current_user_identities() RETURNS uuid[] \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_user_identities_wrapper';";

    /// Product of the session.
    "current_product" -1 of_live(|live| live.env.product.as_str().into_datum()),
    "CREATE FUNCTION dialstack.current_product() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_product_wrapper';";

    /// Environment of the session.
    "current_env" -1 of_live(|live| live.env.env.as_str().into_datum()),
    "CREATE FUNCTION dialstack.current_env() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_env_wrapper';";

    /// Tag of the definition of the user session.
    "current_tag" -1 of_live(|live| live.session.tag().into_datum()),
    "CREATE FUNCTION dialstack.current_tag() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_tag_wrapper';";

    /// Scopes that the session holds.
    "current_scopes" -1 of_live(|live| live.session.scopes.clone().into_datum()),
    "CREATE FUNCTION dialstack.current_scopes() RETURNS text[] \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_scopes_wrapper';";

    /// Data of the user session, as it is now.
    "current_data" -1 of_live(|live| live.session.data().map(SessionData::datum)),
    "CREATE FUNCTION dialstack.current_data() RETURNS jsonb \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_data_wrapper';";

    /// Why the presented token is refused; null where none is presented or it is good.
    "current_session_error" -1 refusal,
    "CREATE FUNCTION dialstack.current_session_error() RETURNS text \
     LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_error_wrapper';";
}

/// The chapter with the helpers that take a place: those above of the same name, if the session belongs there.
macro_rules! chapter {
    ($($(#[doc = $line:literal])+ $function:ident $name:tt $answer:ident $type:ty,)+) => { functions! { FUNCTIONS;
    /// Presents a good token for the transaction, or with is_local => false for the connection.
    #[level(Client)]
    #[pg_extern(requires = ["verdict"])]
    fn session_use(token: Option<&str>, is_local: default!(Option<bool>, "true")) -> Result<VerdictRow> {
        Ok(live_row(&present::present(token, is_local)?))
    }

    /// Presents no token any more.
    #[level(Client)]
    fn session_clear() {
        present::clear();
    }

    /// Revokes the session of a token, else of the presented one (a user's own log-out); returns how many.
    ///
    /// An expired access token will do, and a refresh token.
    #[level(Client)]
    fn session_end(token: default!(Option<&str>, "NULL")) -> Result<i64> {
        Ok(present::end(token)?)
    }

    /// For db-pre-request of PostgREST: presents the session token of the request, from the header
    /// x-session-token or the bearer token.
    #[level(Client)]
    fn postgrest_pre_request() -> Result<()> {
        Ok(present::pre_request()?)
    }

    $(
        $(#[doc = $line])+
        #[level(Client)]
        #[pg_extern(stable, parallel_safe, name = $name)]
        fn $function(
            product: Option<&str>,
            env: Option<&str>,
            tag: default!(Option<&str>, "NULL"),
        ) -> Result<As<$type, Value>> {
            of_live_at(&Place { product, env, tag }, $answer)
        }
    )+

    /// How long ago the session was created, when the statement began; NULL without a session.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe)]
    fn current_session_age() -> Result<Option<Interval>> {
        Ok(identity::with_live(|live| age(live.session.created_at))?)
    }

    /// How long ago the user proved last who they are, when the statement began; NULL without a session.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe)]
    fn current_authentication_age() -> Result<Option<Interval>> {
        Ok(identity::with_live(|live| age(live.session.authenticated_at))?)
    }

    /// Whether the session holds the scope.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe)]
    fn has_scope(scope: Option<&str>) -> Result<bool> {
        Ok(identity::with_live(|live| Some(holds_scope(live, scope)))? == Some(true))
    }

    /// Whether the session holds the scope and belongs there.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe, name = "has_scope")]
    fn has_scope_of(
        scope: Option<&str>,
        product: Option<&str>,
        env: Option<&str>,
        tag: default!(Option<&str>, "NULL"),
    ) -> Result<bool> {
        let place = Place { product, env, tag };
        let holds = identity::with_live(|live| Some(place.holds(live) && holds_scope(live, scope)))?;
        Ok(holds == Some(true))
    }

    /// Raises SCOPE_DISABLED unless the session holds the scope.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe)]
    fn require_scope(scope: Option<&str>) -> Result<()> {
        Ok(identity::require_scope(scope)?)
    }

    /// The UUID that a text is; null, never an error, if it is none.
    ///
    /// Policies convert what they compare with by this function and the next two.
    #[level(Client)]
    #[pg_extern(immutable, parallel_safe, strict)]
    fn uuid_or_null(text: &str) -> Option<pgrx::Uuid> {
        conversion::uuid(text).map(pgrx::Uuid::from_bytes)
    }

    /// The bigint that a text is, as PostgreSQL writes it; null, never an error, if it is none.
    #[level(Client)]
    #[pg_extern(immutable, parallel_safe, strict)]
    fn bigint_or_null(text: &str) -> Option<i64> {
        conversion::bigint(text)
    }

    /// The integer that a text is, as PostgreSQL writes it; null, never an error, if it is none.
    #[level(Client)]
    #[pg_extern(immutable, parallel_safe, strict)]
    fn integer_or_null(text: &str) -> Option<i32> {
        conversion::integer(text)
    }
    } };
}
chapter! {
    /// Identifier of the user, if the session belongs there.
    current_identifier_of "current_identifier" identifier String,
    /// Account of the account session, if the session belongs there.
    current_account_of "current_account" account String,
    /// Connected accounts that the client session reaches, if the session belongs there.
    current_connected_accounts_of "current_connected_accounts" connected_accounts Vec<pgrx::Uuid>,
    /// User identities of the client session, if the session belongs there.
    current_user_identities_of "current_user_identities" user_identities Vec<pgrx::Uuid>,
}
