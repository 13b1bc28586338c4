//! Session definitions.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::{Result, functions};
use crate::error::{Code, Coded};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::Jsonb;
use crate::service::setup::definitions;
use crate::session::definition::{MAX_DESCRIPTION, MAX_PUBLIC_CLAIMS, definition_fields};
use crate::session::{OnLimit, Period, Selector, Span, check_length};
use crate::tables::definitions::Column;

/// A definition of the arguments with these names, as JSON; NULL is null.
macro_rules! given {
    ($($text:ident),+; $($name:ident),+; $($interval:ident),+; $schema:ident) => {
        json!({
            $((stringify!($text)): bounded(stringify!($text), $text)?,)+
            $((stringify!($name)): $name,)+
            $((stringify!($interval)): $interval.as_ref().map(clock::span),)+
            (stringify!($schema)): $schema
                .map(|schema| schema.parse(&definitions::SCHEMA))
                .transpose()
                .coded(Code::DefineFailed)?,
        })
    };
}

/// A text that is no longer than any field may be, so that a longer one is refused before it is copied.
fn bounded<'a>(name: &str, text: Option<&'a str>) -> Result<Option<&'a str>> {
    check_length(name, text.unwrap_or_default(), MAX_DESCRIPTION).coded(Code::DefineFailed)?;
    Ok(text)
}

/// The paths, but only one more than there may be: enough to refuse what is too many.
fn paths<'a>(given: &'a Array<'_, &str>) -> Result<Vec<Option<&'a str>>> {
    let paths = given.iter().take(MAX_PUBLIC_CLAIMS + 1);
    paths.map(|path| bounded("public_claims", path)).collect()
}

macro_rules! chapter {
    ($($(#[$documentation:meta])+ $field:ident: $type:ty,)+) => { functions! { FUNCTIONS;
    rows {
        product: String,
        $($field: <$type as Column>::Stored,)+
        created_at: TimestampWithTimeZone,
        updated_at: TimestampWithTimeZone,
    }

    /// Checks a definition of user sessions and returns it, ready for session_register; stores nothing.
    #[level(Admin; unrecorded)]
    fn session_define(
        product: Option<&str>,
        tag: Option<&str>,
        name: Option<&str>,
        description: Option<&str>,
        selector: Option<&str>,
        expiry: Option<i32>,
        period: Option<&str>,
        schema: Option<Jsonb<'_>>,
        refresh_expiry: default!(Option<i32>, "NULL"),
        refresh_period: default!(Option<&str>, "NULL"),
        idle_timeout: default!(Option<Interval>, "NULL"),
        max_lifetime: default!(Option<Interval>, "NULL"),
        max_sessions: default!(Option<i32>, "NULL"),
        on_limit: default!(Option<&str>, "NULL"),
        reuse_interval: default!(Option<Interval>, "NULL"),
        log_verify: default!(Option<bool>, "NULL"),
        public_claims: default!(Option<Array<'_, &str>>, "NULL"),
    ) -> Result<JsonText> {
        let public_claims = public_claims.as_ref().map(paths).transpose()?;
        let fields = given!(
            tag, name, description, selector, period, refresh_period, on_limit;
            expiry, refresh_expiry, max_sessions, log_verify, public_claims; idle_timeout, max_lifetime, reuse_interval;
            schema
        );
        Ok(definitions::define(product, &fields)?)
    }

    /// Stores a definition; the same tag again changes it.
    #[level(Admin; audit(product => tag))]
    fn session_register(product: Option<&str>, definition: Option<Jsonb<'_>>) => rows shared {
        vec![definitions::register(product, definition)?]
    }

    /// Checks and stores a definition in one call.
    #[level(Admin; audit(product, tag))]
    fn definition_create(
        product: Option<&str>,
        tag: Option<&str>,
        name: Option<&str>,
        description: Option<&str>,
        schema: Option<Jsonb<'_>>,
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
        public_claims: default!(Option<Array<'_, &str>>, "NULL"),
    ) => rows shared {
        let public_claims = public_claims.as_ref().map(paths).transpose()?;
        let fields = given!(
            tag, name, description, selector, period, refresh_period, on_limit;
            expiry, refresh_expiry, max_sessions, log_verify, public_claims; idle_timeout, max_lifetime, reuse_interval;
            schema
        );
        vec![definitions::create(product, &fields)?]
    }

    /// Changes some fields of a definition; sessions follow at their next creation or refresh.
    #[level(Admin; audit(product, tag))]
    fn definition_update(
        product: Option<&str>,
        tag: Option<&str>,
        changes: Option<Jsonb<'_>>,
    ) => rows shared {
        vec![definitions::update(product, tag, changes)?]
    }

    /// Deletes a definition, revokes its sessions, and returns what it was.
    #[level(Admin; audit(product, tag))]
    fn definition_delete(product: Option<&str>, tag: Option<&str>) => rows shared {
        vec![definitions::delete(product, tag)?]
    }

    /// One definition.
    #[level(Admin; unrecorded)]
    fn definition_get(product: Option<&str>, tag: Option<&str>) => rows shared {
        vec![definitions::get(product, tag)?]
    }

    /// All definitions of a product.
    #[level(Admin; unrecorded)]
    fn definition_list(product: Option<&str>) => rows shared {
        definitions::list(product)?
    }
    } };
}
definition_fields!(chapter);
