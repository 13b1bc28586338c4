//! Whether an authentic token's session may be used here and now.

use crate::text_enum::text_enum;

/// The `revoke_reason` of a session that was revoked because a used-up refresh token came back.
pub const REVOKED_FOR_REUSE: &str = "reused";

/// The `revoke_reason` of a session that had expired when its key was given to a new one.
pub const REVOKED_AS_EXPIRED: &str = "expired";

text_enum! {
    /// Why a token is refused, as the column `reason` says it. The order is the order in which they
    /// are checked.
    pub enum Reason {
        /// No token was given: NULL or an empty text.
        Missing = "missing",
        /// Malformed, forged, of an unknown key or session: indistinguishable on purpose.
        Invalid = "invalid",
        /// Of another product, environment or tag than was asked for.
        Mismatch = "mismatch",
        /// The session was revoked.
        Revoked = "revoked",
        /// The session was revoked because a used-up refresh token came back.
        Reused = "reused",
        /// The session or the token has ended.
        Expired = "expired",
        /// The session does not have the scope that was asked for.
        ScopeDisabled = "scope_disabled",
    }
}

/// What is known of the session that an authentic token names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Name of its product.
    pub product: Option<&'a str>,
    /// Name of its environment.
    pub env: Option<&'a str>,
    /// Tag of its definition; only user sessions have one.
    pub tag: Option<&'a str>,
    /// Its `revoke_reason`, where it is revoked.
    pub revoked: Option<&'a str>,
    /// End of the session, µs.
    pub expires_at: i64,
    /// End of the presented token, µs, where it has one of its own.
    pub token_expires_at: Option<i64>,
    /// Its scopes; a session without any list has none of them.
    pub scopes: Option<&'a [String]>,
}

/// What the caller asks for; a `None` asks for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// Name of the product.
    pub product: Option<&'a str>,
    /// Name of the environment.
    pub env: Option<&'a str>,
    /// Tag of the definition.
    pub tag: Option<&'a str>,
    /// Name of the scope.
    pub scope: Option<&'a str>,
}

