//! Whether a presented token is good, now: presented → authentic → living.

use std::rc::Rc;

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
    /// The ring that its data opens with.
    pub ring: Rc<KeyRing>,
}

impl LiveSession {
    /// The definition's tag; user sessions only.
    pub fn tag(&self) -> Option<&str> {
        self.definition
            .as_ref()
            .map(|stored| stored.definition.tag.as_str())
    }

    /// The session's data as JSON text, as it is now; user sessions only.
    pub fn data(&self) -> Option<String> {
        open_data(&self.ring, &self.row)
    }
}

/// Opens a session's sealed data. `None` where there is none or its key is gone.
pub fn open_data(ring: &KeyRing, row: &SessionRow) -> Option<String> {
    let sealed = row.sealed_data.as_ref()?;
    let data = token::sealed::open(ring, row.key_number, row.session_id, sealed).ok()?;
    String::from_utf8(data.to_vec()).ok()
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
) -> Result<(Rc<KeyRing>, std::result::Result<T, Rejected>)> {
    let ring = keys::ring()?;
    match check(&ring) {
        Err(Rejected::UnknownKey) => {
            let ring = keys::reload()?;
            let checked = check(&ring);
            Ok((ring, checked))
        }
        checked => Ok((ring, checked)),
    }
}

/// Decides whether this instance made the access token or opaque token.
pub fn authenticate(
    presented: &str,
    now: Micros,
) -> Result<(Rc<KeyRing>, std::result::Result<AuthenticToken, Rejected>)> {
    let now = clock::unix_seconds(now);
    with_ring(|ring| token::authenticate(presented, ring, now))
}

/// Decides whether this instance made the refresh token.
pub fn authenticate_refresh(
    presented: &str,
) -> Result<(Rc<KeyRing>, std::result::Result<RefreshToken, Rejected>)> {
    with_ring(|ring| token::refresh::authenticate(ring, presented))
}

/// Decides whether a presented token of any family is good. Touches no table for a forged one.
/// Only reads, so it works in READ ONLY transactions and on standbys.
pub fn verify(presented: &str, expected: &Expected<'_>) -> Result<Verdict> {
    let now = clock::now();
    let (ring, authentic) = authenticate(presented, now)?;
    // This is where a verdict will be remembered, token by token, under the epoch.
    match authentic {
        Ok(token) => look_up(ring, &token, expected, now),
        Err(_) => Ok(Verdict::INVALID),
    }
}

/// What the tables say of an authentic token.
fn look_up(
    ring: Rc<KeyRing>,
    token: &AuthenticToken,
    expected: &Expected<'_>,
    now: Micros,
) -> Result<Verdict> {
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
            product: env.as_ref().map(|env| env.product.as_str()),
            env: env.as_ref().map(|env| env.env.as_str()),
            tag,
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
    match (judged, env) {
        (Ok(()), Some(env)) => {
            let expires_at = token_expires_at.map_or(row.expires_at, |at| at.min(row.expires_at));
            Ok(Verdict::Live(Box::new(LiveSession {
                row,
                env,
                definition,
                expires_at,
                ring,
            })))
        }
        (Err(reason), _) => Ok(Verdict::Refused {
            reason,
            row: Some(Box::new(row)),
        }),
        (Ok(()), None) => Ok(Verdict::INVALID),
    }
}
