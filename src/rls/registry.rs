//! What `protect_table` knows of a table: JSON in a comment on the policy that it makes. So it is
//! dumped, restored, renamed and dropped with the table. It holds names, no object ids.
//!
//! The owner of a table may change the comment, as the owner may change the policy: it decides nothing
//! but what `protect_table` and `unprotect_table` do to that very table, and `policy_lint` reports it.
//! Whether client sessions count the rows of the table as devices is therefore not in it, but in a
//! trigger that never fires: only roles with access `admin` may execute the function that it names, and
//! PostgreSQL lets nobody else create such a trigger. It, too, stays with the table.

use pgrx::spi::quote_literal;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::relation::RowSecurity;
use crate::pg::catalog::table::{self, Table};
use crate::rls::condition::{By, Sessions};
use crate::rls::ddl::run;

/// Our policy that compares a column with the session.
pub const ACCESS: &str = "dialstack_sessions_access";
/// Our policy that lets the application's own roles through.
pub const OPEN: &str = "dialstack_sessions_open";
/// The trigger that marks a table of devices.
pub const DEVICES: &str = "dialstack_sessions_devices";

/// What is known of a protected table, or of a part of one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The column that is compared with the session.
    pub column: String,
    /// What of the session it is compared with.
    pub by: By,
    /// The product whose sessions reach it.
    pub product: String,
    /// The environment whose sessions reach it.
    pub env: String,
    /// The only definition whose sessions reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The scope that a session needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The roles that see every row.
    pub open_to: Vec<String>,
    /// Whether its owner is bound too.
    pub force: bool,
    /// How row-level security stood before the table was protected first.
    pub before: RowSecurity,
    /// Whether it binds the owner because `protect_table` made it so.
    pub force_added: bool,
}

impl Registration {
    /// Reads a comment; `None` where it is not one of ours.
    pub fn parse(comment: &str) -> Option<Self> {
        serde_json::from_str(comment).ok()
    }

    /// The sessions that reach the table.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions {
            product: &self.product,
            env: &self.env,
            tag: self.tag.as_deref(),
            scope: self.scope.as_deref(),
            by: self.by,
        }
    }

    /// Writes it down with the policy of a table, which must be there.
    ///
    /// # Errors
    /// `PROTECT_FAILED`.
    pub fn store(&self, table: &Table) -> Result<()> {
        let comment = serde_json::to_string(self).map_err(|error| {
            Error::new(Code::ProtectFailed, "the table can't be described")
                .detail(error.to_string())
                .hint("Give names that are valid UTF-8.")
        })?;
        run(&format!("COMMENT ON POLICY {ACCESS} ON {} IS {}", table.name, quote_literal(comment)))
    }
}

/// What is known of a locked table; `None` where nothing is, or its comment can't be read any more.
pub fn of(table: &Table) -> Option<Registration> {
    Registration::parse(&table::policy_comment(table::policy(table, ACCESS)?)?)
}

/// Marks a table as one of devices of the environment that it is protected for, or takes the mark away.
/// The trigger's arguments are product, environment and column.
///
/// # Errors
/// `PROTECT_FAILED`.
pub fn mark_devices(table: &Table, registration: Option<&Registration>) -> Result<()> {
    let Some(of) = registration else {
        if table::has_trigger(table, DEVICES) {
            run(&format!("DROP TRIGGER {DEVICES} ON {}", table.name))?;
        }
        return Ok(());
    };
    let arguments = [&of.product, &of.env, &of.column].map(quote_literal);
    run(&format!(
        "CREATE OR REPLACE TRIGGER {DEVICES} AFTER TRUNCATE ON {} FOR EACH STATEMENT WHEN (false) \
         EXECUTE FUNCTION dialstack.device_table({})",
        table.name,
        arguments.join(", ")
    ))
}
