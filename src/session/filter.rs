//! Filters of administrators: networks and patterns as texts.

use std::net::IpAddr;

use super::name::check_length;
use super::problem::Problem;
use crate::token::Family;

/// Longest pattern, in characters.
const MAX_PATTERN: usize = 1_000;

/// Accepts an address, or a network as `ADDRESS/BITS`.
pub fn check_network(text: &str) -> Result<(), Problem> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let is_network = address.parse::<IpAddr>().is_ok_and(|address| {
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| {
            bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        })
    });
    if is_network {
        return Ok(());
    }
    Err(Problem::new("ip is not an address or a network")
        .with_hint("Give one such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."))
}

/// Accepts a pattern of ILIKE: at most 1,000 characters, with something behind each backslash.
pub fn check_pattern(pattern: &str) -> Result<(), Problem> {
    check_length("user_agent", pattern, MAX_PATTERN)?;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && characters.next().is_none() {
            return Err(Problem::new("user_agent ends with an escape character")
                .with_hint("Write two backslashes for one."));
        }
    }
    Ok(())
}

/// Accepts the kind of a session.
pub fn check_kind(kind: &str) -> Result<(), Problem> {
    if Family::parse(kind).is_some() {
        return Ok(());
    }
    Err(Problem::new("kind is not known").with_hint("A session is of kind user, account or client."))
}

#[cfg(test)]
mod tests;
