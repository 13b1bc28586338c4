//! What is wrong with the installation as it stands: settings, keys, publications, maintenance, policies, versions.
//!
//! Only reads, catalogues and small tables alone, so that it works everywhere and takes a moment however many
//! sessions there are.

mod access;
mod keys;
mod kinds;
mod maintenance;
mod policies;
mod settings;
mod versions;

use crate::error::Result;
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::rls::lint::weakness::{Severity, Weakness};

pub use versions::versions;

/// Something that is wrong.
pub struct Finding {
    pub severity: &'static str,
    pub check: &'static str,
    pub detail: String,
    pub hint: &'static str,
    rank: Severity,
}

impl Finding {
    fn new(kind: &'static Weakness, detail: impl Into<String>) -> Self {
        let Weakness { name, severity, hint } = kind;
        Finding { severity: severity.as_str(), check: name, detail: detail.into(), hint, rank: *severity }
    }
}

/// All that is found, the worst first.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the extension's own tables are not what they should be.
pub fn findings() -> Result<Vec<Finding>> {
    let owner = AsOwner::enter()?;
    let now = clock::now();
    let mut found = settings::findings(&owner)?;
    found.extend(keys::findings(&owner, now)?);
    found.extend(access::findings()?);
    found.extend(maintenance::findings(&owner, now)?);
    found.extend(policies::findings(&owner)?);
    found.extend(versions::findings(&owner)?);
    found.sort_by(|one, other| {
        let key = |it: &Finding| (it.rank, it.check);
        key(one).cmp(&key(other)).then_with(|| one.detail.cmp(&other.detail))
    });
    Ok(found)
}
