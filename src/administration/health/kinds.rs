//! The kinds of findings: name, how bad, what to do.

use crate::rls::lint::weakness::weaknesses;

weaknesses! {
    /// A secret in the catalogue, where every role of the server reads it.
    SECRET_IN_CATALOGUE = Error "secret_in_catalogue":
        "ALTER ROLE, DATABASE or FUNCTION ... RESET it, revoke it, and present it in the transaction that needs it.";
    /// The values of bound parameters go to the server's log, and with them tokens and session data.
    PARAMETERS_LOGGED = Error "parameters_logged":
        "Set log_parameter_max_length and log_parameter_max_length_on_error to 0, pgaudit.log_parameter to off.";
    /// The text of statements goes to the server's log, and with it every token that is written into one.
    STATEMENTS_LOGGED = Info "statements_logged":
        "Bind tokens as parameters in all applications, or log fewer statements.";
    /// A secret that is set before the connection has loaded the library is an ordinary setting, which `set_config`
    /// returns and other code of the connection reads.
    LIBRARY_NOT_PRELOADED = Warning "library_not_preloaded":
        "Put dialstack_sessions into session_preload_libraries or shared_preload_libraries, or call session_use() before a secret is set.";
    /// A publication that sends tables of the extension to subscribers.
    TABLES_PUBLISHED = Error "tables_published":
        "Publish tables or schemas by name, without schema dialstack: rows of it are of no use elsewhere.";
    /// The root key lies beside the keys that it wraps: a copy of the database files opens every token.
    ROOT_KEY_IN_ROW = Warning "root_key_in_row":
        "Set dialstack_sessions.root_key_file, reload, and call dialstack.root_key_rotate().";
    /// Tokens can be neither made nor verified.
    KEYS_NOT_AVAILABLE = Error "keys_not_available":
        "Put the root key back, or in a copy of a database call dialstack.instance_reset().";
    /// A key has been in use for more than a year.
    OLD_SIGNING_KEY = Warning "old_signing_key":
        "Call dialstack.signing_key_rotate() for its purpose.";
    /// An API key ends within two weeks.
    API_KEY_EXPIRES = Warning "api_key_expires":
        "Create another with dialstack.api_key_create(), give it to the application, revoke this one.";
    /// A limited access level reaches nothing, or a limit is stored for a role that does not exist or has no such level.
    ACCESS_LIMIT = Warning "access_limit":
        "Grant what the role shall reach with dialstack.grant_access(), or call revoke_access() or access_forget().";
    /// It is more than an hour ago that `maintain()` ran, though pg_cron has the job.
    MAINTENANCE_LATE = Warning "maintenance_late":
        "Look into cron.job_run_details and the server's log, and call dialstack.maintain().";
    /// It is more than an hour ago that `maintain()` ran, and pg_cron has no job for it in this database.
    MAINTENANCE_NOT_SCHEDULED = Warning "maintenance_not_scheduled":
        "Call dialstack.schedule_maintenance(), or let a timer of the system call dialstack.maintain().";
    /// A transaction has kept activity from being rolled up for more than an hour.
    MAINTENANCE_HELD = Warning "maintenance_held":
        "End that transaction; set idle_in_transaction_session_timeout.";
    /// An error that `policy_lint()` finds.
    POLICY_LINT = Error "policy_lint":
        "Do what dialstack.policy_lint() says of it.";
    /// The owner of a protected table, whom its policies do not bind, can log in.
    OWNER_NOT_BOUND = Error "owner_not_bound":
        "Let the application connect as a role that does not own the table, or call dialstack.protect_table() with force => true.";
    /// The policies were not looked at.
    POLICIES_NOT_JUDGED = Warning "policies_not_judged":
        "Call dialstack.policy_lint().";
    /// The library is newer than the tables and functions of this database, or older.
    VERSIONS_DIFFER = Warning "versions_differ":
        "ALTER EXTENSION dialstack_sessions UPDATE, or install the library of that version.";
    /// Connections still run a library whose file was replaced.
    CONNECTIONS_WITH_OLDER_LIBRARY = Warning "connections_with_older_library":
        "Let them connect again; where the library is in shared_preload_libraries, restart the server.";
}
