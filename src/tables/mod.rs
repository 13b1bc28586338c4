//! Our tables: a file a table.

pub mod access_limits;
pub mod activity;
pub mod administration;
pub mod api_keys;
pub mod client_sessions;
pub mod definitions;
pub mod instance;
pub mod living;
pub mod paging;
pub mod persons;
pub mod products;
pub mod revocations;
pub mod scopes;
pub mod session_sets;
pub mod session_users;
pub mod sessions;
pub mod signing_keys;

use crate::pg::relcache::Declared;
use crate::pg::table::Table;

/// All relations that the library reads or writes directly.
pub fn declared() -> Declared {
    Declared {
        configuration: vec![
            products::Products::relation(),
            products::Environments::relation(),
            definitions::Definitions::relation(),
            access_limits::AccessLimits::relation(),
            instance::Instances::relation(),
            signing_keys::SigningKeys::relation(),
        ],
        others: [
            sessions::Sessions::relation(),
            client_sessions::ClientSessions::relation(),
            api_keys::ApiKeys::relation(),
            scopes::Scopes::relation(),
            &sessions::BY_ID.relation,
            &client_sessions::BY_ID.relation,
            &api_keys::BY_ID.relation,
            &api_keys::BY_HASH.relation,
            &products::BY_ID.relation,
            &products::BY_NAME.relation,
            &products::ENV_BY_ID.relation,
            &products::ENV_BY_NAME.relation,
            &definitions::BY_ID.relation,
            &definitions::BY_TAG.relation,
        ]
        .into(),
    }
}
