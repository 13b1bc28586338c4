//! Session definitions: a definition is JSON, however it comes in, and is validated once.

use serde_json::{Value, json};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::{Bounds, Jsonb};
use crate::pg::roles::AsOwner;
use crate::pg::server::ensure_memory;
use crate::pg::transaction::patience::patiently;
use crate::service::required;
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration;
use crate::session::Definition;
use crate::session::problem::shown;
use crate::session::schema::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH};
use crate::tables::definitions::{self, DefinitionRow};
use crate::tables::products::ProductId;
use crate::tables::revocations::KEEP_CREATES_OUT;

/// What a schema may amount to as an argument.
pub const SCHEMA: Bounds = Bounds {
    what: "schema",
    bytes: MAX_SCHEMA_BYTES,
    depth: MAX_SCHEMA_DEPTH,
    hint: "Describe what is checked, and leave the rest out.",
};

/// What a definition, or the changes of one, may amount to: a schema and little else.
const DEFINITION: Bounds = Bounds {
    what: "definition",
    bytes: 2 * MAX_SCHEMA_BYTES,
    depth: 2 * MAX_SCHEMA_DEPTH,
    hint: "Shorten the schema.",
};

/// Checks a definition and returns it in stored form; stores nothing.
///
/// # Errors
/// `DEFINE_FAILED`, naming the field; `PRODUCT_NOT_FOUND`.
pub fn define(product: Option<&str>, fields: &Value) -> Result<JsonText> {
    product_id(product, Code::DefineFailed)?;
    let mut definition = validate_given(fields)?.to_json();
    definition["product"] = json!(product);
    Ok(JsonText::of(&definition))
}

/// Checks and stores a definition.
///
/// # Errors
/// `DEFINE_FAILED`, naming the field; `PRODUCT_NOT_FOUND`.
pub fn create(product: Option<&str>, fields: &Value) -> Result<DefinitionRow> {
    let owner = AsOwner::enter()?;
    let product_id = configuration::kept_product(&owner, required(product, "product", Code::DefineFailed)?)?;
    let definition = validate_given(fields)?;
    store(&owner, &product_id, &definition)
}

/// Checks fields that were given as arguments.
fn validate_given(fields: &Value) -> Result<Definition> {
    for name in ["tag", "name", "schema", "selector", "expiry", "period"] {
        let given = fields.get(name).filter(|value| !value.is_null());
        required(given, name, Code::DefineFailed)?;
    }
    validate(fields, Code::DefineFailed)
}

fn validate(fields: &Value, code: Code) -> Result<Definition> {
    ensure_memory(configuration::COMPILING);
    Definition::from_json(fields, &clock::parse_interval).coded(code)
}

fn product_id(product: Option<&str>, code: Code) -> Result<ProductId> {
    configuration::product_id(required(product, "product", code)?)
}

fn store(owner: &AsOwner, product_id: &ProductId, definition: &Definition) -> Result<DefinitionRow> {
    let row = definitions::upsert(owner, product_id, definition)?;
    row.ok_or_else(|| not_found(&definition.tag))
}

