//! Refreshing user sessions.

use pgrx::datum::Inet;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::pg_uuid;
use crate::pg::clock::timestamptz;
use crate::pg::datum::record::Record;
use crate::service::refresh::{Refreshed, refresh};
use crate::session::Expected;
use crate::tables::activity::Origin;

/// Exchanges a refresh token for new tokens. A bad one is an answer, not an error: an error would
/// roll back the revocation that a stolen one causes. Declared in sql/62_tokens.sql.
#[pg_extern(sql = false)]
fn session_refresh(
    refresh_token: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
) -> Result<Record<6>, ErrorReport> {
    let expected = Expected {
        product,
        env,
        tag,
        scope: None,
    };
    let origin = Origin {
        ip: ip.as_ref(),
        user_agent,
        api_key_id: None,
    };
    Ok(Record(match refresh(refresh_token, expected, origin)? {
        Refreshed::Tokens(tokens) => [
            true.into_datum(),
            None,
            tokens.token.into_datum(),
            tokens.refresh_token.into_datum(),
            timestamptz(tokens.expires_at).into_datum(),
            pg_uuid(&tokens.session_id).into_datum(),
        ],
        Refreshed::Refused(reason) => [
            false.into_datum(),
            reason.as_str().into_datum(),
            None,
            None,
            None,
            None,
        ],
    }))
}
