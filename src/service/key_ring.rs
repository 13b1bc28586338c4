//! The tables `instance` and `signing_keys`: the key ring that this backend remembers, and the
//! statements that change it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::random;
use crate::pg::relcache::{self, Rel};
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Columns, Statement, bind};
use crate::service::revocations::conflict;
use crate::tables::instance::{self, NewRoot};
use crate::token::root_key::{self, RootKey};
use crate::token::{
    Algorithm, InstanceId, KeyEntry, KeyError, KeyRing, KeyState, Material, Purpose, Secret,
    check_material, public_jwk,
};

thread_local! {
    /// When the ring was last read because of an unknown key.
    static LAST_MISS: Cell<Micros> = const { Cell::new(Micros::MIN) };
    static REMEMBERED: RefCell<Option<(u64, Rc<KeyRing>)>> = const { RefCell::new(None) };
}

/// The key ring as it is now.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the ring can't be opened, or this database is a copy of another.
pub fn ring() -> Result<Rc<KeyRing>> {
    let epoch = relcache::configuration_epoch();
    let known = REMEMBERED.with(|remembered| {
        remembered
            .borrow()
            .as_ref()
            .filter(|(at, _)| *at == epoch)
            .map(|(_, ring)| ring.clone())
    });
    known.map_or_else(reload, Ok)
}

/// The ring for who met a key that it does not hold: a key may be committed a moment before the news
/// of it arrives. Read again at most once a second, so that forged key ids cost nothing.
pub fn ring_with_unknown() -> Result<Rc<KeyRing>> {
    let (now, last) = (clock::now(), LAST_MISS.with(Cell::get));
    if (0..clock::SECOND).contains(&now.saturating_sub(last)) {
        return ring();
    }
    LAST_MISS.with(|miss| miss.set(now));
    reload()
}

fn reload() -> Result<Rc<KeyRing>> {
    // Looked up first, so that from here on only its own news advances the epoch.
    relcache::oid(Rel::VerdictInvalidation)?;
    loop {
        let before = relcache::configuration_epoch();
        let ring = Rc::new(load()?);
        if relcache::configuration_epoch() == before {
            REMEMBERED.with(|remembered| remembered.replace(Some((before, ring.clone()))));
            return Ok(ring);
        }
        pg_sys::check_for_interrupts!();
    }
}

/// Numbers from PostgreSQL are positive; the ring counts unsigned.
fn key_number(number: i32) -> u32 {
    number.unsigned_abs()
}

fn load() -> Result<KeyRing> {
    let instance = instance::read()?;
    // SAFETY: a variable of the backend, set once at its start.
    if instance.database != unsafe { pg_sys::MyDatabaseId } {
        return Err(Error::new(Code::JwtNotAvailable, "this database is a copy of another")
            .detail("The tokens of the original are not accepted here.")
            .hint("Run SELECT * FROM dialstack.instance_reset() to give the copy its own identity and keys."));
    }
    let entries = entries(&instance.root()?)?;
    Ok(KeyRing::new(instance.id, entries)?)
}

/// The keys of the table that are not revoked, unwrapped.
fn entries(root: &RootKey) -> Result<Vec<KeyEntry>> {
    let mut entries: Vec<Result<KeyEntry>> = Vec::new();
    scan::each(Rel::SigningKeys, None, &[], |row| {
        let entry = (|| {
            let kid: String = row.get(1)?;
            let wrapped: Vec<u8> = row.get(6)?;
            Some(KeyEntry {
                number: key_number(row.get(2)?),
                purpose: Purpose::parse(&row.get::<String>(3)?)?,
                alg: row.get::<String>(4).and_then(|alg| Algorithm::parse(&alg)),
                state: KeyState::parse(&row.get::<String>(5)?)?,
                material: match root_key::unwrap(root, &kid, &wrapped) {
                    Ok(material) => material,
                    Err(error) => {
                        entries.push(Err(error.into()));
                        return None;
                    }
                },
                kid,
            })
        })();
        if let Some(entry) = entry {
            entries.push(Ok(entry));
        }
        true
    })?;
    entries.into_iter().collect()
}

/// A key as administrators see it.
pub struct KeyRow {
    /// Key id.
    pub kid: String,
    /// Its number in opaque tokens and sealed data.
    pub key_number: i32,
    /// `jwt`, `seal` or `token`.
    pub purpose: String,
    /// Signature algorithm of a `jwt` key.
    pub alg: Option<String>,
    /// `active`, `retired` or `revoked`.
    pub state: String,
    /// When it was made.
    pub created_at: TimestampWithTimeZone,
    /// When a newer key took over.
    pub retired_at: Option<TimestampWithTimeZone>,
    /// When it was revoked.
    pub revoked_at: Option<TimestampWithTimeZone>,
}

fn key_row(row: &Columns<'_, '_>) -> Result<KeyRow> {
    Ok(KeyRow {
        kid: row.required(1)?,
        key_number: row.required(2)?,
        purpose: row.required(3)?,
        alg: row.get(4)?,
        state: row.required(5)?,
        created_at: row.required(6)?,
        retired_at: row.get(7)?,
        revoked_at: row.get(8)?,
    })
}

/// One change of the ring at a time; readers go on.
static LOCK: Statement =
    Statement::new("LOCK TABLE dialstack.signing_keys IN SHARE ROW EXCLUSIVE MODE");

static RETIRE: Statement = Statement::new(
    "UPDATE dialstack.signing_keys SET state = 'retired', retired_at = $2 \
          WHERE purpose = $1 AND state = 'active' RETURNING alg",
);

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.signing_keys \
              (kid, key_number, purpose, alg, state, wrapped, public_jwk, created_at) \
          VALUES ($1, $7, $2, $3, 'active', $4, $5, $6) \
          RETURNING kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at",
);

