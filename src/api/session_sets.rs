//! Administration: sets of sessions, what is held of a person, and the record of what administrators did.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::{Result, functions};
use crate::administration::{erase, export};
use crate::dashboard::logs;
use crate::pg::datum::json::JsonText;
use crate::service::session_sets;
use crate::tables::session_sets::Filter;

/// The functions with a filter have its fields, each of an `Option` of the type in brackets, as their first arguments.
macro_rules! chapter {
    ($($field:ident ($($type:tt)+),)+) => { functions! { FUNCTIONS;
    /// A page of the sessions of all kinds that a filter matches, newest first; after: the last of the page before.
    ///
    /// With identifier or account an index finds them; any other filter reads all sessions.
    #[level(Admin; audit($($field),+, active_only))]
    fn session_find(
        $($field: default!(Option<$($type)+>, "NULL"),)+
        active_only: default!(Option<bool>, "true"),
        after: default!(Option<pgrx::Uuid>, "NULL"),
        per_page: default!(Option<i32>, "100"),
    ) => table {
        session_id: pgrx::Uuid,
        kind: String,
        product: Option<String>,
        env: Option<String>,
        tag: Option<String>,
        identifier: Option<String>,
        account: Option<String>,
        created_at: TimestampWithTimeZone,
        last_seen_at: TimestampWithTimeZone,
        expires_at: TimestampWithTimeZone,
        active: bool,
        revoked_at: Option<TimestampWithTimeZone>,
        revoke_reason: Option<String>,
        ip: Option<Inet>,
        user_agent: Option<String>,
        api_key_id: Option<pgrx::Uuid>,
        key_number: i32,
    } {
        session_sets::find(&Filter { $($field),+ }, active_only, after, per_page)?
    }

    /// How many sessions the filter of session_find matches.
    #[level(Admin; audit($($field),+, active_only => sessions))]
    fn session_count(
        $($field: default!(Option<$($type)+>, "NULL"),)+
        active_only: default!(Option<bool>, "true"),
    ) -> Result<i64> {
        Ok(session_sets::count(&Filter { $($field),+ }, active_only)?)
    }

    /// Revokes the living sessions that the filter of session_find matches; returns how many. By default only counts.
    ///
    /// An empty filter needs everything => true as well.
    #[level(Admin; audit($($field),+, dry_run, reason, everything => sessions))]
    fn session_revoke_where(
        $($field: default!(Option<$($type)+>, "NULL"),)+
        dry_run: default!(Option<bool>, "true"),
        reason: default!(Option<&str>, "'revoked'"),
        everything: default!(Option<bool>, "false"),
    ) -> Result<i64> {
        Ok(session_sets::revoke(&Filter { $($field),+ }, dry_run, reason, everything)?)
    }

    /// Revokes and deletes a user's sessions, with all that names the user; returns how many rows of each table.
    ///
    /// Activity stays without identifier, address and user agent, so that totals stay as they were.
    #[level(Admin; audit(product, env, tag, identifier => rows))]
    fn user_erase(
        product: Option<&str>,
        identifier: Option<&str>,
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
    ) -> Result<JsonText> {
        Ok(erase::erase([product, env, tag], identifier)?)
    }

    /// All that is held of a user, with the data of the sessions; of longer lists a page.
    #[level(Admin; audit(product, env, tag, identifier))]
    fn user_export(
        product: Option<&str>,
        identifier: Option<&str>,
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "100"),
    ) -> Result<JsonText> {
        Ok(export::export([product, env, tag], identifier, page, per_page)?)
    }
    /// A page of what administrators did, newest first; calls of maintain() only where they are asked for.
    #[level(Admin; unrecorded)]
    fn administration_log(
        product: default!(Option<&str>, "NULL"),
        actor: default!(Option<&str>, "NULL"),
        function: default!(Option<&str>, "NULL"),
        start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        maintenance: default!(Option<bool>, "false"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "20"),
        with_total: default!(Option<bool>, "true"),
    ) => table_page {
        administration_id: i64,
        at: TimestampWithTimeZone,
        session_role: String,
        acting_role: String,
        function: String,
        target: JsonText,
        effect: JsonText,
        client_addr: Option<Inet>,
    } {
        let (named, time) = ([product, actor, function], [start_at, end_at]);
        logs::administration(named, time, maintenance, [page, per_page], with_total)?
    }
    } };
}
chapter! {
    product (&str),
    env (&str),
    tag (&str),
    kind (&str),
    identifier (&str),
    account (&str),
    ip (&str),
    user_agent (&str),
    api_key_id (pgrx::Uuid),
    key_number (i32),
    created_before (TimestampWithTimeZone),
    created_after (TimestampWithTimeZone),
    seen_before (TimestampWithTimeZone),
}
