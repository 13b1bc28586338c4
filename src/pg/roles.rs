//! Doing our own table work as the extension's owner, not as the caller.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::relcache;
use crate::pg::server::bare;
use crate::pg::settings::Setting;

/// The one search path under which our statements run, so that kept plans stay valid and no
/// object of a caller is ever found by name.
const SEARCH_PATH: (&CStr, &CStr) = (c"search_path", c"pg_catalog, pg_temp");

/// While it lives, the current user is another role and the search path is ours.
///
/// Restored on drop. When an error unwinds past it, the transaction's or savepoint's abort restores
/// both, so the drop then leaves the server alone.
pub struct AsRole {
    caller: pg_sys::Oid,
    security_context: i32,
    _settings: Setting,
}

impl AsRole {
    /// Switches to a role that is not ours, for its own tables: with every restriction that
    /// maintenance commands put on the code of a table's owner, and past policies that are forced on
    /// the owner, as when the server looks up a foreign key.
    pub fn enter(role: pg_sys::Oid) -> Self {
        let restrictions = pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_NOFORCE_RLS;
        Self::switch(role, restrictions, &[SEARCH_PATH])
    }

    fn switch(role: pg_sys::Oid, restrictions: u32, settings: &[(&CStr, &CStr)]) -> Self {
        let mut caller = pg_sys::InvalidOid;
        let mut security_context = 0;
        let restrictions = (restrictions | pg_sys::SECURITY_LOCAL_USERID_CHANGE) as i32;
        // SAFETY: plain reads and writes of backend state. LOCAL_USERID_CHANGE forbids SET ROLE
        // while it is in force, and abort processing undoes the change.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut caller, &mut security_context);
            pg_sys::SetUserIdAndSecContext(role, security_context | restrictions);
        }
        AsRole { caller, security_context, _settings: Setting::set(settings) }
    }
}

impl Drop for AsRole {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the identity is the one that `switch` found.
            unsafe { pg_sys::SetUserIdAndSecContext(self.caller, self.security_context) }
        }
    }
}

/// While it lives, the current user is the owner of our tables. A statement takes one, as proof.
pub struct AsOwner(AsRole);

impl AsOwner {
    /// Switches to the owner.
    pub fn enter() -> Result<Self> {
        Self::with(&[SEARCH_PATH])
    }

    /// The same for statements that look up by index whatever is to be found by one. The planner would
    /// scan whole tables where it knows nothing of them yet, or cannot know how few rows are new.
    pub fn enter_by_index() -> Result<Self> {
        Self::with(&[
            SEARCH_PATH,
            (c"enable_seqscan", c"off"),
            (c"enable_hashjoin", c"off"),
            (c"enable_mergejoin", c"off"),
            (c"jit", c"off"),
        ])
    }

    /// Switches back to the caller, for code of others that one of our statements sets off.
    pub fn as_caller(&self) -> AsRole {
        AsRole::switch(self.0.caller, 0, &[])
    }

    fn with(settings: &[(&CStr, &CStr)]) -> Result<Self> {
        Ok(AsOwner(AsRole::switch(relcache::owner()?, 0, settings)))
    }
}

/// The role whose privileges count now.
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { bare::GetUserId() }
}

/// The role of this name, if the role `member` has its privileges: it is the same, or a member that inherits.
pub fn inherited_from(member: pg_sys::Oid, name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: a NUL-terminated name; an unknown one is answered with InvalidOid, which no role is.
    unsafe {
        let role = pg_sys::get_role_oid(name.as_ptr(), true);
        (role != pg_sys::InvalidOid && pg_sys::has_privs_of_role(member, role)).then_some(role)
    }
}

/// A function of the extension that takes no argument; `None` if there is none of that name.
fn function(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: look-ups by name in the server's caches, which answer an unknown name with InvalidOid; the list of
    // types lives in the current memory context.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"dialstack".as_ptr(), true);
        let no_arguments = pg_sys::buildoidvector(std::ptr::null(), 0);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(no_arguments),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::null(),
        )
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// True if the role may execute this function of the extension, which takes no argument; `None` if there is no such
/// function.
pub fn may_execute(role: pg_sys::Oid, name: &CStr) -> Option<bool> {
    let oid = function(name)?;
    let mode = pg_sys::ACL_EXECUTE as pg_sys::AclMode;
    // SAFETY: reads the server's caches; a function that is gone meanwhile raises an ordinary error.
    unsafe {
        #[cfg(feature = "pg15")]
        let result = pg_sys::pg_proc_aclcheck(oid, role, mode);
        #[cfg(not(feature = "pg15"))]
        let result = pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, oid, role, mode);
        Some(result == pg_sys::AclResult::ACLCHECK_OK)
    }
}

/// The roles to which this function of the extension, which takes no argument, was granted, not those that inherit it;
/// and those that granted it.
pub fn granted_to(name: &CStr) -> Vec<pg_sys::Oid> {
    let Some(oid) = function(name) else {
        return Vec::new();
    };
    // SAFETY: the entry of the server's cache is pinned while its privileges are read, which are copied if they are
    // stored in a compressed form; aclmembers returns as many roles as it says, in the current memory context.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        let entry = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(oid));
        if entry.is_null() {
            return Vec::new();
        }
        let mut is_null = false;
        let number = pg_sys::Anum_pg_proc_proacl as pg_sys::AttrNumber;
        let privileges = pg_sys::SysCacheGetAttr(cache, entry, number, &mut is_null);
        let mut roles = Vec::new();
        if !is_null {
            let privileges = pg_sys::pg_detoast_datum(privileges.cast_mut_ptr());
            let mut members = std::ptr::null_mut();
            let count = pg_sys::aclmembers(privileges.cast(), &mut members);
            for n in 0..usize::try_from(count).unwrap_or(0) {
                roles.push(*members.add(n));
            }
        }
        pg_sys::ReleaseSysCache(entry);
        roles
    }
}
