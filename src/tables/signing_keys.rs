//! The table `signing_keys`: the key ring, each key wrapped by the root key.

use pgrx::datum::TimestampWithTimeZone;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Columns, Statement, bind};
use crate::pg::table::{table, unreadable};
use crate::token::{Algorithm, KeyState, Purpose};

table! {
    /// The table `signing_keys`.
    SigningKeys = c"signing_keys" {
        kid: Text,
        key_number: Int4,
        purpose: Text,
        alg: Text null,
        state: Text,
        wrapped: Bytea,
        public_jwk: Jsonb null,
        created_at: Timestamptz,
        retired_at: Timestamptz null,
        revoked_at: Timestamptz null,
    }
}

/// A key as the ring needs it.
pub struct WrappedKey {
    /// Key id.
    pub kid: String,
    /// Its number in opaque tokens and sealed data, from 1.
    pub number: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// Signature algorithm of a `jwt` key.
    pub alg: Option<Algorithm>,
    /// Whether it makes tokens, only checks them, or neither.
    pub state: KeyState,
    /// The key, encrypted with the root key.
    pub wrapped: Vec<u8>,
}

/// All keys, in their latest committed state or as this transaction has changed them.
pub fn all() -> Result<Vec<WrappedKey>> {
    let mut keys = Vec::new();
    scan::each(|row| {
        let alg = row.get(SigningKeys::alg)?;
        keys.push(WrappedKey {
            kid: row.get(SigningKeys::kid)?,
            number: row.get(SigningKeys::key_number)?.unsigned_abs(),
            purpose: Purpose::parse(&row.get(SigningKeys::purpose)?)
                .ok_or_else(|| unreadable(SigningKeys::purpose))?,
            alg: alg.and_then(|alg| Algorithm::parse(&alg)),
            state: KeyState::parse(&row.get(SigningKeys::state)?)
                .ok_or_else(|| unreadable(SigningKeys::state))?,
            wrapped: row.get(SigningKeys::wrapped)?,
        });
        Ok(true)
    })?;
    Ok(keys)
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

/// One change of the ring at a time; readers go on. Not by a lock of its own table: VACUUM and REINDEX CONCURRENTLY,
/// which wait for older transactions, would wait for one that waits for them.
static LOCK: Statement =
    Statement::new("LOCK TABLE dialstack.verdict_invalidation IN SHARE ROW EXCLUSIVE MODE");

/// The table before its indexes, as REINDEX takes them.
static LOCK_TABLE: Statement =
    Statement::new("LOCK TABLE dialstack.signing_keys IN ROW EXCLUSIVE MODE");

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

/// Keeps others from changing the ring until the transaction ends; readers go on.
pub fn lock(owner: &AsOwner) -> Result<()> {
    LOCK.execute(owner, &[])?;
    LOCK_TABLE.execute(owner, &[]).map(|_| ())
}

/// Retires the active key of a purpose. Returns its algorithm, if it has one.
pub fn retire(owner: &AsOwner, purpose: Purpose, now: Micros) -> Result<Option<String>> {
    let arguments = [bind(purpose.as_str()), bind(timestamptz(now))];
    let retired = RETIRE.write(owner, &arguments, |row| row.get::<String>(1))?;
    Ok(retired.into_iter().flatten().next())
}

/// A key about to be stored.
pub struct NewKey<'a> {
    /// Key id.
    pub kid: &'a str,
    /// Its number.
    pub number: i32,
    /// What it is for.
    pub purpose: Purpose,
    /// Signature algorithm of a `jwt` key.
    pub alg: Option<Algorithm>,
    /// The key, encrypted with the root key.
    pub wrapped: Vec<u8>,
    /// The public part of an asymmetric key.
    pub public_jwk: Option<JsonText>,
    /// When it is made.
    pub now: Micros,
}

/// Stores a key, active.
pub fn insert(owner: &AsOwner, key: NewKey<'_>) -> Result<Option<KeyRow>> {
    let arguments = [
        bind(key.kid),
        bind(key.purpose.as_str()),
        bind(key.alg.map(Algorithm::as_str)),
        bind(key.wrapped),
        bind(key.public_jwk),
        bind(timestamptz(key.now)),
        bind(key.number),
    ];
    Ok(INSERT.write(owner, &arguments, key_row)?.into_iter().next())
}

/// Purpose and state of the key with this id.
pub fn state(owner: &AsOwner, kid: &str) -> Result<Option<(String, String)>> {
    let known = STATE.write(owner, &[bind(kid)], |row| {
        Ok((row.required(1)?, row.required(2)?))
    })?;
    Ok(known.into_iter().next())
}

/// Marks a key as revoked.
pub fn revoke(owner: &AsOwner, kid: &str, now: Micros) -> Result<Option<KeyRow>> {
    let rows = REVOKE.write(owner, &[bind(kid), bind(timestamptz(now))], key_row)?;
    Ok(rows.into_iter().next())
}

/// Every key, revoked ones too, oldest first.
pub fn list() -> Result<Vec<KeyRow>> {
    LIST.read(&AsOwner::enter()?, &[], key_row)
}

/// The public parts of the keys that are not revoked, newest first, as JSON text.
pub fn public() -> Result<Vec<JsonText>> {
    PUBLIC.read(&AsOwner::enter()?, &[], |row| row.required(1))
}

/// Replaces the wrapped form of a key; `false` if there is none with that id.
pub fn rewrap(owner: &AsOwner, kid: &str, wrapped: Vec<u8>) -> Result<bool> {
    Ok(REWRAP.execute(owner, &[bind(kid), bind(wrapped)])? == 1)
}

/// Deletes all keys.
pub fn delete_all(owner: &AsOwner) -> Result<()> {
    DELETE_KEYS.execute(owner, &[]).map(|_| ())
}
