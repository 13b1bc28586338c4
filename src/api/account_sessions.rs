//! Account sessions: a client secret for one account, limited to components.

use pgrx::datum::{Inet, Interval};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Result, functions};
use crate::pg::clock::timestamptz;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::datum::record::Record;
use crate::service::account_sessions::{AccountSession, create};
use crate::service::revocation::revoke;
use crate::tables::activity::Origin;

fn row(account: Option<&str>, created: AccountSession) -> Record<4> {
    Record([
        created.client_secret.into_datum(),
        timestamptz(created.expires_at).into_datum(),
        account.into_datum(),
        created.components.into_datum(),
    ])
}

functions! { FUNCTIONS;
    /// Creates a session for one account, limited to some components, and returns its client secret.
    #[level(Client)]
    #[pg_extern(
        sql = "CREATE FUNCTION dialstack.account_session_create(
    account text, components jsonb DEFAULT NULL, product text DEFAULT NULL, env text DEFAULT NULL,
    expires_in interval DEFAULT '1 hour', identifier text DEFAULT NULL, ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL)
RETURNS TABLE (client_secret text, expires_at timestamptz, account_id text, components jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn account_session_create(
        account: Option<&str>,
        components: Option<Jsonb<'_>>,
        product: Option<&str>,
        env: Option<&str>,
        expires_in: Option<Interval>,
        identifier: Option<&str>,
        ip: Option<Inet>,
        user_agent: Option<&str>,
    ) -> Result<Record<4>> {
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
    #[pg_extern(
        sql = "CREATE FUNCTION dialstack.session_create(account text, components jsonb DEFAULT NULL)
RETURNS TABLE (client_secret text, expires_at timestamptz, account_id text, components jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn session_create_deprecated(
        account: Option<&str>,
        components: Option<Jsonb<'_>>,
    ) -> Result<Record<4>> {
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
