//! Lengths of time: a count of a period, and the span that it amounts to.

use serde::{Serialize, Serializer};

use super::problem::Problem;
use crate::text_enum::text_enum;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a day of 24 hours.
pub const DAY: i64 = 86_400 * SECOND;
const DAYS_PER_MONTH: i64 = 30;
/// The longest span, roughly 100 years (of 365.25 days), in microseconds.
pub const MAX_SPAN_MICROS: i64 = 36_525 * DAY;

text_enum! {
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    /// The unit that an expiry is counted in.
    pub enum Period {
        Seconds = "seconds",
        Minutes = "minutes",
        Hours = "hours",
        /// A calendar day: as long as the time zone makes it.
        Days = "days",
        Weeks = "weeks",
        Months = "months",
        Years = "years",
    }
}

impl Period {
    /// Reads the text of a period, its singular, or one of `secs`, `sec`, `mins`, `min`; in lower case.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let long = match text {
            "secs" | "sec" => "seconds",
            "mins" | "min" => "minutes",
            other => other,
        };
        let is = |period: &Self| {
            let plural = period.as_str();
            plural == long || plural.strip_suffix('s') == Some(long)
        };
        Self::ALL.iter().copied().find(is).ok_or_else(|| Problem::not_one_of("period", Self::TEXTS))
    }

    /// `count` of this period, where `count` is at least 1 and the whole at most 100 years.
    pub fn span(self, count: i32) -> Result<Span, Problem> {
        if count < 1 {
            return Err(Problem::new(format!("a number of {} must be at least 1", self.as_str())));
        }
        let n = i64::from(count);
        // (months, days, seconds) of one period, and the most of them in 100 years.
        let (months, days, seconds, most) = match self {
            Self::Seconds => (0, 0, 1, 36_525 * 86_400),
            Self::Minutes => (0, 0, 60, 36_525 * 1_440),
            Self::Hours => (0, 0, 3_600, 36_525 * 24),
            Self::Days => (0, 1, 0, 36_525),
            Self::Weeks => (0, 7, 0, 36_525 / 7),
            Self::Months => (1, 0, 0, 1_200),
            Self::Years => (12, 0, 0, 100),
        };
        if n > most {
            return Err(Problem::new(format!("{count} {} are longer than 100 years", self.as_str())));
        }
        // Bounded by `most`, so none of the products overflows.
        Ok(Span { months: months * count, days: days * count, micros: seconds * n * SECOND })
    }
}

/// A length of time in PostgreSQL's three parts, which don't convert into each other: a month has
/// no fixed number of days, nor a day of hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl Serialize for Span {
    /// In ISO 8601, which PostgreSQL reads under every `IntervalStyle`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_iso8601())
    }
}

impl Span {
    /// A span of so many seconds, with nothing in its calendar parts.
    pub const fn seconds(seconds: i32) -> Self {
        // An i32 of seconds is far below i64::MAX microseconds.
        Self { months: 0, days: 0, micros: seconds as i64 * SECOND }
    }

    /// The length in microseconds as PostgreSQL compares intervals: a month is 30 days, a day 24
    /// hours. Saturates at the ends of `i64`.
    pub fn approx_micros(&self) -> i64 {
        let micros = self.micros_in_months_of(DAYS_PER_MONTH);
        i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whether it is at most a century: 1200 months, or 36,525 days of 24 hours.
    pub fn is_within_a_century(&self) -> bool {
        self.months <= 1200 && self.approx_micros() <= MAX_SPAN_MICROS
    }

    /// Whether what comes this span later is later by every calendar: a month may have 28 days or 31.
    pub fn is_positive(&self) -> bool {
        self.micros_in_months_of(if self.months < 0 { 31 } else { 28 }) > 0
    }

    /// Exact in 128 bits: two parts of opposite sign must not saturate one by one.
    fn micros_in_months_of(&self, days: i64) -> i128 {
        // |months| * 31 + |days| is below 2^38.
        let days = i64::from(self.months) * days + i64::from(self.days);
        i128::from(days) * i128::from(DAY) + i128::from(self.micros)
    }

    /// ISO 8601 with designators, e.g. `P1M2DT30S`. PostgreSQL reads it back to the microsecond
    /// under every `IntervalStyle`, each part with its own sign.
    pub fn to_iso8601(self) -> String {
        let parts = |parts: [(i64, char); 2]| {
            let parts = parts.into_iter().filter(|(n, _)| *n != 0);
            parts.map(|(n, unit)| format!("{n}{unit}")).collect::<String>()
        };
        let minutes = self.micros / (60 * SECOND);
        let date = parts([(self.months.into(), 'M'), (self.days.into(), 'D')]);
        let mut time = parts([(minutes / 60, 'H'), (minutes % 60, 'M')]);
        let rest = self.micros % (60 * SECOND);
        if rest != 0 || date.is_empty() && time.is_empty() {
            let sign = if rest < 0 { "-" } else { "" };
            let rest = rest.unsigned_abs();
            let seconds = format!("{sign}{}.{:06}", rest / 1_000_000, rest % 1_000_000);
            time.push_str(seconds.trim_end_matches('0').trim_end_matches('.'));
            time.push('S');
        }
        if time.is_empty() { format!("P{date}") } else { format!("P{date}T{time}") }
    }
}

#[cfg(test)]
mod tests;
