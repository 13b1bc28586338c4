//! Lines in the server log.

use std::ffi::{CString, c_char, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

unsafe extern "C-unwind" {
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Writes a line to the server log, whatever `log_min_messages` below FATAL and the client's settings say. The client
/// does not get it, and its statement, which may hold secrets, is not written with it.
pub fn line(text: &str) {
    // JSON has no NUL: it is escaped there.
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: begins, fills and ends one message, as ereport() does; the texts end with a NUL and outlive it. It is no
    // error, so the call comes back; an interrupt that it serves passes the boundary as a panic.
    unsafe {
        pg_guard_ffi_boundary(|| {
            if errstart(pg_sys::LOG_SERVER_ONLY as c_int, std::ptr::null()) {
                pg_sys::errmsg_internal(c"%s".as_ptr(), text.as_ptr());
                pg_sys::errhidestmt(true);
                pg_sys::errhidecontext(true);
                errfinish(c"log.rs".as_ptr(), 0, c"line".as_ptr());
            }
        });
    }
}
