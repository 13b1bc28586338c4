//! Values as the server keeps them.

pub mod json;
pub mod jsonb;
pub mod record;
pub mod sql_type;
pub mod uuid;
pub mod varlena;
