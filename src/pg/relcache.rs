//! The object ids of our relations, and the news that something was changed.
//!
//! Direct scans need object ids. They are looked up by name once and forgotten when the server says
//! that one of these relations changed, so that DROP EXTENSION followed by CREATE EXTENSION in
//! one connection finds the new ones. With them goes whether their columns were checked, which whoever
//! scans a relation has done first.
//!
//! Every write that can change a verdict invalidates the relation cache entry of
//! `dialstack.verdict_invalidation`, an empty table that exists for nothing else. Receiving that
//! advances [`epoch`], and verdicts that were remembered under an older epoch are read again. A write
//! to keys or configuration also invalidates its own table, which advances [`configuration_epoch`] too.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::{
    BOOLOID, BYTEAOID, DATEOID, INETOID, INT4OID, INT8OID, INTERVALOID, JSONBOID, OIDOID,
    TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID, UUIDARRAYOID, UUIDOID,
};

use self::Layout::{Any, Index, Table};
use crate::error::{Code, Error, Result};

/// What a relation must be like.
#[derive(Clone, Copy)]
pub enum Layout {
    /// A table whose first columns have these types. It may have more, which are not ours.
    Table(&'static [pg_sys::Oid]),
    /// A whole and valid B-tree over these columns of that table.
    Index(Rel, &'static [i16]),
    /// Nobody reads it but the server, which looks at what it is.
    Any,
}

/// Declares the relations of ours that are read, written or invalidated by object id, with their names
/// and what they must be like.
macro_rules! relations {
    ($($(#[$doc:meta])* $rel:ident = $name:literal is $layout:expr,)*) => {
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

            /// What it must be like.
            pub const fn layout(self) -> Layout {
                match self {
                    $(Rel::$rel => $layout,)*
                }
            }
        }
    };
}

relations! {
    /// `sessions`
    Sessions = c"sessions" is Table(&[
        UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
        TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID, INT4OID, DATEOID, TEXTOID, TEXTOID, TEXTOID,
        TEXTARRAYOID, UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID, BYTEAOID, INETOID, TEXTOID, UUIDOID,
    ]),
    /// its primary key
    SessionsById = c"sessions_pkey" is Index(Rel::Sessions, &[1]),
    /// `session_users`
    SessionUsers = c"session_users" is Table(&[
        INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID,
    ]),
    /// `environments`
    Environments = c"environments" is Table(&[INT4OID, UUIDOID, TEXTOID, BOOLOID, TIMESTAMPTZOID]),
    /// its primary key
    EnvironmentsById = c"environments_pkey" is Index(Rel::Environments, &[1]),
    /// unique by product and name
    EnvironmentsByName = c"environments_product_id_env_key" is Index(Rel::Environments, &[2, 3]),
    /// `products`
    Products = c"products" is Table(&[UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID]),
    /// its primary key
    ProductsById = c"products_pkey" is Index(Rel::Products, &[1]),
    /// unique by name
    ProductsByName = c"products_product_key" is Index(Rel::Products, &[2]),
    /// `session_definitions`
    Definitions = c"session_definitions" is Table(&[
        INT4OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, INT4OID, TEXTOID, INT4OID,
        TEXTOID, INTERVALOID, INTERVALOID, INT4OID, TEXTOID, INTERVALOID, BOOLOID, TIMESTAMPTZOID,
        TIMESTAMPTZOID,
    ]),
    /// its primary key
    DefinitionsById = c"session_definitions_pkey" is Index(Rel::Definitions, &[1]),
    /// unique by product and tag
    DefinitionsByTag = c"session_definitions_product_id_tag_key" is Index(Rel::Definitions, &[2, 3]),
    /// `instance`
    Instance = c"instance" is Table(&[
        BOOLOID, UUIDOID, OIDOID, BYTEAOID, BYTEAOID, TIMESTAMPTZOID,
    ]),
    /// `signing_keys`
    SigningKeys = c"signing_keys" is Table(&[
        TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID, JSONBOID, TIMESTAMPTZOID,
        TIMESTAMPTZOID, TIMESTAMPTZOID,
    ]),
    /// `api_keys`
    ApiKeys = c"api_keys" is Table(&[
        UUIDOID, INT4OID, TEXTOID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
        TIMESTAMPTZOID,
    ]),
    /// its primary key
    ApiKeysById = c"api_keys_pkey" is Index(Rel::ApiKeys, &[1]),
    /// unique by hash
    ApiKeysByHash = c"api_keys_key_hash_key" is Index(Rel::ApiKeys, &[5]),
    /// `verdict_invalidation`
    VerdictInvalidation = c"verdict_invalidation" is Any,
}

const COUNT: usize = ALL.len();

/// What verdicts rest on, beside their session.
const CONFIGURATION: [Rel; 5] = [
    Rel::Environments,
    Rel::Products,
    Rel::Definitions,
    Rel::Instance,
    Rel::SigningKeys,
];

/// What was looked up.
#[derive(Clone, Copy)]
struct Known {
    /// The ids; `InvalidOid` for what is missing.
    oids: [pg_sys::Oid; COUNT],
    /// The relations that were seen to be as they must be: a bit each.
    checked: u64,
}

const _: () = assert!(COUNT <= u64::BITS as usize);

impl Known {
    fn oid(&self, rel: Rel) -> Option<pg_sys::Oid> {
        let oid = self.oids[rel as usize];
        (oid != pg_sys::InvalidOid).then_some(oid)
    }
}

thread_local! {
    /// Everything that was looked up, or nothing.
    static KNOWN: Cell<Option<Known>> = const { Cell::new(None) };
    static EPOCH: Cell<u64> = const { Cell::new(1) };
    static CONFIGURATION_EPOCH: Cell<u64> = const { Cell::new(1) };
}

fn advance(epoch: &Cell<u64>) {
    epoch.set(epoch.get() + 1);
}

/// Asks the server for invalidations of relations. Called once, from `_PG_init`.
pub fn register_callbacks() {
    // SAFETY: the callback lives as long as the library, which is never unloaded; it touches only thread-local
    // cells and can't fail.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0));
    }
}

unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    // While the ids are not known, any relation may be the one.
    let known = KNOWN.get().filter(|_| relation != pg_sys::InvalidOid);
    let is = |rel: Rel| known.is_none_or(|known| known.oids[rel as usize] == relation);
    if CONFIGURATION.into_iter().any(is) {
        CONFIGURATION_EPOCH.with(advance);
        // The news of one transaction can come in parts: a verdict that was read between them, from
        // configuration of before, must not stay.
        EPOCH.with(advance);
    }
    // What the news of a verdict stands for is empty and never changes itself.
    if is(Rel::VerdictInvalidation) {
        EPOCH.with(advance);
    } else if known.is_some_and(|known| known.oids.contains(&relation)) {
        KNOWN.set(None);
    }
    if known.is_none() {
        KNOWN.set(None);
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
/// `JWT_NOT_AVAILABLE` where it is not there.
pub fn oid(rel: Rel) -> Result<pg_sys::Oid> {
    if let Some(oid) = KNOWN.get().and_then(|known| known.oid(rel)) {
        return Ok(oid);
    }
    let known = look_up();
    // Without this one no news would arrive.
    if known.oid(Rel::VerdictInvalidation).is_some() {
        KNOWN.set(Some(known));
    }
    known.oid(rel).ok_or_else(|| {
        let any = ALL.iter().any(|rel| known.oid(*rel).is_some());
        if any { altered() } else { missing() }
    })
}

/// Looks all ids up by name.
fn look_up() -> Known {
    loop {
        // While nothing is known, all news counts.
        KNOWN.set(None);
        let before = EPOCH.get();
        // SAFETY: constant NUL-terminated names; both look-ups answer InvalidOid for what is missing.
        let oids = unsafe {
            let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
            std::array::from_fn(|n| pg_sys::get_relname_relid(ALL[n].name().as_ptr(), schema))
        };
        // News that came in between may be of an id that had been read.
        if EPOCH.get() == before {
            return Known { oids, checked: 0 };
        }
    }
}

/// Whether a relation was seen to be as it must be, since it got this id and there was news of it.
pub fn is_checked(rel: Rel, id: pg_sys::Oid) -> bool {
    KNOWN
        .get()
        .is_some_and(|known| known.oid(rel) == Some(id) && known.checked & bit(rel) != 0)
}

/// Notes that a relation was seen to be as it must be, unless there is news of it by now.
pub fn note_checked(rel: Rel, id: pg_sys::Oid) {
    if let Some(known) = KNOWN.get().filter(|known| known.oid(rel) == Some(id)) {
        KNOWN.set(Some(Known {
            checked: known.checked | bit(rel),
            ..known
        }));
    }
}

const fn bit(rel: Rel) -> u64 {
    1 << rel as u64
}

/// The error of a database without our tables.
pub fn missing() -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not in this database",
    )
    .hint("Run CREATE EXTENSION dialstack_sessions in this database.")
}

/// The error of a database whose tables somebody altered, or another version of the extension made.
pub fn altered() -> Error {
    Error::new(
        Code::JwtNotAvailable,
        "the tables of the extension are not as it made them",
    )
    .hint("After an update of the library run ALTER EXTENSION dialstack_sessions UPDATE; else check that nobody altered the tables in schema dialstack.")
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
