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

const NOTHING: Expected<'static> =
    Expected { product: None, env: None, tag: None, scope: None, authenticated_since: None };

#[test]
fn a_living_session_is_valid_wherever_nothing_is_asked() {
    assert_eq!(judge(&living(), &NOTHING, 499), Ok(()));
}

#[test]
fn a_living_session_is_valid_where_it_belongs() {
    let here = Expected { product: Some("shop"), env: Some("production"), tag: Some("web"), ..NOTHING };
    assert_eq!(judge(&living(), &here, 0), Ok(()));
}

#[test]
fn each_of_product_env_and_tag_can_mismatch() {
    for expected in [
        Expected { product: Some("other"), ..NOTHING },
        Expected { env: Some("staging"), ..NOTHING },
        Expected { tag: Some("app"), ..NOTHING },
    ] {
        assert_eq!(judge(&living(), &expected, 0), Err(Reason::Mismatch));
    }
}

#[test]
fn a_session_without_a_tag_mismatches_every_tag() {
    let facts = Facts { tag: None, ..living() };
    let expected = Expected { tag: Some("web"), ..NOTHING };
    assert_eq!(judge(&facts, &expected, 0), Err(Reason::Mismatch));
}

#[test]
fn a_revoked_session_says_whether_it_was_for_reuse() {
    let reused = Facts { revoked: Some("reused"), ..living() };
    assert_eq!(judge(&reused, &NOTHING, 0), Err(Reason::Reused));
    for reason in ["logout", "", "evicted"] {
        let revoked = Facts { revoked: Some(reason), ..living() };
        assert_eq!(judge(&revoked, &NOTHING, 0), Err(Reason::Revoked));
    }
}

#[test]
fn a_given_reason_never_changes_what_the_verdict_is() {
    for reason in ["stolen laptop", "revoked", &"é".repeat(200)] {
        assert_eq!(check_reason(reason), Ok(()));
        let facts = Facts { revoked: Some(reason), ..living() };
        assert_eq!(judge(&facts, &NOTHING, 0), Err(Reason::Revoked));
    }
    for reason in ["reused", "expired", "", "two\nlines", &"x".repeat(201)] {
        assert!(check_reason(reason).is_err(), "{reason:?}");
    }
}

#[test]
fn a_session_ends_at_the_earlier_of_its_two_expiries() {
    assert_eq!(judge(&living(), &NOTHING, 500), Err(Reason::Expired));
    let session_first = Facts { expires_at: 400, ..living() };
    assert_eq!(judge(&session_first, &NOTHING, 400), Err(Reason::Expired));
    let opaque = Facts { token_expires_at: None, ..living() };
    assert_eq!(judge(&opaque, &NOTHING, 999), Ok(()));
    assert_eq!(judge(&opaque, &NOTHING, 1000), Err(Reason::Expired));
}

#[test]
fn a_scope_is_there_only_if_listed() {
    let scopes = ["call_logs".to_owned()];
    let facts = Facts { scopes: Some(&scopes), ..living() };
    let asks = |scope| Expected { scope: Some(scope), ..NOTHING };
    assert_eq!(judge(&facts, &asks("call_logs"), 0), Ok(()));
    assert_eq!(judge(&facts, &asks("voicemails"), 0), Err(Reason::ScopeDisabled));
    assert_eq!(judge(&living(), &asks("call_logs"), 0), Err(Reason::ScopeDisabled));
}

#[test]
fn a_session_is_stale_that_was_authenticated_before_the_moment_asked_for() {
    let facts = Facts { authenticated_at: 100, ..living() };
    let since = |moment| Expected { authenticated_since: Some(moment), ..NOTHING };
    assert_eq!(judge(&facts, &since(100), 200), Ok(()));
    assert_eq!(judge(&facts, &since(101), 200), Err(Reason::Stale));
    assert_eq!(judge(&facts, &since(101), 500), Err(Reason::Expired));
}

#[test]
fn of_several_reasons_the_first_is_told() {
    let asks = Expected { product: Some("other"), scope: Some("x"), ..NOTHING };
    let dead = Facts { revoked: Some("logout"), ..living() };
    assert_eq!(judge(&dead, &asks, 2000), Err(Reason::Mismatch));
    let scope_only = Expected { scope: Some("x"), ..NOTHING };
    assert_eq!(judge(&dead, &scope_only, 2000), Err(Reason::Revoked));
    assert_eq!(judge(&living(), &scope_only, 2000), Err(Reason::Expired));
}

#[test]
fn reasons_are_ordered_and_named() {
    use Reason::*;
    let all = [Missing, Invalid, Mismatch, Revoked, Reused, Expired, ScopeDisabled, Stale];
    assert!(all.is_sorted());
    assert_eq!(
        all.map(Reason::as_str),
        ["missing", "invalid", "mismatch", "revoked", "reused", "expired", "scope_disabled", "stale"]
    );
}
