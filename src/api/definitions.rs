//! Session definitions: a definition is JSON, whatever way it comes in, and is validated once.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Map, Value, json};

use super::required;
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::service::configuration;
use crate::service::revocations::{self, Which};
use crate::session::problem::shown;
use crate::session::{Definition, SelectorForm};
use crate::tables::definitions;
use crate::tables::definitions::DefinitionRow;
use crate::tables::products::ProductId;

/// The fields that definitions have beyond those of every call, as arguments.
#[derive(Default)]
struct Options<'a> {
    refresh_expiry: Option<i32>,
    refresh_period: Option<&'a str>,
    idle_timeout: Option<Interval>,
    max_lifetime: Option<Interval>,
    max_sessions: Option<i32>,
    on_limit: Option<&'a str>,
    reuse_interval: Option<Interval>,
    log_verify: Option<bool>,
}

impl Options<'_> {
    fn add_to(&self, fields: &mut Map<String, Value>) {
        let interval = |interval: &Option<Interval>| {
            interval
                .as_ref()
                .map(|interval| clock::span(interval).to_iso8601())
        };
        for (name, value) in [
            ("refresh_expiry", json!(self.refresh_expiry)),
            ("refresh_period", json!(self.refresh_period)),
            ("idle_timeout", json!(interval(&self.idle_timeout))),
            ("max_lifetime", json!(interval(&self.max_lifetime))),
            ("max_sessions", json!(self.max_sessions)),
            ("on_limit", json!(self.on_limit)),
            ("reuse_interval", json!(interval(&self.reuse_interval))),
            ("log_verify", json!(self.log_verify)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// The fields that every definition has.
struct Fields<'a> {
    tag: Option<&'a str>,
    name: Option<&'a str>,
    description: Option<&'a str>,
    schema: Option<JsonText>,
    selector: Option<&'a str>,
    expiry: Option<i32>,
    period: Option<&'a str>,
}

impl Fields<'_> {
    /// # Errors
    /// `DEFINE_FAILED`, naming the field.
    fn define(self, options: &Options<'_>, form: SelectorForm) -> error::Result<Definition> {
        let code = Code::DefineFailed;
        let mut fields = Map::new();
        fields.insert("tag".into(), json!(required(self.tag, "tag", code)?));
        fields.insert("name".into(), json!(required(self.name, "name", code)?));
        fields.insert("description".into(), json!(self.description));
        let schema = required(self.schema, "schema", code)?.parse().coded(code)?;
        fields.insert("schema".into(), schema);
        fields.insert(
            "selector".into(),
            json!(required(self.selector, "selector", code)?),
        );
        fields.insert(
            "expiry".into(),
            json!(required(self.expiry, "expiry", code)?),
        );
        fields.insert(
            "period".into(),
            json!(required(self.period, "period", code)?),
        );
        options.add_to(&mut fields);
        validate(&Value::Object(fields), form, code)
    }
}

fn validate(fields: &Value, form: SelectorForm, code: Code) -> error::Result<Definition> {
    Definition::from_json(fields, form, &clock::parse_interval).coded(code)
}

fn product_id(product: Option<&str>, code: Code) -> error::Result<ProductId> {
    configuration::product_id(required(product, "product", code)?)
}

/// Validates a definition and returns it in stored form; stores nothing.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_define(
    product: Option<&str>,
    tag: Option<&str>,
    name: Option<&str>,
    description: Option<&str>,
    selector: Option<&str>,
    expiry: Option<i32>,
    period: Option<&str>,
    schema: Option<JsonText>,
    refresh_expiry: default!(Option<i32>, "NULL"),
    refresh_period: default!(Option<&str>, "NULL"),
    idle_timeout: default!(Option<Interval>, "NULL"),
    max_lifetime: default!(Option<Interval>, "NULL"),
    max_sessions: default!(Option<i32>, "NULL"),
    on_limit: default!(Option<&str>, "NULL"),
    reuse_interval: default!(Option<Interval>, "NULL"),
    log_verify: default!(Option<bool>, "NULL"),
) -> Result<JsonText, ErrorReport> {
    product_id(product, Code::DefineFailed)?;
    let fields = Fields {
        tag,
        name,
        description,
        schema,
        selector,
        expiry,
        period,
    };
    let options = Options {
        refresh_expiry,
        refresh_period,
        idle_timeout,
        max_lifetime,
        max_sessions,
        on_limit,
        reuse_interval,
        log_verify,
    };
    let mut definition = fields.define(&options, SelectorForm::Any)?.to_json();
    definition["product"] = json!(product);
    Ok(JsonText::of(&definition))
}

