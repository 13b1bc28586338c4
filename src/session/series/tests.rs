use super::*;

const NOW: i64 = 9_800 * DAY;

#[test]
fn without_bounds_it_is_the_thirty_days_up_to_now() {
    assert_eq!(range(GroupBy::Day, None, None, NOW), Ok((NOW - 30 * DAY, NOW)));
    assert_eq!(range(GroupBy::Day, None, Some(NOW - DAY), NOW), Ok((NOW - 31 * DAY, NOW - DAY)));
    assert_eq!(range(GroupBy::Day, Some(NOW - DAY), None, NOW), Ok((NOW - DAY, NOW)));
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
