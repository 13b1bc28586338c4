//! Refreshing user sessions: a compare-and-set of the session's row.

use std::rc::Rc;

use serde_json::json;
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::log_events::Event;
use crate::pg::clock::{self, Micros};
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::events;
use crate::service::keys::key_ring;
use crate::service::level::Level;
use crate::service::reach::{self, Reach};
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration::{Env, StoredDefinition};
use crate::service::user_sessions::session_data::SessionData;
use crate::service::user_sessions::tokens::{Asked, Issue, Tokens, issue, lifetimes};
use crate::service::verification::named_session::{NamedSession, Of, OfUser};
use crate::service::verification::verdict;
use crate::session::{Decision, Expected, Lifetimes, Reason, Rotation, decide};
use crate::tables::activity::{self, Origin};
use crate::tables::session_users::UserKey;
use crate::tables::sessions::change::rotate;
use crate::tables::sessions::{self, SessionRow};
use crate::token::Mode;

/// What a refresh comes to.
pub enum Refreshed {
    /// New tokens, or the current ones again.
    Tokens {
        tokens: Tokens,
        identifier: String,
        /// The session's data, as it is now.
        data: SessionData,
    },
    /// None.
    Refused(Reason),
}

/// Exchanges a refresh token for the session's next tokens.
///
/// # Errors
/// `REFRESH_FAILED` for an expiry beyond what a timestamp can hold; `CONFLICT` where the session's end came while the
/// call waited; 40001 where the session was changed after the transaction's snapshot (REPEATABLE READ and above). A bad
/// or reused token is an answer, because an error would roll back the revocation that a reused one causes.
pub fn refresh(refresh_token: Option<&str>, expected: Expected<'_>, origin: Origin<'_>) -> Result<Refreshed> {
    // Read before any lock, so that callers who wait for each other are judged by when they came.
    let now = clock::now();
    let Some(presented) = refresh_token.filter(|token| !token.is_empty()) else {
        return Ok(Refreshed::Refused(Reason::Missing));
    };
    let Ok(presented) = verdict::authenticate_refresh(presented)? else {
        return Ok(Refreshed::Refused(Reason::Invalid));
    };
    let reach = reach::of_caller(Level::Client)?;
    let mut before: Option<SessionRow> = None;
    let mut logged = false;
    loop {
        let Some(row) = sessions::by_id(&presented.session_id)? else {
            return Ok(Refreshed::Refused(Reason::Invalid));
        };
        if before.as_ref().is_some_and(|before| row.is_same_step(before)) {
            // A write found the row otherwise than it is: the transaction's snapshot is older than the row.
            return Err(revocations::conflict());
        }
        let session = match refreshable(&row, presented.mode, &expected, &reach, now)? {
            Ok(session) => session,
            Err(reason) => return refuse(&row, reason, now, origin),
        };
        let decision = decide(&Rotation {
            presented: presented.generation,
            stored: row.generation,
            rotated_at: row.rotated_at,
            now,
            reuse_interval: session.stored.definition.reuse_interval.approx_micros(),
            waited: before.is_some(),
        });
        match decision {
            Decision::Rotate { next } => {
                let ends = session.lifetimes(&row, now)?;
                if rotate(&row, next, now, ends.session, origin)? {
                    // A max_lifetime that was lowered may have ended it before now: then the step has said so.
                    if ends.session <= now {
                        return Ok(Refreshed::Refused(Reason::Expired));
                    }
                    // A revocation that came after the end has passed over the session: it must not live on.
                    if row.expires_at <= clock::now() {
                        return Err(Error::new(Code::Conflict, "the session ended while the call waited")
                            .hint("Retry the transaction, or sign in again."));
                    }
                    return session.tokens(row, next, now, ends);
                }
            }
            Decision::Repeat => {
                let ends = Lifetimes {
                    token: session.lifetimes(&row, now)?.token.min(row.expires_at),
                    session: row.expires_at,
                };
                if ends.token <= now {
                    return refuse(&row, Reason::Expired, now, origin);
                }
                if let Some(user) = user_to_note(&row) {
                    activity::note(&row.session_id, user, "refresh", None, now, origin)?;
                }
                let generation = row.generation;
                return session.tokens(row, generation, now, ends);
            }
            Decision::Reused => {
                // Before anything is written: a standby refuses that, and has seen the token all the same.
                if !std::mem::replace(&mut logged, true) {
                    log_reuse(&session, &row.session_id)?;
                }
                // Somebody has stolen a copy of the token. Nothing is revoked where the session is not there any more.
                let (which, cause) = (Which::One(row.session_id), revocations::REUSED.by(origin));
                if revocations::revoke(&AsOwner::enter()?, &which, cause, now)? == 1 {
                    return Ok(Refreshed::Refused(Reason::Reused));
                }
            }
            Decision::Exhausted => return refuse(&row, Reason::Expired, now, origin),
        }
        // Another call changed the row first: decide again.
        before = Some(row);
    }
}

