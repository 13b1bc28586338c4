//! What this backend remembers of products, environments and definitions.
//!
//! Read with direct scans and forgotten when the epoch of the configuration advances.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::thread::LocalKey;

use serde_json::Value;

use crate::error::{Code, Coded, Error, Result};
use crate::pg::cache::{Remembered, read_stable};
use crate::pg::relcache;
use crate::pg::roles::AsOwner;
use crate::pg::server::ensure_memory;
use crate::session::name::MAX_NAME;
use crate::session::problem::shown;
use crate::session::{CompiledSchema, Definition};
use crate::tables::definitions;
use crate::tables::products::{self, EnvRow, ProductId};
use crate::token::Mode;

/// Most compiled schemas that are kept: one may take some megabytes. One more, and all are forgotten.
const MAX_SCHEMAS: usize = 32;

/// Memory that compiling a schema may take, in bytes.
pub const COMPILING: usize = 16 * 1024 * 1024;

/// An environment with its product.
#[derive(Debug)]
pub struct Env {
    pub env_id: i32,
    pub product_id: ProductId,
    pub product: String,
    pub env: String,
    pub mode: Mode,
    pub former_names: Vec<String>,
}

impl Env {
    /// Whether it has these names, as far as they are given.
    pub fn is(&self, product: Option<&str>, env: Option<&str>) -> bool {
        product.is_none_or(|product| product == self.product) && env.is_none_or(|env| env == self.env)
    }
}

/// A definition as it is stored.
pub struct StoredDefinition {
    pub definition_id: i32,
    pub definition: Definition,
}

impl StoredDefinition {
    /// Its schema, ready to check data. Compiled once for each change of the schema, as long as it is in use.
    pub fn schema(&self) -> Result<Rc<CompiledSchema>> {
        let source = &self.definition.schema;
        let known = SCHEMAS.with_borrow(|schemas| {
            let known = schemas.get(&self.definition_id).filter(|(known, _)| known == source);
            known.map(|(_, compiled)| compiled.clone())
        });
        if let Some(compiled) = known {
            return Ok(compiled);
        }
        ensure_memory(COMPILING);
        let compiled = Rc::new(CompiledSchema::compile(source).coded(Code::CreateFailed)?);
        SCHEMAS.with_borrow_mut(|schemas| {
            if schemas.len() >= MAX_SCHEMAS {
                schemas.clear();
            }
            schemas.insert(self.definition_id, (source.clone(), compiled.clone()));
        });
        Ok(compiled)
    }
}

/// What was read of one kind of row, by key.
type Cache<K, V> = RefCell<Remembered<K, V>>;

thread_local! {
    static ENVS: Cache<i32, Option<Rc<Env>>> = RefCell::default();
    static ENV_NAMES: Cache<(String, String), Rc<Env>> = RefCell::default();
    static DEFINITIONS: Cache<i32, Option<Rc<StoredDefinition>>> = RefCell::default();
    static DEFINITION_TAGS: Cache<(ProductId, String), Rc<StoredDefinition>> = RefCell::default();
    /// Schemas as they are stored and compiled, by definition. They survive a new epoch: compiling costs far more than
    /// reading a row.
    static SCHEMAS: RefCell<HashMap<i32, (Value, Rc<CompiledSchema>)>> = RefCell::default();
}

/// Returns what is remembered, or reads and remembers it.
fn remember<K: Hash + Eq, V: Clone>(
    cache: &'static LocalKey<Cache<K, V>>,
    key: K,
    read: impl Fn(&K) -> Result<V>,
) -> Result<V> {
    let known = cache.with_borrow(|cache| cache.find(&key, relcache::configuration_epoch()));
    if let Some(known) = known {
        return Ok(known);
    }
    let (epoch, value) = read_stable(relcache::configuration_epoch, |_| read(&key))?;
    cache.with_borrow_mut(|cache| cache.insert(key, value.clone(), epoch));
    Ok(value)
}

