//! The periods of a time series. Times are microseconds since 2000-01-01 00:00 UTC.

use super::period::{DAY, SECOND};
use super::problem::Problem;
use crate::text_enum::text_enum;

const QUARTER: i64 = 900 * SECOND;
const HOUR: i64 = 4 * QUARTER;

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

    /// The first day of the day, week or month in which a day lies; days since 2000-01-01, a Saturday.
    fn first_day(self, day: i64) -> i64 {
        match self {
            Self::Hour | Self::Day => day,
            Self::Week => day - (day - 2).rem_euclid(7),
            Self::Month => first_of_month(day),
        }
    }
}

/// By the Gregorian calendar. Years are counted from March on, so that leap days come last, in cycles of 400.
fn first_of_month(day: i64) -> i64 {
    let of_cycle = (day - 60).rem_euclid(146_097);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    day - of_year + (153 * month + 2) / 5
}

/// The calendar of a time zone, by how far its clocks are ahead of UTC at a moment.
struct Calendar<F>(F);

impl<F: Fn(i64) -> i64> Calendar<F> {
    /// What clocks show.
    fn local(&self, at: i64) -> i64 {
        at + (self.0)(at)
    }

    /// The first moment of a day: clocks show its midnight or, where they skip that, a later time.
    fn begin_of(&self, day: i64) -> i64 {
        let midnight = day * DAY;
        // What is ahead most shows it first; the clocks may be changed on the day before or after.
        let ahead = (self.0)(midnight - DAY).max((self.0)(midnight + DAY));
        let mut at = midnight - ahead;
        while self.local(at) < midnight {
            at += QUARTER;
        }
        at
    }

    /// The next moment at which clocks show a full hour or are changed.
    fn next_hour(&self, at: i64) -> i64 {
        let offset = (self.0)(at);
        let full = at + HOUR - (at + offset).rem_euclid(HOUR);
        if (self.0)(full) == offset {
            return full;
        }
        let mut change = at + QUARTER;
        while change < full && (self.0)(change) == offset {
            change += QUARTER;
        }
        change.min(full)
    }

    /// The beginning of the period after the one that begins at this moment.
    fn next(&self, group_by: GroupBy, at: i64) -> i64 {
        let day = self.local(at).div_euclid(DAY);
        match group_by {
            GroupBy::Hour => self.next_hour(at),
            GroupBy::Day => self.begin_of(day + 1),
            GroupBy::Week => self.begin_of(GroupBy::Week.first_day(day + 7)),
            GroupBy::Month => self.begin_of(first_of_month(first_of_month(day) + 31)),
        }
    }
}

/// The beginnings of the periods from the one in which `first` lies to the one in which `last` lies, and after them
/// the end of that one. `offset` says how far a time zone is ahead of UTC at a moment.
///
/// A day, week or month begins at the first moment of its first day. Where clocks are changed, an hour ends and
/// another one begins.
pub fn periods(group_by: GroupBy, first: i64, last: i64, offset: impl Fn(i64) -> i64) -> Vec<i64> {
    let calendar = Calendar(offset);
    let local = calendar.local(first);
    // Where a change of the clocks repeats midnight this may be the period before.
    let mut begins = match group_by {
        GroupBy::Hour => first - local.rem_euclid(HOUR) - HOUR,
        _ => calendar.begin_of(group_by.first_day(local.div_euclid(DAY))),
    };
    let mut periods = Vec::new();
    while begins <= last {
        let ends = calendar.next(group_by, begins);
        if ends > first {
            periods.push(begins);
        }
        begins = ends;
    }
    periods.push(begins);
    periods
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
