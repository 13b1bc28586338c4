//! Making and prolonging user sessions.

use pgrx::datum::{Inet, Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::cell::Cell;
use std::rc::Rc;

use uuid::Uuid;

use super::{pg_uuid, required};
use crate::error::{self, Code, Coded, Error};
use crate::session::{
    Decision, Definition, Expected, Facts, Reason, Room, Rotation, check_data, check_text, decide,
    judge, room,
};
use crate::store::activity::{self, Origin};
use crate::store::clock::{self, Micros, timestamptz};
use crate::store::configuration::{self, Env, StoredDefinition};
use crate::store::json::JsonText;
use crate::store::owner::AsOwner;
use crate::store::session_writes::{self, NewSession, Step, UserKey, Which};
use crate::store::sessions::{self, SessionRow};
use crate::store::{caller, keys, random, transaction, verdict};
use crate::token::{AccessClaims, KeyRing, access, refresh, sealed};

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT: usize = 1000;

fn check_origin(origin: &Origin<'_>, code: Code) -> error::Result<()> {
    origin
        .user_agent
        .map_or(Ok(()), |text| {
            check_text("user_agent", text, MAX_USER_AGENT)
        })
        .coded(code)
}

/// Session data that satisfies its definition.
pub(super) struct CheckedData {
    /// As JSON text.
    pub text: String,
    /// The identifier that the selector picks.
    pub identifier: String,
}

/// Checks data against its definition and picks the identifier.
pub(super) fn check_against(
    stored: &StoredDefinition,
    data: &JsonText,
) -> error::Result<CheckedData> {
    let code = Code::CreateFailed;
    let text = data.compact();
    let value = data.parse().coded(code)?;
    check_data(&value, text.len()).coded(code)?;
    stored.schema()?.check(&value).coded(code)?;
    let identifier = stored.definition.selector.select(&value).coded(code)?;
    Ok(CheckedData { text, identifier })
}

/// When an access token and its session expire.
struct Lifetimes {
    token: Micros,
    session: Micros,
}

impl Lifetimes {
    /// Of a session that is created or refreshed now. A token never outlives its session; both end
    /// on a full second, so that `exp` and what we tell are the same.
    fn new(
        definition: &Definition,
        now: Micros,
        before: Option<&SessionRow>,
        expires_in: Option<&Interval>,
        code: Code,
    ) -> error::Result<Self> {
        let after = |at, span| clock::add(at, &span, code);
        let token = match expires_in {
            None => after(now, definition.access_span().coded(code)?)?,
            Some(interval) => after(now, expiry_span(interval)?)?,
        };
        if token <= now {
            return Err(
                Error::new(code, "the token would be dead before it is used")
                    .hint("Give an interval whose parts are all positive."),
            );
        }
        // A token that was asked to live longer takes its session along, and what was extended
        // stays extended; but nothing goes beyond the caps.
        let mut session = after(now, definition.refresh_span().coded(code)?)?
            .max(token)
            .max(before.map_or(token, |row| row.expires_at));
        if let Some(idle) = definition.idle_timeout {
            session = session.min(after(now, idle)?);
        }
        if let Some(max) = definition.max_lifetime {
            session = session.min(after(before.map_or(now, |row| row.created_at), max)?);
        }
        let session = clock::ceil_to_second(session);
        Ok(Lifetimes {
            token: clock::ceil_to_second(token).min(session),
            session,
        })
    }
}

/// `expires_in` as a span that makes sense for a token.
fn expiry_span(interval: &Interval) -> error::Result<crate::session::Span> {
    let span = clock::span(interval);
    if span.is_positive() && span.is_within_a_century() {
        return Ok(span);
    }
    Err(Error::new(
        Code::CreateFailed,
        "expires_in is not a time that a token can live",
    )
    .hint("Give a positive interval of at most 100 years, or leave it out."))
}

/// A session's tokens.
struct Tokens {
    token: String,
    refresh_token: String,
    expires_at: Micros,
    session_id: Uuid,
}

/// What tokens are made of.
struct Issue<'a> {
    ring: &'a KeyRing,
    env: &'a Env,
    tag: &'a str,
    identifier: &'a str,
    session_id: Uuid,
    generation: u32,
    data: &'a str,
    now: Micros,
    expires_at: Micros,
}

fn issue(of: &Issue<'_>) -> error::Result<Tokens> {
    let claims = AccessClaims {
        product: of.env.product.clone(),
        env: of.env.env.clone(),
        tag: of.tag.to_owned(),
        subject: of.identifier.to_owned(),
        session_id: of.session_id,
        issued_at: clock::unix_seconds(of.now),
        expires_at: clock::unix_seconds(of.expires_at),
        token_id: random::uuid()?,
    };
    Ok(Tokens {
        token: access::issue(of.ring, &claims, of.data.as_bytes(), &random::bytes()?)?,
        refresh_token: refresh::issue(of.ring, of.env.mode, of.session_id, of.generation)?,
        expires_at: of.expires_at,
        session_id: of.session_id,
    })
}

