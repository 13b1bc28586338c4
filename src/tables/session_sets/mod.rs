//! Sets of sessions: finding, counting and revoking those of all families that one filter matches.

mod conditions;

use pgrx::datum::{DatumWithOid, Inet, TimestampWithTimeZone};
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
pub(crate) use conditions::conditions;

/// The filter that `session_find`, `session_count` and `session_revoke_where` share, as it is given. What is left out is
/// any.
#[derive(Default, Clone, Copy, PartialEq)]
pub struct Filter<'a> {
    pub product: Option<&'a str>,
    /// Name of the environment, of every product where none is given.
    pub env: Option<&'a str>,
    /// Tag of the definition, of every product where none is given.
    pub tag: Option<&'a str>,
    /// `user`, `account` or `client`.
    pub kind: Option<&'a str>,
    /// The user, also for whom an account session was made.
    pub identifier: Option<&'a str>,
    pub account: Option<&'a str>,
    /// An address or a network.
    pub ip: Option<&'a str>,
    /// A pattern of ILIKE.
    pub user_agent: Option<&'a str>,
    /// The API key that created it.
    pub api_key_id: Option<pgrx::Uuid>,
    /// The key that sealed its data or made its token.
    pub key_number: Option<i32>,
    pub created_before: Option<TimestampWithTimeZone>,
    /// Created then or later.
    pub created_after: Option<TimestampWithTimeZone>,
    /// Created, or last refreshed, before then.
    pub seen_before: Option<TimestampWithTimeZone>,
}

/// A filter that was checked, with what it stands for.
pub struct Matching<'a> {
    pub filter: Filter<'a>,
    /// Absent is any.
    pub env_ids: Option<Vec<i32>>,
    /// Absent is any.
    pub definition_ids: Option<Vec<i32>>,
    pub subject: Subject,
}

/// Whose sessions. One user's or account's are found through the index by subject; account sessions that were made for
/// a user are looked for among all account sessions of the environments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Anybody's.
    Any,
    /// A user's user sessions; then `env_ids` and `definition_ids` must be given.
    User,
    /// Those and the account sessions that were made for the user; then `env_ids` and `definition_ids` must be given.
    Identifier,
    /// An account's; then `env_ids` must be given.
    Account,
}

/// The sessions that match, alive at `$1` unless `$2` is false.
macro_rules! matching {
    ($whose:ident) => {
        concat!(
            "SELECT session_id, env_id, definition_id, subject, identifier, created_at, last_seen_at, expires_at, \
                    revoked_at, revoke_reason, ip, user_agent, api_key_id, key_number, \
                    CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind \
               FROM dialstack.sessions \
              WHERE (NOT $2 OR (revoked_at IS NULL AND expires_at > $1)) AND ",
            conditions!($whose)
        )
    };
}

macro_rules! matching_of_all {
    () => {
        concat!(
            matching!(any),
            " UNION ALL \
             SELECT session_id, env_id, NULL, NULL, NULL, created_at, created_at, expires_at, revoked_at, \
                    revoke_reason, NULL, NULL, api_key_id, key_number, 'client' \
               FROM dialstack.client_sessions \
              WHERE (NOT $2 OR (revoked_at IS NULL AND expires_at > $1)) AND ",
            conditions!(client)
        )
    };
}

macro_rules! matching_of_identifier {
    () => {
        concat!(matching!(user), " UNION ALL ", matching!(for_user))
    };
}

