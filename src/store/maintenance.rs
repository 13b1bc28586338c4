//! What keeps the database clean and the dashboard fast, in bounded steps.

use super::clock::{self, SECOND};
use super::rollup::{self, Counts};
use crate::error::Result;

/// After so long a call ends, done or not.
const TIME: i64 = 20 * SECOND;

/// What a call of [`maintain`] did.
pub struct Done {
    /// What was rolled up.
    pub rollup: Counts,
}

impl Done {
    /// Whether time ran out before everything was done.
    pub fn more(&self) -> bool {
        self.rollup.more
    }
}

/// Does what there is to do, in steps of at most `batch` rows.
pub fn maintain(batch: u32) -> Result<Done> {
    let until = clock::now().saturating_add(TIME);
    Ok(Done {
        rollup: rollup::roll_up(batch, until)?,
    })
}
