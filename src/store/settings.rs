//! The server's own settings, for the time of some work of ours.

use std::ffi::CStr;

use pgrx::pg_sys;

/// While it lives, a setting has another value. The caller's comes back when it is dropped; the end of a
/// transaction or subtransaction that fails brings it back too.
pub struct Setting(i32);

impl Setting {
    /// Sets one that everybody may set.
    fn set(name: &CStr, value: &CStr) -> Self {
        // SAFETY: a setting of the server by its name, on a nest level of its own.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            Setting(level)
        }
    }

    /// A lock is waited for only for a moment: behind who waits for a table others queue up.
    pub fn short_lock_timeout() -> Self {
        Setting::set(c"lock_timeout", c"200ms")
    }

    /// Statements are not compiled. What users are called is kept out of the statistics, so the planner
    /// takes a look-up by it for far more work than it is, and compiling for worthwhile.
    pub fn no_jit() -> Self {
        Setting::set(c"jit", c"off")
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the nest level is the one that `set` made.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) }
        }
    }
}