/// The page of the newest `$3`, those before the session `$5` that was created at `$4`. Names are looked up for
/// the page alone.
macro_rules! page {
    ($matching:expr) => {
        Statement::new(concat!(
            "SELECT s.session_id, s.kind, p.product, e.env, d.tag, \
                    CASE s.kind WHEN 'user' THEN s.subject ELSE s.identifier END, \
                    CASE s.kind WHEN 'account' THEN s.subject END, \
                    s.created_at, s.last_seen_at, s.expires_at, \
                    s.revoked_at IS NULL AND s.expires_at > $1, s.revoked_at, s.revoke_reason, s.ip, \
                    s.user_agent, s.api_key_id, s.key_number \
               FROM (SELECT * FROM (",
            $matching,
            ") s WHERE $5 IS NULL OR (s.created_at, s.session_id) < ($4, $5) \
                     ORDER BY s.created_at DESC, s.session_id DESC LIMIT $3) s \
               LEFT JOIN (dialstack.environments e JOIN dialstack.products p USING (product_id)) \
                      USING (env_id) \
               LEFT JOIN (SELECT definition_id, tag FROM dialstack.session_definitions) d \
                      USING (definition_id) \
              ORDER BY s.created_at DESC, s.session_id DESC"
        ))
    };
}

macro_rules! count {
    ($matching:expr) => {
        Statement::new(concat!("SELECT count(*) FROM (", $matching, ") s"))
    };
}

static FIND_USER: Statement = page!(matching!(user));
static FIND_IDENTIFIER: Statement = page!(matching_of_identifier!());
static FIND_ACCOUNT: Statement = page!(matching!(account));
static FIND: Statement = page!(matching_of_all!());
static COUNT_USER: Statement = count!(matching!(user));
static COUNT_IDENTIFIER: Statement = count!(matching_of_identifier!());
static COUNT_ACCOUNT: Statement = count!(matching!(account));
static COUNT: Statement = count!(matching_of_all!());

impl Matching<'_> {
    /// The filter as parameters, in the order of the conditions.
    pub fn arguments(&self) -> Vec<DatumWithOid<'_>> {
        let filter = &self.filter;
        vec![
            bind(self.env_ids.clone()),
            bind(self.definition_ids.clone()),
            bind(filter.kind),
            bind(filter.identifier.or(filter.account)),
            bind(filter.ip.map(|ip| Inet(ip.to_owned()))),
            bind(filter.user_agent),
            bind(filter.api_key_id),
            bind(filter.key_number),
            bind(filter.created_before),
            bind(filter.created_after),
            bind(filter.seen_before),
        ]
    }

    /// The filter behind these parameters, and as many unused ones as are before that of a revocation.
    fn behind<'a>(&'a self, mut arguments: Vec<DatumWithOid<'a>>) -> Vec<DatumWithOid<'a>> {
        arguments.resize_with(10, || bind(None::<bool>));
        arguments.extend(self.arguments());
        arguments
    }
}

/// The newest `limit` sessions that match, of those that come after the one given.
pub fn find<R: FromRow>(
    filter: &Matching<'_>,
    active_only: bool,
    after: Option<(Micros, Uuid)>,
    limit: i64,
    now: Micros,
) -> Result<Vec<R>> {
    let statement = match filter.subject {
        Subject::Any => &FIND,
        Subject::User => &FIND_USER,
        Subject::Identifier => &FIND_IDENTIFIER,
        Subject::Account => &FIND_ACCOUNT,
    };
    let arguments = filter.behind(vec![
        bind(timestamptz(now)),
        bind(active_only),
        bind(limit),
        bind(after.map(|(created_at, _)| timestamptz(created_at))),
        bind(after.map(|(_, session_id)| pg_uuid(&session_id))),
    ]);
    let _plain = Setting::no_jit();
    statement.read(&AsOwner::enter()?, &arguments, R::from_row)
}

/// How many sessions match.
pub fn count(filter: &Matching<'_>, active_only: bool, now: Micros) -> Result<i64> {
    let statement = match filter.subject {
        Subject::Any => &COUNT,
        Subject::User => &COUNT_USER,
        Subject::Identifier => &COUNT_IDENTIFIER,
        Subject::Account => &COUNT_ACCOUNT,
    };
    let _plain = Setting::no_jit();
    let arguments = filter.behind(vec![bind(timestamptz(now)), bind(active_only)]);
    let counts = statement.read(&AsOwner::enter()?, &arguments, |row| row.required::<i64>(1))?;
    Ok(counts.into_iter().sum())
}
