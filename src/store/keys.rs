//! The tables `instance` and `signing_keys`: the key ring that this backend remembers, and the
//! statements that change it.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::{self, BuiltinOid as T};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::clock::{self, timestamptz};
use super::json::JsonText;
use super::owner::AsOwner;
use super::relations::{self, Rel};
use super::session_writes::conflict;
use super::statements::{Columns, Statement, bind};
use super::{random, root_key_file, scan};
use crate::error::{Code, Error, Result};
use crate::guc;
use crate::token::root_key::{self, RootKey};
use crate::token::{
    Algorithm, InstanceId, KeyEntry, KeyError, KeyRing, KeyState, Material, Purpose, Secret,
    check_material, public_jwk,
};

thread_local! {
    static REMEMBERED: RefCell<Option<(u64, Rc<KeyRing>)>> = const { RefCell::new(None) };
}

/// The key ring as it is now.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the ring can't be opened, or this database is a copy of another.
pub fn ring() -> Result<Rc<KeyRing>> {
    let epoch = relations::epoch();
    let known = REMEMBERED.with(|remembered| {
        remembered
            .borrow()
            .as_ref()
            .filter(|(at, _)| *at == epoch)
            .map(|(_, ring)| ring.clone())
    });
    known.map_or_else(reload, Ok)
}

/// Reads the ring again, whatever is remembered: a key may be committed a moment before the news
/// of it arrives.
pub fn reload() -> Result<Rc<KeyRing>> {
    // Looked up first, so that from here on only its own news advances the epoch.
    relations::oid(Rel::VerdictInvalidation)?;
    loop {
        let before = relations::epoch();
        let ring = Rc::new(load()?);
        if relations::epoch() == before {
            REMEMBERED.with(|remembered| remembered.replace(Some((before, ring.clone()))));
            return Ok(ring);
        }
        pg_sys::check_for_interrupts!();
    }
}

/// The row of `instance`.
struct Instance {
    id: InstanceId,
    database: pg_sys::Oid,
    root: Option<RootKey>,
    fingerprint: Vec<u8>,
}

fn instance() -> Result<Instance> {
    scan::first(Rel::Instance, None, &[], |row| {
        Some(Instance {
            id: InstanceId(*row.get::<pgrx::Uuid>(2)?.as_bytes()),
            database: row.get(3)?,
            root: row
                .get::<Vec<u8>>(4)
                .and_then(|bytes| root_from_bytes(Zeroizing::new(bytes))),
            fingerprint: row.get(5)?,
        })
    })?
    .ok_or_else(|| {
        Error::new(
            Code::JwtNotAvailable,
            "this database has no instance identity",
        )
        .hint(
            "Run SELECT * FROM dialstack.instance_reset() to make one; tokens of before are dead.",
        )
    })
}

fn root_from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<RootKey> {
    <[u8; 32]>::try_from(bytes.as_slice())
        .ok()
        .map(RootKey::from)
}

impl Instance {
    /// The root key that wraps the ring, from the row or from the file.
    fn root(self) -> Result<(InstanceId, RootKey)> {
        let candidates = match (self.root, guc::root_key_file()) {
            (Some(root), _) => vec![root],
            (None, Some(path)) => root_key_file::read(&path)?,
            (None, None) => {
                return Err(Error::new(Code::JwtNotAvailable, "the root key is in a file, and no file is set")
                    .hint("Set dialstack_sessions.root_key_file to the file that holds the root key and reload the configuration."));
            }
        };
        let found = candidates
            .into_iter()
            .find(|root| root_key::fingerprint(root).as_slice() == self.fingerprint);
        found.map(|root| (self.id, root)).ok_or_else(|| {
            Error::new(Code::JwtNotAvailable, "the root key does not open the key ring")
                .hint("Put the root key that wrapped the ring back into dialstack_sessions.root_key_file. If it is lost, dialstack.instance_reset() makes a new ring; every token of before is then dead.")
        })
    }
}

/// Numbers from PostgreSQL are positive; the ring counts unsigned.
fn key_number(number: i32) -> u32 {
    number.unsigned_abs()
}

fn load() -> Result<KeyRing> {
    let instance = instance()?;
    // SAFETY: a variable of the backend, set once at its start.
    if instance.database != unsafe { pg_sys::MyDatabaseId } {
        return Err(Error::new(Code::JwtNotAvailable, "this database is a copy of another")
            .detail("The tokens of the original are not accepted here.")
            .hint("Run SELECT * FROM dialstack.instance_reset() to give the copy its own identity and keys."));
    }
    let (id, root) = instance.root()?;
    let entries = entries(&root)?;
    Ok(KeyRing::new(id, entries)?)
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
static LOCK: Statement = Statement {
    sql: "LOCK TABLE dialstack.signing_keys IN SHARE ROW EXCLUSIVE MODE",
    parameters: &[],
};

static RETIRE: Statement = Statement {
    sql: "UPDATE dialstack.signing_keys SET state = 'retired', retired_at = $2 \
          WHERE purpose = $1 AND state = 'active' RETURNING alg",
    parameters: &[T::TEXTOID, T::TIMESTAMPTZOID],
};

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.signing_keys \
              (kid, key_number, purpose, alg, state, wrapped, public_jwk, created_at) \
          SELECT $1, coalesce(max(key_number), 0) + 1, $2, $3, 'active', $4, $5, $6 \
            FROM dialstack.signing_keys \
          RETURNING kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at",
    parameters: &[
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::BYTEAOID,
        T::JSONBOID,
        T::TIMESTAMPTZOID,
    ],
};

