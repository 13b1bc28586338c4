//! The current session: that of the token in `dialstack_sessions.token`.
//!
//! Policies ask for it at every row, so it is kept beside the verdict cache: it stays the same until the token is
//! set anew, another role asks, an invalidation arrives, or a statement or transaction begins after its expiry.

use std::cell::RefCell;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::call_site;
use crate::pg::clock::{self, Micros};
use crate::pg::relcache;
use crate::pg::roles::current_user;
use crate::service::level::Level;
use crate::service::reach;
use crate::service::verification::verdict::{self, Found, LiveSession, Verdict};
use crate::session::{Basis, Expected, Reason, Validity};

impl call_site::Validity for Validity {
    fn holds_at(&self, began: Micros) -> bool {
        self.holds(&basis(relcache::epoch_so_far()), began)
    }
}

/// What an answer rests on now, with a verdict of this epoch.
fn basis(epoch: u64) -> Basis {
    Basis {
        token_changes: guc::token_changes(),
        epoch,
        role: current_user().to_u32(),
        privileges: relcache::privileges_so_far(),
    }
}

thread_local! {
    static KNOWN: RefCell<(Validity, Verdict)> =
        const { RefCell::new((Validity::NEVER, Verdict::MISSING)) };
}

/// Answers by the session of the current token; `None` without a good one.
pub fn with_live<T>(answer: impl FnOnce(&LiveSession) -> Option<T>) -> Result<Option<T>> {
    Ok(with_validity(|verdict| verdict.live().and_then(answer))?.0)
}

/// Answers by the verdict on the current token, and says how long the answer holds.
pub fn with_validity<T>(answer: impl FnOnce(&Verdict) -> T) -> Result<(T, Validity)> {
    let basis = basis(relcache::epoch());
    let began = clock::began();
    if !KNOWN.with_borrow(|(validity, _)| validity.holds(&basis, began)) {
        let known = read(basis, began)?;
        KNOWN.set(known);
    }
    Ok(KNOWN.with_borrow(|(validity, verdict)| (answer(verdict), *validity)))
}

fn read(basis: Basis, began: Micros) -> Result<(Validity, Verdict)> {
    let validity = Validity { basis, from: Micros::MIN, until: Micros::MAX };
    let Some(token) = guc::token() else {
        return Ok((validity, Verdict::MISSING));
    };
    // For this statement alone, unless more is known.
    let now_only = Validity { from: began, until: began.saturating_add(1), ..validity };
    let Some(found) = verdict::named_session(&token)? else {
        return Ok((now_only, Verdict::INVALID));
    };
    let Found { session, epoch, settled } = found;
    let reach = reach::of_caller(Level::Client)?;
    let basis = Basis { epoch, ..basis };
    let verdict = Verdict::of(&session, &Expected::default(), &reach, began);
    let holds = match &verdict {
        Verdict::Live(_) if settled => Validity { until: session.expires_at(), ..validity },
        Verdict::Live(_) | Verdict::Refused { .. } => now_only,
    };
    Ok((Validity { basis, ..holds }, verdict))
}

/// Where a policy says that a session must belong. A name that is NULL by mistake opens nothing; the
/// tag may be left out.
pub struct Place<'a> {
    pub product: Option<&'a str>,
    pub env: Option<&'a str>,
    pub tag: Option<&'a str>,
}

impl Place<'_> {
    /// Whether the session belongs there.
    pub fn holds(&self, live: &LiveSession) -> bool {
        self.product == Some(&live.env.product)
            && self.env == Some(&live.env.env)
            && (self.tag.is_none() || self.tag == live.session.tag())
    }
}

/// Whether the session holds a scope; false for NULL.
pub fn holds_scope(live: &LiveSession, scope: Option<&str>) -> bool {
    let scopes = live.session.scopes.as_deref().unwrap_or_default();
    scope.is_some_and(|scope| scopes.iter().any(|held| held == scope))
}

/// Refuses unless the current session holds the scope.
///
/// # Errors
/// `SCOPE_DISABLED`.
pub fn require_scope(scope: Option<&str>) -> Result<()> {
    let missing = |detail: String, hint| {
        Error::new(Code::ScopeDisabled, "the session does not hold the scope").detail(detail).hint(hint)
    };
    let (refused, _) = with_validity(|verdict| match verdict {
        Verdict::Live(live) if holds_scope(live, scope) => None,
        Verdict::Live(_) => Some(missing(
            "The session is good, but was created without it.".to_owned(),
            "Create the session with that scope enabled.",
        )),
        Verdict::Refused { reason: Reason::Missing, .. } => Some(
            missing("No session token is presented.".to_owned(), "Present one with dialstack.session_use().")
                .unauthorized(),
        ),
        Verdict::Refused { reason, .. } => Some(
            missing(format!("The presented token is refused: {}.", reason.as_str()), "Sign in again.")
                .unauthorized(),
        ),
    })?;
    refused.map_or(Ok(()), Err)
}
