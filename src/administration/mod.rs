//! What administrators do beyond sessions: erasing and exporting what is held of a person, changing an environment that
//! tables may name, and the health of the installation.

pub mod env_update;
pub mod erase;
pub mod export;
pub mod health;

use crate::error::{Code, Coded, Error, Result};
use crate::pg::roles::AsOwner;
use crate::service::level::Level;
use crate::service::setup::configuration;
use crate::service::{caller, required};
use crate::session::check_identifier;
use crate::tables::persons::{self, Person};

const CODE: Code = Code::EraseFailed;

/// A person as the arguments name it: in one environment or all of the product, of one definition or of all.
fn person<'a>(
    owner: &AsOwner,
    [product, env, tag]: [Option<&str>; 3],
    identifier: Option<&'a str>,
) -> Result<Person<'a>> {
    caller::without_key()?;
    let product = required(product, "product", CODE)?;
    let identifier = required(identifier, "identifier", CODE)?;
    check_identifier("identifier", identifier).coded(CODE)?;
    let env_ids = caller::env_ids(Level::Admin, product, env)?;
    let product_id = configuration::product_id(product)?;
    let definition_ids = match tag {
        Some(tag) => vec![configuration::definition(&product_id, tag)?.definition_id],
        None => persons::definition_ids(owner, &product_id, &env_ids, identifier)?,
    };
    Ok(Person { env_ids, definition_ids, account_sessions: tag.is_none(), identifier })
}

fn unknown() -> Error {
    Error::new(Code::UserNotFound, "nothing is held of a user with that identifier")
        .hint("dialstack.session_users() lists those that there are; identifiers are case-sensitive.")
}
