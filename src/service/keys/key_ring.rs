//! The key ring of this instance: reading it, and changing it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::pg::cache::{Remembered, read_stable};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::{random, relcache, server};
use crate::service::keys::root_key::{self, NewRoot};
use crate::service::revocation::revocations::conflict;
use crate::tables::instance::{self, Instance};
use crate::tables::signing_keys::{self, NewKey};
pub use crate::tables::signing_keys::{KeyRow, list};
use crate::token::root_key::{RootKey, unwrap, wrap};
use crate::token::{
    Algorithm, InstanceId, KeyEntry, KeyError, KeyRing, Material, Purpose, Rejected, Secret,
    check_material, public_jwk, sealed,
};

thread_local! {
    /// When the ring was last read because of an unknown key.
    static LAST_MISS: Cell<Micros> = const { Cell::new(Micros::MIN) };
    static RING: RefCell<Remembered<(), Rc<KeyRing>>> = RefCell::default();
}

/// The key ring as it is now.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the ring can't be opened, or this database is a copy of another.
pub fn ring() -> Result<Rc<KeyRing>> {
    match RING.with_borrow(|ring| ring.find(&(), relcache::configuration_epoch())) {
        Some(ring) => Ok(ring),
        None => reload(),
    }
}

/// The ring for a caller that met a key which it does not hold: a key may be committed a moment before its
/// invalidation arrives. Read again at most once a second, so that forged key ids cost nothing.
pub fn ring_with_unknown() -> Result<Rc<KeyRing>> {
    let (now, last) = (clock::now(), LAST_MISS.get());
    if (0..clock::SECOND).contains(&now.saturating_sub(last)) {
        return ring();
    }
    LAST_MISS.set(now);
    reload()
}

/// Runs a check with the key ring, and once more with a fresh ring where the key was not known: it may be
/// committed a moment before its invalidation arrives.
pub fn with<T>(
    check: impl Fn(&KeyRing) -> std::result::Result<T, Rejected>,
) -> Result<std::result::Result<T, Rejected>> {
    match check(&*ring()?) {
        Err(Rejected::UnknownKey) => Ok(check(&*ring_with_unknown()?)),
        checked => Ok(checked),
    }
}

/// Decrypts the user_identifier_key of a client session. `None` where its key is gone and so the text.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the key ring can't be read.
pub fn open_identifier_key(env_id: i32, form: &[u8]) -> Result<Option<Zeroizing<String>>> {
    Ok(with(|ring| sealed::open_identifier_key(ring, env_id, form))?.ok())
}

/// Ring and root key are read as of one epoch.
fn reload() -> Result<Rc<KeyRing>> {
    // A new root key that is committed between reading the root and the keys makes the first reading fail, before
    // its invalidation arrives. The second one finds both as they are now.
    let read = |_| load().or_else(|_| load());
    let (epoch, ring) = read_stable(relcache::configuration_epoch, read)?;
    let ring = Rc::new(ring);
    RING.with_borrow_mut(|remembered| remembered.insert((), ring.clone(), epoch));
    Ok(ring)
}

fn load() -> Result<KeyRing> {
    let instance = this_instance()?;
    if instance.database != server::current_database() {
        return Err(Error::new(Code::JwtNotAvailable, "this database is a copy of another")
            .detail("The tokens of the original are not accepted here.")
            .hint("Run SELECT * FROM dialstack.instance_reset() to give the copy its own identity and keys."));
    }
    Ok(KeyRing::new(
        instance.id,
        entries(&root_key::of(&instance)?)?,
    )?)
}

/// The row of this database.
fn this_instance() -> Result<Instance> {
    instance::read()?.ok_or_else(|| {
        Error::new(
            Code::JwtNotAvailable,
            "this database has no instance identity",
        )
        .hint(
            "Run SELECT * FROM dialstack.instance_reset() to make one; tokens of before are dead.",
        )
    })
}

/// All keys, unwrapped.
fn entries(root: &RootKey) -> Result<Vec<KeyEntry>> {
    let unwrapped = signing_keys::all()?.into_iter().map(|key| {
        Ok(KeyEntry {
            material: unwrap(root, &key.kid, &key.wrapped)?,
            kid: key.kid,
            number: key.number,
            purpose: key.purpose,
            alg: key.alg,
            state: key.state,
        })
    });
    unwrapped.collect()
}

