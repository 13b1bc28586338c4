//! Administration by sets: finding, counting and revoking the sessions that one filter matches.

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::FromRow;
use crate::service::revocation::revocations::{self, Which};
use crate::service::revocation::revoke::Stored;
use crate::service::setup::configuration;
use crate::service::{caller, required};
use crate::session::filter::{check_kind, check_network, check_pattern};
use crate::session::{Page, check_identifier, check_name};
use crate::tables::session_sets::{self, Filter, Matching};
use crate::tables::{definitions, products};
use uuid::Uuid;

const CODE: Code = Code::FindFailed;

/// The filter as SQL takes it.
fn matching<'a>(filter: &Filter<'a>) -> Result<Matching<'a>> {
    if filter.identifier.is_some() && filter.account.is_some() {
        return Err(
            Error::new(CODE, "identifier and account are both given").hint("Name the user or the account.")
        );
    }
    check_identifier("identifier", filter.identifier).coded(CODE)?;
    check_identifier("account", filter.account).coded(CODE)?;
    filter.kind.map_or(Ok(()), check_kind).coded(CODE)?;
    filter.ip.map_or(Ok(()), check_network).coded(CODE)?;
    filter.user_agent.map_or(Ok(()), check_pattern).coded(CODE)?;
    Ok(Matching {
        env_ids: env_ids(filter, filter.identifier.or(filter.account).is_some())?,
        definition_ids: definition_ids(filter, filter.identifier.is_some())?,
        filter: *filter,
    })
}

/// The environments that the filter names; with `all` also where it names none.
fn env_ids(filter: &Filter<'_>, all: bool) -> Result<Option<Vec<i32>>> {
    let Filter { product, env, .. } = *filter;
    if let (Some(product), Some(env)) = (product, env) {
        return Ok(Some(vec![configuration::env(product, env)?.env_id]));
    }
    let product_id = product.map(configuration::product_id).transpose()?;
    if product_id.is_none() && env.is_none() && !all {
        return Ok(None);
    }
    let mut envs = products::all_envs()?;
    envs.retain(|row| {
        product_id.is_none_or(|id| row.product_id == id) && env.is_none_or(|env| row.env == env)
    });
    let env_ids: Vec<i32> = envs.into_iter().map(|row| row.env_id).collect();
    if let (Some(env), true) = (env, env_ids.is_empty()) {
        check_name("env", env).coded(CODE)?;
        return Err(Error::new(Code::EnvNotFound, "no product has an environment of that name")
            .hint("dialstack.env_list() shows those that there are; names are case-sensitive."));
    }
    Ok(Some(env_ids))
}

/// The definitions that the filter names; with `all` also where it names none.
fn definition_ids(filter: &Filter<'_>, all: bool) -> Result<Option<Vec<i32>>> {
    let Filter { product, tag, .. } = *filter;
    let product_id = product.map(configuration::product_id).transpose()?;
    if let (Some(product_id), Some(tag)) = (&product_id, tag) {
        return Ok(Some(vec![configuration::definition(product_id, tag)?.definition_id]));
    }
    if tag.is_none() && !all {
        return Ok(None);
    }
    let definition_ids = definitions::ids(product_id.as_ref(), tag)?;
    if let (Some(tag), true) = (tag, definition_ids.is_empty()) {
        check_name("tag", tag).coded(CODE)?;
        return Err(Error::new(
            Code::DefinitionNotFound,
            "no product has a session definition with that tag",
        )
        .hint("dialstack.definition_list() shows those of a product; tags are case-sensitive."));
    }
    Ok(Some(definition_ids))
}

/// A page of the sessions that match, newest first: those behind the session `after`. One user's or account's are
/// found through an index; else all sessions are read.
///
/// # Errors
/// `FIND_FAILED` for arguments that are not valid; `SESSION_NOT_FOUND` for an `after` that is no session;
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; `PERMISSION_DENIED` with an API key.
pub fn find<R: FromRow>(
    filter: &Filter<'_>,
    active_only: Option<bool>,
    after: Option<pgrx::Uuid>,
    per_page: Option<i32>,
) -> Result<Vec<R>> {
    caller::without_key()?;
    let active_only = required(active_only, "active_only", CODE)?;
    let page = Page::new(Some(1), per_page).coded(CODE)?;
    let matching = matching(filter)?;
    let after = after.map(|id| place_of(uuid(id))).transpose()?;
    session_sets::find(&matching, active_only, after, page.limit, clock::now())
}

/// Where a session stands in the order of pages.
fn place_of(session_id: Uuid) -> Result<(Micros, Uuid)> {
    let stored = Stored::find(&session_id)?.ok_or_else(|| {
        Error::new(Code::SessionNotFound, "after is the id of no session")
            .hint("Give the last session_id of the page before; start again where it has been purged.")
    })?;
    Ok((stored.created_at, session_id))
}

/// How many sessions match.
///
/// # Errors
/// As [`find`].
pub fn count(filter: &Filter<'_>, active_only: Option<bool>) -> Result<i64> {
    caller::without_key()?;
    let active_only = required(active_only, "active_only", CODE)?;
    session_sets::count(&matching(filter)?, active_only, clock::now())
}

/// Revokes the living sessions that match, or with `dry_run` counts them; returns how many. An empty filter needs
/// `everything`. Creates, verifies and refreshes of other sessions go on meanwhile; a session that is created later is
/// not among them.
///
/// # Errors
/// As [`find`]; `REVOKE_FAILED` for a reason that is not valid, and for an empty filter without `everything`; 40001
/// where a session was changed after the transaction's snapshot (REPEATABLE READ and above).
pub fn revoke(
    filter: &Filter<'_>,
    dry_run: Option<bool>,
    reason: Option<&str>,
    everything: Option<bool>,
) -> Result<i64> {
    caller::without_key()?;
    let code = Code::RevokeFailed;
    let dry_run = required(dry_run, "dry_run", code)?;
    let everything = required(everything, "everything", code)?;
    let cause = revocations::because(reason)?;
    let matching = matching(filter)?;
    let now = clock::now();
    if dry_run {
        return session_sets::count(&matching, true, now);
    }
    if *filter == Filter::default() && !everything {
        return Err(Error::new(code, "the filter is empty: it means every session")
            .hint("Name what to revoke, or add everything => true."));
    }
    let which = Which::Matching(&matching);
    revocations::revoke(&AsOwner::enter()?, &which, cause, now)
}