/// What the tokens of a session that may be refreshed are made from, beside its row.
struct Refreshable {
    env: Rc<Env>,
    stored: Rc<StoredDefinition>,
    data: SessionData,
}

/// What the session's tokens are made from, or why it may not be refreshed.
fn refreshable(
    row: &SessionRow,
    mode: Mode,
    expected: &Expected<'_>,
    reach: &Reach,
    now: Micros,
) -> Result<std::result::Result<Refreshable, Reason>> {
    let session = NamedSession::of_session(row, None)?;
    let judged = match &session.env {
        Some(env) if env.mode != mode => Err(Reason::Invalid),
        _ => session.judge(expected, reach, now),
    };
    Ok(match (judged, session) {
        (
            Ok(()),
            NamedSession {
                env: Some(env),
                of: Of::User(OfUser { definition: Some(stored), data: Some(data), .. }),
                ..
            },
        ) => Ok(Refreshable { env, stored, data }),
        (judged, _) => Err(judged.err().unwrap_or(Reason::Invalid)),
    })
}

impl Refreshable {
    /// The ends that a refresh now gives.
    fn lifetimes(&self, row: &SessionRow, now: Micros) -> Result<Lifetimes> {
        let code = Code::RefreshFailed;
        let asked = Asked { token: None, session: row.expires_in.as_ref() };
        lifetimes(&self.stored.definition, now, Some(row), asked, code)
    }

    /// The tokens of a generation, made with the present keys: what went before may have waited.
    fn tokens(self, row: SessionRow, generation: u32, now: Micros, ends: Lifetimes) -> Result<Refreshed> {
        let tokens = issue(&Issue {
            ring: &*key_ring::ring()?,
            env: &self.env,
            definition: &self.stored.definition,
            row: &row,
            generation,
            data: &self.data.text().compact(),
            now,
            ends,
        })?;
        Ok(Refreshed::Tokens { tokens, identifier: row.subject, data: self.data })
    }
}

fn log_reuse(session: &Refreshable, session_id: &Uuid) -> Result<()> {
    let (env, tag) = (&session.env, &session.stored.definition.tag);
    events::log(
        Event::Reuse,
        || json!({ "session_id": session_id.to_string(), "product": env.product, "env": env.env, "tag": tag }),
    )
}

/// Refuses an authentic token, and notes it where something can be written.
fn refuse(row: &SessionRow, reason: Reason, now: Micros, origin: Origin<'_>) -> Result<Refreshed> {
    if let Some(user) = user_to_note(row) {
        activity::note(&row.session_id, user, "refresh", Some(reason.as_str()), now, origin)?;
    }
    Ok(Refreshed::Refused(reason))
}

/// The session's user, where something can be written.
fn user_to_note(row: &SessionRow) -> Option<UserKey<'_>> {
    let definition_id = row.definition_id.filter(|_| transaction::can_write())?;
    Some(UserKey { env_id: row.env_id, definition_id, identifier: &row.subject })
}
