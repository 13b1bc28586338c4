//! The kinds of findings: name, how bad, what to do.

use crate::rls::lint::weakness::{Weakness, weakness};

/// A secret in the catalogue, where every role of the server reads it.
pub static SECRET_IN_CATALOGUE: Weakness = weakness!(
    "secret_in_catalogue",
    Error,
    "ALTER ROLE, DATABASE or FUNCTION … RESET it, revoke it, and present it in the transaction that needs it."
);
/// The values of bound parameters go to the server's log, and with them tokens and session data.
pub static PARAMETERS_LOGGED: Weakness = weakness!(
    "parameters_logged",
    Error,
    "Set log_parameter_max_length and log_parameter_max_length_on_error to 0, pgaudit.log_parameter to off."
);
/// The text of statements goes to the server's log, and with it every token that is written into one.
pub static STATEMENTS_LOGGED: Weakness = weakness!(
    "statements_logged",
    Info,
    "Bind tokens as parameters in all applications, or log fewer statements."
);
/// A secret that is set before the connection has loaded the library is an ordinary setting, which `set_config`
/// returns and other code of the connection reads.
pub static LIBRARY_NOT_PRELOADED: Weakness = weakness!(
    "library_not_preloaded",
    Warning,
    "Put dialstack_sessions into session_preload_libraries or shared_preload_libraries, or call session_use() before a secret is set."
);
/// A publication that sends tables of the extension to subscribers.
pub static TABLES_PUBLISHED: Weakness = weakness!(
    "tables_published",
    Error,
    "Publish tables or schemas by name, without schema dialstack: rows of it are of no use elsewhere."
);
/// The root key lies beside the keys that it wraps: a copy of the database files opens every token.
pub static ROOT_KEY_IN_ROW: Weakness = weakness!(
    "root_key_in_row",
    Warning,
    "Set dialstack_sessions.root_key_file, reload, and call dialstack.root_key_rotate()."
);
/// Tokens can be neither made nor verified.
pub static KEYS_NOT_AVAILABLE: Weakness = weakness!(
    "keys_not_available",
    Error,
    "Put the root key back, or in a copy of a database call dialstack.instance_reset()."
);
/// A key has been in use for more than a year.
pub static OLD_SIGNING_KEY: Weakness =
    weakness!("old_signing_key", Warning, "Call dialstack.signing_key_rotate() for its purpose.");
/// An API key ends within two weeks.
pub static API_KEY_EXPIRES: Weakness = weakness!(
    "api_key_expires",
    Warning,
    "Create another with dialstack.api_key_create(), give it to the application, revoke this one."
);
/// A limited access level reaches nothing, or a limit is stored for a role that does not exist or has no such level.
pub static ACCESS_LIMIT: Weakness = weakness!(
    "access_limit",
    Warning,
    "Grant what the role shall reach with dialstack.grant_access(), or call revoke_access() or access_forget()."
);
/// It is more than an hour ago that `maintain()` ran, though pg_cron has the job.
pub static MAINTENANCE_LATE: Weakness = weakness!(
    "maintenance_late",
    Warning,
    "Look into cron.job_run_details and the server's log, and call dialstack.maintain()."
);
/// It is more than an hour ago that `maintain()` ran, and pg_cron has no job for it in this database.
pub static MAINTENANCE_NOT_SCHEDULED: Weakness = weakness!(
    "maintenance_not_scheduled",
    Warning,
    "Call dialstack.schedule_maintenance(), or let a timer of the system call dialstack.maintain()."
);
/// A transaction has kept activity from being rolled up for more than an hour.
pub static MAINTENANCE_HELD: Weakness =
    weakness!("maintenance_held", Warning, "End that transaction; set idle_in_transaction_session_timeout.");
/// An error that `policy_lint()` finds.
pub static POLICY_LINT: Weakness =
    weakness!("policy_lint", Error, "Do what dialstack.policy_lint() says of it.");
/// The owner of a protected table, whom its policies do not bind, can log in.
pub static OWNER_NOT_BOUND: Weakness = weakness!(
    "owner_not_bound",
    Error,
    "Let the application connect as a role that does not own the table, or call dialstack.protect_table() with force => true."
);
/// The policies were not looked at.
pub static POLICIES_NOT_JUDGED: Weakness =
    weakness!("policies_not_judged", Warning, "Call dialstack.policy_lint().");
/// The library is newer than the tables and functions of this database, or older.
pub static VERSIONS_DIFFER: Weakness = weakness!(
    "versions_differ",
    Warning,
    "ALTER EXTENSION dialstack_sessions UPDATE, or install the library of that version."
);
/// Connections still run a library whose file was replaced.
pub static CONNECTIONS_WITH_OLDER_LIBRARY: Weakness = weakness!(
    "connections_with_older_library",
    Warning,
    "Let them connect again; where the library is in shared_preload_libraries, restart the server."
);
