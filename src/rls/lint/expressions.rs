//! How policies call our helpers.

use std::collections::{BTreeSet, HashMap, HashSet};

use pgrx::pg_sys;

use super::Finding;
use super::weakness::{NO_INDEX, NOT_BOUND, NOT_WRAPPED, TOO_DEEP, Weakness};
use crate::error::Result;
use crate::pg::catalog::expression::{Kind, Node, StoredExpression};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

/// The functions that policies can call: name, where the argument `product` stands (`env` follows it), whether there
/// is a form with that argument of those that answer about the current session, and whether another must say the product.
static HELPERS: Statement = Statement::new(
    "SELECT p.oid, p.proname::text, array_position(p.proargnames, 'product') - 1, \
            coalesce(bool_or(p.provolatile = 's' AND 'product' = ANY (p.proargnames)) \
                         OVER (PARTITION BY p.proname), false), \
            p.proname IN ('current_data', 'current_scopes') \
       FROM pg_catalog.pg_proc p \
      WHERE p.pronamespace = 'dialstack'::regnamespace AND p.provolatile <> 'i'",
);

static POLICIES: Statement = Statement::new(
    "SELECT p.polrelid, p.polname::text, c.relkind = 'p', p.polqual, p.polwithcheck \
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

/// A function of ours that policies call.
struct Helper {
    name: String,
    /// Where its argument `product` stands, which `env` follows.
    product: Option<usize>,
    /// Whether its answer means something only within one product: an account id of one is
    /// somebody else's in another.
    compares: bool,
    /// The same, and no form of it takes a product.
    needs_company: bool,
}

impl Helper {
    /// Whether product and environment are written into a call with these arguments.
    fn is_bound(&self, arguments: &[Node<'_>]) -> bool {
        let is_written = |at: usize| {
            let argument = arguments.get(at).map(|it| it.without_relabelling().kind());
            matches!(argument, Some(Kind::Constant { is_null: false }))
        };
        self.product.is_some_and(|product| is_written(product) && is_written(product + 1))
    }
}

/// A column that is compared with a helper's answer.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Comparison {
    column: i16,
    operator: pg_sys::Oid,
    collation: pg_sys::Oid,
}

/// What an expression does with our helpers, each once.
#[derive(Default)]
struct Uses<'a> {
    /// Those that a statement calls for each row.
    not_wrapped: BTreeSet<&'a str>,
    /// Those that are not held to a product and an environment.
    not_bound: BTreeSet<&'a str>,
    /// Those that cannot be held to a product by themselves.
    need_company: BTreeSet<&'a str>,
    /// Whether another one says which product it must be.
    says_where: bool,
    /// The columns that their answers are compared with.
    comparisons: HashSet<Comparison>,
}

type Helpers = HashMap<pg_sys::Oid, Helper>;

struct Reading<'a> {
    helpers: &'a Helpers,
    uses: Uses<'a>,
}

impl Reading<'_> {
    /// Looks at a node and those below it. `query` says of the innermost sub-select around it whether a
    /// statement evaluates that once.
    fn visit(&mut self, node: Node<'_>, query: Option<bool>) {
        let mut inner = query;
        match node.kind() {
            Kind::Call { function, arguments } => self.call(function, &arguments, query),
            Kind::Comparison { operator, collation, sides: [left, right] } if query.is_none() => {
                for (side, other) in [(left, right), (right, left)] {
                    if let Some(column) = own_column(side)
                        && self.calls_helper(other)
                    {
                        self.uses.comparisons.insert(Comparison { column, operator, collation });
                    }
                }
            }
            Kind::Query { .. } => inner = Some(is_evaluated_once(node)),
            _ => {}
        }
        for child in node.children() {
            self.visit(child, inner);
        }
    }

    fn call(&mut self, function: pg_sys::Oid, arguments: &[Node<'_>], query: Option<bool>) {
        let Some(helper) = self.helpers.get(&function) else {
            return;
        };
        if query != Some(true) {
            self.uses.not_wrapped.insert(&helper.name);
        }
        if helper.needs_company {
            self.uses.need_company.insert(&helper.name);
        }
        let is_bound = helper.is_bound(arguments);
        if helper.compares && !is_bound {
            self.uses.not_bound.insert(&helper.name);
        }
        self.uses.says_where |= is_bound || helper.name == "current_product";
    }

    fn calls_helper(&self, node: Node<'_>) -> bool {
        matches!(node.kind(), Kind::Call { function, .. } if self.helpers.contains_key(&function))
            || node.children().into_iter().any(|it| self.calls_helper(it))
    }
}

