//! What a token names, as far as neither the time nor the question matters: what is worth remembering.

use std::rc::Rc;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::pg::clock::{self, Micros};
use crate::pg::datum::varlena::Varlena;
use crate::service::keys::key_ring;
use crate::service::reach::Reach;
use crate::service::setup::configuration::{self, Env, StoredDefinition};
use crate::service::user_sessions::session_data::SessionData;
use crate::session::{Expected, Facts, Reason, judge};
use crate::tables::client_sessions::ClientSessionRow;
use crate::tables::session_users::UserKey;
use crate::tables::sessions::SessionRow;
use crate::token::Family;
use crate::token::access::AccessClaims;

/// The session that an authentic token names, alive or not: all that a verdict rests on but the time
/// and what is asked for.
pub struct NamedSession {
    pub session_id: Uuid,
    pub env_id: i32,
    pub created_at: Micros,
    /// When the user proved last who they are.
    pub authenticated_at: Micros,
    /// When it ends unless it is refreshed.
    pub ends_at: Micros,
    pub revoke_reason: Option<String>,
    /// Scopes that it holds; a session without any list has none.
    pub scopes: Option<Vec<String>>,
    /// Its environment, unless that was deleted.
    pub env: Option<Rc<Env>>,
    /// What only its family has.
    pub of: Of,
    /// When the token expires, where it has an expiry of its own.
    token_expires_at: Option<Micros>,
    /// Product, environment and tag by the token's own claims: the names of when it was made.
    claimed: Option<[String; 3]>,
}

/// A family of sessions, and what only its sessions have.
pub enum Of {
    /// User sessions.
    User(OfUser),
    /// Account sessions: the account, and for whom it was made, if that was said.
    Account(String, Option<String>),
    /// Client sessions.
    Client(OfClient),
}

/// What only user sessions have.
pub struct OfUser {
    pub definition_id: i32,
    /// Its definition, unless that was deleted.
    pub definition: Option<Rc<StoredDefinition>>,
    pub identifier: String,
    /// Its data, as it is now; none where the key of the data is gone.
    pub data: Option<SessionData>,
}

/// What only client sessions have.
pub struct OfClient {
    /// Its user_identifier_key, if it has one that can be decrypted.
    user_identifier_key: Option<Zeroizing<String>>,
    /// Its connected accounts, a `uuid[]`.
    pub connected_account_ids: Varlena,
    /// Its user identities, a `uuid[]`.
    pub user_identity_ids: Varlena,
}

impl NamedSession {
    /// What the tables say of a user or account session and of all that it rests on. `claims` are those of the
    /// access token that names it, if one does.
    pub fn of_session(row: &SessionRow, claims: Option<&AccessClaims>) -> Result<Self> {
        let of = match row.definition_id {
            Some(definition_id) => Of::User(OfUser {
                definition_id,
                definition: configuration::definition_by_id(definition_id)?,
                identifier: row.subject.clone(),
                data: SessionData::of(row)?,
            }),
            None => Of::Account(row.subject.clone(), row.identifier.clone()),
        };
        Ok(NamedSession {
            session_id: row.session_id,
            env_id: row.env_id,
            created_at: row.created_at,
            authenticated_at: row.authenticated_at.unwrap_or(row.created_at),
            ends_at: row.expires_at,
            revoke_reason: row.revoke_reason.clone(),
            scopes: row.scopes.clone(),
            env: configuration::env_by_id(row.env_id)?,
            of,
            token_expires_at: claims.map(|claims| clock::from_unix_seconds(claims.expires_at)),
            claimed: claims
                .map(|claims| [&claims.product, &claims.env, &claims.tag].map(|name| name.clone())),
        })
    }

    /// What the tables say of a client session and its environment.
    pub fn of_client(row: ClientSessionRow) -> Result<Self> {
        let user_identifier_key = match &row.sealed_key {
            Some(sealed) => key_ring::open_identifier_key(row.env_id, sealed)?,
            None => None,
        };
        Ok(NamedSession {
            session_id: row.session_id,
            env_id: row.env_id,
            created_at: row.created_at,
            authenticated_at: row.created_at,
            ends_at: row.expires_at,
            revoke_reason: row.revoke_reason,
            scopes: None,
            env: configuration::env_by_id(row.env_id)?,
            of: Of::Client(OfClient {
                user_identifier_key,
                connected_account_ids: row.connected_account_ids,
                user_identity_ids: row.user_identity_ids,
            }),
            token_expires_at: None,
            claimed: None,
        })
    }

