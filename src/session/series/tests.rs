use super::*;

const NOW: i64 = 9_800 * DAY;

#[test]
fn without_bounds_it_is_the_thirty_days_up_to_now() {
    assert_eq!(range(GroupBy::Day, None, None, NOW), Ok((NOW - 30 * DAY, NOW)));
    assert_eq!(range(GroupBy::Day, None, Some(NOW - DAY), NOW), Ok((NOW - 31 * DAY, NOW - DAY)));
    assert_eq!(range(GroupBy::Day, Some(NOW - DAY), None, NOW), Ok((NOW - DAY, NOW)));
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
        assert_eq!(periods(GroupBy::Day, SUNDAY, SUNDAY, offset), [SUNDAY + begins, SUNDAY + 23 * HOUR]);
    }
    // A whole day, as in Samoa: there is no period for it.
    let offset = changed(SUNDAY, 0, DAY);
    assert_eq!(periods(GroupBy::Day, SUNDAY - 1, SUNDAY, offset), [SUNDAY - DAY, SUNDAY, SUNDAY + DAY]);
}

#[test]
fn what_clocks_repeat_of_the_day_before_belongs_to_the_day_that_has_begun() {
    // At 00:15 clocks go back to 23:15.
    let at = SUNDAY + QUARTER + HOUR / 2;
    let offset = changed(SUNDAY + QUARTER, 0, -HOUR);
    assert_eq!(periods(GroupBy::Day, at, at, offset), [SUNDAY, SUNDAY + 25 * HOUR]);
}

#[test]
fn a_change_by_half_an_hour_ends_an_hour() {
    // Australia/Lord_Howe, on either side of the change: 01:00, 01:30 (again), 02:00.
    let change = SUNDAY + 15 * HOUR;
    let offset = || changed(change, 11 * HOUR, 11 * HOUR - HOUR / 2);
    let expected = [change - HOUR, change, change + HOUR / 2, change + 3 * HOUR / 2];
    let (first, last) = (change - HOUR / 4, change + HOUR / 2);
    assert_eq!(periods(GroupBy::Hour, first, last, offset()), expected);
    assert_eq!(periods(GroupBy::Hour, change, change, offset()), expected[1..3]);
    // And forward: 01:00, 02:30, 03:00.
    let change = change + HOUR / 2;
    let offset = changed(change, 11 * HOUR - HOUR / 2, 11 * HOUR);
    assert_eq!(
        periods(GroupBy::Hour, change - 1, change + HOUR / 2, offset),
        [change - HOUR, change, change + HOUR / 2, change + 3 * HOUR / 2]
    );
}

#[test]
fn months_follow_the_calendar() {
    // 2000-01-01, 02-01, 03-01; 2100 has no 29th of February; 1999-12-01.
    for (day, first) in
        [(0, 0), (30, 0), (31, 31), (59, 31), (60, 60), (36_583, 36_556), (36_584, 36_584), (-1, -31)]
    {
        assert_eq!(first_of_month(day), first, "{day}");
    }
    let year = periods(GroupBy::Month, 0, 366 * DAY - 1, |_| 0);
    let days: Vec<_> = year.windows(2).map(|pair| (pair[1] - pair[0]) / DAY).collect();
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