/// Whether a statement evaluates a sub-select once: it reads no table and does not look at a row around
/// it.
fn is_evaluated_once(query: Node<'_>) -> bool {
    let reads_tables = matches!(query.kind(), Kind::Query { reads_tables: true });
    !reads_tables && !query.children().into_iter().any(|it| looks_outside(it, 0))
}

/// Whether a column of a query that is more than `depth` levels further out is among these nodes.
fn looks_outside(node: Node<'_>, depth: u32) -> bool {
    let depth = match node.kind() {
        Kind::Column { levels_up, .. } => return levels_up > depth,
        Kind::Query { .. } => depth + 1,
        _ => depth,
    };
    node.children().into_iter().any(|it| looks_outside(it, depth))
}

/// The number of the column that a node is, of the policy's own table.
fn own_column(node: Node<'_>) -> Option<i16> {
    match node.without_relabelling().kind() {
        Kind::Column { number, levels_up: 0 } if number > 0 => Some(number),
        _ => None,
    }
}

struct Policy {
    relation: pg_sys::Oid,
    name: String,
    is_partitioned: bool,
    using: Option<StoredExpression>,
    check: Option<StoredExpression>,
}

/// What is wrong with how policies call our helpers.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let helpers: Helpers = HELPERS
        .read(owner, &[], |row| {
            let helper = Helper {
                name: row.required(2)?,
                product: row.get::<i32>(3)?.and_then(|at| usize::try_from(at).ok()),
                compares: row.required(4)?,
                needs_company: row.required(5)?,
            };
            Ok((row.required(1)?, helper))
        })?
        .into_iter()
        .collect();
    let policies = POLICIES.read(owner, &[], |row| {
        Ok(Policy {
            relation: row.required(1)?,
            name: row.required(2)?,
            is_partitioned: row.required(3)?,
            using: row.get(4)?,
            check: row.get(5)?,
        })
    })?;
    let mut found = Vec::new();
    for policy in &policies {
        of_policy(owner, policy, &helpers, &mut found)?;
    }
    Ok(found)
}

fn of_policy(owner: &AsOwner, policy: &Policy, helpers: &Helpers, found: &mut Vec<Finding>) -> Result<()> {
    let mut reading = Reading { helpers, uses: Uses::default() };
    let mut too_deep = false;
    let mut read = |expression: &Option<StoredExpression>| {
        if let Some(expression) = expression {
            let read = expression.read(|root| reading.visit(root, None));
            too_deep |= read.is_none();
        }
        reading.uses.comparisons.clone()
    };
    // An index serves those rows that are looked for, not those that are written.
    let comparisons = read(&policy.using);
    read(&policy.check);
    let mut add = |weakness: &'static Weakness, detail: String| {
        let name = Some(policy.name.clone());
        found.push(Finding { relation: policy.relation, policy: name, weakness, detail });
    };
    let Uses { not_wrapped, mut not_bound, need_company, says_where, .. } = reading.uses;
    if !says_where {
        not_bound.extend(need_company);
    }
    if too_deep {
        add(&TOO_DEEP, "It is too deep or too long to be read.".to_owned());
    }
    if !not_wrapped.is_empty() {
        add(&NOT_WRAPPED, called(&not_wrapped, "for each row"));
    }
    if !not_bound.is_empty() {
        add(&NOT_BOUND, called(&not_bound, "without a product and an environment"));
    }
    if policy.is_partitioned {
        return Ok(());
    }
    for comparison in comparisons {
        let Comparison { column, operator, collation } = comparison;
        let arguments = [bind(policy.relation), bind(column), bind(operator), bind(collation)];
        for detail in UNINDEXED.read(owner, &arguments, |row| row.required(1))? {
            add(&NO_INDEX, detail);
        }
    }
    Ok(())
}

fn called(helpers: &BTreeSet<&str>, how: &str) -> String {
    let names: Vec<String> = helpers.iter().map(|name| format!("dialstack.{name}()")).collect();
    format!("It calls {} {how}.", names.join(", "))
}
