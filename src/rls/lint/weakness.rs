//! The kinds of weakness of policies: name, how bad, what to do.

use crate::text_enum::text_enum;

text_enum! {
    /// How bad it is.
    pub enum Severity {
        /// Rows may be seen or changed that the policies should keep back.
        Error = "error",
        /// Queries are slow or refused, or something goes past the policies.
        Warning = "warning",
        /// Good to know.
        Info = "info",
    }
}

/// A kind of weakness.
pub struct Weakness {
    pub name: &'static str,
    pub severity: Severity,
    pub hint: &'static str,
}

macro_rules! weaknesses {
    ($($(#[$doc:meta])* $constant:ident = $severity:ident $name:literal: $hint:literal;)*) => { $(
        $(#[$doc])*
        pub static $constant: $crate::rls::lint::weakness::Weakness = $crate::rls::lint::weakness::Weakness {
            name: $name,
            severity: $crate::rls::lint::weakness::Severity::$severity,
            hint: $hint,
        };
    )*
        #[allow(dead_code, reason = "not every list is searched")]
        pub static ALL: &[&$crate::rls::lint::weakness::Weakness] = &[$(&$constant),*];
    };
}
pub(crate) use weaknesses;

weaknesses! {
    /// A helper whose answer is compared though it may be of another product's session.
    NOT_BOUND = Error "not_bound":
        "Give product, env and tag to the helper, or to one beside it that takes them: what is an account in one product is somebody else in another.";
    /// A policy that is nested too deeply to be judged.
    TOO_DEEP = Warning "too_deep":
        "Write it in fewer levels: it was not judged.";
    /// A helper that is called for each row.
    NOT_WRAPPED = Warning "not_wrapped":
        "Write (SELECT dialstack.helper(...)) around the call, so that a statement makes it once.";
    /// A column without an index that the comparison could use.
    NO_INDEX = Warning "no_index":
        "Create an index that begins with the column.";

    /// Policies that are not applied.
    ROW_SECURITY_OFF = Error "row_security_off":
        "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, or call dialstack.protect_table() again.";
    /// A table that has lost our policy, and not what else `protect_table` made.
    POLICY_MISSING = Error "policy_missing":
        "Call dialstack.protect_table() again, or dialstack.unprotect_table() if that is meant.";
    /// A policy of ours that is not what its comment says.
    POLICY_CHANGED = Error "policy_changed":
        "Call dialstack.protect_table() again; write policies of your own under other names.";
    /// A part of a protected table without our policy.
    PARTITION_UNPROTECTED = Error "partition_unprotected":
        "Call dialstack.protect_table() for the whole table again; it protects the parts that are there.";
    /// A table without our policy that a protected one is part of.
    WHOLE_UNPROTECTED = Error "whole_unprotected":
        "Call dialstack.protect_table() for it: its queries are not bound by the policies of its parts.";
    /// A policy that lets rows through beside ours.
    OTHER_PERMISSIVE_POLICY = Error "other_permissive_policy":
        "Drop it, or make it restrictive: what one permissive policy lets through is visible.";
    /// A privilege that policies do not govern.
    UNRESTRICTED_PRIVILEGE = Warning "unrestricted_privilege":
        "REVOKE what the role does not need: policies govern SELECT, INSERT, UPDATE and DELETE alone.";
    /// A view that reads as somebody whom the policies do not bind.
    VIEW_BYPASSES_POLICIES = Warning "view_bypasses_policies":
        "Set security_invoker on the view, give it to a role that the policies bind, or force row-level security.";
    /// A role whose queries fail.
    MISSING_EXECUTE = Warning "missing_execute":
        "SELECT dialstack.grant_access(role, 'client'), or revoke the privileges on the table.";
    /// A role that cannot call our functions by name.
    MISSING_USAGE = Info "missing_usage":
        "SELECT dialstack.grant_access(role, 'client'), if the role shall present tokens with session_use().";
    /// A table that no session reaches any more.
    PLACE_GONE = Warning "place_gone":
        "Create it again, or call dialstack.protect_table() with another.";
    /// A table whose owner is not bound, where a role that logs in has the owner's rights.
    OWNER_NOT_BOUND = Error "owner_not_bound":
        "Let the application connect as a role that does not own the table, or call dialstack.protect_table() with force => true.";
    /// A part of a protected table that can have no policy.
    FOREIGN_PART = Warning "foreign_part":
        "Grant nobody privileges on it: only queries of the whole table are bound.";
    /// A table that is locked, so that it was not looked at.
    BUSY = Info "busy":
        "Call dialstack.policy_lint() again later.";
    /// A table of devices that can't be counted.
    NOT_COUNTED = Warning "not_counted":
        "Let the owner read the table in a moment: check its privileges, indexes and locks. Until then device_count is null.";
    /// A table whose owner is not bound, where no role logs in with the owner's rights.
    NOT_FORCED = Info "not_forced":
        "Call dialstack.protect_table() with force => true if the owner's own queries shall be bound too.";
    /// A policy of ours without the comment that says how the table was protected.
    NOT_REGISTERED = Warning "not_registered":
        "Call dialstack.protect_table() again, or dialstack.unprotect_table() if that is meant.";
    /// A role that was let through, and is gone.
    ROLE_GONE = Info "role_gone":
        "Call dialstack.protect_table() again with the roles that open_to shall have.";
}
