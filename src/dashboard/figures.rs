//! Reading the dashboards, and totals of sessions for monitoring: from the rollups and the activity behind them, in one
//! statement each.

use std::borrow::Cow;

use pgrx::datum::TimestampWithTimeZone;

use super::places::place;
use crate::error::{Code, Coded, Error, Result};
use crate::maintenance::rollup::{changes, of_sessions};
use crate::pg::clock::{self, DAY, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::pg::time_zone;
use crate::service::level::Level;
use crate::service::{caller, required};
use crate::session::series::{self, GroupBy};
use crate::session::{Problem, check_identifier};

const CODE: Code = Code::FetchDashboardFailed;

static SESSIONS: Statement = Statement::new(concat!(
    include_str!("figures/uncounted.sql"),
    changes!(),
    include_str!("figures/sessions.sql")
));

static PERIODS: Statement = Statement::new(include_str!("figures/periods.sql"));

static USER: Statement = Statement::new(include_str!("figures/user.sql"));

/// The time that a dashboard's series cover.
struct Range<'a> {
    /// The beginnings of the periods, and the end of the last.
    periods: Vec<TimestampWithTimeZone>,
    /// One that the server knows.
    time_zone: Cow<'a, str>,
}

fn range<'a>(
    group_by: Option<&str>,
    [start_at, end_at]: [Option<TimestampWithTimeZone>; 2],
    time_zone: Option<&'a str>,
    now: Micros,
) -> Result<Range<'a>> {
    let group_by = GroupBy::parse(required(group_by, "group_by", CODE)?)
        .ok_or_else(|| Problem::not_one_of("group_by", GroupBy::TEXTS))
        .coded(CODE)?;
    let (first, last) =
        series::range(group_by, start_at.map(clock::micros), end_at.map(clock::micros), now).coded(CODE)?;
    let time_zone: Cow<'a, str> = match time_zone {
        Some(given) => given.into(),
        None => time_zone::of_session().into(),
    };
    time_zone::check(&time_zone, &[first, last, now])?;
    Ok(Range { periods: periods(group_by, first, last, &time_zone)?, time_zone })
}

/// The beginnings of the periods from the one of `first` to the one of `last`, and the end of that.
fn periods(
    group_by: GroupBy,
    first: Micros,
    last: Micros,
    time_zone: &str,
) -> Result<Vec<TimestampWithTimeZone>> {
    let arguments =
        [bind(group_by.as_str()), bind(timestamptz(first)), bind(timestamptz(last)), bind(time_zone)];
    PERIODS.read(&AsOwner::enter()?, &arguments, |row| row.required(1))
}

/// Figures and series of a definition's sessions.
///
/// # Errors
/// `FETCH_DASHBOARD_FAILED` for bad arguments; those of [`place`].
pub fn sessions(
    named: [Option<&str>; 3],
    group_by: Option<&str>,
    time: [Option<TimestampWithTimeZone>; 2],
    time_zone: Option<&str>,
) -> Result<JsonText> {
    let place = place(Level::Monitor, named, CODE)?;
    let now = clock::now();
    let range = range(group_by, time, time_zone, now)?;
    let time_zone = &*range.time_zone;
    // One day may be missing where a zone went over the date line.
    let days = periods(GroupBy::Day, now - 8 * DAY, now, time_zone)?;
    let week = periods(GroupBy::Week, now, now, time_zone)?;
    let arguments = [
        bind(place.env_ids),
        bind(time_zone),
        bind(place.definition_id),
        bind(timestamptz(now)),
        bind(range.periods),
        bind(days[days.len().saturating_sub(8)..].to_vec()),
        bind(week.first().copied()),
    ];
    let owner = AsOwner::enter_by_index()?;
    let answers = SESSIONS.read(&owner, &arguments, |row| row.required(1))?;
    answers.into_iter().next().ok_or_else(|| {
        Error::new(Code::Conflict, "the definition changed meanwhile").hint("Retry the transaction.")
    })
}

/// Series of one user's operations.
///
/// # Errors
/// `USER_NOT_FOUND`; `FETCH_DASHBOARD_FAILED` for bad arguments; those of [`place`].
pub fn user(
    named: [Option<&str>; 3],
    identifier: Option<&str>,
    group_by: Option<&str>,
    time: [Option<TimestampWithTimeZone>; 2],
    time_zone: Option<&str>,
) -> Result<JsonText> {
    let identifier = required(identifier, "identifier", CODE)?;
    check_identifier("identifier", identifier).coded(CODE)?;
    let place = place(Level::Server, named, CODE)?;
    let range = range(group_by, time, time_zone, clock::now())?;
    let arguments = [
        bind(place.env_ids),
        bind(place.definition_id),
        bind(identifier),
        bind(range.periods),
        bind(&*range.time_zone),
    ];
    let answers = USER.read(&AsOwner::enter_by_index()?, &arguments, |row| row.required(1))?;
    answers.into_iter().next().ok_or_else(|| {
        Error::new(Code::UserNotFound, "nobody with that identifier ever had a session there")
            .hint("dialstack.session_users() lists the users; identifiers are case-sensitive.")
    })
}

/// Most rows of activity that are counted with each call. More wait only where `maintain()` is not called.
const MOST: i64 = 100_000;

static TOTALS: Statement = Statement::new(concat!(
    include_str!("figures/waiting.sql"),
    of_sessions!(),
    include_str!("figures/statistics.sql")
));

/// The totals of every definition in every environment, and of account and client sessions, as `stat_get_sessions`
/// returns them; with an API key of its environment alone.
pub fn totals<R: FromRow>() -> Result<Vec<R>> {
    let caller = caller::narrowed(Level::Monitor)?;
    let env_id = caller.key().map(|key| key.env.env_id);
    let arguments = [bind(timestamptz(clock::now())), bind(MOST), bind(env_id)];
    TOTALS.read(&AsOwner::enter_by_index()?, &arguments, R::from_row)
}
