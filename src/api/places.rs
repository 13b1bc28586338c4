//! Whose user sessions are meant: environments of a product, and a definition.

use super::required;
use crate::error::{Code, Result};
use crate::service::caller::{self, Envs};
use crate::service::configuration;

/// A definition's sessions in some environments.
pub(super) struct UserSessionsOf {
    pub(super) envs: Envs,
    pub(super) definition_id: i32,
}

/// Of the environment named, or of all of the product; an API key narrows them to its own.
///
/// # Errors
/// `code` for what is NULL; those of [`caller::envs`]; `DEFINITION_NOT_FOUND`.
pub(super) fn user_sessions_of(
    product: Option<&str>,
    tag: Option<&str>,
    env: Option<&str>,
    code: Code,
) -> Result<UserSessionsOf> {
    let product = required(product, "product", code)?;
    let tag = required(tag, "tag", code)?;
    Ok(UserSessionsOf {
        envs: caller::envs(product, env)?,
        definition_id: definition_id(product, tag)?,
    })
}

/// The number of a product's definition.
pub(super) fn definition_id(product: &str, tag: &str) -> Result<i32> {
    let product_id = configuration::product_id(product)?;
    Ok(configuration::definition(&product_id, tag)?.definition_id)
}