/// The id of a product.
pub fn product_id(product: &str) -> Result<ProductId> {
    products::id(product)?.ok_or_else(|| {
        Error::new(Code::ProductNotFound, format!("there is no product {:?}", shown(product))).hint(
            "Create it with dialstack.product_create(), or check the spelling; names are case-sensitive.",
        )
    })
}

/// What `find` finds and `keep` keeps from being deleted until the transaction ends.
///
/// # Errors
/// Those of `find`, also where what it found was deleted meanwhile; `CONFLICT` where the transaction's snapshot is too
/// old to show it.
pub fn kept<T>(find: impl Fn() -> Result<T>, keep: impl Fn(&T) -> Result<bool>) -> Result<T> {
    let found = find()?;
    if keep(&found)? {
        return Ok(found);
    }
    find()?;
    Err(too_new())
}

/// The product of this name, which nobody deletes until the transaction ends.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; that of [`kept`].
pub fn kept_product(owner: &AsOwner, product: &str) -> Result<ProductId> {
    kept(|| product_id(product), |found| products::keep(owner, found))
}

/// The error for what is there, but not in the transaction's snapshot.
pub fn too_new() -> Error {
    Error::new(Code::Conflict, "what is named was created after this transaction began")
        .hint("Retry the transaction.")
}

/// As much of what may be a name as tells that it is none.
fn name(given: &str) -> &str {
    &given[..given.floor_char_boundary(MAX_NAME + 1)]
}

fn with_product(row: EnvRow) -> Result<Option<Rc<Env>>> {
    let product = products::name(&row.product_id)?;
    Ok(product.map(|product| {
        Rc::new(Env {
            env_id: row.env_id,
            product_id: row.product_id,
            product,
            env: row.env,
            mode: if row.live { Mode::Live } else { Mode::Test },
            former_names: row.former_names,
        })
    }))
}

/// The environment with this number; `None` once it is deleted.
pub fn env_by_id(env_id: i32) -> Result<Option<Rc<Env>>> {
    remember(&ENVS, env_id, |env_id| products::env_by_id(*env_id)?.map_or(Ok(None), with_product))
}

/// The environment of that name.
pub fn env(product: &str, env: &str) -> Result<Rc<Env>> {
    // Longer ones name nothing, and are not copied.
    let names = (name(product).to_owned(), name(env).to_owned());
    remember(&ENV_NAMES, names, |(product, env)| {
        let row = products::env_by_name(&product_id(product)?, env)?;
        row.map_or(Ok(None), with_product)?.ok_or_else(|| {
            Error::new(
                Code::EnvNotFound,
                format!("product {:?} has no environment {:?}", shown(product), shown(env)),
            )
            .hint("Create it with dialstack.env_create(), or check the spelling; names are case-sensitive.")
        })
    })
}

fn stored((definition_id, definition): (i32, Definition)) -> Rc<StoredDefinition> {
    Rc::new(StoredDefinition { definition_id, definition })
}

/// The definition with this number; `None` once it is deleted.
pub fn definition_by_id(definition_id: i32) -> Result<Option<Rc<StoredDefinition>>> {
    remember(&DEFINITIONS, definition_id, |definition_id| Ok(definitions::by_id(*definition_id)?.map(stored)))
}

/// The definition with this tag.
pub fn definition(product_id: &ProductId, tag: &str) -> Result<Rc<StoredDefinition>> {
    let key = (*product_id, name(tag).to_owned());
    remember(&DEFINITION_TAGS, key, |(product_id, tag)| {
        definitions::by_tag(product_id, tag)?.map(stored).ok_or_else(|| {
            Error::new(Code::DefinitionNotFound, format!("the product has no session definition with tag {:?}", shown(tag)))
                .hint("Create it with dialstack.definition_create(), or check the spelling; tags are case-sensitive.")
        })
    })
}
