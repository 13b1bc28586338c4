//! The object ids of our relations, and the news that something was changed.
//!
//! Direct scans need object ids. They are looked up by name once and forgotten when the server says
//! that one of these relations changed, so that DROP EXTENSION followed by CREATE EXTENSION in
//! one connection finds the new ones.
//!
//! Every write that can change a verdict invalidates the relation cache entry of
//! `dialstack.verdict_invalidation`, an empty table that exists for nothing else. Receiving that
//! advances [`epoch`], and verdicts that were remembered under an older epoch are read again. A write
//! to keys or configuration also invalidates its own table, which advances [`configuration_epoch`] too.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};

/// Declares the relations of ours that are read, written or invalidated by object id, with their names.
macro_rules! relations {
    ($($(#[$doc:meta])* $rel:ident = $name:literal,)*) => {
        /// A relation of ours.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Rel {
            $($(#[$doc])* $rel,)*
        }

        const ALL: &[Rel] = &[$(Rel::$rel),*];

        impl Rel {
            const fn name(self) -> &'static CStr {
                match self {
                    $(Rel::$rel => $name,)*
                }
            }
        }
    };
}

relations! {
    /// `sessions`
    Sessions = c"sessions",
    /// its primary key
    SessionsById = c"sessions_pkey",
    /// `session_users`
    SessionUsers = c"session_users",
    /// its primary key
    SessionUsersById = c"session_users_pkey",
    /// `environments`
    Environments = c"environments",
    /// its primary key
    EnvironmentsById = c"environments_pkey",
    /// unique by product and name
    EnvironmentsByName = c"environments_product_id_env_key",
    /// `products`
    Products = c"products",
    /// its primary key
    ProductsById = c"products_pkey",
    /// unique by name
    ProductsByName = c"products_product_key",
    /// `session_definitions`
    Definitions = c"session_definitions",
    /// its primary key
    DefinitionsById = c"session_definitions_pkey",
    /// unique by product and tag
    DefinitionsByTag = c"session_definitions_product_id_tag_key",
    /// `instance`
    Instance = c"instance",
    /// `signing_keys`
    SigningKeys = c"signing_keys",
    /// `api_keys`
    ApiKeys = c"api_keys",
    /// its primary key
    ApiKeysById = c"api_keys_pkey",
    /// unique by hash
    ApiKeysByHash = c"api_keys_key_hash_key",
    /// `activity_01`
    Activity01 = c"activity_01",
    /// `activity_02`
    Activity02 = c"activity_02",
    /// `activity_03`
    Activity03 = c"activity_03",
    /// `activity_04`
    Activity04 = c"activity_04",
    /// `activity_05`
    Activity05 = c"activity_05",
    /// `activity_06`
    Activity06 = c"activity_06",
    /// `activity_07`
    Activity07 = c"activity_07",
    /// `activity_08`
    Activity08 = c"activity_08",
    /// `activity_09`
    Activity09 = c"activity_09",
    /// `activity_10`
    Activity10 = c"activity_10",
    /// `activity_11`
    Activity11 = c"activity_11",
    /// `activity_12`
    Activity12 = c"activity_12",
    /// the sequence of `activity`
    ActivitySequence = c"activity_activity_id_seq",
    /// `verdict_invalidation`
    VerdictInvalidation = c"verdict_invalidation",
}

const COUNT: usize = ALL.len();

/// The partitions of `activity`, January first.
pub const ACTIVITY: [Rel; 12] = [
    Rel::Activity01,
    Rel::Activity02,
    Rel::Activity03,
    Rel::Activity04,
    Rel::Activity05,
    Rel::Activity06,
    Rel::Activity07,
    Rel::Activity08,
    Rel::Activity09,
    Rel::Activity10,
    Rel::Activity11,
    Rel::Activity12,
];

/// What verdicts rest on, beside their session.
const CONFIGURATION: [Rel; 5] = [
    Rel::Environments,
    Rel::Products,
    Rel::Definitions,
    Rel::Instance,
    Rel::SigningKeys,
];

thread_local! {
    /// All ids, or none.
    static OIDS: Cell<Option<[pg_sys::Oid; COUNT]>> = const { Cell::new(None) };
    static EPOCH: Cell<u64> = const { Cell::new(1) };
    static CONFIGURATION_EPOCH: Cell<u64> = const { Cell::new(1) };
}

/// Asks the server for news of changed relations. Called once, from `_PG_init`.
pub fn register_callback() {
    // SAFETY: the callback lives as long as the library, which is never unloaded; it touches only
    // thread-local cells and can't fail.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) }
}

unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let advance = |epoch: &Cell<u64>| epoch.set(epoch.get() + 1);
    // While the ids are not known, any relation may be the one.
    let known = OIDS.get().filter(|_| relation != pg_sys::InvalidOid);
    let is = |rel: Rel| known.is_none_or(|oids| oids[rel as usize] == relation);
    if CONFIGURATION.into_iter().any(is) {
        CONFIGURATION_EPOCH.with(advance);
        // The news of one transaction can come in parts: a verdict that was read between them, from
        // configuration of before, must not stay.
        EPOCH.with(advance);
    }
    // What the news of a verdict stands for is empty and never changes itself.
    if is(Rel::VerdictInvalidation) {
        EPOCH.with(advance);
    } else if known.is_some_and(|oids| oids.contains(&relation)) {
        OIDS.set(None);
    }
    if known.is_none() {
        OIDS.set(None);
    }
}

/// Takes in what other backends have sent, then tells the epoch of verdicts, which every change that
/// matters advances. Cheap when nothing is pending.
pub fn epoch() -> u64 {
    // SAFETY: callable anywhere inside a transaction; callbacks registered with it must not fail,
    // and ours does not.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    EPOCH.get()
}

/// The epoch of verdicts by the news that has been taken in.
pub fn epoch_so_far() -> u64 {
    EPOCH.get()
}

/// The epoch of keys, products, environments and definitions, which a revoked session leaves alone.
pub fn configuration_epoch() -> u64 {
    epoch();
    CONFIGURATION_EPOCH.get()
}

/// The object id of a relation of ours.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension's tables are not there.
pub fn oid(rel: Rel) -> Result<pg_sys::Oid> {
    let known = |oids: &[pg_sys::Oid; COUNT]| {
        let oid = oids[rel as usize];
        (oid != pg_sys::InvalidOid).then_some(oid)
    };
    if let Some(oid) = OIDS.get().as_ref().and_then(known) {
        return Ok(oid);
    }
    let oids = look_up();
    // Without this one no news would arrive.
    if oids[Rel::VerdictInvalidation as usize] != pg_sys::InvalidOid {
        OIDS.set(Some(oids));
    }
    known(&oids).ok_or_else(missing)
}

/// The ids by name; `InvalidOid` for what is missing, as after an update of the library alone.
fn look_up() -> [pg_sys::Oid; COUNT] {
    // SAFETY: constant NUL-terminated names; both look-ups answer InvalidOid for what is missing.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
        std::array::from_fn(|n| pg_sys::get_relname_relid(ALL[n].name().as_ptr(), schema))
    }
}

/// The error of a database without our tables.
pub fn missing() -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not in this database",
    )
    .hint("Run CREATE EXTENSION dialstack_sessions in this database.")
}

/// Tells every backend, at commit, to read again what it remembers: verdicts and, where `changed` is
/// not `sessions`, what they rest on.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension's tables are not there.
pub fn invalidate(changed: pg_sys::Oid) -> Result<()> {
    let verdicts = oid(Rel::VerdictInvalidation)?;
    let sessions = oid(Rel::Sessions)?;
    // SAFETY: the id was just looked up; a relation dropped meanwhile raises an ordinary error.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(verdicts) };
    if changed != sessions {
        // SAFETY: as above.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(changed) };
    }
    Ok(())
}

/// The table whose trigger is being called; `None` for a call that is none.
pub fn of_trigger(call: pg_sys::FunctionCallInfo) -> Option<pg_sys::Oid> {
    // SAFETY: the server passes a valid call; its context is a TriggerData if, and only if, it has
    // that node's tag, and then its relation is open.
    unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return None;
        }
        Some((*(*context.cast::<pg_sys::TriggerData>()).tg_relation).rd_id)
    }
}
