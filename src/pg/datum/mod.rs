//! Values as the server keeps them.

pub mod json;
pub mod record;
pub mod uuid;
pub mod varlena;
