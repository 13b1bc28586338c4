//! Creating user sessions.

use std::rc::Rc;

use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::pg::clock;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::service::keys::key_ring;
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration;
use crate::service::user_sessions::session_data::SessionData;
use crate::service::user_sessions::tokens::{Asked, Issue, Tokens, check_against, issue, lifetimes};
use crate::service::{caller, required};
use crate::session::{Definition, Room, room};
use crate::tables::activity::Origin;
use crate::tables::session_users::{self, SessionUsers, UserKey};
use crate::tables::sessions::SessionRow;
use crate::tables::sessions::create::insert;

/// Creates a session of a product, environment and tag, and makes its first tokens. `asked` is how long the first access
/// token and the session live where the definition is not to say that.
///
/// # Errors
/// `CREATE_FAILED` for data or an expiry that the definition or the service does not allow;
/// `SESSION_LIMIT_REACHED` at a cap that denies; 40001 where another call for the same user committed after
/// the transaction's snapshot (REPEATABLE READ and above).
pub fn create(
    [product, env, tag]: [Option<&str>; 3],
    data: Option<Jsonb<'_>>,
    origin: Origin<'_>,
    asked: Asked<'_>,
) -> Result<Tokens> {
    let code = Code::CreateFailed;
    let product = required(product, "product", code)?;
    let env = required(env, "env", code)?;
    let tag = required(tag, "tag", code)?;
    let data = required(data, "data", code)?;
    // Deleting an environment or a definition keeps creates out by a lock on the same table: what is found
    // now stays until this transaction ends.
    lock_for_writing::<SessionUsers>()?;
    let env = configuration::env(product, env)?;
    let definition = configuration::definition(&env.product_id, tag)?;
    let api_key_id = caller::narrow(env.env_id)?;
    let data = SessionData::of_argument(data)?;
    let checked = check_against(&definition, &data.text())?;
    let user = UserKey {
        env_id: env.env_id,
        definition_id: definition.definition_id,
        identifier: &checked.identifier,
    };
    let owner = AsOwner::enter()?;
    make_room(&owner, &definition.definition, user, api_key_id)?;

    let now = clock::now();
    let ends = lifetimes(&definition.definition, now, None, asked, code)?;
    let ring = key_ring::ring()?;
    let session_id = random::uuid()?;
    let (key_number, sealed_data) = data.seal(&ring, session_id)?;
    let session = SessionRow {
        session_id,
        env_id: env.env_id,
        definition_id: Some(definition.definition_id),
        subject: checked.identifier,
        created_at: now,
        expires_at: ends.session,
        key_number,
        sealed_data: Some(sealed_data),
        expires_in: asked.session.copied(),
        ..SessionRow::default()
    };
    insert(&owner, &session, Origin { api_key_id, ..origin })?;

    // That may have waited for another call of the same user, and keys may have been revoked meanwhile.
    let present = key_ring::ring()?;
    if !Rc::ptr_eq(&ring, &present) && SessionData::of(&session)?.is_none() {
        return Err(revocations::conflict());
    }
    issue(&Issue {
        ring: &present,
        env: &env,
        definition: &definition.definition,
        row: &session,
        generation: 0,
        data: &checked.text,
        now,
        ends,
    })
}

/// Where the definition has a cap, locks the user's row so that nobody else adds a session, and at the cap evicts
/// the oldest sessions or denies the new one.
fn make_room(
    owner: &AsOwner,
    definition: &Definition,
    user: UserKey<'_>,
    api_key_id: Option<Uuid>,
) -> Result<()> {
    let Some(max) = definition.max_sessions else {
        return Ok(());
    };
    session_users::lock(owner, user, clock::now())?;
    let now = clock::now();
    let living = session_users::living(owner, user, now)?;
    match room(living.len(), max, definition.on_limit) {
        Room::Free => Ok(()),
        Room::Evict(count) => {
            for session_id in living.into_iter().take(count) {
                let cause = revocations::EVICTED.by(Origin::of_key(api_key_id));
                revocations::revoke(owner, &Which::One(session_id), cause, now)?;
            }
            Ok(())
        }
        Room::Full => Err(Error::new(
            Code::SessionLimitReached,
            "the user has as many living sessions as the definition allows",
        )
        .detail(format!("max_sessions is {max} and on_limit is deny."))
        .hint("Revoke one of them, or define on_limit as evict_oldest.")),
    }
}
