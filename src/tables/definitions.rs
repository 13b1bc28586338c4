//! The table `session_definitions`.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use serde_json::Value;

use crate::error::{Code, Coded, Result};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::{self, Row};
use crate::pg::statements::{Columns, FromColumn, Statement, bind};
use crate::pg::table::table;
use crate::session::definition::definition_fields;
use crate::session::{Definition, OnLimit, Period, Problem, Selector, Span};
use crate::tables::products::ProductId;

table! {
    Definitions: Configuration = c"session_definitions" {
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
        public_claims: Texts,
        created_at: Timestamptz,
        updated_at: Timestamptz,
    }
    indexes {
        BY_ID: (Int4) = c"session_definitions_pkey" (definition_id),
        BY_TAG: (Uuid, Text) = c"session_definitions_product_id_tag_key" (product_id, tag),
    }
}

/// The type of a definition's field, in Rust and as its column holds it.
pub trait Column: Sized {
    /// What the column holds.
    type Stored;

    /// The field's value. The table holds only valid ones, so that this reads and does not validate again.
    ///
    /// # Errors
    /// A problem for a row that was changed manually.
    fn of_stored(stored: Self::Stored) -> std::result::Result<Self, Problem>;
}

macro_rules! column {
    ($($field:ty: $stored:ty, $of_stored:expr;)+) => { $(
        impl Column for $field {
            type Stored = $stored;

            fn of_stored(stored: $stored) -> std::result::Result<Self, Problem> {
                let of_stored: fn($stored) -> std::result::Result<Self, Problem> = $of_stored;
                of_stored(stored)
            }
        }
    )+ };
}

column! {
    String: String, Ok;
    Value: JsonText, |schema| schema.parse();
    Selector: String, |selector| Selector::parse(&selector);
    i32: i32, Ok;
    Option<i32>: Option<i32>, Ok;
    Period: String, |period| Period::read(&period);
    Span: Interval, |interval| Ok(clock::span(&interval));
    Option<Span>: Option<Interval>, |interval| Ok(interval.as_ref().map(clock::span));
    OnLimit: String, |on_limit| OnLimit::read(&on_limit);
    bool: bool, Ok;
    Vec<String>: Vec<String>, Ok;
}

/// The columns of a [`DefinitionRow`].
macro_rules! columns {
    ($($field:ident)+) => {
        concat!(
            "(SELECT p.product FROM dialstack.products p WHERE p.product_id = d.product_id), \
             d.created_at, d.updated_at",
            $(", d.", stringify!($field)),+
        )
    };
}

