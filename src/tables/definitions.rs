//! The table `session_definitions`.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use uuid::Uuid;

use crate::error::{Code, Coded, Result};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::scan::{self, Row};
use crate::pg::statements::{Columns, Statement, bind};
use crate::pg::table::table;
use crate::session::{Definition, OnLimit, Period, Selector};
use crate::tables::products::ProductId;

table! {
    /// The table `session_definitions`.
    Definitions = c"session_definitions" {
        definition_id: Int4,
        product_id: Uuid,
        tag: Text,
        name: Text,
        description: Text,
        schema: Jsonb,
        selector: Text,
        expiry: Int4,
        period: Text,
        refresh_expiry: Int4,
        refresh_period: Text,
        idle_timeout: Span null,
        max_lifetime: Span null,
        max_sessions: Int4 null,
        on_limit: Text,
        reuse_interval: Span,
        log_verify: Bool,
        created_at: Timestamptz,
        updated_at: Timestamptz,
    }
    indexes {
        BY_ID: (Int4) = c"session_definitions_pkey" (definition_id),
        BY_TAG: (Uuid, Text) = c"session_definitions_product_id_tag_key" (product_id, tag),
    }
}

/// The columns that say what a definition is, as they lie in the table.
pub struct Stored {
    /// Its name in every call.
    pub tag: String,
    /// Display name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema of the data.
    pub schema: JsonText,
    /// Where the identifier lies.
    pub selector: String,
    /// Life of an access token.
    pub expiry: i32,
    /// Unit of `expiry`.
    pub period: String,
    /// Life of a session without a refresh.
    pub refresh_expiry: i32,
    /// Unit of `refresh_expiry`.
    pub refresh_period: String,
    /// Longest time between refreshes.
    pub idle_timeout: Option<Interval>,
    /// Longest life.
    pub max_lifetime: Option<Interval>,
    /// Most living sessions of a user.
    pub max_sessions: Option<i32>,
    /// What happens at `max_sessions`.
    pub on_limit: String,
    /// How long a rotated refresh token still answers.
    pub reuse_interval: Interval,
    /// Whether verifications are logged.
    pub log_verify: bool,
}

impl Stored {
    /// The definition that these columns hold. The table holds only validated ones, so this reads
    /// and does not validate again.
    ///
    /// # Errors
    /// `REGISTER_FAILED` for a row that somebody edited into nonsense.
    pub fn definition(self) -> Result<Definition> {
        let code = Code::RegisterFailed;
        Ok(Definition {
            schema: self.schema.parse().coded(code)?,
            selector: Selector::parse_stored(&self.selector).coded(code)?,
            period: Period::read(&self.period).coded(code)?,
            refresh_period: Period::read(&self.refresh_period).coded(code)?,
            idle_timeout: self.idle_timeout.as_ref().map(clock::span),
            max_lifetime: self.max_lifetime.as_ref().map(clock::span),
            on_limit: OnLimit::read(&self.on_limit).coded(code)?,
            reuse_interval: clock::span(&self.reuse_interval),
            tag: self.tag,
            name: self.name,
            description: self.description,
            expiry: self.expiry,
            refresh_expiry: self.refresh_expiry,
            max_sessions: self.max_sessions,
            log_verify: self.log_verify,
        })
    }
}

fn scanned(row: &Row<'_, Definitions>) -> Result<(i32, Stored)> {
    let stored = Stored {
        tag: row.get(Definitions::tag)?,
        name: row.get(Definitions::name)?,
        description: row.get(Definitions::description)?,
        schema: row.get(Definitions::schema)?,
        selector: row.get(Definitions::selector)?,
        expiry: row.get(Definitions::expiry)?,
        period: row.get(Definitions::period)?,
        refresh_expiry: row.get(Definitions::refresh_expiry)?,
        refresh_period: row.get(Definitions::refresh_period)?,
        idle_timeout: row.get(Definitions::idle_timeout)?,
        max_lifetime: row.get(Definitions::max_lifetime)?,
        max_sessions: row.get(Definitions::max_sessions)?,
        on_limit: row.get(Definitions::on_limit)?,
        reuse_interval: row.get(Definitions::reuse_interval)?,
        log_verify: row.get(Definitions::log_verify)?,
    };
    Ok((row.get(Definitions::definition_id)?, stored))
}

/// The definition with this number, in its latest committed state, with the number.
pub fn by_id(definition_id: i32) -> Result<Option<(i32, Stored)>> {
    scan::first_by(&BY_ID, (definition_id,), scanned)
}

/// The definition of a product with this tag, in its latest committed state, with its number.
pub fn by_tag(product_id: &ProductId, tag: &str) -> Result<Option<(i32, Stored)>> {
    let product_id = Uuid::from_bytes(*product_id);
    scan::first_by(&BY_TAG, (&product_id, tag), scanned)
}

/// A stored definition as administrators see it.
pub struct DefinitionRow {
    /// Name of the product.
    pub product: String,
    /// What it says.
    pub stored: Stored,
    /// When it was registered first.
    pub created_at: TimestampWithTimeZone,
    /// When it was changed last.
    pub updated_at: TimestampWithTimeZone,
}

