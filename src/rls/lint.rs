//! Weaknesses of the policies that call our helpers, and of the tables that are registered. Reads
//! catalogues only.

use std::collections::HashMap;
use std::ffi::CString;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::catalog::policy_tree::{self, Findings, Helper};
use crate::pg::catalog::table::{self, Table};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::rls::lint_checks::{CHECKS, REGISTERED};
use crate::rls::protect::{ACCESS, By, Sessions};
use crate::rls::weakness::{NO_INDEX, NOT_BOUND, NOT_WRAPPED, POLICY_CHANGED, Weakness};

/// A weakness that was found.
pub struct Finding {
    /// The table.
    pub relation: pg_sys::Oid,
    /// The policy, where it is one's.
    pub policy: Option<String>,
    /// What kind of weakness.
    pub weakness: &'static Weakness,
    /// What exactly.
    pub detail: String,
}

static HELPERS: Statement = Statement::new(
    "SELECT p.oid, p.proname::text, p.pronargs::integer FROM pg_catalog.pg_proc p \
           WHERE p.pronamespace = 'dialstack'::regnamespace AND p.provolatile <> 'i'",
);

static POLICIES: Statement = Statement::new(
    "SELECT p.polrelid, p.polname::text, c.relkind::text, p.polqual::text, \
                 p.polwithcheck::text \
            FROM pg_catalog.pg_policy p \
            JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
           WHERE EXISTS (SELECT FROM pg_catalog.pg_depend d \
                           JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid \
                          WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
                            AND d.refclassid = 'pg_proc'::regclass \
                            AND f.pronamespace = 'dialstack'::regnamespace)",
);

/// The column, where no index begins with it that the operator can use. Of a partitioned table the
/// partitions answer, each for itself. No collation is bound as NULL.
static UNINDEXED: Statement = Statement::new(
    "SELECT format('Column %I is compared in every query.', a.attname) \
            FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = $1 AND a.attnum = $2 \
             AND NOT EXISTS ( \
                 SELECT FROM pg_catalog.pg_index i \
                   JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] \
                   JOIN pg_catalog.pg_amop m \
                     ON m.amopfamily = o.opcfamily AND m.amopopr = $3 AND m.amoppurpose = 's' \
                  WHERE i.indrelid = $1 AND i.indkey[0] = $2 AND i.indcollation[0] = coalesce($4, 0::oid) \
                    AND i.indisvalid AND i.indpred IS NULL)",
);

/// Every weakness that can be seen, sorted by nothing.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = of_expressions(owner)?;
    found.extend(of_changed_policies(owner)?);
    for (weakness, check) in CHECKS {
        let rows = check.read(owner, &[], |row| {
            Ok(Finding {
                relation: row.required(1)?,
                policy: row.get(2)?,
                weakness,
                detail: row.required(3)?,
            })
        })?;
        found.extend(rows);
    }
    Ok(found)
}

struct PolicyRow {
    relation: pg_sys::Oid,
    policy: String,
    partitioned: bool,
    using: Option<String>,
    check: Option<String>,
}

/// What is wrong with how policies call our helpers.
fn of_expressions(owner: &AsOwner) -> Result<Vec<Finding>> {
    let helpers: HashMap<pg_sys::Oid, Helper> = HELPERS
        .read(owner, &[], |row| {
            let arguments: i32 = row.required(3)?;
            let helper = Helper {
                name: row.required(2)?,
                arguments: usize::try_from(arguments).unwrap_or_default(),
            };
            Ok((row.required(1)?, helper))
        })?
        .into_iter()
        .collect();
    let policies = POLICIES.read(owner, &[], |row| {
        Ok(PolicyRow {
            relation: row.required(1)?,
            policy: row.required(2)?,
            partitioned: row.required::<String>(3)? == "p",
            using: row.get(4)?,
            check: row.get(5)?,
        })
    })?;
    let mut found = Vec::new();
    for policy in policies {
        let using = policy.using.as_deref();
        let visible = using.map_or_else(Findings::default, |tree| {
            policy_tree::read(tree, &helpers, Findings::default())
        });
        // An index serves those rows that are looked for, not those that are written.
        let comparisons = visible.comparisons.clone();
        let all = match &policy.check {
            Some(tree) => policy_tree::read(tree, &helpers, visible),
            None => visible,
        };
        let mut add = |weakness: &'static Weakness, detail: String| {
            found.push(Finding {
                relation: policy.relation,
                policy: Some(policy.policy.clone()),
                weakness,
                detail,
            });
        };
        if !all.not_wrapped.is_empty() {
            add(&NOT_WRAPPED, called(&all.not_wrapped, "for each row"));
        }
        if !all.not_bound.is_empty() {
            add(
                &NOT_BOUND,
                called(&all.not_bound, "without a product and an environment"),
            );
        }
        if policy.partitioned {
            continue;
        }
        for comparison in comparisons {
            let arguments = [
                bind(policy.relation),
                bind(comparison.column),
                bind(comparison.operator),
                bind(comparison.collation),
            ];
            for detail in UNINDEXED.read(owner, &arguments, |row| row.required(1))? {
                add(&NO_INDEX, detail);
            }
        }
    }
    Ok(found)
}

/// Policies of ours that somebody altered since.
fn of_changed_policies(owner: &AsOwner) -> Result<Vec<Finding>> {
    let policies = REGISTERED.read(owner, &[], |row| {
        let table = Table {
            oid: row.required(1)?,
            name: row.required(2)?,
        };
        let (product, env): (String, String) = (row.required(4)?, row.required(5)?);
        let (tag, scope): (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
        let sessions = By::parse(&row.required::<String>(6)?).map(|by| Sessions {
            product: &product,
            env: &env,
            tag: tag.as_deref(),
            scope: scope.as_deref(),
            by,
        });
        let column = CString::new(row.required::<String>(3)?).ok();
        let column = column.and_then(|name| table::column(&table, &name).ok());
        let condition = sessions
            .zip(column)
            .map(|(sessions, column)| sessions.condition(&column));
        Ok(Registered {
            relation: table.oid,
            condition,
            trees: [row.get(9)?, row.get(10)?],
            for_everything: row.required(11)?,
        })
    })?;
    let changed = policies.into_iter().filter(|policy| !policy.is_unchanged());
    Ok(changed
        .map(|policy| Finding {
            relation: policy.relation,
            policy: Some(ACCESS.to_string_lossy().into_owned()),
            weakness: &POLICY_CHANGED,
            detail: "It is not what protect_table() would make of the registration.".to_owned(),
        })
        .collect())
}

struct Registered {
    relation: pg_sys::Oid,
    /// The condition that it should have; `None` where the table has no such column any more.
    condition: Option<String>,
    /// Those that it has, on rows that are looked for and on those that are written.
    trees: [Option<String>; 2],
    for_everything: bool,
}

impl Registered {
    fn is_unchanged(&self) -> bool {
        let Some(condition) = &self.condition else {
            return false;
        };
        let is = |tree: &Option<String>| {
            tree.as_ref()
                .is_some_and(|tree| policy_tree::is(tree, self.relation, condition))
        };
        self.for_everything && self.trees.iter().all(is)
    }
}

fn called(helpers: &[String], how: &str) -> String {
    let names: Vec<String> = helpers
        .iter()
        .map(|name| format!("dialstack.{name}()"))
        .collect();
    format!("It calls {} {how}.", names.join(", "))
}
