//! Whether a presented token is good, now: presented → authentic → living.

use std::rc::Rc;

use uuid::Uuid;

use super::clock::{self, Micros};
use super::configuration::{self, Env, StoredDefinition};
use super::json::JsonText;
use super::relations::{self, Rel};
use super::sessions::{self, SessionRow};
use super::varlena::Varlena;
use super::{keys, verdict_cache};
use crate::error::Result;
use crate::session::{Expected, Facts, Reason, judge};
use crate::token::{self, AuthenticToken, Family, KeyRing, Rejected, refresh::RefreshToken};

/// The session that an authentic token names, alive or not: all that a verdict rests on but the time
/// and what is asked for.
pub struct NamedSession {
    /// Its row.
    pub row: SessionRow,
    /// Its environment, unless that was deleted.
    pub env: Option<Rc<Env>>,
    /// Its definition; user sessions only.
    pub definition: Option<Rc<StoredDefinition>>,
    /// Its data, as it is now; user sessions only.
    pub data: Option<Varlena>,
    /// When the token expires, where it has an expiry of its own.
    token_expires_at: Option<Micros>,
    /// Product, environment and tag by the token's own claims.
    claimed: Option<[String; 3]>,
}

impl NamedSession {
    /// The definition's tag; user sessions only.
    pub fn tag(&self) -> Option<&str> {
        self.definition
            .as_ref()
            .map(|stored| stored.definition.tag.as_str())
    }

    /// Identifier of the user, or user_identifier_key; not for account sessions.
    pub fn identifier(&self) -> Option<&str> {
        let subject = self.row.subject.as_deref();
        subject.filter(|_| !self.is(Family::Account))
    }

    /// Identifier of the user; user sessions only. The key of a client session is no identity: where
    /// publishable keys are used, a browser names whatever key it likes.
    pub fn user(&self) -> Option<&str> {
        let subject = self.row.subject.as_deref();
        subject.filter(|_| self.is(Family::User))
    }

    /// The account; account sessions only.
    pub fn account(&self) -> Option<&str> {
        let subject = self.row.subject.as_deref();
        subject.filter(|_| self.is(Family::Account))
    }

    /// When the token expires, or the session ends, whichever is first.
    pub fn expires_at(&self) -> Micros {
        self.token_expires_at
            .map_or(self.row.expires_at, |at| at.min(self.row.expires_at))
    }

    /// Whether the session may be used for what is expected at this time.
    ///
    /// # Errors
    /// The reason why not.
    pub fn judge(&self, expected: &Expected<'_>, now: Micros) -> std::result::Result<(), Reason> {
        let claim = |n: usize| self.claimed.as_ref().map(|claimed| claimed[n].as_str());
        // Of what was deleted the token tells the name; an opaque one can't, and passes.
        let (product, env) = match &self.env {
            Some(env) => (Some(env.product.as_str()), Some(env.env.as_str())),
            None if self.claimed.is_some() => (claim(0), claim(1)),
            None => (expected.product, expected.env),
        };
        let facts = Facts {
            product,
            env,
            tag: self.tag().or(claim(2)),
            // What belongs to a deleted environment or definition is dead, whatever its row says.
            revoked: self
                .row
                .revoke_reason
                .as_deref()
                .or(self.orphaned().then_some("revoked")),
            expires_at: self.row.expires_at,
            token_expires_at: self.token_expires_at,
            scopes: self.row.scopes.as_deref(),
        };
        judge(&facts, expected, now)?;
        // A session whose data is lost with its key is lost too.
        if self.is(Family::User) && self.data.is_none() {
            return Err(Reason::Invalid);
        }
        Ok(())
    }

    fn is(&self, family: Family) -> bool {
        self.row.kind == sessions::kind_of(family)
    }

    fn orphaned(&self) -> bool {
        self.env.is_none() || (self.is(Family::User) && self.definition.is_none())
    }
}

/// A session that lives.
pub struct LiveSession {
    /// The session.
    pub session: Rc<NamedSession>,
    /// Its environment.
    pub env: Rc<Env>,
}

