//! Reads the fields of a definition out of JSON, one rule a field.

use serde_json::{Map, Value};

use super::{
    DEFAULT_REFRESH_DAYS, DEFAULT_REUSE_INTERVAL, Definition, MAX_DEFINITION_NAME, MAX_DESCRIPTION,
    MAX_PUBLIC_CLAIMS, MAX_REUSE_INTERVAL, MAX_SESSIONS, OnLimit,
};
use crate::session::name::{check_label, check_name, check_text};
use crate::session::period::{MAX_SPAN_MICROS, Period, Span};
use crate::session::problem::{Problem, shown};
use crate::session::schema::normalize;
use crate::session::selector::Selector;

/// Which product a definition belongs to is an argument beside it.
const IGNORED: &str = "product";

pub(super) struct Fields<'a> {
    given: &'a Map<String, Value>,
    parse_interval: &'a dyn Fn(&str) -> Option<Span>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        v: &'a Value,
        parse_interval: &'a dyn Fn(&str) -> Option<Span>,
    ) -> Result<Self, Problem> {
        let given = v.as_object().ok_or_else(|| Problem::new("a definition must be a JSON object"))?;
        for key in given.keys() {
            if key != IGNORED && !Definition::FIELDS.contains(&key.as_str()) {
                return Err(Problem::new(format!("a definition has no key \"{}\"", shown(key)))
                    .with_hint(format!("The keys are: {}.", Definition::FIELDS.join(", "))));
            }
        }
        Ok(Self { given, parse_interval })
    }

    /// Reads each field by its own rule; the rules between them are the caller's.
    pub(super) fn read(&self) -> Result<Definition, Problem> {
        let tag = self.required("tag", Self::text)?;
        check_name("tag", tag)?;
        let name = self.required("name", Self::text)?;
        check_label("name", name, MAX_DEFINITION_NAME)?;
        let description = self.text("description")?.unwrap_or_default();
        check_text("description", description, MAX_DESCRIPTION)?;
        let selector = Selector::parse(self.required("selector", Self::text)?)?;
        let expiry = self.required("expiry", Self::integer)?;
        let period = Period::read(self.required("period", Self::text)?)?;
        check_lifetime("expiry", expiry, period)?;
        let (refresh_expiry, refresh_period) = self.refresh(expiry, period)?;
        let max_sessions = self.integer("max_sessions")?;
        if max_sessions.is_some_and(|n| !(1..=MAX_SESSIONS).contains(&n)) {
            return Err(Problem::new(format!("max_sessions must be from 1 to {MAX_SESSIONS}")));
        }
        let on_limit = self.text("on_limit")?.map_or(Ok(OnLimit::EvictOldest), OnLimit::read)?;
        Ok(Definition {
            tag: tag.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            schema: normalize(self.required("schema", Self::any)?)?,
            selector,
            expiry,
            period,
            refresh_expiry,
            refresh_period,
            idle_timeout: self.lifetime("idle_timeout")?,
            max_lifetime: self.lifetime("max_lifetime")?,
            max_sessions,
            on_limit,
            reuse_interval: self.reuse_interval()?,
            log_verify: self.boolean("log_verify")?.unwrap_or(false),
            public_claims: self.paths("public_claims")?,
        })
    }

    fn required<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Self, &'static str) -> Result<Option<T>, Problem>,
    ) -> Result<T, Problem> {
        read(self, key)?.ok_or_else(|| Problem::new(format!("a definition needs \"{key}\"")))
    }

    /// The value of a key; a null counts as absent.
    fn any(&self, key: &'static str) -> Result<Option<&'a Value>, Problem> {
        Ok(self.given.get(key).filter(|value| !value.is_null()))
    }

    fn text(&self, key: &'static str) -> Result<Option<&'a str>, Problem> {
        let value = self.any(key)?;
        value.map(|v| v.as_str().ok_or_else(|| wrong(key, "must be a string"))).transpose()
    }

    fn boolean(&self, key: &'static str) -> Result<Option<bool>, Problem> {
        let value = self.any(key)?;
        value.map(|v| v.as_bool().ok_or_else(|| wrong(key, "must be true or false"))).transpose()
    }

    fn paths(&self, key: &'static str) -> Result<Vec<String>, Problem> {
        let Some(value) = self.any(key)? else {
            return Ok(Vec::new());
        };
        let path = |path: &Value| {
            let text = path.as_str()?;
            Selector::parse(text).ok().map(|_| text.to_owned())
        };
        let paths = value.as_array().map(|paths| paths.iter().map(path));
        let paths = paths.and_then(|paths| paths.collect::<Option<Vec<_>>>());
        let paths = paths.filter(|paths| paths.len() <= MAX_PUBLIC_CLAIMS);
        paths.ok_or_else(|| {
            wrong(key, &format!("must be an array of at most {MAX_PUBLIC_CLAIMS} paths")).with_hint(
                "A path is a field of the session data such as \"role\", or \"plan.name\" for a nested one.",
            )
        })
    }

    fn integer(&self, key: &'static str) -> Result<Option<i32>, Problem> {
        let Some(value) = self.any(key)? else {
            return Ok(None);
        };
        // Neither 1.0 nor "1": a definition says what it means.
        match value.as_i64().map(i32::try_from) {
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(wrong(key, "is out of range")),
            None => Err(wrong(key, "must be an integer")),
        }
    }

    fn interval(&self, key: &'static str) -> Result<Option<Span>, Problem> {
        let Some(value) = self.any(key)? else {
            return Ok(None);
        };
        let span = match value {
            Value::String(text) => (self.parse_interval)(text),
            Value::Number(n) => n.as_f64().and_then(from_seconds),
            _ => None,
        };
        let span = span.ok_or_else(|| {
            wrong(key, "must be an interval")
                .with_hint("Write an interval such as \"8 hours\", or a number of seconds.")
        })?;
        if !span.is_within_a_century() {
            return Err(wrong(key, "must not be longer than 100 years"));
        }
        Ok(Some(span))
    }

    fn lifetime(&self, key: &'static str) -> Result<Option<Span>, Problem> {
        let span = self.interval(key)?;
        if span.is_some_and(|span| !span.is_positive()) {
            return Err(wrong(key, "must be longer than 0"));
        }
        Ok(span)
    }

    fn reuse_interval(&self) -> Result<Span, Problem> {
        let span = self.interval("reuse_interval")?.unwrap_or(DEFAULT_REUSE_INTERVAL);
        if !(0..=MAX_REUSE_INTERVAL.approx_micros()).contains(&span.approx_micros()) {
            return Err(wrong("reuse_interval", "must be from 0 to 300 seconds"));
        }
        // In one part, so that it doesn't depend on a calendar.
        Ok(Span { months: 0, days: 0, micros: span.approx_micros() })
    }

    fn refresh(&self, expiry: i32, period: Period) -> Result<(i32, Period), Problem> {
        match (self.integer("refresh_expiry")?, self.text("refresh_period")?) {
            (Some(count), Some(unit)) => {
                let unit = Period::read(unit)
                    .map_err(|problem| Problem { message: format!("refresh_{problem}"), ..problem })?;
                check_lifetime("refresh_expiry", count, unit)?;
                Ok((count, unit))
            }
            (None, None) => {
                let default = Period::Days.span(DEFAULT_REFRESH_DAYS)?;
                let access = period.span(expiry)?;
                // A refresh token that dies before its access token would be of no use.
                Ok(if access.approx_micros() > default.approx_micros() {
                    (expiry, period)
                } else {
                    (DEFAULT_REFRESH_DAYS, Period::Days)
                })
            }
            _ => Err(Problem::new("refresh_expiry and refresh_period must be given together")),
        }
    }
}

fn wrong(key: &str, rule: &str) -> Problem {
    Problem::new(format!("{key} {rule}"))
}

fn check_lifetime(key: &'static str, count: i32, period: Period) -> Result<(), Problem> {
    if count < 1 {
        return Err(wrong(key, "must be at least 1"));
    }
    period.span(count).map(|_| ()).map_err(|problem| wrong(key, "is too long").with_detail(problem.message))
}

/// Seconds as a span; none if they are more than 100 years either way.
fn from_seconds(seconds: f64) -> Option<Span> {
    let micros = (seconds * 1e6).round();
    // Far inside of i64; NaN is not contained.
    let most = MAX_SPAN_MICROS as f64;
    (-most..=most).contains(&micros).then_some(Span { months: 0, days: 0, micros: micros as i64 })
}