/// The public keys that verify tokens, newest first (RFC 7517, section 5).
pub fn public_keys() -> Result<Vec<Value>> {
    let texts = signing_keys::public()?;
    let parse = |text: &JsonText| text.parse().map_err(|_| KeyError::Encoding.into());
    texts.iter().map(parse).collect()
}

/// Makes a new active key of this purpose; the one that was active retires. Without an algorithm a `jwt` key gets
/// that of its predecessor, or HS256.
pub fn rotate(purpose: Purpose, alg: Option<Algorithm>) -> Result<KeyRow> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    // Read under the lock: a rotation of the root key that was waited for has replaced it.
    let root = root_key::of(&this_instance()?)?;
    make_active(&owner, &root, purpose, alg)
}

fn make_active(
    owner: &AsOwner,
    root: &RootKey,
    purpose: Purpose,
    alg: Option<Algorithm>,
) -> Result<KeyRow> {
    let now = clock::now();
    let predecessor = signing_keys::retire(owner, purpose, now)?;
    let alg = (purpose == Purpose::Jwt).then(|| {
        alg.or_else(|| predecessor.as_deref().and_then(Algorithm::parse))
            .unwrap_or(Algorithm::Hs256)
    });
    insert(owner, root, purpose, alg, now)
}

fn insert(
    owner: &AsOwner,
    root: &RootKey,
    purpose: Purpose,
    alg: Option<Algorithm>,
    now: Micros,
) -> Result<KeyRow> {
    let material = new_material(purpose, alg)?;
    let kid = random::uuid()?.simple().to_string();
    let public = match alg {
        Some(alg) => public_jwk(&kid, alg, &material)?,
        None => None,
    };
    let stored = signing_keys::insert(
        owner,
        NewKey {
            kid: &kid,
            number: next_number()?,
            purpose,
            alg,
            wrapped: wrap(root, &kid, random::bytes()?, &material),
            public_jwk: public.map(|jwk| JsonText::of(&jwk)),
            now,
        },
    )?;
    stored.ok_or_else(|| KeyError::Unavailable(purpose).into())
}

/// The number after the highest, in the latest state: the lock keeps others from taking it.
fn next_number() -> Result<i32> {
    let highest = signing_keys::all()?.into_iter().map(|key| key.number).max();
    Ok(highest.unwrap_or(0).cast_signed() + 1)
}

/// Random bytes that make a good key: nearly all do for any algorithm.
fn new_material(purpose: Purpose, alg: Option<Algorithm>) -> Result<Material> {
    let mut last = KeyError::Encoding;
    for _ in 0..8 {
        let material: Material = Secret::new(random::bytes()?);
        match check_material(purpose, alg, &material) {
            Ok(()) => return Ok(material),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// Revokes a key for good; `None` if there is no such key. An active one gets a successor first.
pub fn revoke(kid: &str) -> Result<Option<KeyRow>> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    let Some((purpose, state)) = signing_keys::state(&owner, kid)? else {
        return Ok(None);
    };
    if let (Some(purpose), "active") = (Purpose::parse(&purpose), state.as_str()) {
        let root = root_key::of(&this_instance()?)?;
        make_active(&owner, &root, purpose, None)?;
    }
    signing_keys::revoke(&owner, kid, clock::now())
}

/// Wraps the ring with another root key: with the first of the file where one is set, else with a new one in the
/// row. Returns where the root key now is.
pub fn rotate_root() -> Result<&'static str> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    let instance = this_instance()?;
    let old = root_key::of(&instance)?;
    let new = NewRoot::make()?;
    for entry in entries(&old)? {
        let wrapped = wrap(new.key(), &entry.kid, random::bytes()?, &entry.material);
        if !signing_keys::rewrap(&owner, &entry.kid, wrapped)? {
            return Err(conflict());
        }
    }
    new.store(&owner, instance.id, instance.created_at)?;
    Ok(new.place())
}

/// Makes a new identity and a new ring. Every token of before is dead.
pub fn reset(owner: &AsOwner) -> Result<Uuid> {
    signing_keys::lock(owner)?;
    let new = NewRoot::make()?;
    let id = random::uuid()?;
    let now = clock::now();
    signing_keys::delete_all(owner)?;
    new.store(owner, InstanceId(*id.as_bytes()), now)?;
    insert(owner, new.key(), Purpose::Jwt, Some(Algorithm::Hs256), now)?;
    insert(owner, new.key(), Purpose::Seal, None, now)?;
    insert(owner, new.key(), Purpose::Token, None, now)?;
    Ok(id)
}
