//! The object ids of our relations, and the news that something was changed.
//!
//! Direct scans need object ids. They are looked up by name once and forgotten when the server says
//! that one of these relations changed, so that DROP EXTENSION followed by CREATE EXTENSION in
//! one connection finds the new ones.
//!
//! Every write that can change what a backend remembers invalidates the relation cache entry of
//! `dialstack.verdict_invalidation`, an empty table that exists for nothing else. Receiving that
//! advances [`epoch`], and whatever was remembered under an older epoch is read again.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};

/// A relation of ours that is read or invalidated by object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Rel {
    /// `sessions`
    Sessions,
    /// its primary key
    SessionsById,
    /// `environments`
    Environments,
    /// its primary key
    EnvironmentsById,
    /// unique by product and name
    EnvironmentsByName,
    /// `products`
    Products,
    /// its primary key
    ProductsById,
    /// unique by name
    ProductsByName,
    /// `session_definitions`
    Definitions,
    /// its primary key
    DefinitionsById,
    /// unique by product and tag
    DefinitionsByTag,
    /// `instance`
    Instance,
    /// `signing_keys`
    SigningKeys,
    /// `api_keys`
    ApiKeys,
    /// its primary key
    ApiKeysById,
    /// unique by hash
    ApiKeysByHash,
    /// `verdict_invalidation`
    VerdictInvalidation,
}

const COUNT: usize = Rel::VerdictInvalidation as usize + 1;

impl Rel {
    const fn name(self) -> &'static CStr {
        match self {
            Rel::Sessions => c"sessions",
            Rel::SessionsById => c"sessions_pkey",
            Rel::Environments => c"environments",
            Rel::EnvironmentsById => c"environments_pkey",
            Rel::EnvironmentsByName => c"environments_product_id_env_key",
            Rel::Products => c"products",
            Rel::ProductsById => c"products_pkey",
            Rel::ProductsByName => c"products_product_key",
            Rel::Definitions => c"session_definitions",
            Rel::DefinitionsById => c"session_definitions_pkey",
            Rel::DefinitionsByTag => c"session_definitions_product_id_tag_key",
            Rel::Instance => c"instance",
            Rel::SigningKeys => c"signing_keys",
            Rel::ApiKeys => c"api_keys",
            Rel::ApiKeysById => c"api_keys_pkey",
            Rel::ApiKeysByHash => c"api_keys_key_hash_key",
            Rel::VerdictInvalidation => c"verdict_invalidation",
        }
    }
}

thread_local! {
    static OIDS: [Cell<pg_sys::Oid>; COUNT] =
        const { [const { Cell::new(pg_sys::InvalidOid) }; COUNT] };
    static EPOCH: Cell<u64> = const { Cell::new(1) };
}

/// Asks the server for news of changed relations. Called once, from `_PG_init`.
pub fn register_callback() {
    // SAFETY: the callback lives as long as the library, which is never unloaded; it touches only
    // thread-local cells and can't fail.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) }
}

unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    OIDS.with(|oids| {
        let everything = relation == pg_sys::InvalidOid;
        // While the ids are not known, any relation may be the one.
        let known = oids[Rel::VerdictInvalidation as usize].get();
        if everything || known == pg_sys::InvalidOid || relation == known {
            EPOCH.with(|epoch| epoch.set(epoch.get() + 1));
        }
        if everything || oids.iter().any(|oid| oid.get() == relation) {
            oids.iter().for_each(|oid| oid.set(pg_sys::InvalidOid));
        }
    });
}

/// Takes in what other backends have sent, then tells the epoch. Cheap when nothing is pending.
pub fn epoch() -> u64 {
    // SAFETY: callable anywhere inside a transaction; callbacks registered with it must not fail,
    // and ours does not.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    EPOCH.with(Cell::get)
}

/// The object id of a relation of ours.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension's tables are not there.
pub fn oid(rel: Rel) -> Result<pg_sys::Oid> {
    let known = OIDS.with(|oids| oids[rel as usize].get());
    if known != pg_sys::InvalidOid {
        return Ok(known);
    }
    // SAFETY: constant NUL-terminated names; both look-ups answer InvalidOid for what is missing.
    let found = unsafe {
        let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
        pg_sys::get_relname_relid(rel.name().as_ptr(), schema)
    };
    if found == pg_sys::InvalidOid {
        return Err(missing());
    }
    OIDS.with(|oids| oids[rel as usize].set(found));
    Ok(found)
}

/// The error of a database without our tables.
pub fn missing() -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not in this database",
    )
    .hint("Run CREATE EXTENSION dialstack_sessions in this database.")
}

/// Tells every backend, at commit, to read again what it remembers.
pub fn invalidate() -> Result<()> {
    let relation = oid(Rel::VerdictInvalidation)?;
    // SAFETY: the id was just looked up; a relation dropped meanwhile raises an ordinary error.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
    Ok(())
}
