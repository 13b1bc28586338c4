//! The condition of a policy: which sessions reach a row.

use pgrx::spi::quote_literal;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::table::{Column, ColumnType, Table};
use crate::session::problem::shown;
use crate::text_enum::text_enum;

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

/// The sessions that reach a table.
pub struct Sessions<'a> {
    pub product: &'a str,
    pub env: &'a str,
    /// Of which definition; `None`: of any.
    pub tag: Option<&'a str>,
    /// With which scope; `None`: with any.
    pub scope: Option<&'a str>,
    /// What of them is compared.
    pub by: By,
}

fn literal(text: Option<&str>) -> String {
    let value = text.map_or_else(|| "NULL".to_owned(), quote_literal);
    format!("{value}::pg_catalog.text")
}

impl Sessions<'_> {
    /// The condition on a row. Each helper stands in a sub-select of its own, which a statement
    /// evaluates once, so that the planner compares the column with one value and can use an index.
    pub fn condition(&self, column: &Column) -> String {
        let bound = [Some(self.product), Some(self.env), self.tag].map(literal);
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
        if let Some(scope) = self.scope {
            let scope = literal(Some(scope));
            conditions.push(format!("(SELECT dialstack.has_scope({scope}, {bound}))"));
        }
        conditions.join(" AND ")
    }

    /// Refuses a column whose type holds nothing that the sessions could be compared with.
    ///
    /// # Errors
    /// `PROTECT_FAILED`.
    pub fn check(&self, table: &Table, column: &Column) -> Result<()> {
        let numeric = matches!(column.column_type, ColumnType::Bigint | ColumnType::Integer);
        if !(self.by.is_list() && numeric) {
            return Ok(());
        }
        Err(Error::new(
            Code::ProtectFailed,
            format!("column {} of {} has the wrong type", shown(&column.name), shown(&table.name)),
        )
        .detail(format!("By {}, it is compared with UUIDs.", self.by.as_str()))
        .hint("The column must be of type uuid, text or varchar."))
    }
}
