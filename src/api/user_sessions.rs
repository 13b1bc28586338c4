//! Creating and refreshing user sessions.

use pgrx::datum::{Inet, Interval};
use pgrx::prelude::*;

use super::{Result, functions, pg_uuid};
use crate::pg::clock::timestamptz;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::datum::record::Record;
use crate::pg::datum::sql_type::{As, sql_types};
use crate::service::user_sessions::create::create;
use crate::service::user_sessions::refresh;
use crate::service::user_sessions::tokens::{Asked, Tokens};
use crate::session::Expected;
use crate::tables::activity::Origin;

/// The columns that creating and refreshing return both.
fn columns(tokens: Tokens) -> [Option<pg_sys::Datum>; 5] {
    [
        tokens.token.into_datum(),
        tokens.refresh_token.into_datum(),
        timestamptz(tokens.expires_at).into_datum(),
        pg_uuid(&tokens.session_id).into_datum(),
        timestamptz(tokens.session_expires_at).into_datum(),
    ]
}

sql_types! {
    Created =
        "TABLE (token text, refresh_token text, expires_at timestamptz, session_id uuid, session_expires_at timestamptz)";
    Refreshed = "TABLE (ok boolean, reason text, token text, refresh_token text, expires_at timestamptz, \
        session_id uuid, session_expires_at timestamptz, identifier text, data jsonb)";
}

/// `session_create` has a second name.
macro_rules! chapter {
    ($($create:ident),+) => { functions! { FUNCTIONS;
    $(
    /// Creates a user session and returns its access token and refresh token.
    #[level(Server)]
    fn $create(
        product: Option<&str>,
        env: Option<&str>,
        tag: Option<&str>,
        data: Option<Jsonb<'_>>,
        ip: default!(Option<Inet>, "NULL"),
        user_agent: default!(Option<&str>, "NULL"),
        expires_in: default!(Option<Interval>, "NULL"),
        session_expires_in: default!(Option<Interval>, "NULL"),
    ) -> Result<As<Created, Record<5>>> {
        let asked = Asked { token: expires_in.as_ref(), session: session_expires_in.as_ref() };
        let origin = Origin::of_user(ip.as_ref(), user_agent);
        Ok(Record(columns(create([product, env, tag], data, origin, asked)?)).into())
    }
    )+

    /// Exchanges a refresh token for new tokens; one that was used before ends the session.
    ///
    /// A bad one is an answer, not an error: an error would roll back the revocation that a stolen one causes.
    #[level(Client)]
    fn session_refresh(
        refresh_token: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        ip: default!(Option<Inet>, "NULL"),
        user_agent: default!(Option<&str>, "NULL"),
    ) -> Result<As<Refreshed, Record<9>>> {
        let expected = Expected { product, env, tag, ..Expected::default() };
        let origin = Origin::of_user(ip.as_ref(), user_agent);
        let row = match refresh::refresh(refresh_token, expected, origin)? {
            refresh::Refreshed::Tokens { tokens, identifier, data } => {
                let [token, refresh_token, expires_at, session_id, session_expires_at] = columns(tokens);
                let (identifier, data) = (identifier.into_datum(), Some(data.datum()));
                [
                    true.into_datum(), None, token, refresh_token, expires_at, session_id, session_expires_at,
                    identifier, data,
                ]
            }
            refresh::Refreshed::Refused(reason) => {
                let mut columns = [None; 9];
                columns[0] = false.into_datum();
                columns[1] = reason.as_str().into_datum();
                columns
            }
        };
        Ok(Record(row).into())
    }
    } };
}
chapter!(session_create, session_start);
