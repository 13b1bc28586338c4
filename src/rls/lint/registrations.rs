//! Protected tables whose policies, or the comments on them, are not what `protect_table` makes.

use std::collections::HashSet;

use pgrx::PgSqlErrorCode;

use super::Finding;
use super::weakness::{BUSY, NOT_COUNTED, NOT_REGISTERED, PLACE_GONE, POLICY_CHANGED, ROLE_GONE, Weakness};
use crate::error::Result;
use crate::pg::catalog::expression::StoredExpression;
use crate::pg::catalog::relation::OpenRelation;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;
use crate::rls::device_count::{self, Uncountable};
use crate::rls::protected::{self, Protected};
use crate::rls::registry::{ACCESS, OPEN, Registration};
use crate::tables::{definitions, products, scopes};

static ROLES: Statement = Statement::new("SELECT r.rolname::text FROM pg_catalog.pg_roles r");

impl Protected {
    fn finding(
        &self,
        weakness: &'static Weakness,
        policy: &'static str,
        detail: impl Into<String>,
    ) -> Finding {
        Finding { relation: self.table.oid, policy: Some(policy.to_owned()), weakness, detail: detail.into() }
    }

    /// Whether the policy is the one that `protect_table` would make of the registration today. The table
    /// is open, so that nobody renames its columns meanwhile.
    fn is_as_registered(&self, table: &OpenRelation, registration: &Registration) -> bool {
        let Ok(column) = registration.column(&self.table) else {
            return false;
        };
        let condition = registration.condition(&column);
        let is = |stored: &Option<StoredExpression>| {
            stored.as_ref().is_some_and(|stored| stored.is(table, &condition))
        };
        self.for_everything && self.conditions.iter().all(is)
    }

    /// What contradicts the registration.
    fn contradictions(&self, registration: &Registration, found: &mut Vec<Finding>) {
        let mut changed = |policy, detail| found.push(self.finding(&POLICY_CHANGED, policy, detail));
        let open = OpenRelation::open_now(self.table.oid);
        if open.as_ref().is_some_and(|table| !self.is_as_registered(table, registration)) {
            changed(ACCESS, "It is not what protect_table() would make of its comment.");
        }
        if registration.force && !self.forced {
            changed(ACCESS, "By its comment the owner is bound, but row-level security is not forced.");
        }
        let is_registered =
            |role: &Option<String>| role.as_ref().is_some_and(|role| registration.open_to.contains(role));
        if !self.open_to.iter().all(is_registered) {
            changed(OPEN, "It lets other roles through than those of open_to.");
        }
        if open.is_none() {
            found.push(self.finding(&BUSY, ACCESS, "It is locked, or being dropped."));
        }
    }
}

/// What is wrong with the policies that bear our names.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let tables = protected::tables(owner)?;
    let roles = ROLES.read(owner, &[], |row| row.required::<String>(1))?;
    let roles: HashSet<String> = roles.into_iter().collect();
    let mut found = Vec::new();
    for table in &tables {
        let Some(registration) = table.registration() else {
            let detail = match table.comment {
                None => "The comment is missing in which protect_table() says how it was protected.",
                Some(_) => "Its comment is not one that protect_table() writes.",
            };
            found.push(table.finding(&NOT_REGISTERED, ACCESS, detail));
            continue;
        };
        table.contradictions(&registration, &mut found);
        if !table.is_whole {
            continue;
        }
        for role in &registration.open_to {
            if !roles.contains(role) {
                let detail = format!("Role {role:?} of open_to is gone.");
                found.push(table.finding(&ROLE_GONE, OPEN, detail));
            }
        }
        for detail in what_is_gone(&registration)? {
            found.push(Finding { policy: None, ..table.finding(&PLACE_GONE, ACCESS, detail) });
        }
    }
    Ok(found)
}

/// The five characters of an SQLSTATE, which the server packs six bits each.
fn sqlstate(code: PgSqlErrorCode) -> String {
    let character = |n: i32| (code as i32 >> (6 * n) & 0x3f) as u8 + b'0';
    (0..5).map(|n| char::from(character(n))).collect()
}

/// Tables of devices that can't be counted as their owners.
pub fn uncounted(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for table in device_count::tables(owner, None)? {
        let detail = match device_count::count(owner, std::slice::from_ref(&table), &[])? {
            Ok(_) => continue,
            Err(Uncountable::Slow) => "Looking at it takes too long.".to_owned(),
            Err(Uncountable::Failed(code)) => {
                format!("Looking at it fails with SQLSTATE {}.", sqlstate(code))
            }
        };
        found.push(Finding { relation: table.oid, policy: None, weakness: &NOT_COUNTED, detail });
    }
    Ok(found)
}

/// What is gone of product, environment, tag and scope: a session of what is gone reaches nothing.
fn what_is_gone(of: &Registration) -> Result<Vec<String>> {
    let Some(product_id) = products::id(&of.product)? else {
        return Ok(vec!["The product is gone.".to_owned()]);
    };
    let mut gone = Vec::new();
    if products::env_by_name(&product_id, &of.env)?.is_none() {
        gone.push(format!("The product has no environment {}.", of.env));
    }
    if let Some(tag) = &of.tag
        && definitions::by_tag(&product_id, tag)?.is_none()
    {
        gone.push(format!("The product has no session definition with tag {tag}."));
    }
    if let Some(scope) = &of.scope
        && !scopes::names(&product_id)?.contains(scope)
    {
        gone.push(format!("The product has no scope {scope}."));
    }
    Ok(gone)
}
