//! The conditions of a filter as SQL, written once for finding, counting and revoking. The parameters `$11` to `$23` are
//! the filter, in the order of `Matching::arguments`: environments, definitions, kind, user, whether account sessions
//! that were made for the user are meant too, account, network, pattern, API key, number of the key, created before,
//! created after, seen before.
//!
//! Planned with their values (`Setting::custom_plans`): what is not given then vanishes, and what is given finds its
//! index.

macro_rules! conditions {
    (sessions) => {
        concat!(
            "($11 IS NULL OR env_id = ANY ($11)) \
             AND ($14 IS NULL AND ($12 IS NULL OR definition_id = ANY ($12)) \
                  OR definition_id = ANY ($12) AND subject = $14 \
                  OR $15 AND definition_id IS NULL AND identifier = $14) \
             AND ($16 IS NULL OR definition_id IS NULL AND subject = $16) \
             AND ($13 IS NULL OR $13 = CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END) \
             AND ($17 IS NULL OR ip <<= $17) AND ($18 IS NULL OR user_agent ILIKE $18) \
             AND ($23 IS NULL OR last_seen_at < $23) AND ",
            conditions!(@key_and_creation)
        )
    };
    // A client session has no definition, subject, address or user agent, and is never refreshed.
    (clients) => {
        concat!(
            "($11 IS NULL OR env_id = ANY ($11)) AND $12 IS NULL AND ($13 IS NULL OR $13 = 'client') \
             AND $14 IS NULL AND $16 IS NULL AND $17 IS NULL AND $18 IS NULL \
             AND ($23 IS NULL OR created_at < $23) AND ",
            conditions!(@key_and_creation)
        )
    };
    (@key_and_creation) => {
        "($19 IS NULL OR api_key_id = $19) AND ($20 IS NULL OR key_number = $20) \
         AND ($21 IS NULL OR created_at < $21) AND ($22 IS NULL OR created_at >= $22)"
    };
}
pub(crate) use conditions;