fn read_row(row: &Columns<'_, '_>) -> Result<DefinitionRow> {
    Ok(DefinitionRow {
        product: row.required(1)?,
        stored: Stored {
            tag: row.required(2)?,
            name: row.required(3)?,
            description: row.required(4)?,
            schema: row.required(5)?,
            selector: row.required(6)?,
            expiry: row.required(7)?,
            period: row.required(8)?,
            refresh_expiry: row.required(9)?,
            refresh_period: row.required(10)?,
            idle_timeout: row.get(11)?,
            max_lifetime: row.get(12)?,
            max_sessions: row.get(13)?,
            on_limit: row.required(14)?,
            reuse_interval: row.required(15)?,
            log_verify: row.required(16)?,
        },
        created_at: row.required(17)?,
        updated_at: row.required(18)?,
    })
}

static UPSERT: Statement = Statement::new(
    "INSERT INTO dialstack.session_definitions AS d \
              (product_id, tag, name, description, schema, selector, expiry, period, \
               refresh_expiry, refresh_period, idle_timeout, max_lifetime, max_sessions, \
               on_limit, reuse_interval, log_verify, created_at, updated_at) \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17) \
          ON CONFLICT (product_id, tag) DO UPDATE SET \
              name = excluded.name, description = excluded.description, \
              schema = excluded.schema, selector = excluded.selector, \
              expiry = excluded.expiry, period = excluded.period, \
              refresh_expiry = excluded.refresh_expiry, \
              refresh_period = excluded.refresh_period, \
              idle_timeout = excluded.idle_timeout, max_lifetime = excluded.max_lifetime, \
              max_sessions = excluded.max_sessions, on_limit = excluded.on_limit, \
              reuse_interval = excluded.reuse_interval, log_verify = excluded.log_verify, \
              updated_at = greatest(excluded.updated_at, d.updated_at + interval '1 microsecond')",
);

/// The columns of [`read_row`], of all definitions of product `$1`, or of the one with tag `$2`.
static SELECT: Statement = Statement::new(
    "SELECT p.product, d.tag, d.name, d.description, d.schema, d.selector, d.expiry, \
                 d.period, d.refresh_expiry, d.refresh_period, d.idle_timeout, d.max_lifetime, \
                 d.max_sessions, d.on_limit, d.reuse_interval, d.log_verify, d.created_at, \
                 d.updated_at \
            FROM dialstack.session_definitions d \
            JOIN dialstack.products p USING (product_id) \
           WHERE d.product_id = $1 AND ($2 IS NULL OR d.tag = $2) \
           ORDER BY d.tag",
);

/// The same for an update: no other change comes between reading and writing.
static LOCK: Statement = Statement::new(
    "SELECT definition_id FROM dialstack.session_definitions \
           WHERE product_id = $1 AND tag = $2 FOR UPDATE",
);

static DELETE: Statement = Statement::new(
    "DELETE FROM dialstack.session_definitions WHERE product_id = $1 AND tag = $2 \
          RETURNING definition_id",
);

fn uuid(product_id: &ProductId) -> pgrx::Uuid {
    pgrx::Uuid::from_bytes(*product_id)
}

/// Stores a definition; the same tag again replaces what it says.
pub fn upsert(owner: &AsOwner, product_id: &ProductId, definition: &Definition) -> Result<()> {
    let arguments = [
        bind(uuid(product_id)),
        bind(definition.tag.as_str()),
        bind(definition.name.as_str()),
        bind(definition.description.as_str()),
        bind(JsonText::of(&definition.schema)),
        bind(definition.selector.to_string()),
        bind(definition.expiry),
        bind(definition.period.as_str()),
        bind(definition.refresh_expiry),
        bind(definition.refresh_period.as_str()),
        bind(definition.idle_timeout.as_ref().and_then(clock::interval)),
        bind(definition.max_lifetime.as_ref().and_then(clock::interval)),
        bind(definition.max_sessions),
        bind(definition.on_limit.as_str()),
        bind(clock::interval(&definition.reuse_interval)),
        bind(definition.log_verify),
        bind(clock::timestamptz(clock::now())),
    ];
    UPSERT.execute(owner, &arguments).map(|_| ())
}

/// The definitions of a product, or the one with this tag.
pub fn list(
    owner: &AsOwner,
    product_id: &ProductId,
    tag: Option<&str>,
) -> Result<Vec<DefinitionRow>> {
    SELECT.read(owner, &[bind(uuid(product_id)), bind(tag)], read_row)
}

/// The definition with this tag, locked against other changes until the transaction ends.
pub fn lock(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<Option<DefinitionRow>> {
    scan::lock_for_writing::<Definitions>()?;
    LOCK.execute(owner, &[bind(uuid(product_id)), bind(tag)])?;
    let rows = SELECT.write(owner, &[bind(uuid(product_id)), bind(Some(tag))], read_row)?;
    Ok(rows.into_iter().next())
}

/// Deletes a definition and tells its number, `None` if there was none.
pub fn delete(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<Option<i32>> {
    let arguments = [bind(uuid(product_id)), bind(tag)];
    let rows = DELETE.write(owner, &arguments, |row| row.required::<i32>(1))?;
    Ok(rows.into_iter().next())
}
