//! Settings. Each is private here, with its meaning and default, behind a typed accessor.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;

use pgrx::pg_sys::{self, GucAction};
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};
use zeroize::Zeroizing;

use crate::log_events::Event;
use crate::token::MAX_TOKEN_BYTES;

/// File that holds the root key. A path, not a secret; changed by reload only, because the key ring
/// of every backend depends on it.
static ROOT_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Seconds that a dead session's row stays, so that `revoked` stays distinct from `invalid`.
static SESSION_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 86_400);

/// Seconds that activity stays, at least: whole months go.
static ACTIVITY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(31 * 86_400);

/// Longest: with a day more, a month and the same of the next year would share a partition.
const MAX_ACTIVITY_RETENTION: i32 = 334 * 86_400;

/// Seconds that rows of `administration` stay. Only a superuser shortens it, and never to nothing: who is audited
/// must not be able to empty the table by maintain().
static ADMINISTRATION_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(400 * 86_400);

const MIN_ADMINISTRATION_RETENTION: i32 = 86_400;

/// Which events are written to the server log. For superusers, because who is audited must not be able to hide them.
static LOG_EVENTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Whether revocations are sent by NOTIFY. A sender waits for all other senders at commit, and
/// who revokes must not be able to hide it: so for superusers.
static NOTIFY_REVOCATIONS: GucSetting<bool> = GucSetting::<bool>::new(false);

/// The API key that the caller presents. A secret: shown to nobody, not even to who set it.
static API_KEY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// The session token that the caller presents. A secret too.
static TOKEN: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// How many tokens' verdicts a backend remembers.
static VERDICT_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1024);

/// What SHOW says of a secret.
unsafe extern "C-unwind" fn hidden() -> *const c_char {
    c"********".as_ptr()
}

thread_local! {
    static TOKEN_CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// Refuses a list with anything but events in it.
unsafe extern "C-unwind" fn check_log_events(
    list: *mut *mut c_char,
    _: *mut *mut c_void,
    _: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server hands over a pointer to the new value, and after a refusal reads the detail, a constant.
    unsafe {
        let is_good = (*list).is_null()
            || CStr::from_ptr(*list).to_str().is_ok_and(|it| Event::parse_list(it).is_some());
        if !is_good {
            pg_sys::GUC_check_errdetail_string = KNOWN_EVENTS.as_ptr().cast_mut();
        }
        is_good
    }
}

const KNOWN_EVENTS: &CStr = c"Name any of reuse, revoke, administration, refused_key, separated by commas.";

/// Runs whenever the token is set, reset, or restored by a rollback. Must not fail.
unsafe extern "C-unwind" fn token_changed(_: *const c_char, _: *mut c_void) {
    TOKEN_CHANGES.set(TOKEN_CHANGES.get() + 1);
}

/// How often the token was changed: as long as this stays, [`token`] does.
pub fn token_changes() -> u64 {
    TOKEN_CHANGES.get()
}

/// Settings of ours can be set in parallel mode. That is for the values that were set before the library was
/// loaded: on a fresh connection whose first query is a parallel one the server would drop them, and with
/// them a token that was presented. They are the same in the leader and its workers.
const ANYWHERE: GucFlags = GucFlags::from_bits_retain(pg_sys::GUC_ALLOW_IN_PARALLEL as i32);

/// Several values: SET takes them as separate words.
const LIST: GucFlags = GucFlags::from_bits_retain(pg_sys::GUC_LIST_INPUT as i32);

/// Registers the settings. Called once, from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        c"dialstack_sessions.root_key_file",
        c"File that holds the 256-bit root key that wraps the key ring.",
        c"One key a line, newest first, as 64 hexadecimal digits or base64. Without it the root key lies in the table dialstack.instance.",
        &ROOT_KEY_FILE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY | ANYWHERE,
    );
    GucRegistry::define_int_guc(
        c"dialstack_sessions.session_retention",
        c"How long the row of a dead session is kept.",
        c"Until then a revoked token is told apart from an unknown one and histories are complete.",
        &SESSION_RETENTION,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_S | ANYWHERE,
    );
    GucRegistry::define_int_guc(
        c"dialstack_sessions.activity_retention",
        c"How long activity is kept.",
        c"Whole months (UTC) are deleted, once the last of their days is older than this.",
        &ACTIVITY_RETENTION,
        0,
        MAX_ACTIVITY_RETENTION,
        GucContext::Suset,
        GucFlags::UNIT_S | ANYWHERE,
    );
    GucRegistry::define_int_guc(
        c"dialstack_sessions.administration_retention",
        c"How long the record of administration is kept.",
        c"At least a day. maintain() deletes what is older.",
        &ADMINISTRATION_RETENTION,
        MIN_ADMINISTRATION_RETENTION,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_S | ANYWHERE,
    );
    GucRegistry::define_bool_guc(
        c"dialstack_sessions.notify_revocations",
        c"Whether each revoked session is announced on the channel dialstack_sessions.",
        c"The payload of the notification is the id of the session. It is sent when the transaction commits.",
        &NOTIFY_REVOCATIONS,
        GucContext::Suset,
        ANYWHERE,
    );
    GucRegistry::define_int_guc(
        c"dialstack_sessions.verdict_cache_size",
        c"How many tokens' verdicts a connection remembers.",
        c"With one more it forgets them all, so let it exceed those that come again and again. A remembered verdict is dropped when its session, a key or the configuration changes. 0 remembers none.",
        &VERDICT_CACHE_SIZE,
        0,
        1_048_576,
        GucContext::Userset,
        ANYWHERE,
    );
    // SAFETY: the hooks raise nothing: they return a constant, count, or read a list.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"dialstack_sessions.log_events",
            c"Which events are written to the server log, as lines of JSON.",
            c"Any of reuse, revoke, administration and refused_key, separated by commas. No line holds a secret or session data.",
            &LOG_EVENTS,
            GucContext::Suset,
            ANYWHERE.union(LIST),
            Some(check_log_events),
            None,
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"dialstack_sessions.api_key",
            c"API key that the caller presents.",
            c"It limits the caller to the key's product and environment and to what its kind allows. Set it with SET LOCAL, or in the connection's options.",
            &API_KEY,
            GucContext::Userset,
            SECRET,
            None,
            None,
            Some(hidden),
        );
        GucRegistry::define_string_guc_with_hooks(
            TOKEN_NAME,
            c"Session token that the caller presents.",
            c"It says whose session the caller acts in; nothing can be forged by setting it, since it is verified at each use.",
            &TOKEN,
            GucContext::Userset,
            SECRET,
            None,
            Some(token_changed),
            Some(hidden),
        );
    }
    // From here on a misspelt name under the prefix is an error, not a silent placeholder.
    // SAFETY: a constant, NUL-terminated name; the call copies it.
    unsafe {
        pg_sys::MarkGUCPrefixReserved(c"dialstack_sessions".as_ptr());
    }
}

