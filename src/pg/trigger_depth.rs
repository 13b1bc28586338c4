//! How deep in triggers the running statement is: what tells our own statements from those of triggers that
//! they fire.

use pgrx::{direct_function_call, pg_sys};

/// How many triggers are running, one fired by what another does. A condition (WHEN) is asked before its
/// trigger counts.
pub fn now() -> i32 {
    // SAFETY: takes no arguments, and reads a variable of the backend.
    unsafe { direct_function_call(pg_sys::pg_trigger_depth, &[]) }.unwrap_or_default()
}
