//! The kinds of weakness of policies: name, how bad, what to do.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Rows may be seen or changed that the policies should keep back.
    Error,
    /// Queries are slow or refused, or something goes past the policies.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// The word in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// A kind of weakness.
pub struct Weakness {
    /// Its name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What to do about it.
    pub hint: &'static str,
}

macro_rules! weakness {
    ($name:literal, $severity:ident, $hint:literal) => {
        $crate::rls::lint::weakness::Weakness {
            name: $name,
            severity: $crate::rls::lint::weakness::Severity::$severity,
            hint: $hint,
        }
    };
}
pub(crate) use weakness;

/// A helper whose answer is compared though it may be of another product's session.
pub static NOT_BOUND: Weakness = weakness!(
    "not_bound",
    Error,
    "Give product, env and tag to the helper: what is an account in one product is somebody else in another."
);
/// A policy that is nested too deeply to be judged.
pub static TOO_DEEP: Weakness =
    weakness!("too_deep", Warning, "Write it in fewer levels: it was not judged.");
/// A helper that is called for each row.
pub static NOT_WRAPPED: Weakness = weakness!(
    "not_wrapped",
    Warning,
    "Write (SELECT dialstack.helper(…)) around the call, so that a statement makes it once."
);
/// A column without an index that the comparison could use.
pub static NO_INDEX: Weakness =
    weakness!("no_index", Warning, "Create an index that begins with the column.");

/// Policies that are not applied.
pub static ROW_SECURITY_OFF: Weakness = weakness!(
    "row_security_off",
    Error,
    "ALTER TABLE … ENABLE ROW LEVEL SECURITY, or call dialstack.protect_table() again."
);
/// A table that has lost our policy, and not what else `protect_table` made.
pub static POLICY_MISSING: Weakness = weakness!(
    "policy_missing",
    Error,
    "Call dialstack.protect_table() again, or dialstack.unprotect_table() if that is meant."
);
/// A policy of ours that is not what its comment says.
pub static POLICY_CHANGED: Weakness = weakness!(
    "policy_changed",
    Error,
    "Call dialstack.protect_table() again; write policies of your own under other names."
);
/// A part of a protected table without our policy.
pub static PARTITION_UNPROTECTED: Weakness = weakness!(
    "partition_unprotected",
    Error,
    "Call dialstack.protect_table() for the whole table again; it protects the parts that are there."
);
/// A policy that lets rows through beside ours.
pub static OTHER_PERMISSIVE_POLICY: Weakness = weakness!(
    "other_permissive_policy",
    Error,
    "Drop it, or make it restrictive: what one permissive policy lets through is visible."
);
/// A privilege that policies do not govern.
pub static UNRESTRICTED_PRIVILEGE: Weakness = weakness!(
    "unrestricted_privilege",
    Warning,
    "REVOKE what the role does not need: policies govern SELECT, INSERT, UPDATE and DELETE alone."
);
/// A view that reads as somebody whom the policies do not bind.
pub static VIEW_BYPASSES_POLICIES: Weakness = weakness!(
    "view_bypasses_policies",
    Warning,
    "Set security_invoker on the view, give it to a role that the policies bind, or force row-level security."
);
/// A role whose queries fail.
pub static MISSING_EXECUTE: Weakness = weakness!(
    "missing_execute",
    Warning,
    "SELECT dialstack.grant_access(role, 'client'), or revoke the privileges on the table."
);
/// A role that cannot call our functions by name.
pub static MISSING_USAGE: Weakness = weakness!(
    "missing_usage",
    Info,
    "SELECT dialstack.grant_access(role, 'client'), if the role shall present tokens with session_use()."
);
/// A table that no session reaches any more.
pub static PLACE_GONE: Weakness =
    weakness!("place_gone", Warning, "Create it again, or call dialstack.protect_table() with another.");
/// A table whose owner is not bound, where a role that logs in has the owner's rights.
pub static OWNER_NOT_BOUND: Weakness = weakness!(
    "owner_not_bound",
    Error,
    "Let the application connect as a role that does not own the table, or call dialstack.protect_table() with force => true."
);
/// A part of a protected table that can have no policy.
pub static FOREIGN_PART: Weakness = weakness!(
    "foreign_part",
    Warning,
    "Grant nobody privileges on it: only queries of the whole table are bound."
);
/// A table that is locked, so that it was not looked at.
pub static BUSY: Weakness = weakness!("busy", Info, "Call dialstack.policy_lint() again later.");
/// A table of devices that can't be counted.
pub static NOT_COUNTED: Weakness = weakness!(
    "not_counted",
    Warning,
    "Let the owner read the table in a moment: check its privileges, indexes and locks. Until then device_count is null."
);
/// A table whose owner is not bound, where no role logs in with the owner's rights.
pub static NOT_FORCED: Weakness = weakness!(
    "not_forced",
    Info,
    "Call dialstack.protect_table() with force => true if the owner's own queries shall be bound too."
);
/// A policy of ours without the comment that says how the table was protected.
pub static NOT_REGISTERED: Weakness = weakness!(
    "not_registered",
    Warning,
    "Call dialstack.protect_table() again, or dialstack.unprotect_table() if that is meant."
);
/// A role that was let through, and is gone.
pub static ROLE_GONE: Weakness = weakness!(
    "role_gone",
    Info,
    "Call dialstack.protect_table() again with the roles that open_to shall have."
);