/// Kept out of SHOW ALL and `pg_settings`.
const SECRET: GucFlags = GucFlags::NO_SHOW_ALL.union(ANYWHERE);

fn presented(setting: &GucSetting<Option<CString>>) -> Option<Zeroizing<String>> {
    // SAFETY: the variable holds NULL or a C string that stays until it is set anew, and it is copied at once.
    let text = unsafe {
        let text = *setting.as_ptr();
        (!text.is_null()).then(|| CStr::from_ptr(text))?
    };
    // What is too long or not UTF-8 is no key and no token of ours, and is not copied.
    let text = text.to_str().ok().filter(|text| text.len() <= MAX_TOKEN_BYTES);
    let text = Zeroizing::new(text.unwrap_or("?").to_owned());
    // A setting that was set locally reads '' afterwards.
    (!text.is_empty()).then_some(text)
}

pub fn api_key() -> Option<Zeroizing<String>> {
    presented(&API_KEY)
}

pub fn token() -> Option<Zeroizing<String>> {
    presented(&TOKEN)
}

const TOKEN_NAME: &CStr = c"dialstack_sessions.token";

/// Presents a session token, as SET or SET LOCAL does.
pub fn set_token(token: &str, is_local: bool) {
    // Neither SQL text nor JSON headers that reach us hold a NUL; what does is no token of ours.
    let value = CString::new(token).unwrap_or_default();
    let value = Zeroizing::new(value.into_bytes_with_nul());
    let action = if is_local { GucAction::GUC_ACTION_LOCAL } else { GucAction::GUC_ACTION_SET };
    // SAFETY: NUL-terminated name and value, which the call copies. Set in one of several processes, it would
    // say something else there than in the others.
    unsafe {
        pg_sys::PreventCommandIfParallelMode(c"setting dialstack_sessions.token".as_ptr());
        pg_sys::set_config_option(
            TOKEN_NAME.as_ptr(),
            value.as_ptr().cast(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}

/// A setting of somebody else's, as the running transaction has it; the error where it is longer than `most` bytes.
pub fn foreign(name: &CStr, most: usize) -> Result<Option<String>, TooLong> {
    // SAFETY: an unknown name is answered with NULL; the text belongs to the setting and is copied.
    unsafe {
        let text = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        let text = (!text.is_null()).then(|| CStr::from_ptr(text));
        if text.is_some_and(|text| text.count_bytes() > most) {
            return Err(TooLong);
        }
        Ok(text.map(|text| text.to_string_lossy().into_owned()))
    }
}

/// A setting is longer than it may be.
pub struct TooLong;

/// Longest name of an HTTP method.
const MAX_METHOD: usize = 64;

/// True while PostgREST handles a request: it sets `request.method` for each transaction.
pub fn in_http_request() -> bool {
    foreign(c"request.method", MAX_METHOD).is_ok_and(|method| method.is_some_and(|it| !it.is_empty()))
}

pub fn root_key_file() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let path = ROOT_KEY_FILE.get()?.into_bytes();
    (!path.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(path)))
}

pub fn session_retention_micros() -> i64 {
    i64::from(SESSION_RETENTION.get()) * 1_000_000
}

pub fn verdict_cache_size() -> usize {
    usize::try_from(VERDICT_CACHE_SIZE.get()).unwrap_or_default()
}

pub fn activity_retention_micros() -> i64 {
    i64::from(ACTIVITY_RETENTION.get()) * 1_000_000
}

pub fn administration_retention_micros() -> i64 {
    i64::from(ADMINISTRATION_RETENTION.get()) * 1_000_000
}

/// Whether an event is written to the server log.
pub fn logs(event: Event) -> bool {
    let list = LOG_EVENTS.get();
    list.and_then(|list| Event::parse_list(list.to_str().ok()?)).is_some_and(|events| events.contains(&event))
}

/// Whether revocations are sent by NOTIFY.
pub fn notify_revocations() -> bool {
    NOTIFY_REVOCATIONS.get()
}
