//! The errors of `policy_lint()`, as findings.

use pgrx::PgSqlErrorCode;

use super::Finding;
use super::kinds::{OWNER_NOT_BOUND, POLICIES_NOT_JUDGED, POLICY_LINT};
use super::statements::MOST_SHOWN;
use crate::error::Result;
use crate::pg::catalog::table::relation_name;
use crate::pg::clock::{Micros, SECOND};
use crate::pg::deadline::Deadline;
use crate::pg::roles::AsOwner;
use crate::pg::transaction::subtransaction::recovering;
use crate::rls::lint::{self, weakness};

/// The longest that judging the policies may take.
const MOST: Micros = 5 * SECOND;

pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let deadline = Deadline::within(MOST);
    let judge = || {
        let errors = lint::errors(owner)?;
        deadline.end();
        Ok(Some(errors))
    };
    let errors = recovering(owner, judge, |code, _| {
        (code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED && deadline.is_over()).then_some(Ok(None))
    })?;
    let Some(errors) = errors else {
        return Ok(vec![Finding::new(&POLICIES_NOT_JUDGED, "It takes too long for a health check.")]);
    };
    let mut found = Vec::new();
    for error in errors.iter().take(MOST_SHOWN) {
        let (table, detail) = (relation_name(error.relation).unwrap_or_default(), &error.detail);
        if std::ptr::eq(error.weakness, &weakness::OWNER_NOT_BOUND) {
            found.push(Finding::new(&OWNER_NOT_BOUND, format!("Table {table}: {detail}")));
            continue;
        }
        let policy = error.policy.as_ref().map(|policy| format!(", policy {policy}")).unwrap_or_default();
        let detail = format!("Table {table}{policy}: {}. {detail}", error.weakness.name);
        found.push(Finding { hint: error.weakness.hint, ..Finding::new(&POLICY_LINT, detail) });
    }
    if errors.len() > MOST_SHOWN {
        let more = format!("There are {} more.", errors.len() - MOST_SHOWN);
        found.push(Finding::new(&POLICY_LINT, more));
    }
    Ok(found)
}
