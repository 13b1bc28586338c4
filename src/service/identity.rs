//! Who is there: the session of the token in `dialstack_sessions.token`.
//!
//! Policies ask for every row, so the answer is kept beside the verdict cache: as long as the token is
//! not set anew, no news has arrived and the statement began before the expiry, it is the same.

use std::cell::RefCell;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::relcache;
use crate::service::verdict::{self, Found, LiveSession, Verdict};
use crate::session::{Expected, Reason};

/// What the current token makes of the caller.
pub enum Standing {
    /// No token is set.
    Nobody,
    /// The token is not good.
    Refused(Reason),
    /// The token is good.
    Live(LiveSession),
}

impl Standing {
    /// The session, where the token is good.
    pub fn live(&self) -> Option<&LiveSession> {
        match self {
            Standing::Live(live) => Some(live),
            Standing::Nobody | Standing::Refused(_) => None,
        }
    }
}

/// How long an answer holds.
#[derive(Clone, Copy)]
struct Validity {
    token_changes: u64,
    epoch: u64,
    /// The statements that it holds for: those that began at or after `from`, and before `until`.
    from: Micros,
    until: Micros,
}

impl Validity {
    const NEVER: Validity = Validity {
        token_changes: u64::MAX,
        epoch: 0,
        from: 0,
        until: 0,
    };

    fn holds(&self, epoch: u64, statement: Micros) -> bool {
        self.token_changes == guc::token_changes()
            && self.epoch == epoch
            && self.from <= statement
            && statement < self.until
    }
}

thread_local! {
    static KNOWN: RefCell<(Validity, Standing)> =
        const { RefCell::new((Validity::NEVER, Standing::Nobody)) };
}

/// Answers by the current standing.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when no token can be verified at all.
pub fn with<T>(answer: impl FnOnce(&Standing) -> T) -> Result<T> {
    with_validity(answer).map(|(answer, _)| answer)
}

/// Answers by the session of the current token; `None` without a good one.
///
/// # Errors
/// As [`with`].
pub fn with_live<T>(answer: impl FnOnce(&LiveSession) -> Option<T>) -> Result<Option<T>> {
    with(|standing| standing.live().and_then(answer))
}

fn with_validity<T>(answer: impl FnOnce(&Standing) -> T) -> Result<(T, Validity)> {
    let epoch = relcache::epoch();
    let statement = clock::statement();
    if !KNOWN.with_borrow(|(validity, _)| validity.holds(epoch, statement)) {
        let known = read(epoch, statement)?;
        KNOWN.set(known);
    }
    Ok(KNOWN.with_borrow(|(validity, standing)| (answer(standing), *validity)))
}

fn read(epoch: u64, statement: Micros) -> Result<(Validity, Standing)> {
    let validity = Validity {
        token_changes: guc::token_changes(),
        epoch,
        from: Micros::MIN,
        until: Micros::MAX,
    };
    let Some(token) = guc::token() else {
        return Ok((validity, Standing::Nobody));
    };
    // For this statement alone, unless more is known.
    let now_only = Validity {
        from: statement,
        until: statement.saturating_add(1),
        ..validity
    };
    let Some(found) = verdict::named_session(&token, clock::now())? else {
        return Ok((now_only, Standing::Refused(Reason::Invalid)));
    };
    let Found {
        session,
        epoch,
        settled,
    } = found;
    Ok(
        match Verdict::of(&session, &Expected::default(), statement) {
            Verdict::Refused { reason, .. } => {
                (Validity { epoch, ..now_only }, Standing::Refused(reason))
            }
            Verdict::Live(live) if settled => {
                let until = session.expires_at();
                (
                    Validity {
                        epoch,
                        until,
                        ..validity
                    },
                    Standing::Live(live),
                )
            }
            Verdict::Live(live) => (Validity { epoch, ..now_only }, Standing::Live(live)),
        },
    )
}

/// What one place in a query remembers of the last answer it got, in memory of the query's.
struct Site {
    validity: Validity,
    answer: Option<pg_sys::Datum>,
}

/// The same functions as the bindings have, without the guard that turns an error of the server into
/// a panic.
mod bare {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        pub(crate) fn AcceptInvalidationMessages();
        pub(crate) fn GetCurrentStatementStartTimestamp() -> pg_sys::TimestampTz;
    }
}

/// The answer that this place in a query got last, if it still holds. For each row of a table, so it
/// does without all that a guarded call costs.
///
/// # Safety
/// `call` is a call by the server, of a function whose other calls go to [`answer`].
pub unsafe fn same_answer(call: pg_sys::FunctionCallInfo) -> Option<Option<pg_sys::Datum>> {
    // SAFETY: only `answer` sets fn_extra of these functions, to a Site that lives as long as it. An
    // error raised while taking in the news leaves this frame by a jump; it owns nothing.
    unsafe {
        let function = (*call).flinfo;
        if function.is_null() || (*function).fn_extra.is_null() {
            return None;
        }
        let site: *const Site = (*function).fn_extra.cast();
        bare::AcceptInvalidationMessages();
        let statement = bare::GetCurrentStatementStartTimestamp();
        (*site)
            .validity
            .holds(relcache::epoch_so_far(), statement)
            .then_some((*site).answer)
    }
}

/// The bytes of a value that is passed by reference.
///
/// # Safety
/// The type of the value must have that length, -1 where it varies, and the value must live as long
/// as the bytes are used.
unsafe fn bytes<'a>(value: pg_sys::Datum, length: i32) -> &'a [u8] {
    // SAFETY: the caller promises a value of that length; one that varies begins with its own.
    unsafe {
        let start: *const u8 = value.cast_mut_ptr();
        let length = usize::try_from(length).unwrap_or_else(|_| pgrx::varsize_any(start.cast()));
        std::slice::from_raw_parts(start, length)
    }
}

/// Answers by the session of the current token, and remembers the answer at this place in the query.
/// `length` is that of the answer's type: -1 where it varies.
///
/// # Safety
/// `call` is a call by the server; the answer is a value of a type of that length, by reference.
///
/// # Errors
/// As [`with`].
pub unsafe fn answer(
    call: pg_sys::FunctionCallInfo,
    length: i32,
    pick: impl FnOnce(&Standing) -> Option<pg_sys::Datum>,
) -> Result<Option<pg_sys::Datum>> {
    let (answer, validity) = with_validity(pick)?;
    // SAFETY: fn_mcxt lives as long as fn_extra. The answer of before may still be in use by this very
    // query, so it is neither freed nor changed, and kept where the new one is equal.
    unsafe {
        let function = (*call).flinfo;
        if function.is_null() {
            return Ok(answer);
        }
        let mut site: *mut Site = (*function).fn_extra.cast();
        let before = if site.is_null() { None } else { (*site).answer };
        let answer = PgMemoryContexts::For((*function).fn_mcxt).switch_to(|_| {
            if site.is_null() {
                site = pg_sys::palloc(size_of::<Site>()).cast();
                site.write(Site {
                    validity: Validity::NEVER,
                    answer: None,
                });
                (*function).fn_extra = site.cast();
            }
            let answer = bytes(answer?, length);
            if let Some(before) = before
                && bytes(before, length) == answer
            {
                return Some(before);
            }
            let copy: *mut u8 = pg_sys::palloc(answer.len()).cast();
            copy.copy_from_nonoverlapping(answer.as_ptr(), answer.len());
            Some(pg_sys::Datum::from(copy))
        });
        site.write(Site { validity, answer });
        Ok(answer)
    }
}
