//! Products, environments, definitions and scopes.

pub mod configuration;
pub mod definitions;
pub mod products;
pub mod scopes;
