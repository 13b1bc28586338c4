//! The periods of a time series. Times are microseconds since 2000-01-01 00:00 UTC.

use super::problem::Problem;
use crate::text_enum::text_enum;

const SECOND: i64 = 1_000_000;
const QUARTER: i64 = 900 * SECOND;
const HOUR: i64 = 4 * QUARTER;
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

    /// Clocks that are `before` ahead of UTC until a moment, and `after` from then on.
    fn changed(at: i64, before: i64, after: i64) -> impl Fn(i64) -> i64 {
        move |moment| if moment < at { before } else { after }
    }

    /// 2025-10-26 00:00 UTC, a Sunday.
    const SUNDAY: i64 = 9_430 * DAY;

    #[test]
    fn a_day_whose_midnight_comes_twice_begins_at_the_first() {
        // Atlantic/Azores: at 01:00 UTC clocks go from 01:00 to 00:00.
        let azores = || changed(SUNDAY + HOUR, 0, -HOUR);
        for asked in [0, HOUR / 2, HOUR, 12 * HOUR, 25 * HOUR - 1] {
            assert_eq!(
                periods(GroupBy::Day, SUNDAY + asked, SUNDAY + asked, azores()),
                [SUNDAY, SUNDAY + 25 * HOUR],
                "{asked}"
            );
        }
        let hours = periods(GroupBy::Hour, SUNDAY, SUNDAY + 25 * HOUR - 1, azores());
        let expected: Vec<_> = (0..=25).map(|hour| SUNDAY + hour * HOUR).collect();
        assert_eq!(hours, expected);
        let week = periods(GroupBy::Week, SUNDAY, SUNDAY + DAY, azores());
        assert_eq!(week, [SUNDAY - 6 * DAY, SUNDAY + 25 * HOUR]);
        let month = periods(GroupBy::Month, SUNDAY, SUNDAY, azores());
        assert_eq!(month, [SUNDAY - 25 * DAY, SUNDAY + 6 * DAY + HOUR]);
    }

    #[test]
    fn a_week_or_month_may_begin_with_a_midnight_that_comes_twice() {
        // America/Havana: at 05:00 UTC clocks go from 01:00 to 00:00, on the 1st of November 2026 as well.
        let first = 9_801 * DAY + 4 * HOUR;
        let havana = || changed(first + HOUR, -4 * HOUR, -5 * HOUR);
        let month = periods(GroupBy::Month, first + HOUR, first + HOUR, havana());
        assert_eq!(month, [first, first + 30 * DAY + HOUR]);
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_with_the_change() {
        // From 00:00 to 01:00, and from 23:30 to 00:30.
        for (change, begins) in [(0, 0), (-HOUR / 2, -HOUR / 2)] {
            let offset = changed(SUNDAY + change, 0, HOUR);
            assert_eq!(
                periods(GroupBy::Day, SUNDAY, SUNDAY, offset),
                [SUNDAY + begins, SUNDAY + 23 * HOUR]
            );
        }
        // A whole day, as in Samoa: there is no period for it.
        let offset = changed(SUNDAY, 0, DAY);
        assert_eq!(
            periods(GroupBy::Day, SUNDAY - 1, SUNDAY, offset),
            [SUNDAY - DAY, SUNDAY, SUNDAY + DAY]
        );
    }

    #[test]
    fn what_clocks_repeat_of_the_day_before_belongs_to_the_day_that_has_begun() {
        // At 00:15 clocks go back to 23:15.
        let at = SUNDAY + QUARTER + HOUR / 2;
        let offset = changed(SUNDAY + QUARTER, 0, -HOUR);
        assert_eq!(
            periods(GroupBy::Day, at, at, offset),
            [SUNDAY, SUNDAY + 25 * HOUR]
        );
    }

    #[test]
    fn a_change_by_half_an_hour_ends_an_hour() {
        // Australia/Lord_Howe, on either side of the change: 01:00, 01:30 (again), 02:00.
        let change = SUNDAY + 15 * HOUR;
        let offset = || changed(change, 11 * HOUR, 11 * HOUR - HOUR / 2);
        let expected = [
            change - HOUR,
            change,
            change + HOUR / 2,
            change + 3 * HOUR / 2,
        ];
        let (first, last) = (change - HOUR / 4, change + HOUR / 2);
        assert_eq!(periods(GroupBy::Hour, first, last, offset()), expected);
        assert_eq!(
            periods(GroupBy::Hour, change, change, offset()),
            expected[1..3]
        );
        // And forward: 01:00, 02:30, 03:00.
        let change = change + HOUR / 2;
        let offset = changed(change, 11 * HOUR - HOUR / 2, 11 * HOUR);
        assert_eq!(
            periods(GroupBy::Hour, change - 1, change + HOUR / 2, offset),
            [
                change - HOUR,
                change,
                change + HOUR / 2,
                change + 3 * HOUR / 2
            ]
        );
    }

    #[test]
    fn months_follow_the_calendar() {
        // 2000-01-01, 02-01, 03-01; 2100 has no 29th of February; 1999-12-01.
        for (day, first) in [
            (0, 0),
            (30, 0),
            (31, 31),
            (59, 31),
            (60, 60),
            (36_583, 36_556),
            (36_584, 36_584),
            (-1, -31),
        ] {
            assert_eq!(first_of_month(day), first, "{day}");
        }
        let year = periods(GroupBy::Month, 0, 366 * DAY - 1, |_| 0);
        let days: Vec<_> = year
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / DAY)
            .collect();
        assert_eq!(days, [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
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
