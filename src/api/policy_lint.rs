//! What is weak about the policies that call our helpers.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::roles::AsOwner;
use crate::rls::lint;

/// One row a weakness, the worst first.
#[pg_extern(
    schema = "dialstack",
    stable,
    parallel_unsafe,
    sql = "CREATE FUNCTION dialstack.policy_lint() RETURNS TABLE (relation regclass, policy text, \
           severity text, weakness text, detail text, hint text) \
           LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn policy_lint() -> Result<
    TableIterator<
        'static,
        (
            name!(relation, pg_sys::Oid),
            name!(policy, Option<String>),
            name!(severity, &'static str),
            name!(weakness, &'static str),
            name!(detail, String),
            name!(hint, &'static str),
        ),
    >,
    ErrorReport,
> {
    let findings = lint::findings(&AsOwner::enter()?)?;
    Ok(TableIterator::new(findings.into_iter().map(|finding| {
        (
            finding.relation,
            finding.policy,
            finding.weakness.severity.as_str(),
            finding.weakness.name,
            finding.detail,
            finding.weakness.hint,
        )
    })))
}
