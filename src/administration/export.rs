//! All that is held of a person, for the person.

use serde_json::json;

use super::{CODE, person, unknown};
use crate::error::{Coded, Result};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::statements::FromRow;
use crate::service::user_sessions::session_data::with_data;
use crate::session::Page;
use crate::tables::persons;

/// A page of all that is held of a person: of each list its page, and how many there are on all pages.
///
/// # Errors
/// `USER_NOT_FOUND` where nothing is held; `ERASE_FAILED` for bad arguments; `PERMISSION_DENIED` with an API key;
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`.
pub fn export(
    place: [Option<&str>; 3],
    identifier: Option<&str>,
    page: Option<i32>,
    per_page: Option<i32>,
) -> Result<JsonText> {
    let page = Page::new(page, per_page).coded(CODE)?;
    let owner = AsOwner::enter()?;
    let person = person(&owner, place, identifier)?;
    let (total_users, total_sessions, total_activity) = persons::count(&owner, &person)?;
    if total_users + total_sessions + total_activity == 0 {
        return Err(unknown());
    }
    let users = person.page(&owner, &persons::USERS, &page, |row| row.required::<String>(1))?;
    let sessions = person.page(&owner, &persons::SESSIONS, &page, FromRow::from_row)?;
    let sessions = sessions.iter().map(|session| Ok(with_data(session)?.0)).collect::<Result<Vec<_>>>()?;
    let activity = person.page(&owner, &persons::ACTIVITY, &page, |row| row.required::<String>(1))?;
    // Put together as text, so that a number in the data keeps its digits.
    Ok(JsonText(format!(
        r#"{{"identifier": {}, "totalUsers": {}, "totalSessions": {}, "totalActivity": {}, "users": [{}], "sessions": [{}], "activity": [{}]}}"#,
        json!(person.identifier),
        total_users,
        total_sessions,
        total_activity,
        users.join(", "),
        sessions.join(", "),
        activity.join(", "),
    )))
}