type DefinitionColumns = (
    String,
    String,
    String,
    String,
    JsonText,
    String,
    i32,
    String,
    i32,
    String,
    Option<Interval>,
    Option<Interval>,
    Option<i32>,
    String,
    Interval,
    bool,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
);

fn columns(row: DefinitionRow) -> DefinitionColumns {
    let stored = row.stored;
    (
        row.product,
        stored.tag,
        stored.name,
        stored.description,
        stored.schema,
        stored.selector,
        stored.expiry,
        stored.period,
        stored.refresh_expiry,
        stored.refresh_period,
        stored.idle_timeout,
        stored.max_lifetime,
        stored.max_sessions,
        stored.on_limit,
        stored.reuse_interval,
        stored.log_verify,
        row.created_at,
        row.updated_at,
    )
}

/// Stores a definition and returns it as it is stored.
fn store(
    owner: &AsOwner,
    product_id: &ProductId,
    definition: &Definition,
) -> error::Result<DefinitionRow> {
    definitions::upsert(owner, product_id, definition)?;
    let row = definitions::lock(owner, product_id, &definition.tag)?;
    row.ok_or_else(|| not_found(&definition.tag))
}

fn not_found(tag: &str) -> Error {
    Error::new(
        Code::DefinitionNotFound,
        format!(
            "the product has no session definition with tag {:?}",
            shown(tag)
        ),
    )
    .hint("dialstack.definition_list() shows the definitions of a product.")
}

fn register(product: Option<&str>, definition: Option<JsonText>) -> error::Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let product_id = product_id(product, code)?;
    let fields = required(definition, "definition", code)?
        .parse()
        .coded(code)?;
    let named = fields.get("product").filter(|named| !named.is_null());
    if named.is_some_and(|named| named.as_str() != product) {
        return Err(
            Error::new(code, "the definition was made for another product")
                .hint("Register it with the product it names, or define it for this one."),
        );
    }
    let definition = validate(&fields, SelectorForm::Stored, code)?;
    store(&AsOwner::enter()?, &product_id, &definition)
}

fn update(
    product: Option<&str>,
    tag: Option<&str>,
    changes: Option<JsonText>,
) -> error::Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let product_id = product_id(product, code)?;
    let tag = required(tag, "tag", code)?;
    let changes = required(changes, "changes", code)?.parse().coded(code)?;
    let Value::Object(changes) = changes else {
        return Err(Error::new(code, "changes must be a JSON object")
            .hint("Pass the fields to change, for example {\"expiry\": 2}."));
    };
    if changes
        .get("tag")
        .is_some_and(|new| new.as_str() != Some(tag))
    {
        return Err(
            Error::new(code, "the tag of a definition can't change").hint(
                "Register a definition under the new tag; sessions of the old one stay with it.",
            ),
        );
    }
    if changes
        .get("product")
        .is_some_and(|new| new.as_str() != product)
    {
        return Err(Error::new(code, "the product of a definition can't change")
            .hint("Define and register it for the other product."));
    }
    let owner = AsOwner::enter()?;
    let row = definitions::lock(&owner, &product_id, tag)?.ok_or_else(|| not_found(tag))?;
    let mut fields = row.stored.definition()?.to_json();
    if let Value::Object(fields) = &mut fields {
        fields.extend(changes);
    }
    let definition = validate(&fields, SelectorForm::Stored, code)?;
    store(&owner, &product_id, &definition)
}

fn delete(product: Option<&str>, tag: Option<&str>) -> error::Result<DefinitionRow> {
    let code = Code::RegisterFailed;
    let product_id = product_id(product, code)?;
    let tag = required(tag, "tag", code)?;
    let stored = configuration::definition(&product_id, tag)?;
    let owner = AsOwner::enter()?;
    // Sessions before the definition: the order in which creates take their locks.
    let which = Which::Definition(stored.definition_id);
    revocations::revoke(
        &owner,
        &which,
        revocations::DEFINITION_DELETED,
        clock::now(),
    )?;
    let row = definitions::lock(&owner, &product_id, tag)?.ok_or_else(|| not_found(tag))?;
    definitions::delete(&owner, &product_id, tag)?;
    Ok(row)
}

