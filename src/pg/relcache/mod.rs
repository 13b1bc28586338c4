//! The object ids of the extension's relations, and the epochs that invalidations advance.
//!
//! A scan needs object ids. Each is looked up by name when it is first needed and forgotten when the server
//! invalidates that relation, so that DROP EXTENSION followed by CREATE EXTENSION in one connection finds the
//! new one.
//!
//! Every write that can change a verdict invalidates the relation cache entry of
//! `dialstack.verdict_invalidation`, an empty table that exists for nothing else. Receiving that advances
//! [`epoch`], and what was remembered under an older epoch is read again. A write to keys or configuration
//! also invalidates its own table, which advances [`configuration_epoch`] too. What a role may do follows the
//! server's own catalogues of roles and functions: their invalidations advance [`access_epoch`].

pub mod epoch;

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::catalog::relation::OpenRelation;
use crate::pg::relcache::epoch::{Epochs, Received};

/// A relation of the extension, and what this backend knows of it. A backend is one thread.
pub struct Relation {
    name: &'static CStr,
    /// What an invalidation of it is about.
    means: Received,
    /// Its object id; 0 while it is not known.
    id: AtomicU32,
    /// Whether it was checked against its declaration since its last invalidation.
    checked: AtomicBool,
    /// Whether it is one of those that were looked up.
    listed: AtomicBool,
}

/// The relations that were looked up: of others nothing is known that an invalidation could change.
static LOOKED_UP: Mutex<Vec<&'static Relation>> = Mutex::new(Vec::new());

impl Relation {
    /// The relation of this name in schema `dialstack`.
    pub const fn new(name: &'static CStr, means: Received) -> Self {
        let (checked, listed) = (AtomicBool::new(false), AtomicBool::new(false));
        Relation { name, means, id: AtomicU32::new(0), checked, listed }
    }

    /// Its object id.
    pub fn oid(&'static self) -> Result<pg_sys::Oid> {
        match self.id.load(Relaxed) {
            0 => self.look_up(),
            known => Ok(known.into()),
        }
    }

    fn look_up(&'static self) -> Result<pg_sys::Oid> {
        loop {
            let before = EPOCHS.of(Received::Other);
            // SAFETY: NUL-terminated names; both look-ups answer InvalidOid for what is missing.
            let (schema, id) = unsafe {
                let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
                (schema, pg_sys::get_relname_relid(self.name.as_ptr(), schema))
            };
            // An invalidation that was received meanwhile may be of this very id.
            if EPOCHS.of(Received::Other) != before {
                continue;
            }
            if id != pg_sys::InvalidOid {
                self.id.store(id.to_u32(), Relaxed);
                if !self.listed.swap(true, Relaxed) {
                    LOOKED_UP.lock().unwrap_or_else(PoisonError::into_inner).push(self);
                }
                return Ok(id);
            }
            return Err(if schema == pg_sys::InvalidOid {
                missing()
            } else {
                self.altered("It is missing.")
            });
        }
    }

    fn forget(&self) {
        self.id.store(0, Relaxed);
        self.checked.store(false, Relaxed);
    }

    /// Runs a check, once for each invalidation of the relation. The caller has locked the relation.
    pub fn check_once(&self, check: impl FnOnce() -> Result<()>) -> Result<()> {
        if !self.checked.load(Relaxed) {
            let before = EPOCHS.of(Received::Other);
            check()?;
            // What was checked may be what it was before an invalidation that arrived meanwhile.
            self.checked.store(EPOCHS.of(Received::Other) == before, Relaxed);
        }
        Ok(())
    }

    /// The error of a relation that is not as the extension made it; `detail` says what is different.
    pub fn altered(&self, detail: &str) -> Error {
        let name = self.name.to_string_lossy();
        Error::new(Code::JwtNotAvailable, format!("dialstack.{name} is not as the extension made it"))
            .detail(detail)
            .hint("Undo what was changed in schema dialstack; if the library is newer than its tables, run ALTER EXTENSION dialstack_sessions UPDATE.")
    }
}

