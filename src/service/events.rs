//! Events as lines of JSON in the server log, as `dialstack_sessions.log_events` says.
//!
//! A line is written when the event happens, not at commit, so that it is there whatever becomes of the transaction,
//! and on standbys. It holds no secret, no session data, and no identifier, address or user agent of a user.

use serde_json::{Value, json};

use crate::error::Result;
use crate::guc;
use crate::log_events::Event;
use crate::pg::log;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement};

static CALLER: Statement = Statement::new(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
            session_user::text, host(inet_client_addr())",
);

/// Writes a line, if the event is to be logged. The members of the object `fields` become its own, beside when it was,
/// what, which role had logged in, and from where.
pub fn log(event: Event, fields: impl FnOnce() -> Value) -> Result<()> {
    if !guc::logs(event) {
        return Ok(());
    }
    let mut line = fields();
    line["event"] = json!(event.as_str());
    let caller: Vec<(String, String, Option<String>)> =
        CALLER.read(&AsOwner::enter()?, &[], FromRow::from_row)?;
    for (at, session_role, client_addr) in caller {
        line["at"] = json!(at);
        line["session_role"] = json!(session_role);
        line["client_addr"] = json!(client_addr);
    }
    log::line(&format!("dialstack_sessions {line}"));
    Ok(())
}
