//! Lists of sessions, and all about one.

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::uuid::uuid;
use crate::service::keys::key_ring;
use crate::service::setup::configuration;
use crate::service::{caller, required};
use crate::session::{Page, check_identifier};
use crate::tables::sessions::list::{self as stored, Filter, Info, Listed};

/// The arguments of `session_list`.
pub struct List<'a> {
    pub product: Option<&'a str>,
    pub env: Option<&'a str>,
    pub tag: Option<&'a str>,
    pub identifier: Option<&'a str>,
    pub page: Option<i32>,
    pub per_page: Option<i32>,
    pub active_only: Option<bool>,
    pub with_total: Option<bool>,
}

/// A page of a definition's sessions in one environment, and how many there are on all pages.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; those of
/// [`caller::narrow`].
pub fn list(call: &List<'_>) -> Result<(Vec<Listed>, Option<i64>)> {
    let code = Code::ListFailed;
    let page = Page::new(call.page, call.per_page).coded(code)?;
    let product = required(call.product, "product", code)?;
    let env = required(call.env, "env", code)?;
    let tag = required(call.tag, "tag", code)?;
    let active_only = required(call.active_only, "active_only", code)?;
    let with_total = required(call.with_total, "with_total", code)?;
    if let Some(identifier) = call.identifier {
        check_identifier("identifier", identifier).coded(code)?;
    }
    let env = configuration::env(product, env)?;
    caller::narrow(env.env_id)?;
    let filter = Filter {
        env_id: env.env_id,
        definition_id: configuration::definition(&env.product_id, tag)?.definition_id,
        identifier: call.identifier,
        active_only,
    };
    stored::list(&filter, &page, with_total)
}

/// One session of any family, dead or alive.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `LIST_FAILED` for NULL; those of [`caller::narrow`].
pub fn info(session_id: Option<pgrx::Uuid>) -> Result<Info> {
    let session_id = uuid(required(session_id, "session_id", Code::ListFailed)?);
    let mut info = stored::info(&session_id, clock::now())?.ok_or_else(|| {
        Error::new(Code::SessionNotFound, "there is no session with that id")
            .hint("It may have been purged, or never existed; dialstack.session_list() shows what there is.")
    })?;
    caller::narrow(info.env_id)?;
    if let Some(sealed) = &info.sealed_key {
        let key = key_ring::open_identifier_key(info.env_id, sealed)?;
        info.listed.identifier = key.map(|key| key.to_string());
    }
    Ok(info)
}
