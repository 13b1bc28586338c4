//! Account sessions: a client secret for one account, limited to components.

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Map, json};

use super::required;
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::record::Record;
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::service::caller;
use crate::service::key_ring;
use crate::session::{Span, check_components, check_identifier, resolve_components};
use crate::tables::activity::Origin;
use crate::tables::scopes;
use crate::tables::sessions::create::{self as stored, Kind, NewSession};
use crate::token::{KeyError, OpaqueFamily, Purpose, opaque};

/// Longest life of an account or client session: ten years.
pub(super) const MAX_LIFE: Span = Span {
    months: 120,
    days: 0,
    micros: 0,
};

struct Created {
    client_secret: String,
    expires_at: Micros,
    account: String,
    components: JsonText,
}

struct Call<'a> {
    account: Option<&'a str>,
    components: Option<JsonText>,
    product: Option<&'a str>,
    env: Option<&'a str>,
    expires_in: Option<Interval>,
}

fn expiry(expires_in: Option<&Interval>, now: Micros) -> error::Result<Micros> {
    let code = Code::CreateFailed;
    let span = clock::span(required(expires_in, "expires_in", code)?);
    let end = clock::add(now, &span, code)?;
    if !span.is_positive() || end <= now || end > clock::add(now, &MAX_LIFE, code)? {
        return Err(Error::new(
            code,
            "expires_in is not a time that an account session can live",
        )
        .hint("Give a positive interval of at most ten years, or leave it out for one hour."));
    }
    Ok(clock::ceil_to_second(end))
}

fn create(call: Call<'_>) -> error::Result<Created> {
    let code = Code::CreateFailed;
    let caller = caller::caller()?;
    caller.full()?;
    let account = required(call.account, "account", code)?;
    check_identifier("account", account).coded(code)?;
    let env = caller.env(call.product, call.env, code)?;
    let now = clock::now();
    let expires_at = expiry(call.expires_in.as_ref(), now)?;
    let given = call
        .components
        .map(|text| text.parse())
        .transpose()
        .coded(code)?;
    let known = scopes::names(&AsOwner::enter()?)?;
    check_components(given.as_ref(), &known).coded(Code::ScopeNotFound)?;
    let resolved = resolve_components(given.as_ref(), &known).coded(code)?;
    // Reading the scopes may have waited: the ring is that of now.
    let ring = key_ring::ring()?;
    let number = ring
        .active_number(Purpose::Token)
        .ok_or(KeyError::Unavailable(Purpose::Token))?;
    let session_id = random::uuid()?;
    let client_secret = opaque::issue(
        &ring,
        OpaqueFamily::ClientSecret,
        env.mode,
        Some(number),
        session_id,
    )?;
    let enabled = resolved.iter().filter(|(_, enabled)| *enabled);
    stored::insert(
        &AsOwner::enter()?,
        NewSession {
            session_id,
            kind: Kind::Account {
                scopes: enabled.map(|(name, _)| name.clone()).collect(),
            },
            env_id: env.env_id,
            subject: account,
            now,
            token_expires_at: expires_at,
            expires_at,
            key_number: number.cast_signed(),
            origin: Origin::of_key(caller.api_key_id()),
        },
    )?;
    let echoed: Map<_, _> = resolved
        .into_iter()
        .map(|(name, enabled)| (name, json!({ "enabled": enabled })))
        .collect();
    Ok(Created {
        client_secret,
        expires_at,
        account: account.to_owned(),
        components: JsonText::of(&serde_json::Value::Object(echoed)),
    })
}

fn row(created: Created) -> Record<4> {
    Record([
        created.client_secret.into_datum(),
        timestamptz(created.expires_at).into_datum(),
        created.account.into_datum(),
        created.components.into_datum(),
    ])
}

/// Creates an account session and returns its client secret. Declared in sql/62_tokens.sql.
#[pg_extern(sql = false)]
fn account_session_create(
    account: Option<&str>,
    components: Option<JsonText>,
    product: Option<&str>,
    env: Option<&str>,
    expires_in: Option<Interval>,
) -> Result<Record<4>, ErrorReport> {
    let created = create(Call {
        account,
        components,
        product,
        env,
        expires_in,
    })?;
    Ok(row(created))
}

/// The deprecated name of `account_session_create`. Declared in sql/62_tokens.sql.
#[pg_extern(sql = false)]
fn session_create_deprecated(
    account: Option<&str>,
    components: Option<JsonText>,
) -> Result<Record<4>, ErrorReport> {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING_DEPRECATED_FEATURE,
        "session_create(account, components) is deprecated",
        "session_create",
    )
    .set_hint("Call dialstack.account_session_create() instead.")
    .report(PgLogLevel::WARNING);
    let expires_in = Some(Interval::from_hours(1));
    let created = create(Call {
        account,
        components,
        product: None,
        env: None,
        expires_in,
    })?;
    Ok(row(created))
}
