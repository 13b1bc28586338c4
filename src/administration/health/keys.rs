//! Findings about the root key, the key ring and API keys.

use pgrx::prelude::ToIsoString;

use super::Finding;
use super::kinds::{API_KEY_EXPIRES, KEYS_NOT_AVAILABLE, OLD_SIGNING_KEY, ROOT_KEY_IN_ROW};
use crate::error::Result;
use crate::pg::clock::{self, DAY, Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::service::keys::key_ring;

/// A key that is older should be replaced.
const MAX_AGE: Micros = 365 * DAY;

/// How long before its end an API key is reported.
const NOTICE: Micros = 14 * DAY;

static ROOT_KEY: Statement = Statement::new("SELECT root_key IS NOT NULL FROM dialstack.instance");

/// The next that end; a hundred are enough to see that something is wrong.
static API_KEYS: Statement = Statement::new(
    "SELECT format('The %s key %s%s of %s of product %s ends at %s.', k.kind, k.api_key_id, \
                        ' (' || k.name || ')', e.env, p.product, \
                        to_char(k.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')) \
            FROM dialstack.api_keys k \
            JOIN dialstack.environments e ON e.env_id = k.env_id \
            JOIN dialstack.products p ON p.product_id = e.product_id \
           WHERE k.revoked_at IS NULL AND k.expires_at > $1 AND k.expires_at <= $2 \
           ORDER BY k.expires_at LIMIT 100",
);

/// What is wrong with keys.
pub fn findings(owner: &AsOwner, now: Micros) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    if ROOT_KEY.read(owner, &[], |row| row.required::<bool>(1))?.contains(&true) {
        let detail = "A backup or a copy of the data directory opens every token and all session data.";
        found.push(Finding::new(&ROOT_KEY_IN_ROW, detail));
    }
    if let Err(error) = key_ring::ring() {
        found.push(Finding::new(&KEYS_NOT_AVAILABLE, error.message()));
    }
    for key in key_ring::list()? {
        let since = clock::micros(key.active_at);
        if key.state == "active" && since < now.saturating_sub(MAX_AGE) {
            let day = clock::utc_date(since).to_iso_string();
            let detail = format!("The {} key {} is in use since {day}.", key.purpose, key.kid);
            found.push(Finding::new(&OLD_SIGNING_KEY, detail));
        }
    }
    let range = [bind(timestamptz(now)), bind(timestamptz(now.saturating_add(NOTICE)))];
    for detail in API_KEYS.read(owner, &range, |row| row.required::<String>(1))? {
        found.push(Finding::new(&API_KEY_EXPIRES, detail));
    }
    Ok(found)
}
