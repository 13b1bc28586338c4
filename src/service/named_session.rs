//! What a token names, as far as neither the time nor the question matters: what is worth remembering.

use std::rc::Rc;

use crate::error::Result;
use crate::pg::clock::{self, Micros};
use crate::service::configuration::{self, Env, StoredDefinition};
use crate::service::session_data::SessionData;
use crate::session::{Expected, Facts, Reason, judge};
use crate::tables::sessions::SessionRow;
use crate::token::Family;
use crate::token::access::AccessClaims;

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
    pub data: Option<SessionData>,
    /// When the token expires, where it has an expiry of its own.
    pub token_expires_at: Option<Micros>,
    /// Product, environment and tag by the token's own claims.
    pub claimed: Option<[String; 3]>,
}

impl NamedSession {
    /// What the tables say of a session and of all that it rests on. `claims` are those of the access token that
    /// names it, if one does.
    ///
    /// # Errors
    /// `JWT_NOT_AVAILABLE` where tables or keys can't be read.
    pub fn load(row: SessionRow, claims: Option<AccessClaims>) -> Result<Self> {
        let env = configuration::env_by_id(row.env_id)?;
        let definition = match row.definition_id {
            Some(id) => configuration::definition_by_id(id)?,
            None => None,
        };
        let data = match row.revoke_reason {
            None => SessionData::of(&row)?,
            Some(_) => None,
        };
        let expires_at = claims.as_ref().map(|claims| claims.expires_at);
        Ok(NamedSession {
            row,
            env,
            definition,
            data,
            token_expires_at: expires_at.map(clock::from_unix_seconds),
            claimed: claims.map(|claims| [claims.product, claims.env, claims.tag]),
        })
    }

    /// False if the token claims another product, environment or tag than its session has.
    pub fn is_as_claimed(&self) -> bool {
        let (Some(env), Some([product, name, tag])) = (&self.env, &self.claimed) else {
            return true;
        };
        *product == env.product && *name == env.env && self.tag().is_none_or(|stored| stored == tag)
    }

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
        self.row.kind == family.as_str()
    }

    fn orphaned(&self) -> bool {
        self.env.is_none() || (self.is(Family::User) && self.definition.is_none())
    }
}
