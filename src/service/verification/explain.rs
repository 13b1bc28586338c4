//! What a token is: for a resource server, and step by step for an administrator.

use serde_json::{Value, json};

use crate::error::Result;
use crate::pg::clock::{self, Micros};
use crate::service::keys::key_ring;
use crate::service::level::Level;
use crate::service::reach;
use crate::service::verification::named_session::Of;
use crate::service::verification::verdict::{self, Verdict};
use crate::session::Expected;
use crate::token::{AuthenticToken, Rejected};

/// What a resource server may know of a token (RFC 7662, section 2.2); `{"active": false}` and nothing else for any
/// that is not good.
pub fn introspect(token: Option<&str>) -> Result<Value> {
    let inactive = json!({ "active": false });
    let Some(token) = token else {
        return Ok(inactive);
    };
    let Verdict::Live(live) =
        verdict::judge(token, &Expected::default(), &*reach::of_caller(Level::Server)?)?
    else {
        return Ok(inactive);
    };
    let session = &live.session;
    let mut answer = json!({
        "active": true,
        "client_id": live.env.product,
        "aud": format!("{}/{}", live.env.product, live.env.env),
        "iss": key_ring::ring()?.instance().issuer(),
        "sid": session.session_id.to_string(),
        "token_type": "Bearer",
        "exp": clock::unix_seconds(session.expires_at()),
        "iat": clock::unix_seconds(session.created_at),
    });
    if let Some(subject) = session.account().or(session.identifier()) {
        answer["sub"] = json!(subject);
    }
    if let Some(tag) = session.tag() {
        answer["tag"] = json!(tag);
        answer["username"] = json!(session.identifier());
    }
    if let Some(scopes) = &session.scopes {
        answer["scope"] = json!(scopes.join(" "));
    }
    if let Ok(AuthenticToken { access: Some(claims), .. }) = verdict::authenticate(token)? {
        answer["iat"] = json!(claims.issued_at);
        answer["jti"] = json!(claims.token_id.to_string());
    }
    Ok(answer)
}

/// A step of an explanation: what was checked, whether the token passed, and what was found; no secret and no session
/// data.
type Step = (&'static str, bool, String);

/// Explains, step by step and each with its number, why a token is accepted or refused.
pub fn explain(token: Option<&str>) -> Result<Vec<(i32, &'static str, bool, String)>> {
    let steps = (1..).zip(checks(token)?);
    Ok(steps.map(|(step, (checked, passed, detail))| (step, checked, passed, detail)).collect())
}

fn checks(token: Option<&str>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(vec![("form", false, "no token was given".to_owned())]);
    };
    let now = clock::now();
    let authentic = match verdict::authenticate(token)? {
        Ok(authentic) => authentic,
        Err(rejected) => {
            steps.push((rejected_check(rejected), false, rejected.to_string()));
            return Ok(steps);
        }
    };
    let family = authentic.family.as_str();
    steps.push(("form", true, format!("a token of the {family} session family")));
    steps.push(("signature", true, format!("made here with key number {}", authentic.key_number)));
    let Some((session, _)) = verdict::session_of(&authentic)? else {
        steps.push(("session", false, "its session's row is gone: deleted or purged".to_owned()));
        return Ok(steps);
    };
    let reach = reach::of_caller(Level::Server)?;
    if !session.is_within(&reach) {
        let detail = "its session is of a product or environment that the role's access does not reach";
        steps.push(("access", false, detail.to_owned()));
        return Ok(steps);
    }
    steps.push(("session", true, format!("session {}", session.session_id)));
    steps.push(match &session.env {
        Some(env) => ("environment", true, format!("{}/{}", env.product, env.env)),
        None => ("environment", false, "its environment was deleted".to_owned()),
    });
    if let Of::User(of) = &session.of {
        steps.push(match &of.definition {
            Some(stored) => ("definition", true, stored.definition.tag.clone()),
            None => ("definition", false, "its definition was deleted".to_owned()),
        });
    }
    steps.push(match &session.revoke_reason {
        None => ("revoked", true, "it is not revoked".to_owned()),
        Some(reason) => ("revoked", false, format!("it was revoked: {reason}")),
    });
    if let Some(claims) = &authentic.access {
        let at = clock::from_unix_seconds(claims.expires_at);
        steps.push(("token expiry", now < at, expiry("the token", at, now)));
    }
    steps.push(("session expiry", now < session.ends_at, expiry("the session", session.ends_at, now)));
    if let Of::User(of) = &session.of {
        let detail = match of.data {
            Some(_) => "its data can be decrypted",
            None => "the key of its data is gone",
        };
        steps.push(("data", of.data.is_some(), detail.to_owned()));
    }
    let verdict = verdict::judge(token, &Expected::default(), &reach)?;
    steps.push(match verdict {
        Verdict::Live(_) => ("verdict", true, "accepted".to_owned()),
        Verdict::Refused { reason, .. } => ("verdict", false, format!("refused: {}", reason.as_str())),
    });
    Ok(steps)
}

/// Which check a rejected token failed.
fn rejected_check(rejected: Rejected) -> &'static str {
    match rejected {
        Rejected::UnknownKey | Rejected::BadSignature => "signature",
        Rejected::WrongInstance => "issuer",
        Rejected::Claim(_) => "claims",
        _ => "form",
    }
}

fn expiry(what: &str, at: Micros, now: Micros) -> String {
    let seconds = at.saturating_sub(now) / clock::SECOND;
    if at > now {
        format!("{what} expires in {seconds} s")
    } else {
        format!("{what} expired {} s ago", -seconds)
    }
}
