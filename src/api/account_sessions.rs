//! Account sessions: a client secret for one account, limited to components.

use pgrx::datum::{Inet, Interval};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Result, functions};
use crate::pg::clock::timestamptz;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::datum::record::Record;
use crate::pg::datum::sql_type::{As, sql_types};
use crate::service::account_sessions::{AccountSession, create};
use crate::service::revocation::revoke;
use crate::tables::activity::Origin;

sql_types! {
    Created = "TABLE (client_secret text, expires_at timestamptz, account_id text, components jsonb)";
}

type CreatedRow = As<Created, Record<4>>;

fn row(account: Option<&str>, created: AccountSession) -> CreatedRow {
    Record([
        created.client_secret.into_datum(),
        timestamptz(created.expires_at).into_datum(),
        account.into_datum(),
        created.components.into_datum(),
    ])
    .into()
}

functions! { FUNCTIONS;
    /// Creates a session for one account, limited to some components, and returns its client secret.
    #[level(Client)]
    fn account_session_create(
        account: Option<&str>,
        components: default!(Option<Jsonb<'_>>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        expires_in: default!(Option<Interval>, "'1 hour'"),
        identifier: default!(Option<&str>, "NULL"),
        ip: default!(Option<Inet>, "NULL"),
        user_agent: default!(Option<&str>, "NULL"),
    ) -> Result<CreatedRow> {
        let origin = Origin::of_user(ip.as_ref(), user_agent);
        Ok(row(account, create(account, components, [product, env], expires_in, identifier, origin)?))
    }

    /// Revokes all sessions of an account in one environment; returns how many.
    #[level(Client; audit(account, product, env, reason => sessions))]
    fn account_session_revoke(
        account: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        reason: default!(Option<&str>, "'revoked'"),
    ) -> Result<i64> {
        Ok(revoke::revoke_account(account, product, env, reason)?)
    }

    /// Deprecated name of account_session_create.
    #[level(Client)]
    #[pg_extern(name = "session_create")]
    fn session_create_deprecated(
        account: Option<&str>,
        components: default!(Option<Jsonb<'_>>, "NULL"),
    ) -> Result<CreatedRow> {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_WARNING_DEPRECATED_FEATURE,
            "session_create(account, components) is deprecated",
            "session_create",
        )
        .set_hint("Call dialstack.account_session_create() instead.")
        .report(PgLogLevel::WARNING);
        let one_hour = Some(Interval::from_hours(1));
        Ok(row(account, create(account, components, [None, None], one_hour, None, Origin::UNKNOWN)?))
    }
}
