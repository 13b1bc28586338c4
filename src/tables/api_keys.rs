//! The table `api_keys`.

use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::{self, Row};
use crate::pg::statements::{Statement, bind};
use crate::pg::table::{table, unreadable};
use crate::token::api_key::ApiKeyKind;

table! {
    ApiKeys = c"api_keys" {
        api_key_id: Uuid,
        env_id: Int4,
        kind: Text,
        name: Text null,
        key_hash: Bytea,
        hint: Text,
        created_at: Timestamptz,
        expires_at: Timestamptz null,
        revoked_at: Timestamptz null,
    }
    indexes {
        BY_ID: (Uuid) = c"api_keys_pkey" (api_key_id),
        BY_HASH: (Bytea) = c"api_keys_key_hash_key" (key_hash),
    }
}

/// A key as it is needed to decide what its bearer may do.
pub struct ApiKeyRow {
    pub api_key_id: Uuid,
    pub env_id: i32,
    pub kind: ApiKeyKind,
    pub expires_at: Option<Micros>,
    pub revoked: bool,
}

fn read(row: &Row<'_, ApiKeys>) -> Result<ApiKeyRow> {
    let kind = ApiKeyKind::parse(&row.get(ApiKeys::kind)?);
    Ok(ApiKeyRow {
        api_key_id: row.get(ApiKeys::api_key_id)?,
        env_id: row.get(ApiKeys::env_id)?,
        kind: kind.ok_or_else(|| unreadable(ApiKeys::kind))?,
        expires_at: row.get(ApiKeys::expires_at)?,
        revoked: row.get(ApiKeys::revoked_at)?.is_some(),
    })
}

/// The key with this hash, in its latest committed state.
pub fn by_hash(hash: &[u8; 32]) -> Result<Option<ApiKeyRow>> {
    scan::first_by(&BY_HASH, (hash.as_slice(),), read)
}

/// The key with this id, in its latest committed state.
pub fn by_id(api_key_id: &Uuid) -> Result<Option<ApiKeyRow>> {
    scan::first_by(&BY_ID, (api_key_id,), read)
}

/// True if any key is like that which the transaction's snapshot does not show, in its latest committed state.
pub fn any_hidden(like: impl Fn(&ApiKeyRow) -> bool) -> Result<bool> {
    scan::any_hidden(|row| Ok(like(&read(row)?)))
}

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.api_keys \
              (api_key_id, env_id, kind, name, key_hash, hint, created_at, expires_at) \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

static REVOKE: Statement = Statement::new(
    "UPDATE dialstack.api_keys SET revoked_at = coalesce(revoked_at, $2) \
           WHERE api_key_id = $1",
);

static REVOKE_ALL: Statement =
    Statement::new("UPDATE dialstack.api_keys SET revoked_at = $2 WHERE env_id = $1 AND revoked_at IS NULL");

/// The keys of an environment, oldest first.
pub static LIST: Statement = Statement::new(
    "SELECT api_key_id, kind, name, hint, created_at, expires_at, revoked_at \
            FROM dialstack.api_keys WHERE env_id = $1 ORDER BY created_at, api_key_id",
);

/// Stores a key with its SHA-256 and its last four characters.
pub fn insert(
    owner: &AsOwner,
    key: &ApiKeyRow,
    name: Option<&str>,
    hash: &[u8; 32],
    hint: &str,
    now: Micros,
) -> Result<()> {
    let arguments = [
        bind(pg_uuid(&key.api_key_id)),
        bind(key.env_id),
        bind(key.kind.as_str()),
        bind(name),
        bind(hash.to_vec()),
        bind(hint),
        bind(timestamptz(now)),
        bind(key.expires_at.map(timestamptz)),
    ];
    INSERT.execute(owner, &arguments).map(|_| ())
}

/// Revokes a key for good; `false` if there is none with that id.
pub fn revoke(owner: &AsOwner, api_key_id: &Uuid) -> Result<bool> {
    let id = pg_uuid(api_key_id);
    Ok(REVOKE.execute(owner, &[bind(id), bind(timestamptz(clock::now()))])? == 1)
}

pub fn revoke_all(owner: &AsOwner, env_id: i32, now: Micros) -> Result<()> {
    REVOKE_ALL.execute(owner, &[bind(env_id), bind(timestamptz(now))]).map(|_| ())
}
