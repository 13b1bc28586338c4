//! All that the tables hold of one person: reading it, and erasing it.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::settings::Setting;
use crate::pg::statements::{Columns, FromRow, Statement, bind};
use crate::session::Page;
use crate::tables::definitions;
use crate::tables::products::ProductId;
use crate::tables::session_sets::{Filter, Matching};
use crate::tables::sessions::Sessions;

/// A person, as the user of definitions in environments.
pub struct Person<'a> {
    pub env_ids: Vec<i32>,
    pub definition_ids: Vec<i32>,
    pub identifier: &'a str,
    /// Whether account sessions that were made for the person are meant too.
    pub account_sessions: bool,
}

/// Also deleted ones.
static NOTED: Statement = Statement::new(
    "SELECT DISTINCT definition_id FROM dialstack.activity \
          WHERE env_id = ANY ($1) AND subject = $2 AND definition_id IS NOT NULL",
);

/// The definitions that may have the identifier as a user: those of the product, and those of which there is activity;
/// some of them twice.
pub fn definition_ids(
    owner: &AsOwner,
    product_id: &ProductId,
    env_ids: &[i32],
    identifier: &str,
) -> Result<Vec<i32>> {
    let mut ids = definitions::ids(Some(product_id), None)?;
    ids.extend(NOTED.read(owner, &[bind(env_ids.to_vec()), bind(identifier)], |row| row.required::<i32>(1))?);
    Ok(ids)
}

macro_rules! users {
    () => {
        "env_id = ANY ($1) AND definition_id = ANY ($2) AND identifier = $3"
    };
}

macro_rules! sessions {
    () => {
        "env_id = ANY ($1) AND (definition_id = ANY ($2) AND subject = $3 \
         OR $4 AND definition_id IS NULL AND identifier = $3)"
    };
}

/// The subject of an account session is its account, unless it was made for a person.
macro_rules! activity {
    () => {
        "env_id = ANY ($1) AND subject = $3 \
         AND (definition_id = ANY ($2) OR $4 AND kind = 'account' AND account <> subject)"
    };
}

/// Also dead ones, since all are deleted. In the order in which revocations lock.
static LOCK_SESSIONS: Statement = Statement::new(concat!(
    "SELECT count(*) FROM (SELECT FROM dialstack.sessions WHERE ",
    sessions!(),
    " ORDER BY definition_id IS NULL, env_id, definition_id, subject, created_at, session_id FOR UPDATE) locked"
));

pub static DELETE_SESSIONS: Statement =
    Statement::new(concat!("DELETE FROM dialstack.sessions WHERE ", sessions!()));

/// Counts no row that only locks the user.
static DELETE_USERS: Statement = Statement::new(concat!(
    "WITH deleted AS (DELETE FROM dialstack.session_users WHERE ",
    users!(),
    " RETURNING total_sessions) SELECT count(*) FROM deleted WHERE total_sessions > 0"
));

/// Empties identifier, address and user agent. The rows stay: they count in the totals.
pub static EMPTY_ACTIVITY: Statement = Statement::new(concat!(
    "UPDATE dialstack.activity SET subject = NULL, ip = NULL, user_agent = NULL WHERE ",
    activity!()
));

/// Locks the person's sessions until the transaction ends.
pub fn lock_sessions(owner: &AsOwner, person: &Person<'_>) -> Result<()> {
    lock_for_writing::<Sessions>()?;
    LOCK_SESSIONS.execute(owner, &person.bound()).map(|_| ())
}

/// Deletes the person's rows in `session_users`; returns how many knew the person.
pub fn delete_users(owner: &AsOwner, person: &Person<'_>) -> Result<u64> {
    DELETE_USERS.count_writing(owner, &person.bound()).map(i64::unsigned_abs)
}

/// What names the environment and the definition of a row of `$table`.
macro_rules! named {
    ($columns:literal, $table:literal, $condition:expr, $order:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT * FROM dialstack.",
            $table,
            " WHERE ",
            $condition,
            " ORDER BY ",
            $order,
            " LIMIT $5 OFFSET $6) x \
               JOIN (SELECT env_id, env FROM dialstack.environments) e USING (env_id) \
               LEFT JOIN (SELECT definition_id, tag FROM dialstack.session_definitions) d \
                      USING (definition_id) \
              ORDER BY ",
            $order
        )
    };
}

