//! The conditions of a filter as SQL, as far as they are written once for finding, counting and revoking. Each takes the
//! parameters in the order of `Matching::arguments`.

/// The conditions that are the same for every subject. In order: environments, definitions, kind, subject, network,
/// pattern, API key, number of the key, created before, created after, seen before.
macro_rules! of_others {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $network:tt, $pattern:tt, $api_key:tt, $key:tt, $before:tt, $after:tt, $seen:tt) => {
        concat!(
            "(",
            $kind,
            " IS NULL OR ",
            $kind,
            " = CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END) \
             AND (",
            $network,
            " IS NULL OR ip <<= ",
            $network,
            ") \
             AND (",
            $pattern,
            " IS NULL OR user_agent ILIKE ",
            $pattern,
            ") \
             AND (",
            $api_key,
            " IS NULL OR api_key_id = ",
            $api_key,
            ") \
             AND (",
            $key,
            " IS NULL OR key_number = ",
            $key,
            ") \
             AND (",
            $before,
            " IS NULL OR created_at < ",
            $before,
            ") \
             AND (",
            $after,
            " IS NULL OR created_at >= ",
            $after,
            ") \
             AND (",
            $seen,
            " IS NULL OR last_seen_at < ",
            $seen,
            ")"
        )
    };
}

macro_rules! of_user {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $($other:tt),+) => {
        concat!(
            "env_id = ANY (", $envs, ") AND definition_id = ANY (", $definitions, ") AND subject = ", $subject, " AND ",
            $crate::tables::session_sets::of_others!($envs, $definitions, $kind, $subject, $($other),+)
        )
    };
}

/// Account sessions that were made for a user.
macro_rules! for_user {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $($other:tt),+) => {
        concat!(
            "env_id = ANY (", $envs, ") AND definition_id IS NULL AND ", $definitions, " IS NOT NULL \
             AND identifier = ", $subject, " AND ",
            $crate::tables::session_sets::of_others!($envs, $definitions, $kind, $subject, $($other),+)
        )
    };
}

macro_rules! of_account {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $($other:tt),+) => {
        concat!(
            "env_id = ANY (", $envs, ") AND definition_id IS NULL AND ", $definitions, " IS NULL AND subject = ",
            $subject, " AND ",
            $crate::tables::session_sets::of_others!($envs, $definitions, $kind, $subject, $($other),+)
        )
    };
}

macro_rules! of_any {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $($other:tt),+) => {
        concat!(
            "(", $envs, " IS NULL OR env_id = ANY (", $envs, ")) \
             AND (", $definitions, " IS NULL OR definition_id = ANY (", $definitions, ")) \
             AND ", $subject, " IS NULL AND ",
            $crate::tables::session_sets::of_others!($envs, $definitions, $kind, $subject, $($other),+)
        )
    };
}

/// A client session has no definition, subject, address or user agent, and is never refreshed.
macro_rules! of_client {
    ($envs:tt, $definitions:tt, $kind:tt, $subject:tt, $network:tt, $pattern:tt, $api_key:tt, $key:tt, $before:tt, $after:tt, $seen:tt) => {
        concat!(
            "(",
            $envs,
            " IS NULL OR env_id = ANY (",
            $envs,
            ")) \
             AND ",
            $definitions,
            " IS NULL AND (",
            $kind,
            " IS NULL OR ",
            $kind,
            " = 'client') \
             AND ",
            $subject,
            " IS NULL AND ",
            $network,
            " IS NULL AND ",
            $pattern,
            " IS NULL \
             AND (",
            $api_key,
            " IS NULL OR api_key_id = ",
            $api_key,
            ") \
             AND (",
            $key,
            " IS NULL OR key_number = ",
            $key,
            ") \
             AND (",
            $before,
            " IS NULL OR created_at < ",
            $before,
            ") \
             AND (",
            $after,
            " IS NULL OR created_at >= ",
            $after,
            ") \
             AND (",
            $seen,
            " IS NULL OR created_at < ",
            $seen,
            ")"
        )
    };
}
pub(crate) use {for_user, of_account, of_any, of_client, of_others, of_user};