static REVOKE: Statement = Statement {
    sql: "UPDATE dialstack.signing_keys \
             SET state = 'revoked', revoked_at = coalesce(revoked_at, $2) WHERE kid = $1 \
          RETURNING kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at",
    parameters: &[T::TEXTOID, T::TIMESTAMPTZOID],
};

static STATE: Statement = Statement {
    sql: "SELECT purpose, state FROM dialstack.signing_keys WHERE kid = $1",
    parameters: &[T::TEXTOID],
};

static LIST: Statement = Statement {
    sql: "SELECT kid, key_number, purpose, alg, state, created_at, retired_at, revoked_at \
            FROM dialstack.signing_keys ORDER BY key_number",
    parameters: &[],
};

static PUBLIC: Statement = Statement {
    sql: "SELECT public_jwk FROM dialstack.signing_keys \
           WHERE state <> 'revoked' AND public_jwk IS NOT NULL ORDER BY key_number DESC",
    parameters: &[],
};

static REWRAP: Statement = Statement {
    sql: "UPDATE dialstack.signing_keys SET wrapped = $2 WHERE kid = $1",
    parameters: &[T::TEXTOID, T::BYTEAOID],
};

static SET_ROOT: Statement = Statement {
    sql: "UPDATE dialstack.instance SET root_key = $1, root_fingerprint = $2",
    parameters: &[T::BYTEAOID, T::BYTEAOID],
};

static DELETE_KEYS: Statement = Statement {
    sql: "DELETE FROM dialstack.signing_keys",
    parameters: &[],
};

static DELETE_INSTANCE: Statement = Statement {
    sql: "DELETE FROM dialstack.instance",
    parameters: &[],
};

static INSERT_INSTANCE: Statement = Statement {
    sql: "INSERT INTO dialstack.instance \
              (instance_id, database_oid, root_key, root_fingerprint, created_at) \
          SELECT $1, d.oid, $2, $3, $4 FROM pg_catalog.pg_database d \
           WHERE d.datname = pg_catalog.current_database()",
    parameters: &[T::UUIDOID, T::BYTEAOID, T::BYTEAOID, T::TIMESTAMPTZOID],
};

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
    let (_, root) = instance()?.root()?;
    let owner = AsOwner::enter()?;
    LOCK.execute(&owner, &[])?;
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
    now: clock::Micros,
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
    ];
    let rows = INSERT.write(owner, &arguments, key_row)?;
    rows.into_iter()
        .next()
        .ok_or_else(|| KeyError::Unavailable(purpose).into())
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
        let (_, root) = instance()?.root()?;
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
    let (_, old) = instance()?.root()?;
    let (new, place, stored) = match guc::root_key_file() {
        Some(path) => (first_of_file(&path)?, "file", None),
        None => {
            let bytes = random::bytes()?;
            (
                RootKey::from(bytes),
                "row",
                Some(Zeroizing::new(bytes.to_vec())),
            )
        }
    };
    for entry in entries(&old)? {
        let wrapped = root_key::wrap(&new, &entry.kid, random::bytes()?, &entry.material);
        if REWRAP.execute(&owner, &[bind(entry.kid), bind(wrapped)])? != 1 {
            return Err(conflict());
        }
    }
    let fingerprint = root_key::fingerprint(&new).to_vec();
    SET_ROOT.execute(
        &owner,
        &[bind(stored.map(|key| key.to_vec())), bind(fingerprint)],
    )?;
    Ok(place)
}

fn first_of_file(path: &std::path::Path) -> Result<RootKey> {
    let keys = root_key_file::read(path)?;
    // The reader refuses an empty file.
    keys.into_iter()
        .next()
        .ok_or_else(|| KeyError::Unwrap.into())
}

/// Makes a new identity and a new ring. Every token of before is dead.
pub fn reset(owner: &AsOwner) -> Result<Uuid> {
    LOCK.execute(owner, &[])?;
    let (root, stored) = match guc::root_key_file() {
        Some(path) => (first_of_file(&path)?, None),
        None => {
            let bytes = random::bytes()?;
            (RootKey::from(bytes), Some(Zeroizing::new(bytes.to_vec())))
        }
    };
    let id = random::uuid()?;
    let now = clock::now();
    DELETE_KEYS.execute(owner, &[])?;
    DELETE_INSTANCE.execute(owner, &[])?;
    let arguments = [
        bind(pgrx::Uuid::from_bytes(*id.as_bytes())),
        bind(stored.map(|key| key.to_vec())),
        bind(root_key::fingerprint(&root).to_vec()),
        bind(timestamptz(now)),
    ];
    INSERT_INSTANCE.execute(owner, &arguments)?;
    insert(owner, &root, Purpose::Jwt, Some(Algorithm::Hs256), now)?;
    insert(owner, &root, Purpose::Seal, None, now)?;
    insert(owner, &root, Purpose::Token, None, now)?;
    Ok(id)
}
