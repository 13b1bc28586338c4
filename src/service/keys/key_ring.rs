//! The key ring of this instance: reading it, and changing it.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::pg::cache::{Remembered, read_stable};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::{random, relcache, server};
use crate::service::keys::root_key::{self, NewRoot};
use crate::service::revocation::revocations::{check_done, conflict};
use crate::session::Span;
use crate::tables::instance::{self, Instance};
use crate::tables::signing_keys::{self, Key};
use crate::token::root_key::{RootKey, unwrap, wrap};
use crate::token::{
    Algorithm, InstanceId, KeyEntry, KeyError, KeyRing, KeyState, Material, Purpose, Rejected, Secret,
    public_jwk, sealed,
};

thread_local! {
    /// When the ring was last read because of an unknown key.
    static LAST_MISS: Cell<Micros> = const { Cell::new(Micros::MIN) };
    static RING: RefCell<Remembered<(), Ring>> = RefCell::default();
}

/// The key ring, and until when: a pending key takes over then.
#[derive(Clone)]
struct Ring {
    ring: Rc<KeyRing>,
    until: Option<Micros>,
}

/// The key ring as it is now.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the ring can't be opened, or this database is a copy of another.
pub fn ring() -> Result<Rc<KeyRing>> {
    let known = RING.with_borrow(|ring| ring.find(&(), relcache::configuration_epoch()));
    match known.filter(|known| known.until.is_none_or(|until| clock::now() < until)) {
        Some(known) => Ok(known.ring),
        None => reload(),
    }
}

/// Runs a check with the key ring, and once more with a fresh ring where the key was not known: it may be
/// committed a moment before its invalidation arrives. The ring is read anew at most once a second, so that forged key
/// ids cost nothing.
pub fn with<T>(
    check: impl Fn(&KeyRing) -> std::result::Result<T, Rejected>,
) -> Result<std::result::Result<T, Rejected>> {
    let checked = check(&*ring()?);
    if matches!(checked, Err(Rejected::UnknownKey)) {
        let now = clock::now();
        if !(0..clock::SECOND).contains(&now.saturating_sub(LAST_MISS.get())) {
            LAST_MISS.set(now);
            return Ok(check(&*reload()?));
        }
    }
    Ok(checked)
}

/// Decrypts the user_identifier_key of a client session. `None` where its key is gone and so the text.
pub fn open_identifier_key(env_id: i32, form: &[u8]) -> Result<Option<Zeroizing<String>>> {
    Ok(with(|ring| sealed::open_identifier_key(ring, env_id, form))?.ok())
}

/// Ring and root key are read as of one epoch.
fn reload() -> Result<Rc<KeyRing>> {
    // A new root key that is committed between reading the root and the keys makes the first reading fail, before
    // its invalidation arrives. The second one finds both as they are now.
    let read = |_| load().or_else(|_| load());
    let (epoch, ring) = read_stable(relcache::configuration_epoch, read)?;
    RING.with_borrow_mut(|remembered| remembered.insert((), ring.clone(), epoch));
    Ok(ring.ring)
}

fn load() -> Result<Ring> {
    let instance = this_instance()?;
    if instance.database != server::current_database() {
        return Err(Error::new(Code::JwtNotAvailable, "this database is a copy of another")
            .detail("The tokens of the original are not accepted here.")
            .hint(
                "Run SELECT * FROM dialstack.instance_reset() to give the copy its own identity and keys.",
            ));
    }
    let (keys, until) = keys()?;
    let ring = KeyRing::new(instance.id, entries(&root_key::of(&instance)?, keys)?)?;
    Ok(Ring { ring: Rc::new(ring), until })
}

