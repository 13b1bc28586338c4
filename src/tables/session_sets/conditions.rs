//! The conditions of a filter as SQL, written once for finding, counting and revoking. The parameters `$11` to `$21` are
//! the filter, in the order of `Matching::arguments`: environments, definitions, kind, subject, network, pattern, API
//! key, number of the key, created before, created after, seen before.

macro_rules! conditions {
    (user) => {
        concat!("env_id = ANY ($11) AND definition_id = ANY ($12) AND subject = $14 AND ", conditions!(@row))
    };
    // Account sessions that were made for a user.
    (for_user) => {
        concat!(
            "env_id = ANY ($11) AND definition_id IS NULL AND $12 IS NOT NULL AND identifier = $14 AND ",
            conditions!(@row)
        )
    };
    (account) => {
        concat!(
            "env_id = ANY ($11) AND definition_id IS NULL AND $12 IS NULL AND subject = $14 AND ",
            conditions!(@row)
        )
    };
    (any) => {
        concat!(
            "($11 IS NULL OR env_id = ANY ($11)) AND ($12 IS NULL OR definition_id = ANY ($12)) \
             AND $14 IS NULL AND ",
            conditions!(@row)
        )
    };
    // A client session has no definition, subject, address or user agent, and is never refreshed.
    (client) => {
        concat!(
            "($11 IS NULL OR env_id = ANY ($11)) AND $12 IS NULL AND ($13 IS NULL OR $13 = 'client') \
             AND $14 IS NULL AND $15 IS NULL AND $16 IS NULL AND ($21 IS NULL OR created_at < $21) AND ",
            conditions!(@key_and_creation)
        )
    };
    (@row) => {
        concat!(
            "($13 IS NULL OR $13 = CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END) \
             AND ($15 IS NULL OR ip <<= $15) AND ($16 IS NULL OR user_agent ILIKE $16) \
             AND ($21 IS NULL OR last_seen_at < $21) AND ",
            conditions!(@key_and_creation)
        )
    };
    (@key_and_creation) => {
        "($17 IS NULL OR api_key_id = $17) AND ($18 IS NULL OR key_number = $18) \
         AND ($19 IS NULL OR created_at < $19) AND ($20 IS NULL OR created_at >= $20)"
    };
}
pub(crate) use conditions;
