//! What this backend remembers of products, environments and definitions.
//!
//! Read with direct scans and forgotten as a whole when the epoch advances.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::error::{Code, Coded, Error, Result};
use crate::pg::datum::json::JsonText;
use crate::pg::relcache::{self, Rel};
use crate::pg::scan::{self, Key, Row};
use crate::session::problem::shown;
use crate::session::{CompiledSchema, Definition};
use crate::tables::definitions;
use crate::tables::products::ProductId;
use crate::token::Mode;

/// Bound on how many of each kind are remembered; beyond it everything is forgotten at once.
const MAX_REMEMBERED: usize = 4096;

/// An environment with its product.
#[derive(Debug)]
pub struct Env {
    /// Its number.
    pub env_id: i32,
    /// Its product's id.
    pub product_id: ProductId,
    /// Its product's name.
    pub product: String,
    /// Its name.
    pub env: String,
    /// Live or test.
    pub mode: Mode,
}

/// A definition as it is stored.
pub struct StoredDefinition {
    /// Its number.
    pub definition_id: i32,
    /// What it says.
    pub definition: Definition,
    schema: OnceCell<Rc<CompiledSchema>>,
}

impl StoredDefinition {
    /// Its schema, ready to check data. Compiled once for each change of the schema.
    pub fn schema(&self) -> Result<Rc<CompiledSchema>> {
        if let Some(schema) = self.schema.get() {
            return Ok(schema.clone());
        }
        let known = SCHEMAS.with(|schemas| {
            schemas
                .borrow()
                .get(&self.definition_id)
                .filter(|(source, _)| *source == self.definition.schema)
                .map(|(_, schema)| schema.clone())
        });
        let schema = match known {
            Some(schema) => schema,
            None => {
                let schema = CompiledSchema::compile(&self.definition.schema);
                let schema = Rc::new(schema.coded(Code::CreateFailed)?);
                SCHEMAS.with(|schemas| {
                    let mut schemas = schemas.borrow_mut();
                    if schemas.len() >= MAX_REMEMBERED {
                        schemas.clear();
                    }
                    let source = self.definition.schema.clone();
                    schemas.insert(self.definition_id, (source, schema.clone()));
                });
                schema
            }
        };
        Ok(self.schema.get_or_init(|| schema).clone())
    }
}

#[derive(Default)]
struct Remembered {
    epoch: u64,
    envs: HashMap<i32, Option<Rc<Env>>>,
    env_names: HashMap<(String, String), Rc<Env>>,
    definitions: HashMap<i32, Option<Rc<StoredDefinition>>>,
    definition_tags: HashMap<(ProductId, String), Rc<StoredDefinition>>,
}

/// A schema and what it was compiled to.
type Compiled = (serde_json::Value, Rc<CompiledSchema>);

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
    /// Compiled schemas survive a new epoch: compiling costs far more than reading a row.
    static SCHEMAS: RefCell<HashMap<i32, Compiled>> = RefCell::default();
}

/// Answers from memory, or reads and remembers, unless news arrived while it read.
fn remember<K, V: Clone>(
    map: impl Fn(&mut Remembered) -> &mut HashMap<K, V>,
    key: K,
    read: impl Fn(&K) -> Result<Option<V>>,
) -> Result<Option<V>>
where
    K: std::hash::Hash + Eq,
{
    relcache::oid(Rel::VerdictInvalidation)?;
    loop {
        let epoch = relcache::configuration_epoch();
        let known = REMEMBERED.with(|remembered| {
            let mut remembered = remembered.borrow_mut();
            if remembered.epoch != epoch {
                *remembered = Remembered {
                    epoch,
                    ..Remembered::default()
                };
            }
            map(&mut remembered).get(&key).cloned()
        });
        if known.is_some() {
            return Ok(known);
        }
        let Some(value) = read(&key)? else {
            return Ok(None);
        };
        if relcache::configuration_epoch() != epoch {
            pgrx::pg_sys::check_for_interrupts!();
            continue;
        }
        REMEMBERED.with(|remembered| {
            let mut remembered = remembered.borrow_mut();
            let map = map(&mut remembered);
            if map.len() >= MAX_REMEMBERED {
                map.clear();
            }
            map.insert(key, value.clone());
        });
        return Ok(Some(value));
    }
}

fn product_name(product_id: &ProductId) -> Result<Option<String>> {
    scan::first(
        Rel::Products,
        Some(Rel::ProductsById),
        &[Key::uuid(1, product_id)],
        |row| row.get(2),
    )
}

/// The id of a product.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
pub fn product_id(product: &str) -> Result<ProductId> {
    let keys = [Key::text(2, product)];
    let id = scan::first(Rel::Products, Some(Rel::ProductsByName), &keys, |row| {
        row.get::<pgrx::Uuid>(1).map(|id| *id.as_bytes())
    })?;
    id.ok_or_else(|| {
        Error::new(Code::ProductNotFound, format!("there is no product {:?}", shown(product)))
            .hint("Create it with dialstack.product_create(), or check the spelling; names are case-sensitive.")
    })
}