/// All keys in the states that they have now, and when the next pending one takes over.
fn keys() -> Result<(Vec<Key>, Option<Micros>)> {
    let (mut keys, now) = (signing_keys::all()?, clock::now());
    keys.sort_by_key(|key| (key.active_at, key.number));
    for n in (0..keys.len()).rev() {
        let (before, rest) = keys.split_at_mut(n);
        let key = &mut rest[0];
        if key.state != KeyState::Pending || key.active_at > now {
            continue;
        }
        key.state = KeyState::Active;
        let is_superseded = |old: &&mut Key| old.purpose == key.purpose && old.state.may_sign();
        for old in before.iter_mut().filter(is_superseded) {
            old.state = KeyState::Retired;
            old.retired_at = Some(key.active_at);
        }
    }
    let pending = keys.iter().filter(|key| key.state == KeyState::Pending);
    let until = pending.map(|key| key.active_at).min();
    keys.sort_by_key(|key| key.number);
    Ok((keys, until))
}

/// The row of this database.
fn this_instance() -> Result<Instance> {
    instance::read()?.ok_or_else(|| {
        Error::new(Code::JwtNotAvailable, "this database has no instance identity")
            .hint("Run SELECT * FROM dialstack.instance_reset() to make one; tokens of before are dead.")
    })
}

/// The keys, unwrapped.
fn entries(root: &RootKey, keys: Vec<Key>) -> Result<Vec<KeyEntry>> {
    let unwrapped = keys.into_iter().map(|key| {
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
    let mut keys = signing_keys::all()?;
    keys.retain(|key| key.state != KeyState::Revoked);
    keys.sort_by_key(|key| Reverse(key.number));
    let texts = keys.iter().filter_map(|key| key.public_jwk.as_ref());
    let parse = |text: &JsonText| text.parse().map_err(|_| KeyError::Encoding.into());
    texts.map(parse).collect()
}

/// A key as administrators see it.
pub struct KeyRow {
    pub kid: String,
    pub key_number: i32,
    pub purpose: String,
    pub alg: Option<String>,
    pub state: String,
    pub created_at: TimestampWithTimeZone,
    pub active_at: TimestampWithTimeZone,
    pub retired_at: Option<TimestampWithTimeZone>,
    pub revoked_at: Option<TimestampWithTimeZone>,
}

/// Every key, revoked ones too, oldest first.
pub fn list() -> Result<Vec<KeyRow>> {
    let row = |key: Key| KeyRow {
        kid: key.kid,
        key_number: key.number.cast_signed(),
        purpose: key.purpose.as_str().to_owned(),
        alg: key.alg.map(|alg| alg.as_str().to_owned()),
        state: key.state.as_str().to_owned(),
        created_at: timestamptz(key.created_at),
        active_at: timestamptz(key.active_at),
        retired_at: key.retired_at.map(timestamptz),
        revoked_at: key.revoked_at.map(timestamptz),
    };
    Ok(keys()?.0.into_iter().map(row).collect())
}

/// The key with this id, as [`list`] shows it.
fn listed(kid: &str) -> Result<KeyRow> {
    let found = list()?.into_iter().find(|key| key.kid == kid);
    found.ok_or_else(conflict)
}

/// Makes a new key of this purpose, active at once or after the time to publish it first. The one that was active
/// retires when it takes over. Without an algorithm a `jwt` key gets that of its predecessor.
///
/// # Errors
/// `DEFINE_FAILED` for a key to be published of which nothing is.
pub fn rotate(purpose: Purpose, alg: Option<Algorithm>, publish_first: Option<Span>) -> Result<KeyRow> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    // Read under the lock: a rotation of the root key that was waited for has replaced it.
    let root = root_key::of(&this_instance()?)?;
    let kid = add(&owner, &root, purpose, alg, publish_first)?;
    if let Some(alg) = alg {
        signing_keys::configure_algorithm(&owner, alg)?;
    }
    listed(&kid)
}

/// Makes a key of the configured algorithm, unless the key that signs, or will, has it.
pub fn follow_configured() -> Result<()> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    let Some(alg) = signing_keys::configured_algorithm(&owner)? else {
        return Ok(());
    };
    let has_it = |key: &Key| key.purpose == Purpose::Jwt && key.state.may_sign() && key.alg == Some(alg);
    if keys()?.0.iter().any(has_it) {
        return Ok(());
    }
    let root = root_key::of(&this_instance()?)?;
    add(&owner, &root, Purpose::Jwt, Some(alg), None).map(|_| ())
}

