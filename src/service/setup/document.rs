//! Exporting the configuration as one document, and making the configuration what a document says.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::{Bounds, Jsonb};
use crate::pg::roles::AsOwner;
use crate::pg::server::ensure_memory;
use crate::pg::transaction::patience::patiently;
use crate::service::setup::{configuration, definitions, products, scopes};
use crate::service::{caller, required};
use crate::session::configuration::{Change, Configuration, Product, Thing, difference, read};
use crate::session::schema::MAX_SCHEMA_DEPTH;
use crate::tables::products::ProductId;
use crate::tables::{self, living};

const CODE: Code = Code::ConfigurationInvalid;

/// What a document may amount to.
const DOCUMENT: Bounds = Bounds {
    what: "document",
    bytes: 4 * 1024 * 1024,
    depth: 2 * MAX_SCHEMA_DEPTH,
    hint: "Shorten descriptions and schemas, or apply less.",
};

/// A change as `configuration_apply` shows it.
pub struct Row {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// `product`, `scope`, `environment` or `definition`.
    pub object: &'static str,
    /// `product` or `product/name`.
    pub name: String,
    /// The fields that change, and what would die.
    pub change: JsonText,
}

/// The configuration as a document.
///
/// # Errors
/// `PERMISSION_DENIED` with an API key.
pub fn export() -> Result<JsonText> {
    caller::without_key()?;
    let _owner = AsOwner::enter()?;
    Ok(JsonText::of(&current()?.to_json()))
}

/// Makes the configuration what the document says, all of it or nothing; without `dry_run` false it only returns
/// what would change.
///
/// # Errors
/// `CONFIGURATION_INVALID` for a document that is not valid in every part; `DEFINE_FAILED` where an environment that
/// is in use would change between live and test; `PERMISSION_DENIED` with an API key; `CONFLICT` where the
/// transaction's snapshot is too old to show what must change; that of [`patiently`].
pub fn apply(document: Option<Jsonb<'_>>, dry_run: Option<bool>) -> Result<Vec<Row>> {
    caller::without_key()?;
    let document = required(document, "document", CODE)?;
    let dry_run = required(dry_run, "dry_run", CODE)?;
    let document = document.parse(&DOCUMENT).coded(CODE)?;
    let before_definition = || {
        pgrx::check_for_interrupts!();
        ensure_memory(configuration::COMPILING);
    };
    let wanted = read(&document, &before_definition, &clock::parse_interval).coded(CODE)?;
    let owner = AsOwner::enter()?;
    if dry_run {
        let now = current()?;
        return difference(&now, &wanted).iter().map(|change| row(&owner, change)).collect();
    }
    patiently(&owner, || {
        tables::products::LOCK_CONFIGURATION.execute(&owner, &[])?;
        let now = current()?;
        let changes = difference(&now, &wanted);
        let rows = changes.iter().map(|change| row(&owner, change)).collect::<Result<Vec<_>>>()?;
        for change in &changes {
            make(&owner, change)?;
        }
        Ok(rows)
    })
}

/// The configuration in its latest committed state, and as this transaction has changed it.
fn current() -> Result<Configuration> {
    let mut products: HashMap<ProductId, (String, Product)> = HashMap::new();
    for (product_id, product, name) in tables::products::all()? {
        products.insert(product_id, (product, Product { name, ..Product::default() }));
    }
    for (product_id, scope, description) in tables::scopes::all()? {
        if let Some((_, of)) = products.get_mut(&product_id) {
            of.scopes.insert(scope, description);
        }
    }
    for row in tables::products::all_envs()? {
        if let Some((_, of)) = products.get_mut(&row.product_id) {
            of.environments.insert(row.env, row.live);
        }
    }
    for (product_id, definition) in tables::definitions::all()? {
        if let Some((_, of)) = products.get_mut(&product_id) {
            of.definitions.insert(definition.tag.clone(), definition);
        }
    }
    Ok(Configuration(products.into_values().collect()))
}

/// Describes a change that was not made yet.
fn row(owner: &AsOwner, change: &Change<'_>) -> Result<Row> {
    let mut fields = change.fields();
    note_what_dies(owner, change, &mut fields)?;
    Ok(Row {
        action: change.action(),
        object: change.object(),
        name: change.full_name(),
        change: JsonText::of(&Value::Object(fields)),
    })
}

/// Adds how many sessions and API keys live in what is to be deleted, or is to change between live and test.
fn note_what_dies(owner: &AsOwner, change: &Change<'_>, fields: &mut Map<String, Value>) -> Result<()> {
    let (env_ids, definition_id) = match (change.from, change.to) {
        (Some(Thing::Product(_)), None) => {
            (tables::products::env_ids(&configuration::product_id(change.product)?)?, None)
        }
        (Some(Thing::Environment(_)), _) => {
            (vec![configuration::env(change.product, change.name)?.env_id], None)
        }
        (Some(Thing::Definition(_)), None) => {
            let product_id = configuration::product_id(change.product)?;
            let definition = configuration::definition(&product_id, change.name)?;
            (tables::products::env_ids(&product_id)?, Some(definition.definition_id))
        }
        _ => return Ok(()),
    };
    let (sessions, api_keys) = living::count(owner, env_ids, definition_id, clock::now())?;
    fields.insert("living_sessions".to_owned(), json!(sessions));
    if definition_id.is_none() {
        fields.insert("api_keys".to_owned(), json!(api_keys));
    }
    Ok(())
}

/// Makes a change. The configuration is locked: what can't be found is hidden by an old snapshot.
fn make(owner: &AsOwner, change: &Change<'_>) -> Result<()> {
    let Change { product, name, .. } = *change;
    if let (None, Some(Thing::Product(to))) = (change.from, change.to) {
        let created = tables::products::insert(owner, product, &to.name)?;
        return created.map(|_| ()).ok_or_else(too_new);
    }
    let product_id = configuration::product_id(product)?;
    let done = match (change.from, change.to) {
        (_, Some(Thing::Product(to))) => tables::products::set_name(owner, &product_id, &to.name)?,
        (Some(Thing::Product(_)), None) => return products::delete_now(owner, product),
        (None, Some(Thing::Scope(text))) => tables::scopes::insert(owner, &product_id, &[(name, text)])? == 1,
        (_, Some(Thing::Scope(text))) => tables::scopes::describe(owner, &product_id, name, text)?,
        (Some(Thing::Scope(_)), None) => return scopes::delete_now(owner, &product_id, name),
        (None, Some(Thing::Environment(live))) => {
            tables::products::insert_env(owner, &product_id, name, live)?
        }
        (_, Some(Thing::Environment(live))) => {
            let env = configuration::env(product, name)?;
            return products::change_env(owner, &env, name, Some(live));
        }
        (Some(Thing::Environment(_)), None) => {
            return products::delete_env_now(owner, configuration::env(product, name)?.env_id);
        }
        (_, Some(Thing::Definition(to))) => tables::definitions::upsert(owner, &product_id, to)?.is_some(),
        (Some(Thing::Definition(_)), None) => {
            return definitions::delete_now(owner, &product_id, name).map(|_| ());
        }
        (None, None) => true,
    };
    if done { Ok(()) } else { Err(too_new()) }
}

fn too_new() -> Error {
    Error::new(Code::Conflict, "the configuration changed after this transaction began")
        .hint("Retry the transaction.")
}