/// Opens a session's sealed data, JSON text. `None` where there is none, or its key is gone and so
/// the data.
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
    Live(LiveSession),
    /// It is not; of an authentic one the session is known.
    Refused {
        /// What the caller is told.
        reason: Reason,
        /// The session, for the log; the caller is not told.
        session: Option<Rc<NamedSession>>,
    },
}

impl Verdict {
    /// What is said of anything that names no session.
    pub const INVALID: Verdict = Verdict::Refused {
        reason: Reason::Invalid,
        session: None,
    };

    /// What is said of a session at this time.
    pub fn of(session: &Rc<NamedSession>, expected: &Expected<'_>, now: Micros) -> Self {
        match (session.judge(expected, now), &session.env) {
            (Ok(()), Some(env)) => Verdict::Live(LiveSession {
                session: session.clone(),
                env: env.clone(),
            }),
            (judged, _) => Verdict::Refused {
                reason: judged.err().unwrap_or(Reason::Invalid),
                session: Some(session.clone()),
            },
        }
    }
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
    Ok(match named_session(presented, now)? {
        Some(found) => Verdict::of(&found.session, expected, now),
        None => Verdict::INVALID,
    })
}

/// A session that was found by a token.
pub struct Found {
    /// The session.
    pub session: Rc<NamedSession>,
    /// The epoch under which it is so.
    pub epoch: u64,
    /// Whether it stays so until the epoch advances. The row that this very transaction made does
    /// not: should it roll back, nobody is told.
    pub settled: bool,
}

/// The session that a token names, remembered or read. `None` for a token that was not made here, or
/// whose session is gone.
pub fn named_session(presented: &str, now: Micros) -> Result<Option<Found>> {
    // Looked up first, so that from here on only its own news advances the epoch.
    relations::oid(Rel::VerdictInvalidation)?;
    loop {
        let epoch = relations::epoch();
        if let Some(session) = verdict_cache::find(presented, epoch) {
            return Ok(Some(Found {
                session,
                epoch,
                settled: true,
            }));
        }
        let read = match authenticate(presented, now)? {
            Ok(token) => look_up(token)?,
            Err(_) => None,
        };
        if relations::epoch() != epoch {
            // What was read may be older than the news.
            pgrx::check_for_interrupts!();
            continue;
        }
        let Some((session, settled)) = read else {
            // Not remembered: nobody is told when a session appears.
            return Ok(None);
        };
        let session = Rc::new(session);
        if settled {
            verdict_cache::remember(presented, epoch, &session);
        }
        return Ok(Some(Found {
            session,
            epoch,
            settled,
        }));
    }
}

/// What the tables say of an authentic token, and whether others see the same.
fn look_up(token: AuthenticToken) -> Result<Option<(NamedSession, bool)>> {
    let Some(row) = sessions::by_id(&token.session_id)? else {
        return Ok(None);
    };
    if row.kind != sessions::kind_of(token.family) {
        return Ok(None);
    }
    let env = configuration::env_by_id(row.env_id)?;
    let definition = match row.definition_id {
        Some(id) => configuration::definition_by_id(id)?,
        None => None,
    };
    let claims = token.access;
    if let (Some(env), Some(claims)) = (&env, &claims) {
        let tag = definition.as_ref().map(|stored| &stored.definition.tag);
        let same = claims.product == env.product
            && claims.env == env.env
            && tag.is_none_or(|tag| *tag == claims.tag);
        if !same {
            return Ok(None);
        }
    }
    let data = match row.revoke_reason {
        None => open_data(&row)?.and_then(|text| JsonText(text).kept()),
        Some(_) => None,
    };
    let settled = !row.in_progress;
    let session = NamedSession {
        row,
        env,
        definition,
        data,
        token_expires_at: claims
            .as_ref()
            .map(|claims| clock::from_unix_seconds(claims.expires_at)),
        claimed: claims.map(|claims| [claims.product, claims.env, claims.tag]),
    };
    Ok(Some((session, settled)))
}
