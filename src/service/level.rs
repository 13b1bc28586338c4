//! Access levels, and which roles have them.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::relcache;
use crate::pg::roles::may_execute;
use crate::text_enum::text_enum;

text_enum! {
    /// What a role may do. Which level includes which, [`Level::includes`] says.
    pub enum Level {
        /// What a user's own connection needs.
        Client = "client",
        /// What a backend needs.
        Server = "server",
        /// Figures, and nothing about a person.
        Monitor = "monitor",
        /// Everything.
        Admin = "admin",
    }
}

impl Level {
    /// The function whose EXECUTE privilege marks who has the level without limits.
    pub const fn marker(self) -> &'static CStr {
        match self {
            Level::Client => c"access_client",
            Level::Server => c"access_server",
            Level::Monitor => c"access_monitor",
            Level::Admin => c"access_admin",
        }
    }

    /// The function whose EXECUTE privilege marks who has the level within limits; none where it can't have any.
    pub const fn limited_marker(self) -> Option<&'static CStr> {
        match self {
            Level::Client => Some(c"access_client_limited"),
            Level::Server => Some(c"access_server_limited"),
            Level::Monitor | Level::Admin => None,
        }
    }

    /// Whether a role with this level may do what the other one allows.
    pub fn includes(self, other: Level) -> bool {
        self == other
            || match self {
                Level::Admin => true,
                Level::Server => other == Level::Client,
                Level::Client | Level::Monitor => false,
            }
    }

    /// Both functions.
    pub fn markers(self) -> impl Iterator<Item = &'static CStr> {
        [Some(self.marker()), self.limited_marker()].into_iter().flatten()
    }
}

/// Whether a role has this level, or one that includes it, limited or not.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where this database lacks the functions that mark the levels.
pub fn has_level(role: pg_sys::Oid, level: Level) -> Result<bool> {
    // Accepts invalidations: a level that was just granted or revoked counts.
    relcache::epoch();
    let mut has = false;
    for marked in Level::ALL.iter().filter(|marked| marked.includes(level)) {
        for marker in marked.markers() {
            has |= is_marked(role, marker)?;
        }
    }
    Ok(has)
}

/// Whether a role may execute the function that marks a level, by its own privileges or by those that it inherits.
pub fn is_marked(role: pg_sys::Oid, marker: &CStr) -> Result<bool> {
    may_execute(role, marker).ok_or_else(|| {
        Error::new(Code::JwtNotAvailable, "the functions of the extension are not in this database")
            .hint("Run CREATE EXTENSION dialstack_sessions, or ALTER EXTENSION dialstack_sessions UPDATE.")
    })
}
