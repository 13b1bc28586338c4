//! Whether a presented token is good, now: presented → authentic → living.

use std::rc::Rc;

use uuid::Uuid;

use super::clock::{self, Micros};
use super::configuration::{self, Env, StoredDefinition};
use super::keys;
use super::sessions::{self, SessionRow};
use crate::error::Result;
use crate::session::{Expected, Facts, Reason, judge};
use crate::token::{self, AuthenticToken, Family, KeyRing, Rejected, refresh::RefreshToken};

/// A session that lives, with all that a caller may learn of it.
pub struct LiveSession {
    /// Its row.
    pub row: SessionRow,
    /// Its environment.
    pub env: Rc<Env>,
    /// Its definition; user sessions only.
    pub definition: Option<Rc<StoredDefinition>>,
    /// When the presented token expires, or the session ends, whichever is first.
    pub expires_at: Micros,
    /// Its data as JSON text, as it is now; user sessions only.
    pub data: Option<String>,
}

impl LiveSession {
    /// The definition's tag; user sessions only.
    pub fn tag(&self) -> Option<&str> {
        self.definition
            .as_ref()
            .map(|stored| stored.definition.tag.as_str())
    }
}

/// Opens a session's sealed data. `None` where there is none, or its key is gone and so the data.
pub fn open_data(row: &SessionRow) -> Result<Option<String>> {
    match &row.sealed_data {
        Some(sealed) => open_sealed(row.session_id, row.key_number, sealed),
        None => Ok(None),
    }
}

/// Opens the sealed data of this session. `None` where its key is gone and so the data.
pub fn open_sealed(session_id: Uuid, key_number: u32, sealed: &[u8]) -> Result<Option<String>> {
    let open = |ring: &KeyRing| token::sealed::open(ring, key_number, session_id, sealed);
    let data = with_ring(open)?.ok();
    Ok(data.and_then(|data| String::from_utf8(data.to_vec()).ok()))
}

/// What is known of a presented token.
pub enum Verdict {
    /// It is good.
    Live(Box<LiveSession>),
    /// It is not; of an authentic one the session is known.
    Refused {
        /// What the caller is told.
        reason: Reason,
        /// The session, for the log; the caller is not told.
        row: Option<Box<SessionRow>>,
    },
}

impl Verdict {
    const INVALID: Verdict = Verdict::Refused {
        reason: Reason::Invalid,
        row: None,
    };
}

/// Runs a check with the key ring, and once more with a fresh ring where the key was not known: the
/// news of a key that was just committed may be on its way.
fn with_ring<T>(
    check: impl Fn(&KeyRing) -> std::result::Result<T, Rejected>,
) -> Result<std::result::Result<T, Rejected>> {
    match check(&*keys::ring()?) {
        Err(Rejected::UnknownKey) => Ok(check(&*keys::ring_with_unknown()?)),
        checked => Ok(checked),
    }
}

/// Decides whether this instance made the access token or opaque token.
pub fn authenticate(
    presented: &str,
    now: Micros,
) -> Result<std::result::Result<AuthenticToken, Rejected>> {
    let now = clock::unix_seconds(now);
    with_ring(|ring| token::authenticate(presented, ring, now))
}

/// Decides whether this instance made the refresh token.
pub fn authenticate_refresh(
    presented: &str,
) -> Result<std::result::Result<RefreshToken, Rejected>> {
    with_ring(|ring| token::refresh::authenticate(ring, presented))
}

/// Decides whether a presented token of any family is good. Touches no table for a forged one.
/// Only reads, so it works in READ ONLY transactions and on standbys.
pub fn verify(presented: &str, expected: &Expected<'_>) -> Result<Verdict> {
    let now = clock::now();
    // This is where a verdict will be remembered, token by token, under the epoch.
    match authenticate(presented, now)? {
        Ok(token) => look_up(&token, expected, now),
        Err(_) => Ok(Verdict::INVALID),
    }
}

/// What the tables say of an authentic token.
fn look_up(token: &AuthenticToken, expected: &Expected<'_>, now: Micros) -> Result<Verdict> {
    let Some(row) = sessions::by_id(&token.session_id)? else {
        return Ok(Verdict::INVALID);
    };
    if row.kind != sessions::kind_of(token.family) {
        return Ok(Verdict::INVALID);
    }
    let env = configuration::env_by_id(row.env_id)?;
    let definition = match row.definition_id {
        Some(id) => configuration::definition_by_id(id)?,
        None => None,
    };
    let claims = token.access.as_ref();
    let token_expires_at = claims.map(|claims| clock::from_unix_seconds(claims.expires_at));
    let tag = definition
        .as_ref()
        .map(|stored| stored.definition.tag.as_str());
    let judged = judge(
        &Facts {
            // Of what was deleted the token tells the name; an opaque one can't, and passes.
            product: match (&env, claims) {
                (Some(env), _) => Some(&env.product),
                (None, Some(claims)) => Some(&claims.product),
                (None, None) => expected.product,
            },
            env: match (&env, claims) {
                (Some(env), _) => Some(&env.env),
                (None, Some(claims)) => Some(&claims.env),
                (None, None) => expected.env,
            },
            tag: tag.or(claims.map(|claims| claims.tag.as_str())),
            // What belongs to a deleted environment or definition is dead, whatever its row says.
            revoked: row.revoke_reason.as_deref().or(
                if env.is_none() || (definition.is_none() && token.family == Family::User) {
                    Some("revoked")
                } else {
                    None
                },
            ),
            expires_at: row.expires_at,
            token_expires_at,
            scopes: row.scopes.as_deref(),
        },
        expected,
        now,
    );
    if let (Some(env), Some(claims)) = (&env, claims) {
        let same = claims.product == env.product
            && claims.env == env.env
            && tag.is_none_or(|tag| tag == claims.tag);
        if !same {
            return Ok(Verdict::INVALID);
        }
    }
    if let Err(reason) = judged {
        return Ok(Verdict::Refused {
            reason,
            row: Some(Box::new(row)),
        });
    }
    let data = open_data(&row)?;
    let (Some(env), true) = (env, data.is_some() || token.family != Family::User) else {
        // A session whose data is lost with its key is lost too.
        return Ok(Verdict::INVALID);
    };
    let expires_at = token_expires_at.map_or(row.expires_at, |at| at.min(row.expires_at));
    Ok(Verdict::Live(Box::new(LiveSession {
        row,
        env,
        definition,
        expires_at,
        data,
    })))
}
