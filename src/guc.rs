//! Settings. Each is private here, with its meaning and default, behind a typed accessor.

use std::ffi::CString;
use std::path::PathBuf;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

/// File that holds the root key. A path, not a secret; changed by reload only, because the key ring
/// of every backend depends on it.
static ROOT_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Seconds that a dead session's row stays, so that `revoked` stays distinct from `invalid`.
static SESSION_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 86_400);

/// Registers the settings. Called once, from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        c"dialstack_sessions.root_key_file",
        c"File that holds the 256-bit root key that wraps the key ring.",
        c"One key a line, newest first, as 64 hexadecimal digits or base64. Without it the root key lies in the table dialstack.instance.",
        &ROOT_KEY_FILE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_int_guc(
        c"dialstack_sessions.session_retention",
        c"How long the row of a dead session is kept.",
        c"Until then a revoked token is told apart from an unknown one and histories are complete.",
        &SESSION_RETENTION,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_S,
    );
    // From here on a misspelt name under the prefix is an error, not a silent placeholder.
    // SAFETY: a constant, NUL-terminated name; the call copies it.
    #[cfg(not(feature = "pg14"))]
    unsafe {
        pgrx::pg_sys::MarkGUCPrefixReserved(c"dialstack_sessions".as_ptr());
    }
}

/// Path of the root key file, if one is set.
pub fn root_key_file() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let path = ROOT_KEY_FILE.get()?.into_bytes();
    (!path.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(path)))
}

/// How long a dead session's row is kept, in microseconds.
pub fn session_retention_micros() -> i64 {
    i64::from(SESSION_RETENTION.get()) * 1_000_000
}
