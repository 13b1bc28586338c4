//! What a session is and what may happen to it, as pure functions.
//!
//! Nothing in here knows PostgreSQL, reads a clock, draws a random number or does I/O: time comes
//! in as microseconds, and an input that is wrong comes back as a [`Problem`] that the caller
//! turns into the error code of its function.
#![forbid(unsafe_code)]

pub mod configuration;
pub mod conversion;
pub mod data;
pub mod definition;
pub mod filter;
pub mod lifetimes;
pub mod limits;
pub mod name;
pub mod period;
pub mod problem;
pub mod rotation;
pub mod schema;
pub mod scopes;
pub mod selector;
pub mod series;
#[cfg(test)]
mod tests;
pub mod validity;
pub mod verdict;

pub use data::check_data_bytes;
pub use definition::{Definition, OnLimit};
pub use lifetimes::{Bounds, Lifetimes, ceil_to_second};
pub use limits::{Page, Room, cut, cut_user_agent, room};
pub use name::{check_identifier, check_label, check_length, check_name, check_text};
pub use period::{Period, Span};
pub use problem::Problem;
pub use rotation::{Decision, Rotation, decide};
pub use schema::CompiledSchema;
pub use scopes::{check_components, resolve_components};
pub use selector::Selector;
pub use validity::{Basis, Validity};
pub use verdict::{Expected, Facts, Reason, judge};
