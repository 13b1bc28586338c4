//! Protected tables whose policies, or the comments on them, are not what `protect_table` makes.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;

use pgrx::PgSqlErrorCode;

use super::Finding;
use super::weakness::{BUSY, NOT_COUNTED, NOT_REGISTERED, PLACE_GONE, POLICY_CHANGED, ROLE_GONE, Weakness};
use crate::error::Result;
use crate::pg::catalog::expression::StoredExpression;
use crate::pg::catalog::relation::OpenRelation;
use crate::pg::catalog::table::{self, Table};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::rls::device_count::{self, Uncountable};
use crate::rls::registry::{ACCESS, OPEN, Registration};

/// Our policies with their comments. A comment of ours is much shorter than what is read of one.
static POLICIES: Statement = Statement::new(
    "SELECT p.polrelid, format('%I.%I', n.nspname, c.relname), \
                 left(obj_description(p.oid, 'pg_policy'), 100000), \
                 p.polqual, p.polwithcheck, \
                 p.polcmd = '*' AND p.polpermissive AND p.polroles = '{0}'::oid[], \
                 c.relforcerowsecurity, \
                 NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i \
                               JOIN pg_catalog.pg_policy w \
                                 ON w.polrelid = i.inhparent AND w.polname = p.polname \
                              WHERE i.inhrelid = c.oid), \
                 ARRAY(SELECT r.rolname::text FROM unnest(o.polroles) AS u (role) \
                         LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.role) \
            FROM pg_catalog.pg_policy p \
            JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            LEFT JOIN pg_catalog.pg_policy o \
              ON o.polrelid = p.polrelid AND o.polname = 'dialstack_sessions_open' \
           WHERE p.polname = 'dialstack_sessions_access'",
);

static ROLES: Statement = Statement::new("SELECT r.rolname::text FROM pg_catalog.pg_roles r");

/// What is gone of product, environment, tag and scope: a session of what is gone reaches nothing.
static GONE: Statement = Statement::new(
    "SELECT g.detail \
            FROM (VALUES (1)) AS one (row) \
            LEFT JOIN dialstack.products p ON p.product = $1 \
           CROSS JOIN LATERAL ( \
                 SELECT 'The product is gone.' WHERE p.product IS NULL \
                  UNION ALL \
                 SELECT format('The product has no environment %s.', $2) \
                  WHERE p.product IS NOT NULL \
                    AND NOT EXISTS (SELECT FROM dialstack.environments e \
                                     WHERE e.product_id = p.product_id AND e.env = $2) \
                  UNION ALL \
                 SELECT format('The product has no session definition with tag %s.', $3) \
                  WHERE p.product IS NOT NULL AND $3 IS NOT NULL \
                    AND NOT EXISTS (SELECT FROM dialstack.session_definitions s \
                                     WHERE s.product_id = p.product_id AND s.tag = $3) \
                  UNION ALL \
                 SELECT format('The product has no scope %s.', $4) \
                  WHERE p.product IS NOT NULL AND $4 IS NOT NULL \
                    AND NOT EXISTS (SELECT FROM dialstack.scopes s \
                                     WHERE s.product_id = p.product_id AND s.scope = $4)) g (detail)",
);

/// A table with our policy that compares a column with the session.
struct Protected {
    table: Table,
    comment: Option<String>,
    /// The conditions on rows that are looked for and on those that are written.
    conditions: [Option<StoredExpression>; 2],
    for_everything: bool,
    forced: bool,
    /// Whether it is no part of a protected table.
    is_whole: bool,
    /// Those whom our other policy lets through; `None` stands for everybody.
    open_to: Vec<Option<String>>,
}

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
        let column = CString::new(registration.column.as_str()).ok();
        let Some(column) = column.and_then(|name| table::column(&self.table, &name).ok()) else {
            return false;
        };
        let condition = registration.sessions().condition(&column);
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
    let tables = POLICIES.read(owner, &[], |row| {
        Ok(Protected {
            table: Table { oid: row.required(1)?, name: row.required(2)? },
            comment: row.get(3)?,
            conditions: [row.get(4)?, row.get(5)?],
            for_everything: row.required(6)?,
            forced: row.required(7)?,
            is_whole: row.required(8)?,
            open_to: row.required(9)?,
        })
    })?;
    let roles = ROLES.read(owner, &[], |row| row.required::<String>(1))?;
    let roles: HashSet<String> = roles.into_iter().collect();
    let mut found = Vec::new();
    let mut gone = HashMap::new();
    for table in &tables {
        let Some(registration) = table.comment.as_deref().and_then(Registration::parse) else {
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
        for detail in what_is_gone(owner, &registration, &mut gone)? {
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

/// What is gone of what the table was protected for; asked once for all tables of one place.
fn what_is_gone(
    owner: &AsOwner,
    of: &Registration,
    known: &mut HashMap<[Option<String>; 4], Vec<String>>,
) -> Result<Vec<String>> {
    let place = [Some(of.product.clone()), Some(of.env.clone()), of.tag.clone(), of.scope.clone()];
    if let Some(details) = known.get(&place) {
        return Ok(details.clone());
    }
    let arguments = place.clone().map(bind);
    let details = GONE.read(owner, &arguments, |row| row.required::<String>(1))?;
    known.insert(place, details.clone());
    Ok(details)
}
