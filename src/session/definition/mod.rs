//! The definition of one kind of user session.

mod fields;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::period::{Period, Span};
use super::problem::Problem;
use super::schema::type_names;
use super::selector::Selector;
use crate::text_enum::text_enum;

/// Longest display name, in characters.
pub const MAX_DEFINITION_NAME: usize = 200;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// Most sessions that a definition can allow a user.
pub const MAX_SESSIONS: i32 = 10_000;
/// Most paths of session data that access tokens carry in the clear.
pub const MAX_PUBLIC_CLAIMS: usize = 32;
/// Default of `refresh_expiry`, in days.
pub const DEFAULT_REFRESH_DAYS: i32 = 30;
pub const DEFAULT_REUSE_INTERVAL: Span = Span::seconds(30);
pub const MAX_REUSE_INTERVAL: Span = Span::seconds(300);

text_enum! {
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    /// What happens when a user who has `max_sessions` logs in once more.
    pub enum OnLimit {
        /// The oldest sessions make room.
        EvictOldest = "evict_oldest",
        /// The new one is refused.
        Deny = "deny",
    }
}

impl OnLimit {
    /// Reads the text.
    pub fn read(text: &str) -> Result<Self, Problem> {
        Self::parse(text).ok_or_else(|| Problem::not_one_of("on_limit", Self::TEXTS))
    }
}

/// Calls a macro with the fields of a definition, which are the columns of its table in their order: documentation,
/// name and type of each.
macro_rules! definition_fields {
    ($with:ident) => {
        $with! {
            /// Its name within the product: `[A-Za-z0-9._-]{1,63}`.
            tag: String,
            /// Display name, 1–200 characters.
            name: String,
            /// At most 2000 characters; may be empty.
            description: String,
            /// A full JSON Schema, as [`super::normalize`] returns it.
            schema: Value,
            /// What identifies the user.
            selector: Selector,
            /// Life of an access token, in `period`s; from 1.
            expiry: i32,
            /// Unit of `expiry`.
            period: Period,
            /// Life of a refresh token, in `refresh_period`s; not shorter than that of an access token.
            refresh_expiry: i32,
            /// Unit of `refresh_expiry`.
            refresh_period: Period,
            /// How long a session may go without a refresh; not shorter than `expiry`.
            idle_timeout: Option<Span>,
            /// How long a session may live in all; not shorter than `expiry`.
            max_lifetime: Option<Span>,
            /// How many living sessions a user may have, 1–10000.
            max_sessions: Option<i32>,
            /// What happens beyond that.
            on_limit: OnLimit,
            /// How long a superseded refresh token still gives the current one, 0–300 s.
            reuse_interval: Span,
            /// Whether each verification leaves an activity row.
            log_verify: bool,
            /// Paths of the session data that access tokens carry in the clear, each as a selector names one.
            public_claims: Vec<String>,
        }
    };
}
pub(crate) use definition_fields;

macro_rules! declare {
    ($($(#[$documentation:meta])+ $field:ident: $type:ty,)+) => {
        /// The configuration of one kind of user session. One that exists keeps all the rules of
        /// [`Definition::from_json`], as long as nobody changes its fields.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct Definition {
            $($(#[$documentation])+ pub $field: $type,)+
        }

        impl Definition {
            pub const FIELDS: &[&str] = &[$(stringify!($field)),+];
        }
    };
}
definition_fields!(declare);

impl Definition {
    /// Reads and validates a definition. `parse_interval` reads PostgreSQL's intervals, ISO 8601
    /// among them; intervals may also be numbers of seconds.
    ///
    /// Required are `tag`, `name`, `schema`, `selector`, `expiry` and `period`; a null elsewhere
    /// means the default. `refresh_expiry` and `refresh_period` go together; without them a refresh
    /// token lives 30 days, or as long as the access token if that is longer. A key `product` is
    /// ignored.
    ///
    /// # Errors
    /// Names the key and its rule; for an unknown key the known ones.
    pub fn from_json(v: &Value, parse_interval: &dyn Fn(&str) -> Option<Span>) -> Result<Self, Problem> {
        let definition = fields::Fields::new(v, parse_interval)?.read()?;
        definition.check_lifetimes()?;
        definition.check_selector()?;
        Ok(definition)
    }

    /// All fields by their names, in stored form, those without a value as null; intervals are in
    /// ISO 8601, which PostgreSQL reads under every `IntervalStyle`.
    pub fn to_json(&self) -> Value {
        json!(self)
    }

    /// What of the session data access tokens carry in the clear, nested as it is there.
    pub fn public_claims(&self, data: &Value) -> Map<String, Value> {
        let mut claims = Map::new();
        for path in &self.public_claims {
            if let Ok(selector) = Selector::parse(path) {
                selector.copy(data, &mut claims);
            }
        }
        claims
    }

    /// Life of an access token.
    ///
    /// # Errors
    /// Only if the fields were changed after validation.
    pub fn access_span(&self) -> Result<Span, Problem> {
        self.period.span(self.expiry)
    }

    /// Life of a refresh token from its last rotation.
    ///
    /// # Errors
    /// Only if the fields were changed after validation.
    pub fn refresh_span(&self) -> Result<Span, Problem> {
        self.refresh_period.span(self.refresh_expiry)
    }

    fn check_lifetimes(&self) -> Result<(), Problem> {
        let access = self.access_span()?.approx_micros();
        let others = [
            ("refresh_expiry", Some(self.refresh_span()?)),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
        ];
        for (key, span) in others {
            if span.is_some_and(|span| span.approx_micros() < access) {
                return Err(Problem::new(format!("{key} must not be shorter than expiry"))
                    .with_detail("A month counts as 30 days here, a day as 24 hours.")
                    .with_hint("Lengthen it, or shorten expiry."));
            }
        }
        Ok(())
    }

    /// Where the schema declares in its place what the selector selects, that must be able to identify a user.
    /// References are not followed: behind one, the data decides.
    fn check_selector(&self) -> Result<(), Problem> {
        let wrong = |why: &str| {
            Err(Problem::new("selector contradicts the schema")
                .with_detail(format!("By the schema, {} {why}.", self.selector))
                .with_hint("Select a string, a whole number or a boolean."))
        };
        let mut at = &self.schema;
        for key in self.selector.path() {
            if !may_be(at, &["object"]) {
                return wrong("looks into a value that is not an object");
            }
            at = match at.get("properties").and_then(|all| all.get(key)) {
                Some(property) => property,
                None if is_closed(at) => return wrong("is not allowed"),
                // Not declared: then the data decides.
                None => return Ok(()),
            };
        }
        if at == &Value::Bool(false) {
            return wrong("is not allowed");
        }
        if may_be(at, &["string", "number", "integer", "boolean"]) {
            return Ok(());
        }
        wrong("is not a primitive value")
    }
}

/// Whether the schema's own `type` leaves room for one of these types.
fn may_be(schema: &Value, types: &[&str]) -> bool {
    let one_of = |name: &Value| name.as_str().is_some_and(|name| types.contains(&name));
    schema.get("type").is_none_or(|of| type_names(of).iter().any(one_of))
}

/// Whether an object has only its declared properties.
fn is_closed(schema: &Value) -> bool {
    schema.get("additionalProperties") == Some(&Value::Bool(false))
        && schema.get("patternProperties").is_none()
}

#[cfg(test)]
mod tests;
