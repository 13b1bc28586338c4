//! Creating user sessions.

use pgrx::datum::{Inet, Interval};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{pg_uuid, required};
use crate::error::Code;
use crate::pg::clock::timestamptz;
use crate::pg::datum::record::Record;
use crate::service::create::{Create, create};
use crate::service::session_data::SessionData;
use crate::tables::activity::Origin;

/// Creates a user session and returns its tokens. Declared in sql/62_tokens.sql.
#[pg_extern(sql = false)]
fn session_create(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    data: Option<SessionData>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    expires_in: Option<Interval>,
) -> Result<Record<4>, ErrorReport> {
    let origin = Origin {
        ip: ip.as_ref(),
        user_agent,
        api_key_id: None,
    };
    let code = Code::CreateFailed;
    let tokens = create(&Create {
        product: required(product, "product", code)?,
        env: required(env, "env", code)?,
        tag: required(tag, "tag", code)?,
        data: required(data.as_ref(), "data", code)?,
        origin,
        expires_in,
    })?;
    Ok(Record([
        tokens.token.into_datum(),
        tokens.refresh_token.into_datum(),
        timestamptz(tokens.expires_at).into_datum(),
        pg_uuid(&tokens.session_id).into_datum(),
    ]))
}
