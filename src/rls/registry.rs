//! What `protect_table` knows of a table, and the condition that its policy makes of that: JSON in a comment on
//! the policy. So it is dumped, restored, renamed and dropped with the table. It holds names, no object ids.
//!
//! The owner of a table may change the comment, as the owner may change the policy: it decides nothing
//! but what `protect_table` and `unprotect_table` do to that very table and whether `env_update` renames its environment,
//! and `policy_lint` reports it.
//! Whether client sessions count the rows of the table as devices is therefore not in it, but in a
//! trigger that never fires: only roles with access `admin` may execute the function that it names, and
//! PostgreSQL lets nobody else create such a trigger. It, too, stays with the table.

use pgrx::spi::quote_literal;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::relation::RowSecurity;
use crate::pg::catalog::table::{self, Column, ColumnType, Table};
use crate::rls::ddl::{drop_if_exists, run};
use crate::session::problem::shown;
use crate::text_enum::text_enum;

/// Our policy that compares a column with the session.
pub const ACCESS: &str = "dialstack_sessions_access";
/// Our policy that lets the application's own roles through.
pub const OPEN: &str = "dialstack_sessions_open";
/// The trigger that marks a table of devices.
pub const DEVICES: &str = "dialstack_sessions_devices";

text_enum! {
    /// What of the session a column is compared with.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum By {
        /// The account of an account session.
        Account = "account",
        /// One of the connected accounts of a client session.
        ConnectedAccount = "connected_account",
        /// The identifier of the user.
        Identifier = "identifier",
        /// One of the user identities of a client session.
        UserIdentity = "user_identity",
    }
}

impl By {
    /// The helper that returns it.
    const fn helper(self) -> &'static str {
        match self {
            By::Account => "dialstack.current_account",
            By::ConnectedAccount => "dialstack.current_connected_accounts",
            By::Identifier => "dialstack.current_identifier",
            By::UserIdentity => "dialstack.current_user_identities",
        }
    }

    /// Whether a session has several, each a UUID.
    const fn is_list(self) -> bool {
        matches!(self, By::ConnectedAccount | By::UserIdentity)
    }
}

fn literal(text: Option<&String>) -> String {
    let value = text.map_or_else(|| "NULL".to_owned(), quote_literal);
    format!("{value}::pg_catalog.text")
}

/// How a table, or a part of one, is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The column that is compared with the session.
    pub column: String,
    /// What of the session it is compared with.
    pub by: By,
    pub product: String,
    pub env: String,
    /// The only definition whose sessions reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The scope that a session needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The roles that see every row.
    pub open_to: Vec<String>,
    pub force: bool,
    /// How row-level security stood before the table was protected first.
    pub before: RowSecurity,
    /// Whether it binds the owner because `protect_table` made it so.
    pub force_added: bool,
}

impl Registration {
    /// Reads a comment; `None` where it is not one of ours.
    pub fn parse(comment: &str) -> Option<Self> {
        serde_json::from_str(comment).ok().filter(Self::can_be_quoted)
    }

    /// False for a name with a NUL in it, which is the name of nothing.
    fn can_be_quoted(&self) -> bool {
        let names = [&self.column, &self.product, &self.env].into_iter();
        let mut names = names.chain(&self.tag).chain(&self.scope).chain(&self.open_to);
        names.all(|name| !name.contains('\0'))
    }

    /// The condition on a row. Each helper stands in a sub-select of its own, which a statement
    /// evaluates once, so that the planner compares the column with one value and can use an index.
    pub fn condition(&self, column: &Column) -> String {
        let bound = [Some(&self.product), Some(&self.env), self.tag.as_ref()].map(literal);
        let bound = bound.join(", ");
        let helper = format!("{}({bound})", self.by.helper());
        let type_name = column.column_type.as_sql();
        let left = if column.exact { column.name.clone() } else { format!("{}::{type_name}", column.name) };
        let right = match (self.by.is_list(), column.column_type) {
            (true, ColumnType::Text) => {
                format!("ANY ((SELECT {helper}::pg_catalog.text[])::pg_catalog.text[])")
            }
            (true, _) => format!("ANY ((SELECT {helper})::pg_catalog.uuid[])"),
            (false, ColumnType::Text) => format!("(SELECT {helper})"),
            (false, ColumnType::Uuid) => format!("(SELECT dialstack.uuid_or_null({helper}))"),
            (false, ColumnType::Bigint) => format!("(SELECT dialstack.bigint_or_null({helper}))"),
            (false, ColumnType::Integer) => format!("(SELECT dialstack.integer_or_null({helper}))"),
        };
        let mut conditions = vec![format!("{left} OPERATOR(pg_catalog.=) {right}")];
        if self.scope.is_some() {
            let scope = literal(self.scope.as_ref());
            conditions.push(format!("(SELECT dialstack.has_scope({scope}, {bound}))"));
        }
        conditions.join(" AND ")
    }

    /// The column of a table, if its type holds something that the sessions can be compared with.
    pub fn column(&self, table: &Table) -> Result<Column> {
        let column = table::column(table, &self.column)?;
        let numeric = matches!(column.column_type, ColumnType::Bigint | ColumnType::Integer);
        if !(self.by.is_list() && numeric) {
            return Ok(column);
        }
        Err(Error::new(
            Code::ProtectFailed,
            format!("column {} of {} has the wrong type", shown(&column.name), shown(&table.name)),
        )
        .detail(format!("By {}, it is compared with UUIDs.", self.by.as_str()))
        .hint("The column must be of type uuid, text or varchar."))
    }

    /// Writes it down with the policy of a table, which must be there.
    pub fn store(&self, table: &Table) -> Result<()> {
        let comment = serde_json::to_string(self).expect("names and flags can be written as JSON");
        run(&format!("COMMENT ON POLICY {ACCESS} ON {} IS {}", table.name, quote_literal(comment)))
    }
}

/// What is known of a locked table; `None` where nothing is, or its comment can't be read any more.
pub fn of(table: &Table) -> Option<Registration> {
    Registration::parse(&table::policy_comment(table, ACCESS)?)
}

/// Marks a table as one of devices of the environment that it is protected for, or takes the mark away.
/// The trigger's arguments are product, environment and column.
pub fn mark_devices(table: &Table, registration: Option<&Registration>) -> Result<()> {
    let Some(of) = registration else {
        return drop_if_exists("TRIGGER", DEVICES, &table.name);
    };
    let arguments = [&of.product, &of.env, &of.column].map(quote_literal);
    run(&format!(
        "CREATE OR REPLACE TRIGGER {DEVICES} AFTER TRUNCATE ON {} FOR EACH STATEMENT WHEN (false) \
         EXECUTE FUNCTION dialstack.device_table({})",
        table.name,
        arguments.join(", ")
    ))
}