/// The definition with this tag, locked against other changes until the transaction ends.
fn lock(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<DefinitionRow> {
    if let Some(row) = definitions::lock(owner, product_id, tag)? {
        return Ok(row);
    }
    let is_there = definitions::by_tag(product_id, tag)?.is_some();
    Err(if is_there { configuration::too_new() } else { not_found(tag) })
}

fn not_found(tag: &str) -> Error {
    Error::new(
        Code::DefinitionNotFound,
        format!("the product has no session definition with tag {:?}", shown(tag)),
    )
    .hint("dialstack.definition_list() shows the definitions of a product.")
}

/// Stores a definition; the same tag again changes it.
///
/// # Errors
/// `REGISTER_FAILED` for a definition that is not valid, or was made for another product; `PRODUCT_NOT_FOUND`.
pub fn register(product: Option<&str>, definition: Option<Jsonb<'_>>) -> Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let owner = AsOwner::enter()?;
    let product_id = configuration::kept_product(&owner, required(product, "product", code)?)?;
    let definition = required(definition, "definition", code)?;
    let fields = definition.parse(&DEFINITION).coded(code)?;
    let named = fields.get("product").filter(|named| !named.is_null());
    if named.is_some_and(|named| named.as_str() != product) {
        return Err(Error::new(code, "the definition was made for another product")
            .hint("Register it with the product it names, or define it for this one."));
    }
    let definition = validate(&fields, code)?;
    store(&owner, &product_id, &definition)
}

/// Changes some fields of a definition.
///
/// # Errors
/// `REGISTER_FAILED` for changes that are not valid; `PRODUCT_NOT_FOUND`, `DEFINITION_NOT_FOUND`; `CONFLICT` where the
/// transaction's snapshot is too old to show the definition.
pub fn update(product: Option<&str>, tag: Option<&str>, changes: Option<Jsonb<'_>>) -> Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let product_id = product_id(product, code)?;
    let tag = required(tag, "tag", code)?;
    let changes = required(changes, "changes", code)?;
    let changes = changes.parse(&DEFINITION).coded(code)?;
    let Value::Object(changes) = changes else {
        return Err(Error::new(code, "changes must be a JSON object")
            .hint("Pass the fields to change, for example {\"expiry\": 2}."));
    };
    if changes.get("tag").is_some_and(|new| new.as_str() != Some(tag)) {
        return Err(Error::new(code, "the tag of a definition can't change")
            .hint("Register a definition under the new tag; sessions of the old one stay with it."));
    }
    if changes.get("product").is_some_and(|new| new.as_str() != product) {
        return Err(Error::new(code, "the product of a definition can't change")
            .hint("Define and register it for the other product."));
    }
    let owner = AsOwner::enter()?;
    lock(&owner, &product_id, tag)?;
    let (_, stored) = definitions::by_tag(&product_id, tag)?.ok_or_else(|| not_found(tag))?;
    let mut fields = stored.to_json();
    if let Value::Object(fields) = &mut fields {
        fields.extend(changes);
    }
    let definition = validate(&fields, code)?;
    store(&owner, &product_id, &definition)
}

/// Deletes a definition, revokes its sessions, and returns what it was.
///
/// # Errors
/// `REGISTER_FAILED` for NULL; `PRODUCT_NOT_FOUND`, `DEFINITION_NOT_FOUND`; that of [`patiently`].
pub fn delete(product: Option<&str>, tag: Option<&str>) -> Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let product_id = product_id(product, code)?;
    let tag = required(tag, "tag", code)?;
    configuration::definition(&product_id, tag)?;
    let owner = AsOwner::enter()?;
    patiently(&owner, || delete_now(&owner, &product_id, tag))
}

/// Deletes a definition and revokes its sessions; waits for locks as any statement does.
///
/// # Errors
/// `DEFINITION_NOT_FOUND`; `CONFLICT` as [`revocations::revoke`].
pub fn delete_now(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<DefinitionRow> {
    // Sessions before the definition: the order in which creates take their locks. Before it is looked up, because who
    // was waited for may have put another one in its place.
    KEEP_CREATES_OUT.execute(owner, &[])?;
    let definition_id = configuration::definition(product_id, tag)?.definition_id;
    let which = Which::All { env_id: None, definition_id: Some(definition_id) };
    revocations::revoke(owner, &which, revocations::DEFINITION_DELETED, clock::now())?;
    let row = lock(owner, product_id, tag)?;
    definitions::delete(owner, product_id, tag)?;
    Ok(row)
}

/// All definitions of a product.
///
/// # Errors
/// `LIST_FAILED` for NULL; `PRODUCT_NOT_FOUND`.
pub fn list(product: Option<&str>) -> Result<Vec<DefinitionRow>> {
    let product_id = product_id(product, Code::ListFailed)?;
    definitions::list(&AsOwner::enter()?, &product_id, None)
}

/// One definition.
///
/// # Errors
/// `LIST_FAILED` for NULL; `PRODUCT_NOT_FOUND`, `DEFINITION_NOT_FOUND`.
pub fn get(product: Option<&str>, tag: Option<&str>) -> Result<DefinitionRow> {
    let tag = required(tag, "tag", Code::ListFailed)?;
    let product_id = product_id(product, Code::ListFailed)?;
    let rows = definitions::list(&AsOwner::enter()?, &product_id, Some(tag))?;
    rows.into_iter().next().ok_or_else(|| not_found(tag))
}
