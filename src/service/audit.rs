//! The record of administration: one row a call, in the transaction of the call.
//!
//! What is called is declared with `audit(…)` in `api/`: every function of level admin that changes something or shows
//! what is held of persons, and revocations of sets. Nobody who may call them can turn it off.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use serde_json::{Value, json};

use crate::error::Result;
use crate::log_events::Event;
use crate::pg::catalog::table::{relation_name, role_name};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::sql_type::{Name, Regclass, Regrole, Regroles};
use crate::pg::roles::{AsOwner, current_user};
use crate::pg::transaction::{self, subtransaction};
use crate::service::events;
use crate::session::cut;
use crate::tables::administration;

/// Arguments that name or describe a person. That they were given is recorded, not what they were: else the record
/// would keep what user_erase() is to remove.
const WITHHELD: &[&str] = &["identifier", "ip", "user_agent"];

/// What is recorded of a longer text, in characters. No name is longer; an argument that a caller made huge must not be
/// copied, and a failed allocation would end all connections.
const LONGEST: usize = 255;

/// A call that is going on.
pub struct Call {
    function: &'static str,
    counted: u64,
}

/// Named values, in the order in which they were given.
type Named<'a> = &'a [(&'static str, Value)];

impl Call {
    /// The call of this function begins.
    pub fn begin(function: &'static str) -> Self {
        Call { function, counted: subtransaction::counted() }
    }

    /// The call has succeeded: notes which of its arguments named what, and what came of it. A call that only read is
    /// noted where a row can be written, else in the server log alone.
    ///
    /// # Errors
    /// Those of writing the row, and the call fails with them.
    pub fn end(self, arguments: Named<'_>, effect: Named<'_>) -> Result<()> {
        let acting = current_user();
        let target = target(arguments);
        let mut effect = members(effect);
        let revoked = subtransaction::counted() - self.counted;
        if revoked > 0 {
            effect["revoked"] = json!(revoked);
        }
        if transaction::can_write() {
            let (target, effect) = (JsonText::of(&target), JsonText::of(&effect));
            administration::insert(&AsOwner::enter()?, acting, self.function, target, effect)?;
        }
        events::log(Event::Administration, || {
            let acting = role_name(acting);
            json!({ "function": self.function, "acting_role": acting, "target": target, "effect": effect })
        })
    }
}

/// An object of the values that are not null.
fn members<'a>(named: impl IntoIterator<Item = &'a (&'static str, Value)>) -> Value {
    let given = named.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (*name, value.clone())).collect()
}

/// The arguments that were given, without the values of those that name a person.
fn target(arguments: Named<'_>) -> Value {
    let (withheld, shown): (Vec<_>, Vec<_>) = arguments.iter().partition(|(name, _)| WITHHELD.contains(name));
    let mut target = members(shown);
    let withheld = withheld.into_iter().filter(|(_, value)| !value.is_null());
    let withheld: Vec<&str> = withheld.map(|(name, _)| *name).collect();
    if !withheld.is_empty() {
        target["withheld"] = json!(withheld);
    }
    target
}

/// A value as the record shows it.
pub trait Shown {
    fn shown(&self) -> Value;
}

macro_rules! shown {
    ($($type:ty: $value:ident => $shown:expr),+ $(,)?) => {
        $(impl Shown for $type {
            fn shown(&self) -> Value {
                let $value = self;
                $shown
            }
        })+
    };
}

shown! {
    &str: text => json!(cut(text, LONGEST)),
    String: text => json!(text),
    Vec<String>: texts => json!(texts),
    bool: flag => json!(flag),
    i32: number => json!(number),
    i64: number => json!(number),
    pgrx::Uuid: id => json!(id.to_string()),
    TimestampWithTimeZone: at => json!(at),
    Interval: span => json!(span),
    Regclass: relation => json!(relation_name(relation.0)),
    Regrole: role => json!(role_name(role.0)),
    Regroles<'_>: roles => {
        let names: Vec<String> = roles.0.iter().flatten().filter_map(role_name).collect();
        if names.is_empty() { Value::Null } else { json!(names) }
    },
    Name<'_>: name => json!(name.0.to_string_lossy()),
    JsonText: counts => counts.parse().map(without_nothing).unwrap_or_default(),
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, Shown::shown)
    }
}

/// An object of counts without those that say that nothing was done.
fn without_nothing(counts: Value) -> Value {
    match counts {
        Value::Object(counts) => {
            let says_nothing = |value: &Value| match value {
                Value::Null | Value::Bool(false) => true,
                Value::Number(number) => number.as_u64() == Some(0),
                Value::Array(values) => values.is_empty(),
                _ => false,
            };
            Value::Object(counts.into_iter().filter(|(_, value)| !says_nothing(value)).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
