//! Events as lines of JSON in the server log, as `dialstack_sessions.log_events` says.
//!
//! A line is written when the event happens, not at commit, so that it is there whatever becomes of the transaction,
//! and on standbys. It holds no secret, no session data, and no identifier, address or user agent of a user.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::guc;
use crate::log_events::{Event, Limit, Permit};
use crate::pg::clock;
use crate::pg::log;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;

const KINDS: usize = Event::ALL.len();

thread_local! {
    /// Each kind has a limit of its own, so that many of one do not hide another.
    static LIMITS: [Cell<Limit>; KINDS] = const { [const { Cell::new(Limit::NEW) }; KINDS] };
}

static CALLER: Statement = Statement::new(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
            session_user::text, host(inet_client_addr())",
);

/// Writes a line, unless the event is not to be logged or there were too many of its kind. `fields` become its members,
/// beside when it was, what, which role had logged in, and from where.
pub fn log(event: Event, fields: impl FnOnce() -> Value) -> Result<()> {
    if !guc::logs(event) {
        return Ok(());
    }
    match take(event) {
        Permit::LeftOut => Ok(()),
        Permit::FirstLeftOut => write(event, json!({ "limited": true })),
        Permit::Write { left_out: 0 } => write(event, fields()),
        Permit::Write { left_out } => {
            write(event, json!({ "left_out": left_out }))?;
            write(event, fields())
        }
    }
}

fn take(event: Event) -> Permit {
    LIMITS.with(|limits| {
        let cell = &limits[event as usize];
        let mut limit = cell.get();
        let permit = limit.take(clock::now());
        cell.set(limit);
        permit
    })
}

fn write(event: Event, fields: Value) -> Result<()> {
    let mut line = Map::new();
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    line.insert("event".to_owned(), json!(event.as_str()));
    let caller = CALLER.read(&AsOwner::enter()?, &[], |row| {
        Ok([row.required::<String>(1).map(Some)?, row.required(2).map(Some)?, row.get(3)?])
    })?;
    for values in caller {
        let names = ["at", "session_role", "client_addr"];
        line.extend(names.iter().map(|name| (*name).to_owned()).zip(values.map(|value| json!(value))));
    }
    log::line(&format!("dialstack_sessions {}", Value::Object(line)));
    Ok(())
}