/// Adds a key to the ring and returns its id.
fn add(
    owner: &AsOwner,
    root: &RootKey,
    purpose: Purpose,
    alg: Option<Algorithm>,
    publish_first: Option<Span>,
) -> Result<String> {
    let now = clock::now();
    let (keys, _) = keys()?;
    let signs = |key: &&Key| key.purpose == purpose && key.state == KeyState::Active;
    let alg = match purpose {
        Purpose::Jwt => alg
            .or_else(|| keys.iter().find(signs).and_then(|key| key.alg))
            .or(signing_keys::configured_algorithm(owner)?)
            .or(Some(Algorithm::Hs256)),
        Purpose::Seal | Purpose::Token => None,
    };
    let active_at = match publish_first {
        None => {
            signing_keys::retire(owner, purpose, now)?;
            now
        }
        Some(_) if matches!(alg, None | Some(Algorithm::Hs256)) => {
            return Err(Error::new(Code::DefineFailed, "such a key is never published")
                .detail("Only EdDSA and ES256 have public keys.")
                .hint("Leave publish_first out, or give an alg that has them."));
        }
        Some(span) => clock::add(now, &span, Code::DefineFailed)?,
    };
    // After the highest, in the latest state: the lock keeps others from taking the number.
    let highest = keys.iter().map(|key| key.number).max();
    let number = highest.unwrap_or(0) + 1;
    let material: Material = Secret::new(random::bytes()?);
    let kid = random::uuid()?.simple().to_string();
    let public = match alg {
        Some(alg) => public_jwk(&kid, alg, &material)?,
        None => None,
    };
    let key = Key {
        number,
        purpose,
        alg,
        state: if active_at > now { KeyState::Pending } else { KeyState::Active },
        wrapped: wrap(root, &kid, random::bytes()?, &material),
        public_jwk: public.map(|jwk| JsonText::of(&jwk)),
        created_at: now,
        active_at,
        retired_at: None,
        revoked_at: None,
        kid,
    };
    signing_keys::insert(owner, &key)?;
    Ok(key.kid)
}

/// Revokes a key for good; `None` if there is no such key. An active one gets a successor first.
pub fn revoke(kid: &str) -> Result<Option<KeyRow>> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    let Some(key) = keys()?.0.into_iter().find(|key| key.kid == kid) else {
        return Ok(None);
    };
    if key.state == KeyState::Active {
        let root = root_key::of(&this_instance()?)?;
        add(&owner, &root, key.purpose, key.alg, None)?;
    }
    check_done(signing_keys::revoke(&owner, kid, clock::now())?)?;
    listed(kid).map(Some)
}

/// Wraps the ring with another root key: with the first of the file where one is set, else with a new one in the
/// row. Returns where the root key now is.
pub fn rotate_root() -> Result<&'static str> {
    let owner = AsOwner::enter()?;
    signing_keys::lock(&owner)?;
    let instance = this_instance()?;
    let old = root_key::of(&instance)?;
    let new = NewRoot::make()?;
    for entry in entries(&old, signing_keys::all()?)? {
        let wrapped = wrap(&new.key, &entry.kid, random::bytes()?, &entry.material);
        check_done(signing_keys::rewrap(&owner, &entry.kid, wrapped)?)?;
    }
    new.store(&owner, instance.id)?;
    Ok(new.place())
}

/// Makes a new identity and a new ring. Every token of before is dead.
pub fn reset(owner: &AsOwner) -> Result<Uuid> {
    signing_keys::lock(owner)?;
    let new = NewRoot::make()?;
    let id = random::uuid()?;
    signing_keys::DELETE_ALL.execute(owner, &[])?;
    check_done(signing_keys::all()?.is_empty())?;
    new.store(owner, InstanceId(*id.as_bytes()))?;
    for purpose in [Purpose::Jwt, Purpose::Seal, Purpose::Token] {
        add(owner, &new.key, purpose, None, None)?;
    }
    Ok(id)
}