static REVOKE: Statement = Statement::new(
    "UPDATE dialstack.signing_keys \
             SET state = 'revoked', revoked_at = coalesce(revoked_at, $2) WHERE kid = $1 \
          RETURNING kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at",
);

static STATE: Statement =
    Statement::new("SELECT purpose, state FROM dialstack.signing_keys WHERE kid = $1");

static LIST: Statement = Statement::new(
    "SELECT kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at \
            FROM dialstack.signing_keys ORDER BY key_number",
);

static PUBLIC: Statement = Statement::new(
    "SELECT public_jwk FROM dialstack.signing_keys \
           WHERE state <> 'revoked' AND public_jwk IS NOT NULL ORDER BY key_number DESC",
);

static REWRAP: Statement =
    Statement::new("UPDATE dialstack.signing_keys SET wrapped = $2 WHERE kid = $1");

static DELETE_KEYS: Statement = Statement::new("DELETE FROM dialstack.signing_keys");

/// Every key, revoked ones too, oldest first.
pub fn list() -> Result<Vec<KeyRow>> {
    LIST.read(&AsOwner::enter()?, &[], key_row)
}

/// The public keys that verify tokens, newest first.
pub fn public_keys() -> Result<Vec<Value>> {
    let texts = PUBLIC.read(&AsOwner::enter()?, &[], |row| row.required::<JsonText>(1))?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|_| KeyError::Encoding.into()))
        .collect()
}

/// Makes a new active key of this purpose; the one that was active retires. Without an algorithm a
/// `jwt` key gets that of its predecessor, or HS256.
pub fn rotate(purpose: Purpose, alg: Option<Algorithm>) -> Result<KeyRow> {
    let owner = AsOwner::enter()?;
    LOCK.execute(&owner, &[])?;
    // Read under the lock: a rotation of the root key that we waited for has replaced it.
    let root = instance::read()?.root()?;
    make_active(&owner, &root, purpose, alg)
}

fn make_active(
    owner: &AsOwner,
    root: &RootKey,
    purpose: Purpose,
    alg: Option<Algorithm>,
) -> Result<KeyRow> {
    let now = clock::now();
    let retired = RETIRE.write(
        owner,
        &[bind(purpose.as_str()), bind(timestamptz(now))],
        |row| row.get::<String>(1),
    )?;
    let predecessor = retired.into_iter().flatten().next();
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
    let wrapped = root_key::wrap(root, &kid, random::bytes()?, &material);
    let public = match alg {
        Some(alg) => public_jwk(&kid, alg, &material)?,
        None => None,
    };
    let arguments = [
        bind(kid.as_str()),
        bind(purpose.as_str()),
        bind(alg.map(Algorithm::as_str)),
        bind(wrapped),
        bind(public.map(|jwk| JsonText::of(&jwk))),
        bind(timestamptz(now)),
        bind(next_number()?),
    ];
    let rows = INSERT.write(owner, &arguments, key_row)?;
    rows.into_iter()
        .next()
        .ok_or_else(|| KeyError::Unavailable(purpose).into())
}

/// The number after the highest, in the latest state: the lock keeps others from taking it.
fn next_number() -> Result<i32> {
    let mut highest = 0;
    scan::each(Rel::SigningKeys, None, &[], |row| {
        highest = highest.max(row.get(2).unwrap_or(0));
        true
    })?;
    Ok(highest + 1)
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
    LOCK.execute(&owner, &[])?;
    let known = STATE.write(&owner, &[bind(kid)], |row| {
        Ok((row.required::<String>(1)?, row.required::<String>(2)?))
    })?;
    let Some((purpose, state)) = known.into_iter().next() else {
        return Ok(None);
    };
    if let (Some(purpose), "active") = (Purpose::parse(&purpose), state.as_str()) {
        let root = instance::read()?.root()?;
        make_active(&owner, &root, purpose, None)?;
    }
    let rows = REVOKE.write(
        &owner,
        &[bind(kid), bind(timestamptz(clock::now()))],
        key_row,
    )?;
    Ok(rows.into_iter().next())
}

/// Wraps the ring with another root key: with the first of the file where one is set, else with a
/// new one in the row. Returns where the root key now is.
pub fn rotate_root() -> Result<&'static str> {
    let owner = AsOwner::enter()?;
    LOCK.execute(&owner, &[])?;
    let instance = instance::read()?;
    let old = instance.root()?;
    let new = NewRoot::make()?;
    for entry in entries(&old)? {
        let wrapped = root_key::wrap(new.key(), &entry.kid, random::bytes()?, &entry.material);
        if REWRAP.execute(&owner, &[bind(entry.kid), bind(wrapped)])? != 1 {
            return Err(conflict());
        }
    }
    instance::replace(&owner, instance.id, &new, instance.created_at)?;
    Ok(new.place())
}

/// Makes a new identity and a new ring. Every token of before is dead.
pub fn reset(owner: &AsOwner) -> Result<Uuid> {
    LOCK.execute(owner, &[])?;
    let new = NewRoot::make()?;
    let id = random::uuid()?;
    let now = clock::now();
    DELETE_KEYS.execute(owner, &[])?;
    instance::replace(owner, InstanceId(*id.as_bytes()), &new, now)?;
    insert(owner, new.key(), Purpose::Jwt, Some(Algorithm::Hs256), now)?;
    insert(owner, new.key(), Purpose::Seal, None, now)?;
    insert(owner, new.key(), Purpose::Token, None, now)?;
    Ok(id)
}
