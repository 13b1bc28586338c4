//! The findings of `access_of_roles()`.

use super::Finding;
use super::kinds::ACCESS_LIMIT;
use crate::error::Result;
use crate::service::role_access;

/// More are counted only.
const MOST_SHOWN: usize = 100;

/// What is wrong with the limits of access levels.
pub fn findings() -> Result<Vec<Finding>> {
    let mut details = Vec::new();
    for access in role_access::list()? {
        let Some(finding) = access.finding else {
            continue;
        };
        let place = [access.product, access.env].into_iter().flatten().collect::<Vec<_>>().join("/");
        let place = if place.is_empty() { place } else { format!(" for {place}") };
        details.push(format!("Role {}, level {}{place}: {finding}.", access.role, access.level));
    }
    let more = details.len().saturating_sub(MOST_SHOWN);
    details.truncate(MOST_SHOWN);
    if more > 0 {
        details.push(format!("There are {more} more."));
    }
    Ok(details.into_iter().map(|detail| Finding::new(&ACCESS_LIMIT, detail)).collect())
}