macro_rules! declare {
    ($($(#[$documentation:meta])+ $field:ident: $type:ty,)+) => {
        /// A stored definition as administrators see it.
        pub struct DefinitionRow {
            pub product: String,
            $($(#[$documentation])+ pub $field: <$type as Column>::Stored,)+
            /// When it was registered first.
            pub created_at: TimestampWithTimeZone,
            /// When it was changed last.
            pub updated_at: TimestampWithTimeZone,
        }

        fn read_row(row: &Columns<'_, '_>) -> Result<DefinitionRow> {
            let mut ordinals = 1..;
            let mut next = || ordinals.next().unwrap_or_default();
            Ok(DefinitionRow {
                product: row.required(next())?,
                created_at: row.required(next())?,
                updated_at: row.required(next())?,
                $($field: FromColumn::from_column(row, next())?,)+
            })
        }

        /// A definition and its number.
        fn scanned(row: &Row<'_, Definitions>) -> Result<(i32, Definition)> {
            let code = Code::RegisterFailed;
            let definition = Definition {
                $($field: Column::of_stored(row.get(Definitions::$field)?).coded(code)?,)+
            };
            Ok((row.get(Definitions::definition_id)?, definition))
        }

        /// `$1`: the product; `$2`: the definition, as JSON; `$3`: now.
        static UPSERT: Statement = Statement::new(concat!(
                "INSERT INTO dialstack.session_definitions AS d (product_id, ",
                $(stringify!($field), ", ",)+
                "created_at, updated_at) SELECT $1, ",
                $("f.", stringify!($field), ", ",)+
                "$3, $3 FROM jsonb_populate_record(NULL::dialstack.session_definitions, $2) f \
                 ON CONFLICT (product_id, tag) DO UPDATE SET ",
                $(stringify!($field), " = excluded.", stringify!($field), ", ",)+
                "updated_at = greatest(excluded.updated_at, d.updated_at + interval '1 microsecond') \
                 RETURNING ",
                columns!($($field)+)
            ));

        /// All definitions of product `$1`, or the one with tag `$2`.
        static SELECT: Statement = Statement::new(concat!(
                "SELECT ",
                columns!($($field)+),
                " FROM dialstack.session_definitions d \
                 WHERE d.product_id = $1 AND ($2 IS NULL OR d.tag = $2) \
                 ORDER BY d.tag"
            ));
    };
}
definition_fields!(declare);

/// The definition with this number, in its latest committed state, with the number.
///
/// # Errors
/// `REGISTER_FAILED` for a row that was changed manually.
pub fn by_id(definition_id: i32) -> Result<Option<(i32, Definition)>> {
    scan::first_by(&BY_ID, (definition_id,), scanned)
}

/// The definition of a product with this tag, in its latest committed state, with its number.
pub fn by_tag(product_id: &ProductId, tag: &str) -> Result<Option<(i32, Definition)>> {
    scan::first_by(&BY_TAG, (product_id, tag), scanned)
}

/// All definitions with their products, in their latest committed state.
pub fn all() -> Result<Vec<(ProductId, Definition)>> {
    scan::all(|row| Ok((row.get(Definitions::product_id)?, scanned(row)?.1)))
}

/// The numbers of the definitions of a product, or of all, with that tag, or with any: ascending, in their latest
/// committed state. Reads all definitions.
pub fn ids(product_id: Option<&ProductId>, tag: Option<&str>) -> Result<Vec<i32>> {
    let all = scan::all(|row| {
        let (of, its_tag) = (row.get(Definitions::product_id)?, row.get(Definitions::tag)?);
        let is_meant = product_id.is_none_or(|id| *id == of) && tag.is_none_or(|tag| tag == its_tag);
        Ok((row.get(Definitions::definition_id)?, is_meant))
    })?;
    let mut ids: Vec<i32> = all.into_iter().filter(|(_, is_meant)| *is_meant).map(|(id, _)| id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Locks the row, so that no other change comes between reading and writing.
static LOCK: Statement = Statement::new(
    "SELECT definition_id FROM dialstack.session_definitions \
           WHERE product_id = $1 AND tag = $2 FOR UPDATE",
);

static DELETE: Statement =
    Statement::new("DELETE FROM dialstack.session_definitions WHERE product_id = $1 AND tag = $2");

/// Stores a definition, and returns it as it is stored; the same tag again replaces what it says.
pub fn upsert(
    owner: &AsOwner,
    product_id: &ProductId,
    definition: &Definition,
) -> Result<Option<DefinitionRow>> {
    let arguments = [
        bind(pg_uuid(product_id)),
        bind(JsonText::of(&definition.to_json())),
        bind(clock::timestamptz(clock::now())),
    ];
    Ok(UPSERT.write(owner, &arguments, read_row)?.into_iter().next())
}

/// The definitions of a product, or the one with this tag.
pub fn list(owner: &AsOwner, product_id: &ProductId, tag: Option<&str>) -> Result<Vec<DefinitionRow>> {
    SELECT.read(owner, &[bind(pg_uuid(product_id)), bind(tag)], read_row)
}

/// The definition with this tag, locked against other changes until the transaction ends.
pub fn lock(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<Option<DefinitionRow>> {
    scan::lock_for_writing::<Definitions>()?;
    LOCK.execute(owner, &[bind(pg_uuid(product_id)), bind(tag)])?;
    let rows = SELECT.write(owner, &[bind(pg_uuid(product_id)), bind(Some(tag))], read_row)?;
    Ok(rows.into_iter().next())
}

pub fn delete(owner: &AsOwner, product_id: &ProductId, tag: &str) -> Result<()> {
    DELETE.execute(owner, &[bind(pg_uuid(product_id)), bind(tag)]).map(|_| ())
}