/// Judges the session of an authentic token at the time `now` (µs).
///
/// # Errors
/// The first reason in the order of [`Reason`]; never [`Reason::Missing`] or [`Reason::Invalid`], which are for
/// what names no session.
pub fn judge(facts: &Facts<'_>, expected: &Expected<'_>, now: i64) -> Result<(), Reason> {
    let belongs = [
        (expected.product, facts.product),
        (expected.env, facts.env),
        (expected.tag, facts.tag),
    ]
    .iter()
    .all(|(wanted, actual)| wanted.is_none() || wanted == actual);
    if !belongs {
        return Err(Reason::Mismatch);
    }
    match facts.revoked {
        Some(REVOKED_FOR_REUSE) => return Err(Reason::Reused),
        Some(REVOKED_AS_EXPIRED) => return Err(Reason::Expired),
        Some(_) => return Err(Reason::Revoked),
        None => {}
    }
    if now >= facts.expires_at || facts.token_expires_at.is_some_and(|end| now >= end) {
        return Err(Reason::Expired);
    }
    match expected.scope {
        Some(scope)
            if !facts
                .scopes
                .is_some_and(|all| all.iter().any(|s| s == scope)) =>
        {
            Err(Reason::ScopeDisabled)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn living<'a>() -> Facts<'a> {
        Facts {
            product: Some("shop"),
            env: Some("production"),
            tag: Some("web"),
            expires_at: 1000,
            token_expires_at: Some(500),
            ..Facts::default()
        }
    }

    const NOTHING: Expected<'static> = Expected {
        product: None,
        env: None,
        tag: None,
        scope: None,
    };

    #[test]
    fn a_living_session_is_valid_wherever_nothing_is_asked() {
        assert_eq!(judge(&living(), &NOTHING, 499), Ok(()));
    }

    #[test]
    fn a_living_session_is_valid_where_it_belongs() {
        let here = Expected {
            product: Some("shop"),
            env: Some("production"),
            tag: Some("web"),
            scope: None,
        };
        assert_eq!(judge(&living(), &here, 0), Ok(()));
    }

    #[test]
    fn each_of_product_env_and_tag_can_mismatch() {
        for expected in [
            Expected {
                product: Some("other"),
                ..NOTHING
            },
            Expected {
                env: Some("staging"),
                ..NOTHING
            },
            Expected {
                tag: Some("app"),
                ..NOTHING
            },
        ] {
            assert_eq!(judge(&living(), &expected, 0), Err(Reason::Mismatch));
        }
    }

    #[test]
    fn a_session_without_a_tag_mismatches_every_tag() {
        let facts = Facts {
            tag: None,
            ..living()
        };
        let expected = Expected {
            tag: Some("web"),
            ..NOTHING
        };
        assert_eq!(judge(&facts, &expected, 0), Err(Reason::Mismatch));
    }

    #[test]
    fn a_revoked_session_says_whether_it_was_for_reuse() {
        let reused = Facts {
            revoked: Some("reused"),
            ..living()
        };
        assert_eq!(judge(&reused, &NOTHING, 0), Err(Reason::Reused));
        for reason in ["logout", "", "evicted"] {
            let revoked = Facts {
                revoked: Some(reason),
                ..living()
            };
            assert_eq!(judge(&revoked, &NOTHING, 0), Err(Reason::Revoked));
        }
    }

    #[test]
    fn a_session_ends_at_the_earlier_of_its_two_expiries() {
        assert_eq!(judge(&living(), &NOTHING, 500), Err(Reason::Expired));
        let session_first = Facts {
            expires_at: 400,
            ..living()
        };
        assert_eq!(judge(&session_first, &NOTHING, 400), Err(Reason::Expired));
        let opaque = Facts {
            token_expires_at: None,
            ..living()
        };
        assert_eq!(judge(&opaque, &NOTHING, 999), Ok(()));
        assert_eq!(judge(&opaque, &NOTHING, 1000), Err(Reason::Expired));
    }

    #[test]
    fn a_scope_is_there_only_if_listed() {
        let scopes = ["call_logs".to_owned()];
        let facts = Facts {
            scopes: Some(&scopes),
            ..living()
        };
        let asks = |scope| Expected {
            scope: Some(scope),
            ..NOTHING
        };
        assert_eq!(judge(&facts, &asks("call_logs"), 0), Ok(()));
        assert_eq!(
            judge(&facts, &asks("voicemails"), 0),
            Err(Reason::ScopeDisabled)
        );
        assert_eq!(
            judge(&living(), &asks("call_logs"), 0),
            Err(Reason::ScopeDisabled)
        );
    }

    #[test]
    fn of_several_reasons_the_first_is_told() {
        let asks = Expected {
            product: Some("other"),
            scope: Some("x"),
            ..NOTHING
        };
        let dead = Facts {
            revoked: Some("logout"),
            ..living()
        };
        assert_eq!(judge(&dead, &asks, 2000), Err(Reason::Mismatch));
        let scope_only = Expected {
            scope: Some("x"),
            ..NOTHING
        };
        assert_eq!(judge(&dead, &scope_only, 2000), Err(Reason::Revoked));
        assert_eq!(judge(&living(), &scope_only, 2000), Err(Reason::Expired));
    }

    #[test]
    fn reasons_are_ordered_and_named() {
        use Reason::*;
        let all = [
            Missing,
            Invalid,
            Mismatch,
            Revoked,
            Reused,
            Expired,
            ScopeDisabled,
        ];
        assert!(all.is_sorted());
        assert_eq!(
            all.map(Reason::as_str),
            [
                "missing",
                "invalid",
                "mismatch",
                "revoked",
                "reused",
                "expired",
                "scope_disabled"
            ]
        );
    }
}
