//! Weaknesses of the policies that call our helpers, and of the tables that are protected. Reads
//! catalogues only, but that tables of devices are looked at as their owners.

pub mod checks;
mod expressions;
mod registrations;
pub mod weakness;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use weakness::{Severity, Weakness};

/// A weakness that was found.
pub struct Finding {
    pub relation: pg_sys::Oid,
    /// The policy, where it is one's.
    pub policy: Option<String>,
    pub weakness: &'static Weakness,
    pub detail: String,
}

/// Every weakness that can be seen, the worst first.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = in_catalogues(owner)?;
    found.extend(registrations::uncounted(owner)?);
    sort(&mut found);
    Ok(found)
}

/// Those by which rows may be seen or changed that the policies should keep back; no table is looked at.
pub fn errors(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = in_catalogues(owner)?;
    found.retain(|finding| finding.weakness.severity == Severity::Error);
    sort(&mut found);
    Ok(found)
}

fn in_catalogues(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = expressions::findings(owner)?;
    found.extend(registrations::findings(owner)?);
    found.extend(checks::findings(owner)?);
    Ok(found)
}

fn sort(found: &mut [Finding]) {
    fn key(it: &Finding) -> impl Ord {
        (it.weakness.severity, it.relation.to_u32(), it.weakness.name, &it.policy, &it.detail)
    }
    found.sort_by(|one, other| key(one).cmp(&key(other)));
}
