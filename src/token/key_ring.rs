//! The key ring: every key that is not revoked, with its subkeys derived once.

use super::primitives::{expand, extract};
use super::signing_key::{Algorithm, Material, SigningKey};
use super::{InstanceId, KeyError, Secret};
use crate::text_enum::text_enum;

const INFO_DAT: &[u8] = b"dialstack_sessions/v1/seal/dat";
const INFO_IDENTIFIER_KEY: &[u8] = b"dialstack_sessions/v1/seal/user_identifier_key";
const INFO_REFRESH: &[u8] = b"dialstack_sessions/v1/token/refresh";
const INFO_OPAQUE: &[u8] = b"dialstack_sessions/v1/token/opaque";

text_enum! {
    /// What a key is for. A key of one purpose is never used for another.
    pub enum Purpose {
        /// Signs access tokens.
        Jwt = "jwt",
        /// Encrypts session data, in the row and in the `dat` claim, and the `user_identifier_key` of client sessions.
        Seal = "seal",
        /// Makes refresh tokens, client secrets and client session tokens.
        Token = "token",
    }
}

text_enum! {
    /// Where a key is in its life.
    pub enum KeyState {
        /// Is published, and signs later. Verifies.
        Pending = "pending",
        /// Makes tokens and verifies them.
        Active = "active",
        /// Verifies only.
        Retired = "retired",
        /// Neither.
        Revoked = "revoked",
    }
}

impl KeyState {
    /// Whether it makes tokens, now or later.
    pub fn may_sign(self) -> bool {
        matches!(self, Self::Pending | Self::Active)
    }
}

/// One unwrapped row of the key table.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Unique in the ring; opaque and refresh tokens name their key by it.
    pub number: u32,
    /// Unique in the ring, 1–64 visible ASCII characters; JWS and JWE name their key by it.
    pub kid: String,
    pub purpose: Purpose,
    /// `Some` exactly for purpose `jwt`.
    pub alg: Option<Algorithm>,
    pub state: KeyState,
    pub material: Material,
}

/// A key as the ring holds it; `K` is what its purpose needs.
pub(super) struct RingKey<K> {
    pub(super) number: u32,
    pub(super) kid: String,
    state: KeyState,
    pub(super) keys: K,
}

pub(super) struct SealKey {
    /// Wraps the content keys of `dat`.
    pub(super) dat: Secret<32>,
    /// Gives each session the key of its row, see [`super::sealed`].
    pub(super) prk: Secret<32>,
    /// Seals the `user_identifier_key` of client sessions.
    pub(super) identifier_key: Secret<32>,
}

pub(super) struct TokenKey {
    pub(super) refresh: Secret<32>,
    pub(super) opaque: Secret<32>,
}

/// The keys of one purpose.
pub(super) struct Shelf<K> {
    purpose: Purpose,
    keys: Vec<RingKey<K>>,
}

impl<K> Shelf<K> {
    const fn empty(purpose: Purpose) -> Self {
        Self { purpose, keys: Vec::new() }
    }

    /// The key that makes what is new.
    pub(super) fn active(&self) -> Result<&RingKey<K>, KeyError> {
        let active = self.keys.iter().find(|key| key.state == KeyState::Active);
        active.ok_or(KeyError::Unavailable(self.purpose))
    }

    /// All keys, the active one first.
    pub(super) fn active_first(&self) -> Result<impl Iterator<Item = &RingKey<K>>, KeyError> {
        let active = self.active()?;
        let others = self.keys.iter();
        let others = others.filter(move |key| key.number != active.number);
        Ok(std::iter::once(active).chain(others))
    }

    // A ring has a handful of keys: a search is faster than a hash.
    pub(super) fn by_number(&self, number: u32) -> Option<&RingKey<K>> {
        self.keys.iter().find(|key| key.number == number)
    }

    pub(super) fn by_kid(&self, kid: &str) -> Option<&RingKey<K>> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

/// All usable keys of one instance.
pub struct KeyRing {
    instance: InstanceId,
    pub(super) jwt: Shelf<SigningKey>,
    pub(super) seal: Shelf<SealKey>,
    pub(super) token: Shelf<TokenKey>,
}

impl KeyRing {
    /// Builds the ring and derives every subkey once. Revoked entries are dropped unread.
    ///
    /// # Errors
    /// [`KeyError::Material`] for a `jwt` key without an algorithm, or bytes that are no key of it.
    pub fn new(instance: InstanceId, entries: Vec<KeyEntry>) -> Result<Self, KeyError> {
        let mut ring = Self {
            instance,
            jwt: Shelf::empty(Purpose::Jwt),
            seal: Shelf::empty(Purpose::Seal),
            token: Shelf::empty(Purpose::Token),
        };
        for entry in entries.into_iter().filter(|entry| entry.state != KeyState::Revoked) {
            ring.add(entry)?;
        }
        Ok(ring)
    }

    fn add(&mut self, entry: KeyEntry) -> Result<(), KeyError> {
        let KeyEntry { number, kid, purpose, alg, state, material } = entry;
        // The salt binds every subkey to the instance.
        let prk = || extract(&self.instance.0, &material);
        match purpose {
            Purpose::Jwt => {
                let keys = SigningKey::new(alg.ok_or(KeyError::Material)?, &material)?;
                self.jwt.keys.push(RingKey { number, kid, state, keys });
            }
            Purpose::Seal => {
                let prk = prk();
                let keys = SealKey {
                    dat: expand(&prk, &[INFO_DAT]),
                    identifier_key: expand(&prk, &[INFO_IDENTIFIER_KEY]),
                    prk,
                };
                self.seal.keys.push(RingKey { number, kid, state, keys });
            }
            Purpose::Token => {
                let prk = prk();
                let keys =
                    TokenKey { refresh: expand(&prk, &[INFO_REFRESH]), opaque: expand(&prk, &[INFO_OPAQUE]) };
                self.token.keys.push(RingKey { number, kid, state, keys });
            }
        }
        Ok(())
    }

    /// The instance that the ring belongs to.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The number of the key that makes new opaque tokens.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] without one.
    pub fn token_key_number(&self) -> Result<u32, KeyError> {
        self.token.active().map(|key| key.number)
    }
}
