//! Erasing what is held of a person.

use pgrx::PgSqlErrorCode;
use serde_json::json;

use super::{CODE, person, unknown};
use crate::error::{Error, Result};
use crate::maintenance::rollup;
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::transaction::subtransaction::recovering;
use crate::service::revocation::revocations::{self, Which};
use crate::tables::persons;
use crate::tables::session_users::{self, UserKey};
use crate::tables::sessions::change::keep_name;

/// Revokes the person's sessions and deletes them, with all that names the person; what happened stays, without saying
/// to whom. Returns how many rows that were. All of it is the caller's transaction.
///
/// # Errors
/// `USER_NOT_FOUND` where nothing is held; `ERASE_FAILED` for bad arguments, and where a table of the application
/// references a session; `PERMISSION_DENIED` with an API key; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`,
/// `DEFINITION_NOT_FOUND`; 40001 where another call for the same user committed after the transaction's snapshot
/// (REPEATABLE READ and above).
pub fn erase(place: [Option<&str>; 3], identifier: Option<&str>) -> Result<JsonText> {
    let owner = AsOwner::enter()?;
    let person = person(&owner, place, identifier)?;
    // Locks each user until the transaction ends, also where they are not known yet: no session is created meanwhile, and
    // one that is being created is waited for.
    for (env_id, definition_id) in person.places() {
        let user = UserKey { env_id, definition_id, identifier: person.identifier };
        session_users::lock(&owner, user, clock::now())?;
    }
    if person.account_sessions {
        keep_name(person.identifier)?;
    }
    persons::lock_sessions(&owner, &person)?;
    let of_person = person.sessions();
    let revoked =
        revocations::revoke(&owner, &Which::Matching(&of_person), revocations::ERASED, clock::now())?;
    rollup::forget_user(&owner, &person)?;
    let sessions =
        recovering(&owner, || persons::DELETE_SESSIONS.execute(&owner, &person.bound()), referenced)?;
    revocations::check_none_hidden(|row| of_person.may_mean(row))?;
    let users = persons::delete_users(&owner, &person)?;
    let activity = persons::EMPTY_ACTIVITY.execute(&owner, &person.bound())?;
    if sessions + users + activity == 0 {
        return Err(unknown());
    }
    Ok(JsonText::of(&json!({
        "users": users,
        "sessions": sessions,
        "revoked": revoked,
        "activity": activity,
    })))
}

/// What is said where a foreign key of the application's keeps a session, by the server's error.
fn referenced(code: PgSqlErrorCode, message: &str) -> Option<Result<u64>> {
    let kept = [PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION, PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION];
    kept.contains(&code).then(|| {
        Err(Error::new(CODE, "a table of the application references sessions of the user")
            .detail(message)
            .hint("Give its foreign key ON DELETE CASCADE or ON DELETE SET NULL, or delete its rows first."))
    })
}