    /// False if the token claims another product, environment or tag than its session has. The environment may have had
    /// the claimed name when the token was made.
    pub fn is_as_claimed(&self) -> bool {
        let (Some(env), Some([product, name, tag])) = (&self.env, &self.claimed) else {
            return true;
        };
        *product == env.product
            && (*name == env.env || env.former_names.contains(name))
            && self.tag().is_none_or(|stored| stored == tag)
    }

    pub fn family(&self) -> Family {
        match self.of {
            Of::User(_) => Family::User,
            Of::Account(..) => Family::Account,
            Of::Client(_) => Family::Client,
        }
    }

    fn of_user(&self) -> Option<&OfUser> {
        match &self.of {
            Of::User(of) => Some(of),
            Of::Account(..) | Of::Client(_) => None,
        }
    }

    /// The definition; user sessions only.
    pub fn definition(&self) -> Option<&StoredDefinition> {
        self.of_user()?.definition.as_deref()
    }

    /// The definition's tag; user sessions only.
    pub fn tag(&self) -> Option<&str> {
        self.definition().map(|stored| stored.definition.tag.as_str())
    }

    /// The data, as it is now; user sessions only.
    pub fn data(&self) -> Option<&SessionData> {
        self.of_user()?.data.as_ref()
    }

    /// Identifier of the user, or for whom an account session was made, or user_identifier_key.
    pub fn identifier(&self) -> Option<&str> {
        match &self.of {
            Of::User(of) => Some(&of.identifier),
            Of::Account(_, identifier) => identifier.as_deref(),
            Of::Client(of) => of.user_identifier_key.as_ref().map(|key| key.as_str()),
        }
    }

    /// The user, by the key of the table `session_users`; user sessions only. The key of a client session is no
    /// identity: where publishable keys are used, a browser names whatever key it likes.
    pub fn user(&self) -> Option<UserKey<'_>> {
        self.of_user().map(|of| UserKey {
            env_id: self.env_id,
            definition_id: of.definition_id,
            identifier: &of.identifier,
        })
    }

    /// The account; account sessions only.
    pub fn account(&self) -> Option<&str> {
        match &self.of {
            Of::Account(account, _) => Some(account),
            Of::User(_) | Of::Client(_) => None,
        }
    }

    /// What it reaches; client sessions only.
    pub fn client(&self) -> Option<&OfClient> {
        match &self.of {
            Of::Client(of) => Some(of),
            Of::User(_) | Of::Account(..) => None,
        }
    }

    /// When the token expires, or the session ends, whichever is first.
    pub fn expires_at(&self) -> Micros {
        self.token_expires_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// Whether the environment of the session is within reach; one that was deleted is only where all are.
    pub fn is_within(&self, reach: &Reach) -> bool {
        let env = self.env.as_ref();
        env.map_or(matches!(reach, Reach::Everywhere), |env| reach.holds(env.env_id, &env.product_id))
    }

    /// Whether the session may be used at this time for what is expected, by a role of this reach.
    ///
    /// # Errors
    /// The reason why not. What is out of reach is a mismatch, as if the role expected what it is limited to.
    pub fn judge(
        &self,
        expected: &Expected<'_>,
        reach: &Reach,
        now: Micros,
    ) -> std::result::Result<(), Reason> {
        if !self.is_within(reach) {
            return Err(Reason::Mismatch);
        }
        let claim = |n: usize| self.claimed.as_ref().map(|claimed| claimed[n].as_str());
        // Of what was deleted the token tells the name; an opaque one can't, and passes.
        let (product, env) = match &self.env {
            Some(env) => (Some(env.product.as_str()), Some(env.env.as_str())),
            None if self.claimed.is_some() => (claim(0), claim(1)),
            None => (expected.product, expected.env),
        };
        let is_user = self.family() == Family::User;
        let orphaned = self.env.is_none() || (is_user && self.definition().is_none());
        let facts = Facts {
            product,
            env,
            tag: self.tag().or(claim(2)),
            // What belongs to a deleted environment or definition is dead, whatever its row says.
            revoked: self.revoke_reason.as_deref().or(orphaned.then_some("revoked")),
            expires_at: self.ends_at,
            token_expires_at: self.token_expires_at,
            scopes: self.scopes.as_deref(),
            authenticated_at: self.authenticated_at,
        };
        judge(&facts, expected, now)?;
        // A session whose data is lost with its key is lost too.
        if is_user && self.data().is_none() {
            return Err(Reason::Invalid);
        }
        Ok(())
    }
}
