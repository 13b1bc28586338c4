//! Refreshing user sessions.

use std::cell::Cell;
use std::rc::Rc;

use pgrx::datum::Inet;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::pg_uuid;
use super::tokens::{Issue, Lifetimes, Tokens, check_origin, issue};
use crate::error::{self, Code};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::record::Record;
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::configuration::{self, Env, StoredDefinition};
use crate::service::key_ring;
use crate::service::revocations::{self, Which};
use crate::service::session_data::SessionData;
use crate::service::verdict;
use crate::session::{Decision, Expected, Facts, Reason, Rotation, decide, judge};
use crate::tables::activity::{self, Origin};
use crate::tables::session_rotation::{self, Step};
use crate::tables::sessions::{self, Location, SessionRow};
use crate::token::refresh;

/// What a refresh comes to.
enum Refreshed {
    Tokens(Tokens),
    Refused(Reason),
}

/// A refresh in progress: what is known of the presented token and who presents it.
struct Refresh<'a> {
    presented: refresh::RefreshToken,
    expected: Expected<'a>,
    origin: Origin<'a>,
    /// Read before any lock, so that callers who wait for each other judge by when they came.
    now: Micros,
    /// Whether a step was tried, and somebody else's came first.
    waited: Cell<bool>,
}

/// What a session's tokens are made from, beside its row.
struct Place {
    env: Rc<Env>,
    stored: Rc<StoredDefinition>,
    /// The session's data.
    data: SessionData,
}

fn refresh(
    refresh_token: Option<&str>,
    expected: Expected<'_>,
    origin: Origin<'_>,
) -> error::Result<Refreshed> {
    check_origin(&origin, Code::RefreshFailed)?;
    let now = clock::now();
    let Some(presented) = refresh_token else {
        return Ok(Refreshed::Refused(Reason::Invalid));
    };
    let Ok(presented) = verdict::authenticate_refresh(presented)? else {
        return Ok(Refreshed::Refused(Reason::Invalid));
    };
    let attempt = Refresh {
        presented,
        expected,
        origin,
        now,
        waited: Cell::new(false),
    };
    let mut before = None;
    loop {
        let Some((row, at)) = sessions::located(&presented.session_id)? else {
            return Ok(Refreshed::Refused(Reason::Invalid));
        };
        // A step that failed although the row is as it was: our snapshot is older than the row.
        let state = (row.generation, row.expires_at, row.revoke_reason.is_some());
        if before.replace(state) == Some(state) {
            return Err(revocations::conflict());
        }
        if let Some(done) = attempt.step(&row, at)? {
            return Ok(done);
        }
    }
}

