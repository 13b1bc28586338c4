//! The tables `signing_keys`, the key ring, each key wrapped by the root key, and `signing_algorithm`.

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::{table, unreadable};
use crate::token::{Algorithm, KeyState, Purpose};

table! {
    SigningKeys: Configuration = c"signing_keys" {
        kid: Text,
        key_number: Int4,
        purpose: Text,
        alg: Text null,
        state: Text,
        wrapped: Bytea,
        public_jwk: Jsonb null,
        created_at: Timestamptz,
        active_at: Timestamptz,
        retired_at: Timestamptz null,
        revoked_at: Timestamptz null,
    }
}

/// A key as its row has it.
pub struct Key {
    pub kid: String,
    /// Its number in opaque tokens and sealed data, from 1.
    pub number: u32,
    pub purpose: Purpose,
    /// Signature algorithm of a `jwt` key.
    pub alg: Option<Algorithm>,
    /// Whether it makes tokens, only checks them, or neither.
    pub state: KeyState,
    /// The key, encrypted with the root key.
    pub wrapped: Vec<u8>,
    /// The public part of an asymmetric key.
    pub public_jwk: Option<JsonText>,
    pub created_at: Micros,
    /// From when on it makes tokens.
    pub active_at: Micros,
    /// When a newer key took over.
    pub retired_at: Option<Micros>,
    pub revoked_at: Option<Micros>,
}

/// All keys, in their latest committed state or as this transaction has changed them.
pub fn all() -> Result<Vec<Key>> {
    scan::all(|row| {
        let alg = row.get(SigningKeys::alg)?;
        Ok(Key {
            kid: row.get(SigningKeys::kid)?,
            number: row.get(SigningKeys::key_number)?.unsigned_abs(),
            purpose: Purpose::parse(&row.get(SigningKeys::purpose)?)
                .ok_or_else(|| unreadable(SigningKeys::purpose))?,
            alg: alg.and_then(|alg| Algorithm::parse(&alg)),
            state: KeyState::parse(&row.get(SigningKeys::state)?)
                .ok_or_else(|| unreadable(SigningKeys::state))?,
            wrapped: row.get(SigningKeys::wrapped)?,
            public_jwk: row.get(SigningKeys::public_jwk)?,
            created_at: row.get(SigningKeys::created_at)?,
            active_at: row.get(SigningKeys::active_at)?,
            retired_at: row.get(SigningKeys::retired_at)?,
            revoked_at: row.get(SigningKeys::revoked_at)?,
        })
    })
}

/// One change of the ring at a time; readers go on. Not by a lock of its own table: VACUUM and REINDEX CONCURRENTLY,
/// which wait for older transactions, would wait for one that waits for them.
static LOCK: Statement =
    Statement::new("LOCK TABLE dialstack.verdict_invalidation IN SHARE ROW EXCLUSIVE MODE");

/// Also those that were pending and have taken over since.
static RETIRE: Statement = Statement::new(
    "UPDATE dialstack.signing_keys SET state = 'retired', retired_at = $2 \
          WHERE purpose = $1 AND (state = 'active' OR state = 'pending' AND active_at <= $2)",
);

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.signing_keys \
              (kid, key_number, purpose, alg, state, wrapped, public_jwk, created_at, active_at) \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

static REVOKE: Statement = Statement::new(
    "UPDATE dialstack.signing_keys \
             SET state = 'revoked', revoked_at = coalesce(revoked_at, $2) WHERE kid = $1",
);

static REWRAP: Statement = Statement::new("UPDATE dialstack.signing_keys SET wrapped = $2 WHERE kid = $1");

pub static DELETE_ALL: Statement = Statement::new("DELETE FROM dialstack.signing_keys");

/// Keeps others from changing the ring until the transaction ends; readers go on.
pub fn lock(owner: &AsOwner) -> Result<()> {
    LOCK.execute(owner, &[])?;
    scan::lock_for_writing::<SigningKeys>()
}

/// Retires the active key of a purpose.
pub fn retire(owner: &AsOwner, purpose: Purpose, now: Micros) -> Result<()> {
    let arguments = [bind(purpose.as_str()), bind(timestamptz(now))];
    RETIRE.execute(owner, &arguments).map(|_| ())
}

pub fn insert(owner: &AsOwner, key: &Key) -> Result<()> {
    let arguments = [
        bind(key.kid.as_str()),
        bind(key.number.cast_signed()),
        bind(key.purpose.as_str()),
        bind(key.alg.map(Algorithm::as_str)),
        bind(key.state.as_str()),
        bind(key.wrapped.as_slice()),
        bind(key.public_jwk.clone()),
        bind(timestamptz(key.created_at)),
        bind(timestamptz(key.active_at)),
    ];
    INSERT.execute(owner, &arguments).map(|_| ())
}

/// Marks a key as revoked; `false` if the transaction's snapshot does not show it.
pub fn revoke(owner: &AsOwner, kid: &str, now: Micros) -> Result<bool> {
    let arguments = [bind(kid), bind(timestamptz(now))];
    Ok(REVOKE.execute(owner, &arguments)? == 1)
}

/// Replaces the wrapped form of a key; `false` if there is none with that id.
pub fn rewrap(owner: &AsOwner, kid: &str, wrapped: Vec<u8>) -> Result<bool> {
    Ok(REWRAP.execute(owner, &[bind(kid), bind(wrapped)])? == 1)
}

static CONFIGURED: Statement = Statement::new("SELECT alg FROM dialstack.signing_algorithm");

static CONFIGURE: Statement = Statement::new(
    "INSERT INTO dialstack.signing_algorithm AS a (alg) VALUES ($1) \
          ON CONFLICT (singleton) DO UPDATE SET alg = excluded.alg WHERE a.alg <> excluded.alg",
);

pub fn configured_algorithm(owner: &AsOwner) -> Result<Option<Algorithm>> {
    let found = CONFIGURED.write(owner, &[], |row| row.required::<String>(1))?;
    Ok(found.first().and_then(|alg| Algorithm::parse(alg)))
}

pub fn configure_algorithm(owner: &AsOwner, alg: Algorithm) -> Result<()> {
    CONFIGURE.execute(owner, &[bind(alg.as_str())]).map(|_| ())
}
