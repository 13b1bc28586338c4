//! The key ring, the root key, and API keys.

pub mod key_ring;
pub mod manage;
pub mod root_key;
