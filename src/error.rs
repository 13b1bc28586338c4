//! The one error of the extension: a code that callers can match, and its SQLSTATE.
//!
//! The message starts with the code; DETAIL says where, HINT what to do. No error carries a token,
//! a key or session data. While PostgREST handles a request, the SQLSTATE of some says which HTTP status it has.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgSqlErrorCode, PgSqlErrorCode as S};

use crate::guc;
use crate::pg::server;
use crate::session::{Problem, cut};
use crate::text_enum::text_enum;
use crate::token::KeyError;

macro_rules! codes {
    ($($(#[$meaning:meta])+ $code:ident = $text:literal ($state:ident),)+) => {
        text_enum! {
            /// What went wrong, in the words that applications match on.
            pub enum Code { $($(#[$meaning])+ $code = $text,)+ }
        }

        impl Code {
            /// The SQLSTATE that goes with it.
            pub const fn sqlstate(self) -> PgSqlErrorCode {
                match self { $(Code::$code => S::$state,)+ }
            }
        }
    };
}

// Nothing of class 28: drivers take that for a connection which was refused, and discard theirs.
codes! {
    /// No product of that name.
    ProductNotFound = "PRODUCT_NOT_FOUND" (ERRCODE_UNDEFINED_OBJECT),
    /// The product has no environment of that name.
    EnvNotFound = "ENV_NOT_FOUND" (ERRCODE_UNDEFINED_OBJECT),
    /// The product has no session definition with that tag.
    DefinitionNotFound = "DEFINITION_NOT_FOUND" (ERRCODE_UNDEFINED_OBJECT),
    /// No scope of that name.
    ScopeNotFound = "SCOPE_NOT_FOUND" (ERRCODE_UNDEFINED_OBJECT),
    /// No living session with that id.
    SessionNotFound = "SESSION_NOT_FOUND" (ERRCODE_NO_DATA_FOUND),
    /// The key ring can't be opened, or a key is missing.
    JwtNotAvailable = "JWT_NOT_AVAILABLE" (ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
    /// A session can't be created from these arguments.
    CreateFailed = "CREATE_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A list can't be made from these arguments.
    ListFailed = "LIST_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// Users can't be listed with these arguments.
    FetchUsersFailed = "FETCH_USERS_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A user can't be looked at with these arguments.
    FetchUserDetailsFailed = "FETCH_USER_DETAILS_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// Activity can't be listed with these arguments.
    FetchActivityLogsFailed = "FETCH_ACTIVITY_LOGS_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// No user with that identifier.
    UserNotFound = "USER_NOT_FOUND" (ERRCODE_NO_DATA_FOUND),
    /// The extension pg_cron can't be used.
    CronNotAvailable = "CRON_NOT_AVAILABLE" (ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
    /// Nothing can be revoked with these arguments.
    RevokeFailed = "REVOKE_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// Sessions can't be found with these arguments.
    FindFailed = "FIND_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A user can't be erased or exported with these arguments.
    EraseFailed = "ERASE_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A session can't be prolonged with these arguments.
    RefreshFailed = "REFRESH_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A definition, product, environment or key can't be made from these arguments.
    DefineFailed = "DEFINE_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A document is no configuration.
    ConfigurationInvalid = "CONFIGURATION_INVALID" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A definition can't be stored.
    RegisterFailed = "REGISTER_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// A table can't be protected with these arguments.
    ProtectFailed = "PROTECT_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// The token is not good, and the caller required that it is.
    VerifyFailed = "VERIFY_FAILED" (ERRCODE_INSUFFICIENT_PRIVILEGE),
    /// A dashboard can't be made from these arguments.
    FetchDashboardFailed = "FETCH_DASHBOARD_FAILED" (ERRCODE_INVALID_PARAMETER_VALUE),
    /// No API key with that id.
    ApiKeyNotFound = "API_KEY_NOT_FOUND" (ERRCODE_NO_DATA_FOUND),
    /// The presented API key is not good.
    ApiKeyInvalid = "API_KEY_INVALID" (ERRCODE_INSUFFICIENT_PRIVILEGE),
    /// The caller may not do that.
    PermissionDenied = "PERMISSION_DENIED" (ERRCODE_INSUFFICIENT_PRIVILEGE),
    /// A publishable key was presented, and more than an empty session asked for.
    PublishableKeyMustCreateEmptySession = "PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION" (ERRCODE_INSUFFICIENT_PRIVILEGE),
    /// The transaction's snapshot is older than the row: the same call will do in a new one.
    Conflict = "CONFLICT" (ERRCODE_T_R_SERIALIZATION_FAILURE),
    /// Others hold locks that the call needs, and it has waited long enough.
    LockNotAvailable = "LOCK_NOT_AVAILABLE" (ERRCODE_LOCK_NOT_AVAILABLE),
    /// The session lacks a scope that the caller required.
    ScopeDisabled = "SCOPE_DISABLED" (ERRCODE_INSUFFICIENT_PRIVILEGE),
    /// The user has as many living sessions as the definition allows.
    SessionLimitReached = "SESSION_LIMIT_REACHED" (ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
}

impl Code {
    /// The SQLSTATE by which PostgREST answers with the HTTP status that fits. None where it already does by the
    /// standard one: 400 for bad arguments, 500 for what an administrator must mend.
    const fn http_sqlstate(self) -> Option<[u8; 5]> {
        match (self, self.sqlstate()) {
            (Code::VerifyFailed | Code::ApiKeyInvalid, _) => Some(UNAUTHORIZED),
            (_, S::ERRCODE_INSUFFICIENT_PRIVILEGE) => Some(*b"PT403"),
            (_, S::ERRCODE_UNDEFINED_OBJECT | S::ERRCODE_NO_DATA_FOUND) => Some(*b"PT404"),
            (_, S::ERRCODE_T_R_SERIALIZATION_FAILURE | S::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED) => {
                Some(*b"PT409")
            }
            _ => None,
        }
    }
}

/// PostgREST adds the header `WWW-Authenticate` to a 401.
const UNAUTHORIZED: [u8; 5] = *b"PT401";

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    problem: Problem,
    http_sqlstate: Option<[u8; 5]>,
}

/// What every fallible function of the extension returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says `message` after its code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::from_problem(code, Problem::new(message))
    }

    /// A problem of the pure half with its code.
    pub fn from_problem(code: Code, problem: Problem) -> Self {
        Error { code, problem, http_sqlstate: code.http_sqlstate() }
    }

    /// For a caller without a good token, whatever the code: HTTP status 401.
    pub fn unauthorized(mut self) -> Self {
        self.http_sqlstate = Some(UNAUTHORIZED);
        self
    }

    /// What happened, without the code.
    pub fn message(&self) -> &str {
        &self.problem.message
    }

    /// Adds what the client should do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// Adds where it went wrong.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = Some(detail.into());
        self
    }
}

/// Gives a [`Problem`] of the pure half its code.
pub trait Coded<T> {
    /// Turns the problem into an error with this code.
    fn coded(self, code: Code) -> Result<T>;
}

impl<T> Coded<T> for std::result::Result<T, Problem> {
    fn coded(self, code: Code) -> Result<T> {
        self.map_err(|problem| Error::from_problem(code, problem))
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        if error == KeyError::Unwrap {
            return Error::new(Code::JwtNotAvailable, error.to_string()).hint(
                "The key ring was wrapped with another root key. Restore it from a physical backup, or let dialstack.instance_reset() make a new one; every token of before is then dead.",
            );
        }
        if error == KeyError::TooLarge {
            return Error::new(Code::CreateFailed, error.to_string())
                .hint("Keep less in the session data; store the rest in a table of your own.");
        }
        Error::new(Code::JwtNotAvailable, error.to_string())
            .hint("An administrator can see the key ring with dialstack.signing_key_list() and make a new key with dialstack.signing_key_rotate().")
    }
}

/// Longest part of an error, in characters: the server copies it several times, and a log line too.
const MAX_PART: usize = 8192;

fn capped(text: String) -> String {
    let kept = cut(&text, MAX_PART);
    if kept.len() == text.len() { text } else { format!("{kept}...") }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let Error { code, problem, http_sqlstate } = error;
        let message = capped(format!("{}: {}", code.as_str(), problem.message));
        let mut report = ErrorReport::new(code.sqlstate(), message, "dialstack_sessions");
        if let Some(detail) = problem.detail {
            report = report.set_detail(capped(detail));
        }
        if let Some(hint) = problem.hint {
            report = report.set_hint(capped(hint));
        }
        match http_sqlstate {
            Some(state) if guc::in_http_request() => server::raise_as(report, state),
            _ => report,
        }
    }
}
