//! The range of a time series. Times are microseconds since 2000-01-01 00:00 UTC.

use super::period::{DAY, SECOND};
use super::problem::Problem;
use crate::text_enum::text_enum;

const HOUR: i64 = 3_600 * SECOND;

/// Most periods of a series.
pub const MAX_PERIODS: i64 = 10_000;
/// How far before its end a series begins, if nothing else is asked for.
pub const DEFAULT_RANGE: i64 = 30 * DAY;
/// 1970-01-01 00:00 UTC.
const EARLIEST: i64 = -10_957 * DAY;
/// 3000-01-01 00:00 UTC.
const LATEST: i64 = 365_243 * DAY;

text_enum! {
    /// What a series is grouped by.
    pub enum GroupBy {
        /// Hours of the time zone's clock.
        Hour = "hour",
        Day = "day",
        /// Weeks from Monday.
        Week = "week",
        Month = "month",
    }
}

impl GroupBy {
    /// No period is shorter, but for one that a change of the clock cuts.
    const fn shortest(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 28 * DAY,
        }
    }
}

/// First and last moment of a series: as given, or the 30 days up to now.
///
/// # Errors
/// For a range that is reversed, has more than 10,000 periods, or reaches beyond the years 1970 to
/// 2999, infinity included.
pub fn range(
    group_by: GroupBy,
    start_at: Option<i64>,
    end_at: Option<i64>,
    now: i64,
) -> Result<(i64, i64), Problem> {
    let last = end_at.unwrap_or(now);
    let first = start_at.unwrap_or_else(|| last.saturating_sub(DEFAULT_RANGE).max(EARLIEST));
    for (name, moment) in [("end_at", last), ("start_at", first)] {
        if !(EARLIEST..LATEST).contains(&moment) {
            return Err(Problem::new(format!("{name} is not in the years 1970 to 2999"))
                .with_hint("Give a moment in those years, or leave it out."));
        }
    }
    if first > last {
        return Err(Problem::new("start_at is after end_at").with_hint(
            "Exchange them; without end_at the range ends now, without start_at it begins 30 days before its end.",
        ));
    }
    if (last - first) / group_by.shortest() >= MAX_PERIODS {
        return Err(Problem::new(format!("the range has more than {MAX_PERIODS} periods"))
            .with_hint("Shorten the range, or group by longer periods."));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests;