impl Refresh<'_> {
    /// Tries once; `None` when somebody else was faster and the row must be read again.
    fn step(&self, row: &SessionRow, at: Location) -> error::Result<Option<Refreshed>> {
        let place = match self.judge(row)? {
            Ok(place) => place,
            Err(reason) => return self.refuse(row, reason).map(Some),
        };
        let definition = &place.stored.definition;
        let decision = decide(&Rotation {
            presented: self.presented.generation,
            stored: row.generation,
            rotated_at: row.rotated_at,
            now: self.now,
            reuse_interval: definition.reuse_interval.approx_micros(),
        });
        // Who waited for the step that it wanted to take itself came in time, if there is a time.
        let just_taken = self.presented.generation.checked_add(1) == Some(row.generation);
        let in_time = self.waited.get() && just_taken && definition.reuse_interval.is_positive();
        let decision = if in_time { Decision::Repeat } else { decision };
        match decision {
            Decision::Rotate { next } => self.rotate(row, at, &place, next),
            Decision::Repeat => self.repeat(row, &place),
            Decision::Reused => self.end_family(row),
            Decision::Exhausted => self.refuse(row, Reason::Expired).map(Some),
        }
    }

    /// Whether the session may be refreshed at all.
    fn judge(&self, row: &SessionRow) -> error::Result<Result<Place, Reason>> {
        let env = configuration::env_by_id(row.env_id)?;
        let stored = match row.definition_id {
            Some(id) => configuration::definition_by_id(id)?,
            None => None,
        };
        let (Some(env), Some(stored)) = (env, stored) else {
            return Ok(Err(Reason::Revoked));
        };
        if env.mode != self.presented.mode {
            return Ok(Err(Reason::Invalid));
        }
        let facts = Facts {
            product: Some(&env.product),
            env: Some(&env.env),
            tag: Some(&stored.definition.tag),
            revoked: row.revoke_reason.as_deref(),
            expires_at: row.expires_at,
            token_expires_at: None,
            scopes: None,
        };
        if let Err(reason) = judge(&facts, &self.expected, self.now) {
            return Ok(Err(reason));
        }
        // Without its key the data is lost, and with it the session.
        let Some(data) = SessionData::of(row)? else {
            return Ok(Err(Reason::Invalid));
        };
        Ok(Ok(Place { env, stored, data }))
    }

    fn lifetimes(&self, row: &SessionRow, place: &Place) -> error::Result<Lifetimes> {
        let code = Code::RefreshFailed;
        Lifetimes::new(&place.stored.definition, self.now, Some(row), None, code)
    }

    fn rotate(
        &self,
        row: &SessionRow,
        at: Location,
        place: &Place,
        next: u32,
    ) -> error::Result<Option<Refreshed>> {
        let lifetimes = self.lifetimes(row, place)?;
        let step = Step {
            from: row,
            at,
            to: next,
            now: self.now,
            token_expires_at: lifetimes.token,
            expires_at: lifetimes.session,
            origin: self.origin,
        };
        let Some(rotated) = session_rotation::rotate(&step)? else {
            self.waited.set(true);
            return Ok(None);
        };
        let same = rotated.key_number == row.key_number && rotated.sealed_data == row.sealed_data;
        if same {
            return self.tokens(row, next, place, lifetimes.token).map(Some);
        }
        // It waited, and the data is newer than the row that was judged.
        let row = sessions::by_id(&row.session_id)?.ok_or_else(revocations::conflict)?;
        // It was there when the row was judged: its key was revoked a moment ago.
        let data = SessionData::of(&row)?.ok_or_else(revocations::conflict)?;
        let place = Place {
            env: place.env.clone(),
            stored: place.stored.clone(),
            data,
        };
        self.tokens(&row, next, &place, lifetimes.token).map(Some)
    }

    /// The current tokens once more, without a lock.
    fn repeat(&self, row: &SessionRow, place: &Place) -> error::Result<Option<Refreshed>> {
        let expires_at = self.lifetimes(row, place)?.token.min(row.expires_at);
        self.note(row, None)?;
        self.tokens(row, row.generation, place, expires_at)
            .map(Some)
    }

    /// The tokens of a generation.
    fn tokens(
        &self,
        row: &SessionRow,
        generation: u32,
        place: &Place,
        expires_at: Micros,
    ) -> error::Result<Refreshed> {
        issue(&Issue {
            ring: &*key_ring::ring()?,
            env: &place.env,
            tag: &place.stored.definition.tag,
            identifier: row.subject.as_deref().unwrap_or_default(),
            session_id: row.session_id,
            generation,
            data: &place.data.text().compact(),
            now: self.now,
            expires_at,
        })
        .map(Refreshed::Tokens)
    }

    /// An old refresh token: somebody has stolen one, so the whole family ends.
    fn end_family(&self, row: &SessionRow) -> error::Result<Option<Refreshed>> {
        let Some(definition_id) = row.definition_id else {
            return Ok(None);
        };
        let which = Which::One {
            session_id: row.session_id,
            env_id: row.env_id,
            definition_id,
        };
        let owner = AsOwner::enter()?;
        let reused = revocations::REUSED.by(self.origin);
        let revoked = revocations::revoke(&owner, &which, reused, self.now)?;
        Ok((revoked == 1).then_some(Refreshed::Refused(Reason::Reused)))
    }

    fn refuse(&self, row: &SessionRow, reason: Reason) -> error::Result<Refreshed> {
        self.note(row, Some(reason.as_str()))?;
        Ok(Refreshed::Refused(reason))
    }

    /// Logs what changes nothing: skipped where nothing can be written.
    fn note(&self, row: &SessionRow, refused: Option<&'static str>) -> error::Result<()> {
        if !transaction::can_write() {
            return Ok(());
        }
        activity::note(row, "refresh", refused, self.now, self.origin)
    }
}

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
