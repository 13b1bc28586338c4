//! The periods of a time series. Times are microseconds since 2000-01-01 00:00 UTC.

use super::problem::Problem;
use crate::text_enum::text_enum;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

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
        /// Calendar days.
        Day = "day",
        /// Weeks from Monday.
        Week = "week",
        /// Calendar months.
        Month = "month",
    }
}

impl GroupBy {
    /// No period is shorter, but for one that a change of the clock cuts.
    const fn shortest(self) -> i64 {
        match self {
            Self::Hour => 3_600 * SECOND,
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
            return Err(
                Problem::new(format!("{name} is not in the years 1970 to 2999"))
                    .with_hint("Give a moment in those years, or leave it out."),
            );
        }
    }
    if first > last {
        return Err(Problem::new("start_at is after end_at").with_hint(
            "Exchange them; without end_at the range ends now, without start_at it begins 30 days before its end.",
        ));
    }
    if (last - first) / group_by.shortest() >= MAX_PERIODS {
        return Err(
            Problem::new(format!("the range has more than {MAX_PERIODS} periods"))
                .with_hint("Shorten the range, or group by longer periods."),
        );
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 9_800 * DAY;

    #[test]
    fn without_bounds_it_is_the_thirty_days_up_to_now() {
        assert_eq!(
            range(GroupBy::Day, None, None, NOW),
            Ok((NOW - 30 * DAY, NOW))
        );
        assert_eq!(
            range(GroupBy::Day, None, Some(NOW - DAY), NOW),
            Ok((NOW - 31 * DAY, NOW - DAY))
        );
        assert_eq!(
            range(GroupBy::Day, Some(NOW - DAY), None, NOW),
            Ok((NOW - DAY, NOW))
        );
    }

    #[test]
    fn a_moment_is_a_range() {
        assert_eq!(range(GroupBy::Hour, Some(5), Some(5), NOW), Ok((5, 5)));
    }

    #[test]
    fn a_reversed_range_is_refused() {
        assert!(range(GroupBy::Day, Some(6), Some(5), NOW).is_err());
        // From the future to now.
        assert!(range(GroupBy::Day, Some(NOW + 1), None, NOW).is_err());
    }

    #[test]
    fn the_number_of_periods_is_bounded() {
        let most = MAX_PERIODS * DAY;
        assert!(range(GroupBy::Day, Some(0), Some(most - 1), NOW).is_ok());
        assert!(range(GroupBy::Day, Some(0), Some(most), NOW).is_err());
        assert!(range(GroupBy::Week, Some(0), Some(most), NOW).is_ok());
        assert!(range(GroupBy::Hour, Some(0), Some(most), NOW).is_err());
    }

    #[test]
    fn what_is_beyond_the_calendar_is_refused() {
        for moment in [i64::MIN, i64::MAX, EARLIEST - 1, LATEST] {
            assert!(range(GroupBy::Month, Some(moment), None, NOW).is_err());
            assert!(range(GroupBy::Month, None, Some(moment), NOW).is_err());
        }
        assert!(range(GroupBy::Month, Some(EARLIEST), Some(EARLIEST), NOW).is_ok());
        assert!(range(GroupBy::Month, Some(LATEST - 1), Some(LATEST - 1), NOW).is_ok());
    }

    #[test]
    fn the_bounds_of_the_calendar_are_new_years_days() {
        // Seconds since 1970 of 2000-01-01 and 3000-01-01.
        assert_eq!(EARLIEST, -946_684_800 * SECOND);
        assert_eq!(LATEST, (32_503_680_000 - 946_684_800) * SECOND);
    }
}