/// Its invalidation stands for a change of a verdict.
static VERDICT_INVALIDATION: Relation = Relation::new(c"verdict_invalidation", Received::Verdict);

static EPOCHS: Epochs = Epochs::new();

/// Asks the server to report invalidations of relations. Called once, from `_PG_init`.
pub fn register() {
    // SAFETY: the callbacks live as long as the library, which is never unloaded; they touch only atomics and a list
    // that this one thread has not locked, and can't fail.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_invalidated), pg_sys::Datum::from(0));
        // All that privileges on our functions rest on: these themselves, roles, memberships, and who owns the
        // database, by which the role pg_database_owner has a member.
        for cache in [
            pg_sys::SysCacheIdentifier::PROCOID,
            pg_sys::SysCacheIdentifier::AUTHOID,
            pg_sys::SysCacheIdentifier::AUTHMEMROLEMEM,
            pg_sys::SysCacheIdentifier::DATABASEOID,
        ] {
            let arg = pg_sys::Datum::from(0);
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(privileges_invalidated), arg);
        }
    }
}

unsafe extern "C-unwind" fn privileges_invalidated(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    EPOCHS.advance(Received::Privileges);
}

unsafe extern "C-unwind" fn relation_invalidated(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let changed = relation.to_u32();
    // The server reports InvalidOid when any relation may have changed.
    let is = |known: &Relation| changed == 0 || known.id.load(Relaxed) == changed;
    // While its id is not known, any invalidation may be the one.
    let verdicts_unknown = VERDICT_INVALIDATION.id.load(Relaxed) == 0;
    let mut received = if verdicts_unknown { Received::Verdict } else { Received::Other };
    let known = LOOKED_UP.lock().unwrap_or_else(PoisonError::into_inner);
    for known in known.iter().filter(|known| is(known)) {
        known.forget();
        received = received.max(known.means);
    }
    EPOCHS.advance(received);
}

/// Receives the invalidations that other backends have sent, then returns the epoch of verdicts. Cheap when
/// nothing is pending.
pub fn epoch() -> u64 {
    // SAFETY: callable anywhere inside a transaction.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    EPOCHS.of(Received::Verdict)
}

/// The epoch of verdicts by the invalidations that have been received so far.
pub fn epoch_so_far() -> u64 {
    EPOCHS.of(Received::Verdict)
}

/// The epoch of keys, products, environments and definitions, which a revocation leaves alone.
pub fn configuration_epoch() -> u64 {
    epoch();
    EPOCHS.of(Received::Configuration)
}

/// The epoch of what roles may do: of privileges, and of the limits of access levels, which are configuration.
pub fn access_epoch() -> u64 {
    epoch();
    // Neither ever goes back, so their sum stands only while both do.
    EPOCHS.of(Received::Configuration) + EPOCHS.of(Received::Privileges)
}

/// The epoch of roles, their memberships and privileges by the invalidations that have been received so far.
pub fn privileges_so_far() -> u64 {
    EPOCHS.of(Received::Privileges)
}

/// Looks up the relation whose invalidation advances the epochs. From then on only that and the
/// configuration's own do.
pub fn watch() -> Result<()> {
    VERDICT_INVALIDATION.oid().map(|_| ())
}

/// The owner of the extension's tables.
pub fn owner() -> Result<pg_sys::Oid> {
    let relation = OpenRelation::unlocked(VERDICT_INVALIDATION.oid()?).ok_or_else(missing)?;
    Ok(relation.class().relowner)
}

/// The error of a database without the extension's tables.
fn missing() -> Error {
    Error::new(Code::JwtNotAvailable, "the tables of the extension are not in this database")
        .hint("Run CREATE EXTENSION dialstack_sessions in this database.")
}

/// Makes every backend, at commit, read again what it remembers: verdicts and, where a table of the configuration has
/// changed, what they rest on.
pub fn invalidate(configuration: Option<pg_sys::Oid>) -> Result<()> {
    for relation in [Some(VERDICT_INVALIDATION.oid()?), configuration].into_iter().flatten() {
        // SAFETY: any number may be given; one that is no relation's raises an ordinary error.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
    }
    Ok(())
}