/// Checks that the next refresh of a session with this data can make its token.
pub(super) fn check_token_size(
    ring: &KeyRing,
    row: &SessionRow,
    stored: &StoredDefinition,
    data: &CheckedData,
) -> error::Result<()> {
    let Some(env) = configuration::env_by_id(row.env_id)? else {
        return Err(session_writes::conflict());
    };
    issue(&Issue {
        ring,
        env: &env,
        tag: &stored.definition.tag,
        identifier: &data.identifier,
        session_id: row.session_id,
        generation: row.generation,
        data: &data.text,
        now: row.created_at,
        expires_at: row.expires_at,
    })
    .map(|_| ())
}

struct Create<'a> {
    product: Option<&'a str>,
    env: Option<&'a str>,
    tag: Option<&'a str>,
    data: Option<JsonText>,
    origin: Origin<'a>,
    expires_in: Option<Interval>,
}

fn create(call: Create<'_>) -> error::Result<Tokens> {
    let code = Code::CreateFailed;
    let product = required(call.product, "product", code)?;
    let env_name = required(call.env, "env", code)?;
    let tag = required(call.tag, "tag", code)?;
    let data = required(call.data.as_ref(), "data", code)?;
    check_origin(&call.origin, code)?;
    let resolve = || -> error::Result<Resolved> {
        let env = configuration::env(product, env_name)?;
        let stored = configuration::definition(&env.product_id, tag)?;
        let data = check_against(&stored, data)?;
        Ok(Resolved { env, stored, data })
    };
    let before = resolve()?;
    caller::narrow(before.env.env_id)?;
    let owner = AsOwner::enter()?;
    session_writes::count_in_user(&owner, before.user(), clock::now())?;
    // That may have waited, even for who deleted the definition or revoked a key: all that follows
    // is of now.
    let now = clock::now();
    let resolved = resolve()?;
    if resolved.user() != before.user() {
        return Err(session_writes::conflict());
    }
    make_room(&owner, &resolved.stored.definition, resolved.user(), now)?;
    store(&owner, &resolved, &call, now)
}

/// What a session is created from.
struct Resolved {
    env: Rc<Env>,
    stored: Rc<StoredDefinition>,
    data: CheckedData,
}

impl Resolved {
    fn user(&self) -> UserKey<'_> {
        UserKey {
            env_id: self.env.env_id,
            definition_id: self.stored.definition_id,
            identifier: &self.data.identifier,
        }
    }
}

/// Seals the data, makes the tokens and stores the session.
fn store(
    owner: &AsOwner,
    resolved: &Resolved,
    call: &Create<'_>,
    now: Micros,
) -> error::Result<Tokens> {
    let Resolved { env, stored, data } = resolved;
    let expires_in = call.expires_in.as_ref();
    let lifetimes = Lifetimes::new(
        &stored.definition,
        now,
        None,
        expires_in,
        Code::CreateFailed,
    )?;
    let ring = keys::ring()?;
    let session_id = random::uuid()?;
    let text = data.text.as_bytes();
    let (key_number, sealed_data) = sealed::seal(&ring, session_id, random::bytes()?, text)?;
    let tokens = issue(&Issue {
        ring: &ring,
        env,
        tag: &stored.definition.tag,
        identifier: &data.identifier,
        session_id,
        generation: 0,
        data: &data.text,
        now,
        expires_at: lifetimes.token,
    })?;
    session_writes::insert(
        owner,
        NewSession {
            session_id,
            user: resolved.user(),
            now,
            token_expires_at: lifetimes.token,
            expires_at: lifetimes.session,
            key_number: key_number.cast_signed(),
            sealed_data,
            origin: call.origin,
        },
    )?;
    Ok(tokens)
}

/// At the cap, evicts the oldest sessions or denies the new one. The user's row is locked.
fn make_room(
    owner: &AsOwner,
    definition: &Definition,
    user: UserKey<'_>,
    now: Micros,
) -> error::Result<()> {
    let Some(max) = definition.max_sessions else {
        return Ok(());
    };
    let living = session_writes::living(owner, user, now)?;
    match room(living, Some(max), definition.on_limit) {
        Room::Free => Ok(()),
        Room::Evict(count) => {
            for session_id in session_writes::oldest(owner, user, now, count)? {
                let which = Which::One {
                    session_id,
                    env_id: user.env_id,
                    definition_id: user.definition_id,
                };
                session_writes::revoke(owner, &which, session_writes::EVICTED, now)?;
            }
            Ok(())
        }
        Room::Full => Err(Error::new(
            Code::SessionLimitReached,
            "the user has as many living sessions as the definition allows",
        )
        .detail(format!("max_sessions is {max} and on_limit is deny."))
        .hint("Revoke one of them, or define on_limit as evict_oldest.")),
    }
}

/// Creates a user session and returns its tokens.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_create(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    data: Option<JsonText>,
    ip: default!(Option<Inet>, "NULL"),
    user_agent: default!(Option<&str>, "NULL"),
    expires_in: default!(Option<Interval>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(token, String),
            name!(refresh_token, String),
            name!(expires_at, TimestampWithTimeZone),
            name!(session_id, pgrx::Uuid),
        ),
    >,
    ErrorReport,
