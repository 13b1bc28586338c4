//! Creating an account session: a client secret for one account, limited to components.

use pgrx::datum::Interval;
use serde_json::{Map, Value, json};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::{Bounds, Jsonb};
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::service::keys::key_ring;
use crate::service::{caller, required};
use crate::session::{Span, check_components, check_identifier, resolve_components};
use crate::tables::activity::Origin;
use crate::tables::scopes;
use crate::tables::session_users::SessionUsers;
use crate::tables::sessions::SessionRow;
use crate::tables::sessions::change::share_names;
use crate::tables::sessions::create::insert;
use crate::token::{KeyError, OpaqueFamily, Purpose, opaque};

const CODE: Code = Code::CreateFailed;

/// Longest life of an account or client session: ten years.
pub const MAX_LIFE: Span = Span { months: 120, days: 0, micros: 0 };

/// What `components` may amount to: a kilobyte for each of the scopes that a product usually has, and more.
const COMPONENTS: Bounds = Bounds {
    what: "components",
    bytes: 64 * 1024,
    depth: 8,
    hint: "Name the components that are enabled, and only those.",
};

/// An account session that was created.
pub struct AccountSession {
    pub client_secret: String,
    pub expires_at: Micros,
    /// Every scope of the product, with whether it is enabled.
    pub components: JsonText,
}

/// Creates an account session, for somebody if there is an `identifier`. All components are enabled where none are given;
/// product and environment may be left out where the environment is known without them.
///
/// # Errors
/// `CREATE_FAILED` for arguments that are not valid, and where no component would be enabled;
/// `SCOPE_NOT_FOUND` for an unknown component; those of [`caller::Caller::env`]; `JWT_NOT_AVAILABLE`.
pub fn create(
    account: Option<&str>,
    components: Option<Jsonb<'_>>,
    [product, env]: [Option<&str>; 2],
    expires_in: Option<Interval>,
    identifier: Option<&str>,
    origin: Origin<'_>,
) -> Result<AccountSession> {
    let account = required(account, "account", CODE)?;
    let expires_in = required(expires_in, "expires_in", CODE)?;
    // Deleting an environment keeps creates out by this lock: what is found now stays until this transaction ends.
    lock_for_writing::<SessionUsers>()?;
    let caller = caller::caller()?;
    caller.full()?;
    check_identifier("account", account).coded(CODE)?;
    check_identifier("identifier", identifier).coded(CODE)?;
    let env = caller.env(product, env, CODE)?;
    let now = clock::now();
    let expires_at = expiry(&expires_in, now)?;
    let given = components.map(|given| given.parse(&COMPONENTS)).transpose().coded(CODE)?;
    let known = scopes::names(&env.product_id)?;
    check_components(given.as_ref(), &known).coded(Code::ScopeNotFound)?;
    let components = resolve_components(given.as_ref(), &known).coded(CODE)?;
    share_names([account].into_iter().chain(identifier))?;
    // That may have waited for a lock: take the key ring only now.
    let ring = key_ring::ring()?;
    let number = ring.token_key_number()?;
    let session_id = random::uuid()?;
    let client_secret = opaque::issue(&ring, OpaqueFamily::ClientSecret, env.mode, number, session_id)
        .map_err(|_| KeyError::Unavailable(Purpose::Token))?;
    let enabled = components.iter().filter(|(_, enabled)| *enabled);
    let session = SessionRow {
        session_id,
        env_id: env.env_id,
        subject: account.to_owned(),
        created_at: now,
        expires_at,
        key_number: number,
        scopes: Some(enabled.map(|(name, _)| name.clone()).collect()),
        identifier: identifier.map(str::to_owned),
        ..SessionRow::default()
    };
    let origin = Origin { api_key_id: caller.api_key_id(), ..origin };
    insert(&AsOwner::enter()?, &session, origin)?;
    let components: Map<_, _> =
        components.into_iter().map(|(name, enabled)| (name, json!({ "enabled": enabled }))).collect();
    Ok(AccountSession { client_secret, expires_at, components: JsonText::of(&Value::Object(components)) })
}

fn expiry(expires_in: &Interval, now: Micros) -> Result<Micros> {
    let span = clock::span(expires_in);
    let end = clock::add(now, &span, CODE)?;
    if !span.is_positive() || end <= now || end > clock::add(now, &MAX_LIFE, CODE)? {
        return Err(Error::new(CODE, "expires_in is not a time that an account session can live")
            .hint("Give a positive interval of at most ten years, or leave it out for one hour."));
    }
    Ok(clock::ceil_to_second(end))
}
