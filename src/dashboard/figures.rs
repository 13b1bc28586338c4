//! Reading the dashboards: from the rollups and the activity behind them, in one statement each.

use pgrx::pg_sys::BuiltinOid as T;

use crate::error::Result;
use crate::maintenance::rollup::changes;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::service::caller::Envs;

static SESSIONS: Statement = Statement {
    sql: concat!(
        include_str!("figures/uncounted.sql"),
        changes!(),
        include_str!("figures/sessions.sql")
    ),
    parameters: &[
        T::INT4ARRAYOID,
        T::TEXTARRAYOID,
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TEXTOID,
    ],
};

static USER: Statement = Statement {
    sql: include_str!("figures/user.sql"),
    parameters: &[
        T::INT4ARRAYOID,
        T::INT4OID,
        T::TEXTOID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TEXTOID,
    ],
};

static KNOWN: Statement = Statement {
    sql: "SELECT EXISTS (SELECT 1 FROM dialstack.session_users \
                          WHERE env_id = ANY ($1) AND definition_id = $2 AND identifier = $3)",
    parameters: &[T::INT4ARRAYOID, T::INT4OID, T::TEXTOID],
};

/// The time that a dashboard's series cover: the whole periods from the one of `first` to that of
/// `last`.
pub struct Range<'a> {
    /// `hour`, `day`, `week` or `month`.
    pub group_by: &'a str,
    /// A moment of the first period.
    pub first: Micros,
    /// A moment of the last period.
    pub last: Micros,
    /// A time zone that the server knows.
    pub time_zone: &'a str,
}

/// The dashboard of a definition's sessions.
pub fn sessions(
    envs: Envs,
    definition_id: i32,
    range: &Range<'_>,
    now: Micros,
) -> Result<Option<JsonText>> {
    let owner = AsOwner::enter_by_index()?;
    let arguments = [
        bind(envs.ids),
        bind(envs.names),
        bind(definition_id),
        bind(timestamptz(now)),
        bind(range.group_by),
        bind(timestamptz(range.first)),
        bind(timestamptz(range.last)),
        bind(range.time_zone),
    ];
    let answers = SESSIONS.read(&owner, &arguments, |row| row.required(1))?;
    Ok(answers.into_iter().next())
}

/// The dashboard of one user; `None` where nobody of that name was ever seen.
pub fn user(
    envs: Envs,
    definition_id: i32,
    identifier: &str,
    range: &Range<'_>,
) -> Result<Option<JsonText>> {
    let owner = AsOwner::enter_by_index()?;
    let key = [
        bind(envs.ids.clone()),
        bind(definition_id),
        bind(identifier),
    ];
    if !KNOWN
        .read(&owner, &key, |row| row.required::<bool>(1))?
        .contains(&true)
    {
        return Ok(None);
    }
    let arguments = [
        bind(envs.ids),
        bind(definition_id),
        bind(identifier),
        bind(range.group_by),
        bind(timestamptz(range.first)),
        bind(timestamptz(range.last)),
        bind(range.time_zone),
    ];
    let answers = USER.read(&owner, &arguments, |row| row.required(1))?;
    Ok(answers.into_iter().next())
}