> {
    let origin = Origin {
        ip: ip.as_ref(),
        user_agent,
    };
    let tokens = create(Create {
        product,
        env,
        tag,
        data,
        origin,
        expires_in,
    })?;
    Ok(TableIterator::once((
        tokens.token,
        tokens.refresh_token,
        timestamptz(tokens.expires_at),
        pg_uuid(&tokens.session_id),
    )))
}

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
        let Some(row) = sessions::by_id(&presented.session_id)? else {
            return Ok(Refreshed::Refused(Reason::Invalid));
        };
        // A step that failed although the row is as it was: our snapshot is older than the row.
        let state = (row.generation, row.expires_at, row.revoke_reason.is_some());
        if before.replace(state) == Some(state) {
            return Err(session_writes::conflict());
        }
        if let Some(done) = attempt.step(&row)? {
            return Ok(done);
        }
    }
}

impl Refresh<'_> {
    /// Tries once; `None` when somebody else was faster and the row must be read again.
    fn step(&self, row: &SessionRow) -> error::Result<Option<Refreshed>> {
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
            Decision::Rotate { next } => self.rotate(row, &place, next),
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
        if verdict::open_data(row)?.is_none() {
            return Ok(Err(Reason::Invalid));
        }
        Ok(Ok(Place { env, stored }))
    }

    fn lifetimes(&self, row: &SessionRow, place: &Place) -> error::Result<Lifetimes> {
        let code = Code::RefreshFailed;
        Lifetimes::new(&place.stored.definition, self.now, Some(row), None, code)
    }

    fn rotate(
        &self,
        row: &SessionRow,
        place: &Place,
        next: u32,
    ) -> error::Result<Option<Refreshed>> {
        let lifetimes = self.lifetimes(row, place)?;
        let step = Step {
            session_id: row.session_id,
            from: row.generation,
            ends_at: row.expires_at,
            to: next,
            now: self.now,
            token_expires_at: lifetimes.token,
            expires_at: lifetimes.session,
            origin: self.origin,
        };
        if !session_writes::rotate(&AsOwner::enter()?, &step)? {
            self.waited.set(true);
            return Ok(None);
        }
        // It may have waited: the data can be newer than the row that was judged.
        let row = sessions::by_id(&row.session_id)?.ok_or_else(session_writes::conflict)?;
        self.tokens(&row, place, lifetimes.token).map(Some)
    }

    /// The current tokens once more, without a lock.
    fn repeat(&self, row: &SessionRow, place: &Place) -> error::Result<Option<Refreshed>> {
        let expires_at = self.lifetimes(row, place)?.token.min(row.expires_at);
        self.note(row, None)?;
        self.tokens(row, place, expires_at).map(Some)
    }

    /// The tokens of the row's generation.
    fn tokens(
        &self,
        row: &SessionRow,
        place: &Place,
        expires_at: Micros,
    ) -> error::Result<Refreshed> {
        // It was there when the row was judged: its key was revoked a moment ago.
        let data = verdict::open_data(row)?.ok_or_else(session_writes::conflict)?;
        issue(&Issue {
            ring: &*keys::ring()?,
            env: &place.env,
            tag: &place.stored.definition.tag,
            identifier: row.subject.as_deref().unwrap_or_default(),
            session_id: row.session_id,
            generation: row.generation,
            data: &data,
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
        let reused = session_writes::REUSED.by(self.origin);
        let revoked = session_writes::revoke(&owner, &which, reused, self.now)?;
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
        let owner = AsOwner::enter()?;
        activity::note(&owner, row, "refresh", refused, self.now, self.origin)
    }
}

/// Exchanges a refresh token for new tokens. A bad one is an answer, not an error: an error would
/// roll back the revocation that a stolen one causes.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_refresh(
    refresh_token: Option<&str>,
    product: default!(Option<&str>, "NULL"),
    env: default!(Option<&str>, "NULL"),
    tag: default!(Option<&str>, "NULL"),
    ip: default!(Option<Inet>, "NULL"),
    user_agent: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ok, bool),
            name!(reason, Option<&'static str>),
            name!(token, Option<String>),
            name!(refresh_token, Option<String>),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(session_id, Option<pgrx::Uuid>),
        ),
    >,
    ErrorReport,
> {
    let expected = Expected {
        product,
        env,
        tag,
        scope: None,
    };
    let origin = Origin {
        ip: ip.as_ref(),
        user_agent,
    };
    Ok(TableIterator::once(
        match refresh(refresh_token, expected, origin)? {
            Refreshed::Tokens(tokens) => (
                true,
                None,
                Some(tokens.token),
                Some(tokens.refresh_token),
                Some(timestamptz(tokens.expires_at)),
                Some(pg_uuid(&tokens.session_id)),
            ),
            Refreshed::Refused(reason) => (false, Some(reason.as_str()), None, None, None, None),
        },
    ))
}