fn list(product: Option<&str>, tag: Option<&str>, code: Code) -> error::Result<Vec<DefinitionRow>> {
    let product_id = product_id(product, code)?;
    definitions::list(&AsOwner::enter()?, &product_id, tag)
}

fn get(product: Option<&str>, tag: Option<&str>) -> error::Result<DefinitionRow> {
    let tag = required(tag, "tag", Code::ListFailed)?;
    let rows = list(product, Some(tag), Code::ListFailed)?;
    rows.into_iter().next().ok_or_else(|| not_found(tag))
}

/// Declares the SQL functions that return stored definitions, all with the same columns.
macro_rules! definition_functions {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($arguments:tt)*) = $rows:expr;
    )*) => { $(
        $(#[$meta])*
        #[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
        fn $name($($arguments)*) -> Result<
            TableIterator<
                'static,
                (
                    name!(product, String),
                    name!(tag, String),
                    name!(name, String),
                    name!(description, String),
                    name!(schema, JsonText),
                    name!(selector, String),
                    name!(expiry, i32),
                    name!(period, String),
                    name!(refresh_expiry, i32),
                    name!(refresh_period, String),
                    name!(idle_timeout, Option<Interval>),
                    name!(max_lifetime, Option<Interval>),
                    name!(max_sessions, Option<i32>),
                    name!(on_limit, String),
                    name!(reuse_interval, Interval),
                    name!(log_verify, bool),
                    name!(created_at, TimestampWithTimeZone),
                    name!(updated_at, TimestampWithTimeZone),
                ),
            >,
            ErrorReport,
        > {
            let rows: Vec<DefinitionRow> = $rows;
            Ok(TableIterator::new(rows.into_iter().map(columns)))
        }
    )* };
}

definition_functions! {
    /// Stores a definition; the same tag again updates it.
    fn session_register(product: Option<&str>, definition: Option<JsonText>) =
        vec![register(product, definition)?];

    /// Defines and registers in one call.
    fn definition_create(
        product: Option<&str>,
        tag: Option<&str>,
        name: Option<&str>,
        description: Option<&str>,
        schema: Option<JsonText>,
        selector: Option<&str>,
        expiry: Option<i32>,
        period: Option<&str>,
        refresh_expiry: default!(Option<i32>, "NULL"),
        refresh_period: default!(Option<&str>, "NULL"),
        idle_timeout: default!(Option<Interval>, "NULL"),
        max_lifetime: default!(Option<Interval>, "NULL"),
        max_sessions: default!(Option<i32>, "NULL"),
        on_limit: default!(Option<&str>, "NULL"),
        reuse_interval: default!(Option<Interval>, "NULL"),
        log_verify: default!(Option<bool>, "NULL"),
    ) = {
        let product_id = product_id(product, Code::DefineFailed)?;
        let fields = Fields { tag, name, description, schema, selector, expiry, period };
        let options = Options {
            refresh_expiry,
            refresh_period,
            idle_timeout,
            max_lifetime,
            max_sessions,
            on_limit,
            reuse_interval,
            log_verify,
        };
        let definition = fields.define(&options, SelectorForm::Stored)?;
        vec![store(&AsOwner::enter()?, &product_id, &definition)?]
    };

    /// Changes some fields of a definition; sessions follow at their next create or refresh.
    fn definition_update(
        product: Option<&str>,
        tag: Option<&str>,
        changes: Option<JsonText>,
    ) = vec![update(product, tag, changes)?];

    /// Deletes a definition, revokes its sessions, and returns what it was.
    fn definition_delete(product: Option<&str>, tag: Option<&str>) = vec![delete(product, tag)?];

    /// One definition.
    fn definition_get(product: Option<&str>, tag: Option<&str>) = vec![get(product, tag)?];

    /// All definitions of a product.
    fn definition_list(product: Option<&str>) = list(product, None, Code::ListFailed)?;
}
