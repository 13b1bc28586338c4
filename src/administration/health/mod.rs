//! What is wrong with the installation as it stands: settings, keys, publications, maintenance, policies, versions.
//!
//! Only reads, catalogues and small tables alone, so that it works everywhere and takes a moment however many
//! sessions there are.

mod kinds;
mod library;
mod policies;
mod statements;

use std::ffi::CStr;

use crate::error::Result;
use crate::guc;
use crate::pg::roles::AsOwner;
use crate::rls::lint::weakness::Weakness;
use crate::service::keys::key_ring;

pub use library::versions;

/// Longest value of a setting that is looked at.
const MAX_VALUE: usize = 65_536;

pub struct Finding {
    pub kind: &'static Weakness,
    pub detail: String,
    pub hint: &'static str,
}

impl Finding {
    fn new(kind: &'static Weakness, detail: impl Into<String>) -> Self {
        Finding { kind, detail: detail.into(), hint: kind.hint }
    }
}

/// All that is found, the worst first.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension's own tables are not what they should be.
pub fn findings() -> Result<Vec<Finding>> {
    let owner = AsOwner::enter()?;
    let mut found = statements::findings(&owner)?;
    if let Err(error) = key_ring::ring() {
        found.push(Finding::new(&kinds::KEYS_NOT_AVAILABLE, error.message()));
    }
    found.extend(library::findings(&owner)?);
    found.extend(policies::findings(&owner)?);
    found.sort_by(|one, other| {
        let key = |it: &Finding| (it.kind.severity, it.kind.name);
        key(one).cmp(&key(other)).then_with(|| one.detail.cmp(&other.detail))
    });
    Ok(found)
}

/// The value that a setting has in this connection; none where there is no such setting.
fn value(name: &CStr) -> Option<String> {
    guc::foreign(name, MAX_VALUE).ok().flatten()
}
