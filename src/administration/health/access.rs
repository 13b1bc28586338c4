//! The findings of `access_of_roles()`.

use super::Finding;
use super::kinds::ACCESS_LIMIT;
use crate::error::Result;
use crate::service::role_access;

/// More are counted only.
const MOST_SHOWN: usize = 100;

/// Role, level, whether it is limited, product, environment and what is wrong, as `access_of_roles()` shows them.
type RoleAccess = (String, String, bool, Option<String>, Option<String>, Option<String>);

/// What is wrong with the limits of access levels.
pub fn findings() -> Result<Vec<Finding>> {
    let mut details = Vec::new();
    for (role, level, _limited, product, env, finding) in role_access::list::<RoleAccess>()? {
        let Some(finding) = finding else {
            continue;
        };
        let place = [product, env].into_iter().flatten().collect::<Vec<_>>().join("/");
        let place = if place.is_empty() { place } else { format!(" for {place}") };
        details.push(format!("Role {role}, level {level}{place}: {finding}."));
    }
    let more = details.len().saturating_sub(MOST_SHOWN);
    details.truncate(MOST_SHOWN);
    if more > 0 {
        details.push(format!("There are {more} more."));
    }
    Ok(details.into_iter().map(|detail| Finding::new(&ACCESS_LIMIT, detail)).collect())
}
