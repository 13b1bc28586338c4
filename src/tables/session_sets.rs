//! Sets of sessions: finding, counting and revoking those of all families that one filter matches.

use pgrx::datum::{DatumWithOid, Inet, TimestampWithTimeZone};
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::tables::sessions::SessionRow;
use crate::token::Family;

/// The conditions of a filter as SQL, written once for finding, counting and revoking. The parameters `$11` to `$23` are
/// the filter, in the order of [`Matching::arguments`]: environments, definitions, kind, user, whether account sessions
/// that were made for the user are meant too, account, network, pattern, API key, number of the key, created before,
/// created after, seen before.
///
/// Planned with their values ([`Setting::custom_plans`]): what is not given then vanishes, and what is given finds its
/// index.
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

/// The filter that `session_find`, `session_count` and `session_revoke_where` share. What is left out is any.
#[derive(Default, Clone, Copy, PartialEq)]
pub struct Filter<'a> {
    pub product: Option<&'a str>,
    /// Name of the environment, of every product where none is given.
    pub env: Option<&'a str>,
    /// Tag of the definition, of every product where none is given.
    pub tag: Option<&'a str>,
    /// `user`, `account` or `client`.
    pub kind: Option<&'a str>,
    /// The user, without a tag also for whom an account session was made. User sessions are found through the index by
    /// subject; account sessions are looked for among all of the environments.
    pub identifier: Option<&'a str>,
    /// The account, found through the index.
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

/// A filter with the environments and definitions that it names; none: any. With a user or an account all environments
/// are listed, and with a user all definitions: the index by subject begins with them.
#[derive(Default)]
pub struct Matching<'a> {
    pub env_ids: Option<Vec<i32>>,
    pub definition_ids: Option<Vec<i32>>,
    pub filter: Filter<'a>,
}

/// The sessions that match, alive at `$1` unless `$2` is false.
macro_rules! matching {
    () => {
        concat!(
            "SELECT session_id, env_id, definition_id, subject, identifier, created_at, last_seen_at, expires_at, \
                    revoked_at, revoke_reason, ip, user_agent, api_key_id, key_number, \
                    CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind \
               FROM dialstack.sessions \
              WHERE (NOT $2 OR (revoked_at IS NULL AND expires_at > $1)) AND ",
            conditions!(sessions),
            " UNION ALL \
             SELECT session_id, env_id, NULL, NULL, NULL, created_at, created_at, expires_at, revoked_at, \
                    revoke_reason, NULL, NULL, api_key_id, key_number, 'client' \
               FROM dialstack.client_sessions \
              WHERE (NOT $2 OR (revoked_at IS NULL AND expires_at > $1)) AND ",
            conditions!(clients)
        )
    };
}

/// The page of the newest `$3`, those before the session `$5` that was created at `$4`. Names are looked up for
/// the page alone.
static FIND: Statement = Statement::new(concat!(
    "SELECT s.session_id, s.kind, p.product, e.env, d.tag, \
            CASE s.kind WHEN 'user' THEN s.subject ELSE s.identifier END, \
            CASE s.kind WHEN 'account' THEN s.subject END, \
            s.created_at, s.last_seen_at, s.expires_at, \
            s.revoked_at IS NULL AND s.expires_at > $1, s.revoked_at, s.revoke_reason, s.ip, \
            s.user_agent, s.api_key_id, s.key_number \
       FROM (SELECT * FROM (",
    matching!(),
    ") s WHERE $5 IS NULL OR (s.created_at, s.session_id) < ($4, $5) \
             ORDER BY s.created_at DESC, s.session_id DESC LIMIT $3) s \
       LEFT JOIN (dialstack.environments e JOIN dialstack.products p USING (product_id)) \
              USING (env_id) \
       LEFT JOIN (SELECT definition_id, tag FROM dialstack.session_definitions) d \
              USING (definition_id) \
      ORDER BY s.created_at DESC, s.session_id DESC"
));

static COUNT: Statement = Statement::new(concat!("SELECT count(*) FROM (", matching!(), ") s"));

impl Matching<'_> {
    /// False if it does not mean a user or account session, whatever that one's address, user agent, API key and times.
    pub fn may_mean(&self, row: &SessionRow) -> bool {
        let filter = &self.filter;
        // Those that were made for a user have no definition.
        let made_for = filter.identifier.is_some() && filter.tag.is_none();
        let of_definition = |ids: &Vec<i32>| row.definition_id.map_or(made_for, |id| ids.contains(&id));
        let family = if row.definition_id.is_some() { Family::User } else { Family::Account };
        self.is_of_env(row.env_id)
            && filter.kind.is_none_or(|kind| kind == family.as_str())
            && self.definition_ids.as_ref().is_none_or(of_definition)
            && filter.identifier.is_none_or(|identifier| row.user() == Some(identifier))
            && filter.account.is_none_or(|account| row.definition_id.is_none() && row.subject == account)
            && filter.key_number.is_none_or(|number| row.key_number == number.unsigned_abs())
    }

    /// False if it means no client session, whatever that one's environment, API key and times.
    pub fn may_mean_clients(&self) -> bool {
        let filter = &self.filter;
        self.definition_ids.is_none()
            && filter.kind.is_none_or(|kind| kind == Family::Client.as_str())
            && filter.identifier.or(filter.account).or(filter.ip).or(filter.user_agent).is_none()
    }

    pub fn is_of_env(&self, env_id: i32) -> bool {
        self.env_ids.as_ref().is_none_or(|ids| ids.contains(&env_id))
    }

    /// The filter as parameters, in the order of the conditions.
    pub fn arguments(&self) -> Vec<DatumWithOid<'_>> {
        let filter = &self.filter;
        vec![
            bind(self.env_ids.clone()),
            bind(self.definition_ids.clone()),
            bind(filter.kind),
            bind(filter.identifier),
            // An account session has no definition.
            bind(filter.tag.is_none()),
            bind(filter.account),
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
    matching: &Matching<'_>,
    active_only: bool,
    after: Option<(Micros, Uuid)>,
    limit: i64,
    now: Micros,
) -> Result<Vec<R>> {
    let arguments = matching.behind(vec![
        bind(timestamptz(now)),
        bind(active_only),
        bind(limit),
        bind(after.map(|(created_at, _)| timestamptz(created_at))),
        bind(after.map(|(_, session_id)| pg_uuid(&session_id))),
    ]);
    let _by_index = Setting::custom_plans();
    FIND.read(&AsOwner::enter()?, &arguments, R::from_row)
}

/// How many sessions match.
pub fn count(matching: &Matching<'_>, active_only: bool, now: Micros) -> Result<i64> {
    let _by_index = Setting::custom_plans();
    let arguments = matching.behind(vec![bind(timestamptz(now)), bind(active_only)]);
    COUNT.count(&AsOwner::enter()?, &arguments)
}