/// Each row as a JSON object.
pub static USERS: Statement = Statement::new(named!(
    "json_build_object('env', e.env, 'tag', d.tag, 'first_seen', x.first_seen, \
         'last_seen', x.last_seen, 'total_sessions', x.total_sessions)::text",
    "session_users",
    users!(),
    "env_id, definition_id"
));

/// Newest first, each as [`Exported`].
pub static SESSIONS: Statement = Statement::new(named!(
    "json_build_object('session_id', x.session_id, 'env', e.env, 'tag', d.tag, \
         'account', CASE WHEN x.definition_id IS NULL THEN x.subject END, 'created_at', x.created_at, 'last_seen_at', x.last_seen_at, 'expires_at', x.expires_at, \
         'revoked_at', x.revoked_at, 'revoke_reason', x.revoke_reason, 'generation', x.generation, \
         'ip', x.ip, 'user_agent', x.user_agent)::text, \
     x.session_id, x.key_number, x.sealed_data",
    "sessions",
    sessions!(),
    "created_at DESC, session_id"
));

/// Newest first, each row as a JSON object.
pub static ACTIVITY: Statement = Statement::new(named!(
    "json_build_object('at', x.at, 'env', e.env, 'tag', d.tag, 'operation', x.operation, \
         'status', x.status, 'reason', x.reason, 'session_id', x.session_id, 'ip', x.ip, \
         'user_agent', x.user_agent, 'latency_us', x.latency_us)::text",
    "activity",
    activity!(),
    "at DESC, activity_id DESC"
));

static COUNT: Statement = Statement::new(concat!(
    "SELECT (SELECT count(*) FROM dialstack.session_users WHERE ",
    users!(),
    "), (SELECT count(*) FROM dialstack.sessions WHERE ",
    sessions!(),
    "), (SELECT count(*) FROM dialstack.activity WHERE ",
    activity!(),
    ")"
));

/// How many rows there are of a person in `session_users`, in `sessions` and in `activity`.
pub fn count(owner: &AsOwner, person: &Person<'_>) -> Result<(i64, i64, i64)> {
    let _plain = Setting::no_jit();
    let counts = COUNT.read(owner, &person.bound(), FromRow::from_row)?;
    Ok(counts.into_iter().next().unwrap_or_default())
}

/// A session as it is shown, with its data still sealed: a JSON object of all but its data, its id, the key that sealed
/// the data, and that, encrypted.
pub type Exported = (String, pgrx::Uuid, i32, Option<Vec<u8>>);

impl<'a> Person<'a> {
    /// The environments and definitions that may know the person, in the order in which users are locked.
    pub fn places(&self) -> BTreeSet<(i32, i32)> {
        let definitions = |env_id| self.definition_ids.iter().map(move |id| (env_id, *id));
        self.env_ids.iter().copied().flat_map(definitions).collect()
    }

    /// The person's sessions as a set.
    pub fn sessions(&self) -> Matching<'a> {
        let kind = if self.account_sessions { None } else { Some("user") };
        Matching {
            env_ids: Some(self.env_ids.clone()),
            definition_ids: Some(self.definition_ids.clone()),
            filter: Filter { identifier: Some(self.identifier), kind, ..Filter::default() },
        }
    }

    /// What names the person in each statement.
    pub fn bound(&self) -> Vec<pgrx::datum::DatumWithOid<'a>> {
        vec![
            bind(self.env_ids.clone()),
            bind(self.definition_ids.clone()),
            bind(self.identifier),
            bind(self.account_sessions),
        ]
    }

    /// A page of what a statement shows of the person.
    pub fn page<T>(
        &self,
        owner: &AsOwner,
        statement: &Statement,
        page: &Page,
        read: impl Fn(&Columns<'_, '_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut arguments = self.bound();
        arguments.extend([bind(page.limit), bind(page.offset)]);
        let _plain = Setting::no_jit();
        statement.read(owner, &arguments, read)
    }
}
