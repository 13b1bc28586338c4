//! The one error of the extension: a code that callers can match, and its SQLSTATE.
//!
//! The message starts with the code; DETAIL says where, HINT what to do. No error carries a token,
//! a key or session data. While PostgREST handles a request, the SQLSTATE of some says which HTTP status it has.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgSqlErrorCode, PgSqlErrorCode as S};

use crate::guc;
use crate::pg::server;
use crate::session::Problem;
use crate::text_enum::text_enum;
use crate::token::KeyError;

text_enum! {
    /// What went wrong, in the words that applications match on.
    pub enum Code {
        /// No product of that name.
        ProductNotFound = "PRODUCT_NOT_FOUND",
        /// The product has no environment of that name.
        EnvNotFound = "ENV_NOT_FOUND",
        /// The product has no session definition with that tag.
        DefinitionNotFound = "DEFINITION_NOT_FOUND",
        /// No scope of that name.
        ScopeNotFound = "SCOPE_NOT_FOUND",
        /// No living session with that id.
        SessionNotFound = "SESSION_NOT_FOUND",
        /// The key ring can't be opened, or a key is missing.
        JwtNotAvailable = "JWT_NOT_AVAILABLE",
        /// A session can't be created from these arguments.
        CreateFailed = "CREATE_FAILED",
        /// A list can't be made from these arguments.
        ListFailed = "LIST_FAILED",
        /// Users can't be listed with these arguments.
        FetchUsersFailed = "FETCH_USERS_FAILED",
        /// A user can't be looked at with these arguments.
        FetchUserDetailsFailed = "FETCH_USER_DETAILS_FAILED",
        /// Activity can't be listed with these arguments.
        FetchActivityLogsFailed = "FETCH_ACTIVITY_LOGS_FAILED",
        /// No user with that identifier.
        UserNotFound = "USER_NOT_FOUND",
        /// The extension pg_cron can't be used.
        CronNotAvailable = "CRON_NOT_AVAILABLE",
        /// Nothing can be revoked with these arguments.
        RevokeFailed = "REVOKE_FAILED",
        /// Sessions can't be found with these arguments.
        FindFailed = "FIND_FAILED",
        /// A user can't be erased or exported with these arguments.
        EraseFailed = "ERASE_FAILED",
        /// A session can't be prolonged with these arguments.
        RefreshFailed = "REFRESH_FAILED",
        /// A definition, product, environment or key can't be made from these arguments.
        DefineFailed = "DEFINE_FAILED",
        /// A document is no configuration.
        ConfigurationInvalid = "CONFIGURATION_INVALID",
        /// A definition can't be stored.
        RegisterFailed = "REGISTER_FAILED",
        /// A table can't be protected with these arguments.
        ProtectFailed = "PROTECT_FAILED",
        /// The token is not good, and the caller required that it is.
        VerifyFailed = "VERIFY_FAILED",
        /// A dashboard can't be made from these arguments.
        FetchDashboardFailed = "FETCH_DASHBOARD_FAILED",
        /// No API key with that id.
        ApiKeyNotFound = "API_KEY_NOT_FOUND",
        /// The presented API key is not good.
        ApiKeyInvalid = "API_KEY_INVALID",
        /// The caller may not do that.
        PermissionDenied = "PERMISSION_DENIED",
        /// A publishable key was presented, and more than an empty session asked for.
        PublishableKeyMustCreateEmptySession = "PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION",
        /// The transaction's snapshot is older than the row: the same call will do in a new one.
        Conflict = "CONFLICT",
        /// Others hold locks that the call needs, and it has waited long enough.
        LockNotAvailable = "LOCK_NOT_AVAILABLE",
        /// The session lacks a scope that the caller required.
        ScopeDisabled = "SCOPE_DISABLED",
        /// The user has as many living sessions as the definition allows.
        SessionLimitReached = "SESSION_LIMIT_REACHED",
    }
}

impl Code {
    /// The SQLSTATE that goes with it.
    pub const fn sqlstate(self) -> PgSqlErrorCode {
        match self {
            Code::ProductNotFound | Code::EnvNotFound | Code::DefinitionNotFound | Code::ScopeNotFound => {
                S::ERRCODE_UNDEFINED_OBJECT
            }
            Code::SessionNotFound | Code::UserNotFound | Code::ApiKeyNotFound => S::ERRCODE_NO_DATA_FOUND,
            Code::JwtNotAvailable | Code::CronNotAvailable => S::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Code::CreateFailed
            | Code::ListFailed
            | Code::FetchUsersFailed
            | Code::FetchUserDetailsFailed
            | Code::FetchActivityLogsFailed
            | Code::RevokeFailed
            | Code::FindFailed
            | Code::EraseFailed
            | Code::RefreshFailed
            | Code::DefineFailed
            | Code::ConfigurationInvalid
            | Code::RegisterFailed
            | Code::ProtectFailed
            | Code::FetchDashboardFailed => S::ERRCODE_INVALID_PARAMETER_VALUE,
            // Not class 28: drivers take that for a connection which was refused, and discard theirs.
            Code::VerifyFailed
            | Code::ApiKeyInvalid
            | Code::ScopeDisabled
            | Code::PermissionDenied
            | Code::PublishableKeyMustCreateEmptySession => S::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Code::Conflict => S::ERRCODE_T_R_SERIALIZATION_FAILURE,
            Code::LockNotAvailable => S::ERRCODE_LOCK_NOT_AVAILABLE,
            Code::SessionLimitReached => S::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        }
    }

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

/// Longest part of an error, in bytes: the server copies it several times, and a log line too.
const MAX_PART: usize = 8192;

fn capped(mut text: String) -> String {
    if text.len() > MAX_PART {
        let end = (0..=MAX_PART).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
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
