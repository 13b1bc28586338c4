//! Row-level security for the application's own tables.
//!
//! The statements run as the caller, who must own the table: nothing is done here that the caller
//! could not do by hand. They hold no value but names and literals that the server quoted, and every
//! name in them is qualified, so that no search path matters.

use std::ffi::CStr;

use pgrx::spi::{quote_identifier, quote_literal};
use pgrx::{Spi, pg_sys, spi};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::table::{self, Column, ColumnType, RowSecurity, Table};
use crate::pg::roles::AsOwner;
use crate::rls::row_security_before::{self, Before};
use crate::session::problem::shown;

/// Our policy that compares a column with the session.
pub const ACCESS: &CStr = c"dialstack_sessions_access";
/// Our policy that lets the application's own roles through.
pub const OPEN: &CStr = c"dialstack_sessions_open";

/// What of the session a column is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The account of an account session.
    Account,
    /// One of the connected accounts of a client session.
    ConnectedAccount,
    /// The identifier of the user.
    Identifier,
    /// One of the user identities of a client session.
    UserIdentity,
}

impl By {
    /// All of them.
    pub const ALL: [By; 4] = [
        By::Account,
        By::ConnectedAccount,
        By::Identifier,
        By::UserIdentity,
    ];

    /// The word in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            By::Account => "account",
            By::ConnectedAccount => "connected_account",
            By::Identifier => "identifier",
            By::UserIdentity => "user_identity",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }

    /// The helper that answers it.
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
    /// Of which product.
    pub product: &'a str,
    /// Of which environment.
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
        let left = if column.exact {
            column.name.clone()
        } else {
            format!("{}::{type_name}", column.name)
        };
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
    fn check(&self, table: &Table, column: &Column) -> Result<()> {
        let numeric = matches!(column.column_type, ColumnType::Bigint | ColumnType::Integer);
        if !(self.by.is_list() && numeric) {
            return Ok(());
        }
        Err(Error::new(
            Code::ProtectFailed,
            format!(
                "column {} of {} has the wrong type",
                shown(&column.name),
                shown(&table.name)
            ),
        )
        .detail(format!(
            "By {}, it is compared with UUIDs.",
            self.by.as_str()
        ))
        .hint("The column must be of type uuid, text or varchar."))
    }
}

fn run(statement: &str) -> Result<()> {
    Spi::connect_mut(|client| client.update(statement, None, &[]).map(|_| ())).map_err(failed)
}

fn failed(error: spi::Error) -> Error {
    Error::new(Code::ProtectFailed, "the table's policies can't be changed")
        .detail(error.to_string())
        .hint("Check that the table is yours and that nobody else is changing it.")
}

fn text(name: &'static CStr) -> &'static str {
    // The two constants above are ASCII.
    name.to_str().unwrap_or_default()
}

fn drop_policy(table: &Table, policy: &'static CStr) -> Result<()> {
    if !table::has_policy(table, policy) {
        return Ok(());
    }
    run(&format!("DROP POLICY {} ON {}", text(policy), table.name))
}

/// Refuses a table that some policy, beside ours, lets rows through of.
fn check_alone(table: &Table) -> Result<()> {
    let others: Vec<String> = table::policies(table)
        .unwrap_or_default()
        .into_iter()
        .filter(|policy| policy.permissive && !is_ours(&policy.name))
        .map(|policy| shown(&quote_identifier(policy.name)))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::ProtectFailed,
        format!("{} has other permissive policies", shown(&table.name)),
    )
    .detail(format!(
        "What one of them lets through stays visible: {}.",
        others.join(", ")
    ))
    .hint("Drop them, or make them restrictive."))
}

fn is_ours(policy: &str) -> bool {
    [ACCESS, OPEN].into_iter().any(|ours| text(ours) == policy)
}

/// `ALTER TABLE … ROW LEVEL SECURITY`
fn switch(table: &Table, what: &'static str) -> Result<()> {
    run(&format!(
        "ALTER TABLE {} {what} ROW LEVEL SECURITY",
        table.name
    ))
}

fn remember(table: &Table, now: RowSecurity) -> Result<Before> {
    row_security_before::remember(&AsOwner::enter()?, table.oid, now)
}

/// Writes our policies on one table, in place of those that were there. How the table was before it was
/// touched first is remembered. `force` binds its owner too.
///
/// # Errors
/// `PROTECT_FAILED`: no such column, one of the wrong type, another permissive policy.
pub fn protect(
    table: &Table,
    column: &CStr,
    sessions: &Sessions<'_>,
    open_to: &[String],
    force: bool,
) -> Result<()> {
    let name = &table.name;
    let column = table::column(table, column)?;
    sessions.check(table, &column)?;
    let now = table::row_security(table);
    let before = remember(table, now)?;
    switch(table, "ENABLE")?;
    // Only now does the server tell all of its policies.
    check_alone(table)?;
    bind_owner(table, force, now, &before)?;
    drop_policy(table, ACCESS)?;
    drop_policy(table, OPEN)?;
    let condition = sessions.condition(&column);
    run(&format!(
        "CREATE POLICY {} ON {name} AS PERMISSIVE FOR ALL TO PUBLIC \
             USING ({condition}) WITH CHECK ({condition})",
        text(ACCESS)
    ))?;
    if open_to.is_empty() {
        return Ok(());
    }
    run(&format!(
        "CREATE POLICY {} ON {name} AS PERMISSIVE FOR ALL TO {} USING (true) WITH CHECK (true)",
        text(OPEN),
        open_to.join(", ")
    ))
}

/// Binds the table's owner, or takes that back where we had done it ourselves.
fn bind_owner(table: &Table, force: bool, now: RowSecurity, before: &Before) -> Result<()> {
    if force && !now.forced {
        switch(table, "FORCE")?;
        return row_security_before::set_force_added(&AsOwner::enter()?, table.oid, true);
    }
    if !force && before.force_added {
        if !before.row_security.forced {
            switch(table, "NO FORCE")?;
        }
        return row_security_before::set_force_added(&AsOwner::enter()?, table.oid, false);
    }
    Ok(())
}

/// Drops our policies of one table, and gives its row-level security back as it was remembered. What was
/// made stricter by hand since stays so, and whatever policy is left keeps it on. A table that we never
/// touched stays as it is.
pub fn unprotect(table: &Table) -> Result<()> {
    let now = table::row_security(table);
    let before = remember(table, now)?;
    drop_policy(table, ACCESS)?;
    drop_policy(table, OPEN)?;
    let was = before.row_security;
    if was.forced && !now.forced {
        switch(table, "FORCE")?;
    } else if before.force_added && !was.forced {
        switch(table, "NO FORCE")?;
    }
    if was.enabled && !now.enabled {
        switch(table, "ENABLE")?;
    }
    let alone = table::policies(table).is_some_and(|rest| rest.is_empty());
    if alone && !was.enabled {
        switch(table, "DISABLE")?;
    }
    Ok(())
}

/// The name of a role, quoted as SQL needs it; `None` if there is no such role.
pub fn role_name(role: pg_sys::Oid) -> Option<String> {
    if role == pg_sys::InvalidOid {
        return None;
    }
    // SAFETY: a syscache look-up that answers NULL for what is not there; the string is a copy.
    let name = unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return None;
        }
        CStr::from_ptr(name).to_string_lossy()
    };
    Some(quote_identifier(name))
}
