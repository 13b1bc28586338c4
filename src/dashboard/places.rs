//! Which sessions a list or a figure is of.

use crate::error::{Code, Result};
use crate::service::caller;
use crate::service::level::Level;
use crate::service::required;
use crate::service::setup::configuration;

/// The sessions of a definition in some environments of its product.
pub struct Place {
    pub env_ids: Vec<i32>,
    pub definition_id: i32,
}

/// The sessions of a definition in the environment named, or in all of the product, for the caller of a function of
/// this level; its limits and an API key narrow them.
///
/// # Errors
/// `code` for what is NULL; those of [`caller::env_ids`]; `DEFINITION_NOT_FOUND`.
pub fn place(level: Level, [product, tag, env]: [Option<&str>; 3], code: Code) -> Result<Place> {
    let product = required(product, "product", code)?;
    let tag = required(tag, "tag", code)?;
    Ok(Place { env_ids: caller::env_ids(level, product, env)?, definition_id: definition_id(product, tag)? })
}

/// The number of a product's definition.
pub fn definition_id(product: &str, tag: &str) -> Result<i32> {
    let product_id = configuration::product_id(product)?;
    Ok(configuration::definition(&product_id, tag)?.definition_id)
}