struct EnvRow {
    env_id: i32,
    product_id: ProductId,
    env: String,
    live: bool,
}

fn env_row(row: &Row<'_>) -> Option<EnvRow> {
    Some(EnvRow {
        env_id: row.get(1)?,
        product_id: *row.get::<pgrx::Uuid>(2)?.as_bytes(),
        env: row.get(3)?,
        live: row.get(4)?,
    })
}

fn with_product(row: EnvRow) -> Result<Option<Rc<Env>>> {
    let Some(product) = product_name(&row.product_id)? else {
        return Ok(None);
    };
    Ok(Some(Rc::new(Env {
        env_id: row.env_id,
        product_id: row.product_id,
        product,
        env: row.env,
        mode: if row.live { Mode::Live } else { Mode::Test },
    })))
}

/// The environment with this number; `None` once it is deleted.
pub fn env_by_id(env_id: i32) -> Result<Option<Rc<Env>>> {
    let read = |env_id: &i32| {
        let keys = [Key::int4(1, *env_id)];
        let row = scan::first(
            Rel::Environments,
            Some(Rel::EnvironmentsById),
            &keys,
            env_row,
        )?;
        Ok(Some(match row {
            Some(row) => with_product(row)?,
            None => None,
        }))
    };
    Ok(remember(|all| &mut all.envs, env_id, read)?.flatten())
}

/// The environment of that name.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`.
pub fn env(product: &str, env: &str) -> Result<Rc<Env>> {
    let read = |(product, env): &(String, String)| {
        let product_id = product_id(product)?;
        let keys = [Key::uuid(2, &product_id), Key::text(3, env)];
        let row = scan::first(
            Rel::Environments,
            Some(Rel::EnvironmentsByName),
            &keys,
            env_row,
        )?;
        row.map_or(Ok(None), with_product)
    };
    let found = remember(
        |all| &mut all.env_names,
        (product.to_owned(), env.to_owned()),
        read,
    )?;
    found.ok_or_else(|| {
        Error::new(Code::EnvNotFound, format!("product {:?} has no environment {:?}", shown(product), shown(env)))
            .hint("Create it with dialstack.env_create(), or check the spelling; names are case-sensitive.")
    })
}

fn definition_row(row: &Row<'_>) -> Option<Result<StoredDefinition>> {
    let stored = definitions::Stored {
        tag: row.get(3)?,
        name: row.get(4)?,
        description: row.get(5)?,
        schema: row.get::<JsonText>(6)?,
        selector: row.get(7)?,
        expiry: row.get(8)?,
        period: row.get(9)?,
        refresh_expiry: row.get(10)?,
        refresh_period: row.get(11)?,
        idle_timeout: row.get(12),
        max_lifetime: row.get(13),
        max_sessions: row.get(14),
        on_limit: row.get(15)?,
        reuse_interval: row.get(16)?,
        log_verify: row.get(17)?,
    };
    let definition_id = row.get(1)?;
    Some(stored.definition().map(|definition| StoredDefinition {
        definition_id,
        definition,
        schema: OnceCell::new(),
    }))
}

/// The definition with this number; `None` once it is deleted.
pub fn definition_by_id(definition_id: i32) -> Result<Option<Rc<StoredDefinition>>> {
    let read = |definition_id: &i32| {
        let keys = [Key::int4(1, *definition_id)];
        let index = Some(Rel::DefinitionsById);
        let row = scan::first(Rel::Definitions, index, &keys, definition_row)?;
        Ok(Some(row.transpose()?.map(Rc::new)))
    };
    Ok(remember(|all| &mut all.definitions, definition_id, read)?.flatten())
}

/// The definition with this tag.
///
/// # Errors
/// `DEFINITION_NOT_FOUND`.
pub fn definition(product_id: &ProductId, tag: &str) -> Result<Rc<StoredDefinition>> {
    let read = |(product_id, tag): &(ProductId, String)| {
        let keys = [Key::uuid(2, product_id), Key::text(3, tag)];
        let index = Some(Rel::DefinitionsByTag);
        let row = scan::first(Rel::Definitions, index, &keys, definition_row)?;
        Ok(row.transpose()?.map(Rc::new))
    };
    let found = remember(
        |all| &mut all.definition_tags,
        (*product_id, tag.to_owned()),
        read,
    )?;
    found.ok_or_else(|| {
        Error::new(Code::DefinitionNotFound, format!("the product has no session definition with tag {:?}", shown(tag)))
            .hint("Create it with dialstack.definition_create(), or check the spelling; tags are case-sensitive.")
    })
}
