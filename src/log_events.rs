//! Which events are written to the server log.

use crate::text_enum::text_enum;

text_enum! {
    /// What `dialstack_sessions.log_events` names.
    pub enum Event {
        Reuse = "reuse",
        Revoke = "revoke",
        Administration = "administration",
        RefusedKey = "refused_key",
    }
}

impl Event {
    /// The events of a list, separated by commas: `reuse, revoke`. None for a list with anything else in it.
    pub fn parse_list(list: &str) -> Option<Vec<Self>> {
        if list.trim().is_empty() {
            return Some(Vec::new());
        }
        list.split(',').map(|name| Event::parse(name.trim())).collect()
    }
}

#[cfg(test)]
mod tests;
