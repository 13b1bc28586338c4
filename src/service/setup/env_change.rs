//! Renaming an environment, and making it live or one for tests.

use crate::error::{Code, Error, Result};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::service::revocation::revocations;
use crate::service::setup::configuration::Env;
use crate::tables::{living, products};
use crate::token::Mode;

/// Gives an environment a name, which must be free, and makes it live or one for tests where that is given. Its sessions,
/// tokens and API keys stay good under another name: they know their environment by its number.
///
/// # Errors
/// `DEFINE_FAILED` for a change between live and test while sessions or API keys live; `CONFLICT` where the
/// transaction's snapshot is too old to show the environment or what lives in it.
pub fn change(owner: &AsOwner, env: &Env, name: &str, live: Option<bool>) -> Result<()> {
    let is_live = env.mode == Mode::Live;
    let live = live.unwrap_or(is_live);
    if live != is_live {
        check_empty(owner, env)?;
    }
    if name == env.env && live == is_live {
        return Ok(());
    }
    if products::update_env(owner, env.env_id, name, live)? {
        return Ok(());
    }
    Err(products::env_too_new())
}

/// Refresh tokens and API keys say whether they are live, and are refused where they say something else.
fn check_empty(owner: &AsOwner, env: &Env) -> Result<()> {
    living::keep_new_out(owner)?;
    let now = clock::now();
    living::lock_ended(owner, env.env_id, now)?;
    let lives = living::count(owner, vec![env.env_id], None, now)?;
    if lives.sessions + lives.api_keys > 0 {
        return Err(Error::new(Code::DefineFailed, "sessions or API keys live in the environment, and would die unnoticed")
            .detail(format!(
                "Living sessions: {}; API keys: {}. Their tokens say whether they are live or for tests.",
                lives.sessions, lives.api_keys
            ))
            .hint("Revoke them with dialstack.session_revoke_where() and dialstack.api_key_revoke(), or create another environment."));
    }
    if living::any_hidden(env.env_id, now)? { Err(revocations::conflict()) } else { Ok(()) }
}
