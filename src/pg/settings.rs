//! The server's own settings, for the time of some work of ours.

use std::ffi::CStr;

use pgrx::pg_sys;

/// While it lives, settings have other values. The caller's come back when it is dropped; the end of a
/// transaction or subtransaction that fails brings them back too.
pub struct Setting(i32);

impl Setting {
    /// Gives settings that everybody may set another value.
    pub(super) fn set(settings: &[(&CStr, &CStr)]) -> Self {
        // SAFETY: on a nest level of its own, with NUL-terminated texts; a value that a setting does not take
        // raises an ordinary error.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            for (name, value) in settings {
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
            }
            Setting(level)
        }
    }

    /// A lock is waited for only for a moment: behind a call that waits for a table others queue up.
    pub fn short_lock_timeout() -> Self {
        Setting::set(&[(c"lock_timeout", c"200ms")])
    }

    /// A lock is waited for longer than the server's own cleaning takes to give way (`deadlock_timeout`, 1 s).
    pub fn long_lock_timeout() -> Self {
        Setting::set(&[(c"lock_timeout", c"2s")])
    }

    /// Statements are not compiled. What users are called is kept out of the statistics, so the planner
    /// takes a look-up by it for far more work than it is, and compiling for worthwhile.
    pub fn no_jit() -> Self {
        Setting::set(&[(c"jit", c"off")])
    }

    /// Statements are planned for the values at hand, so that an optional filter that is given uses its index, and not
    /// compiled.
    pub fn custom_plans() -> Self {
        Setting::set(&[(c"plan_cache_mode", c"force_custom_plan"), (c"jit", c"off")])
    }

    /// The client is not told that there was nothing to drop.
    pub fn no_notices() -> Self {
        Setting::set(&[(c"client_min_messages", c"warning")])
    }

    /// Joins look each row up by its index. Where the planner takes few rows for many, it would read the whole table
    /// instead; where they are many, this costs a tenth more.
    pub fn nested_loops() -> Self {
        Setting::set(&[(c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")])
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the nest level is the one that `set` made. Undone like an abort, so that nothing that other
            // code SET meanwhile outlives it.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) }
        }
    }
}
