//! What is weak about the policies that call our helpers.

use pgrx::prelude::*;

use super::function::{Result, functions};
use crate::pg::roles::AsOwner;
use crate::rls::lint::{self, Finding};

functions! { FUNCTIONS;
    /// Weaknesses of the policies that call the helpers, the worst first; one row each.
    #[level(Admin)]
    #[pg_extern(
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
    > {
        let mut findings = lint::findings(&AsOwner::enter()?)?;
        findings.sort_by_cached_key(|finding| {
            let Finding {
                relation,
                policy,
                weakness,
                detail,
            } = finding;
            (
                weakness.severity,
                relation.to_u32(),
                weakness.name,
                policy.clone(),
                detail.clone(),
            )
        });
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
}
