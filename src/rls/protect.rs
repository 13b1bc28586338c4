//! Protecting a table and taking that back.
//!
//! The caller must own the table: nothing is done here that the caller could not do without us.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::spi::quote_identifier;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use crate::error::{Code, Error, Result};
use crate::pg::catalog::relation::{OpenRelation, Policy, RowSecurity};
use crate::pg::catalog::table::{self, Family, Table};
use crate::pg::roles::AsOwner;
use crate::rls::ddl::{drop_if_exists, run};
use crate::rls::lint::checks::unbound_owner;
use crate::rls::lint::weakness::{FOREIGN_PART, OWNER_NOT_BOUND};
use crate::rls::protected::keep_name;
use crate::rls::registry::{self, ACCESS, By, OPEN, Registration};
use crate::service::setup::configuration;
use crate::service::setup::scopes;
use crate::session::problem::shown;

const CODE: Code = Code::ProtectFailed;

/// Lets sessions see and change only those rows of a table, and of its parts, whose column names what
/// they are of, as is `wanted`; with `device` the rows are devices. Replaces what was there.
///
/// # Errors
/// `PROTECT_FAILED` for a table that is not the caller's, a column that can't be compared, another
/// permissive policy; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`, `SCOPE_NOT_FOUND`.
pub fn protect_table(relation: pg_sys::Oid, wanted: &Registration, device: bool) -> Result<()> {
    keep_name(&wanted.product, &wanted.env)?;
    check(wanted, device)?;
    let family = table::lock(relation, CODE)?;
    if device && !wanted.column(&family.table)?.exact {
        return Err(Error::new(CODE, "devices can't be counted by this column")
            .hint("The column must be of type uuid or text."));
    }
    let registration = protect(&family.table, wanted)?;
    registry::mark_devices(&family.table, device.then_some(&registration))?;
    for part in &family.parts {
        protect(part, wanted)?;
        // They are counted with the whole.
        registry::mark_devices(part, None)?;
    }
    warn_of_gaps(&family)
}

/// Says what the policies do not reach.
fn warn_of_gaps(family: &Family) -> Result<()> {
    let warn = |message: String, detail: String, hint: &str| {
        ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, "protect_table")
            .set_detail(detail)
            .set_hint(hint)
            .report(PgLogLevel::WARNING);
    };
    let whole = shown(&family.table.name);
    for part in &family.foreign {
        let message = format!("{} is guarded through {whole} only", shown(part));
        let detail = "A foreign table can't have policies of its own.".to_owned();
        warn(message, detail, FOREIGN_PART.hint);
    }
    if let Some(detail) = unbound_owner(&AsOwner::enter()?, family.table.oid)? {
        let message = format!("the owner of {whole} is not bound by its policies");
        warn(message, detail, OWNER_NOT_BOUND.hint);
    }
    Ok(())
}

/// Takes our policies of a table and its parts away, and leaves row-level security as it was before
/// them. Nothing happens to a table that has none.
///
/// # Errors
/// `PROTECT_FAILED` for a table that is not the caller's.
pub fn unprotect_table(relation: pg_sys::Oid) -> Result<()> {
    let family = table::lock(relation, CODE)?;
    family.all().try_for_each(unprotect)
}

fn check(wanted: &Registration, device: bool) -> Result<()> {
    let by = wanted.by;
    if device && by != By::ConnectedAccount {
        return Err(Error::new(CODE, "devices are counted by their connected account")
            .hint("Set by => 'connected_account', or leave device out."));
    }
    let product_id = configuration::product_id(&wanted.product)?;
    if let Some(tag) = &wanted.tag {
        configuration::definition(&product_id, tag)?;
        if by != By::Identifier {
            return Err(Error::new(CODE, format!("by {}, no session would reach the table", by.as_str()))
                .detail("Only user sessions have a tag; they have an identifier and none of the rest.")
                .hint("Leave tag out, or set by => 'identifier'."));
        }
    }
    wanted.scope.as_ref().map_or(Ok(()), |scope| scopes::check(&product_id, scope))
}

/// Writes our policies on one table, in place of those that were there.
fn protect(table: &Table, wanted: &Registration) -> Result<Registration> {
    let column = wanted.column(table)?;
    let (now, _) = row_security(table);
    let known = registry::of(table);
    let mut registration = Registration {
        before: known.as_ref().map_or(now, |known| known.before),
        force_added: known.is_some_and(|known| known.force_added),
        ..wanted.clone()
    };
    switch(table, "ENABLE")?;
    // Only now does the server load all of its policies.
    check_alone(table)?;
    bind_owner(table, now, &mut registration)?;
    drop_policies(table)?;
    let condition = registration.condition(&column);
    run(&format!(
        "CREATE POLICY {ACCESS} ON {} AS PERMISSIVE FOR ALL TO PUBLIC \
             USING ({condition}) WITH CHECK ({condition})",
        table.name
    ))?;
    registration.store(table)?;
    if !wanted.open_to.is_empty() {
        let roles: Vec<String> = wanted.open_to.iter().map(quote_identifier).collect();
        run(&format!(
            "CREATE POLICY {OPEN} ON {} AS PERMISSIVE FOR ALL TO {} USING (true) WITH CHECK (true)",
            table.name,
            roles.join(", ")
        ))?;
    }
    Ok(registration)
}

/// Binds the table's owner, or takes that back where we had done it ourselves.
fn bind_owner(table: &Table, now: RowSecurity, registration: &mut Registration) -> Result<()> {
    if registration.force && !now.forced {
        registration.force_added = true;
        return switch(table, "FORCE");
    }
    if !registration.force && registration.force_added {
        registration.force_added = false;
        if !registration.before.forced {
            return switch(table, "NO FORCE");
        }
    }
    Ok(())
}

/// Drops our policies of one table, and restores its row-level security as it was before them. What was
/// made stricter since stays so, and whatever policy is left keeps it on. Where nothing is known of it,
/// it stays as it is.
fn unprotect(table: &Table) -> Result<()> {
    let (now, _) = row_security(table);
    let (was, force_added) =
        registry::of(table).map_or((now, false), |known| (known.before, known.force_added));
    drop_policies(table)?;
    registry::mark_devices(table, None)?;
    if was.forced && !now.forced {
        switch(table, "FORCE")?;
    } else if force_added && !was.forced {
        switch(table, "NO FORCE")?;
    }
    if was.enabled && !now.enabled {
        switch(table, "ENABLE")?;
    }
    let (now, rest) = row_security(table);
    if now.enabled && !was.enabled && rest.is_empty() {
        switch(table, "DISABLE")?;
    }
    Ok(())
}

/// Refuses a table that has another permissive policy beside ours.
fn check_alone(table: &Table) -> Result<()> {
    let is_ours = |policy: &Policy| [ACCESS, OPEN].contains(&policy.name.as_str());
    let (_, policies) = row_security(table);
    let others: Vec<String> = policies
        .into_iter()
        .filter(|policy| policy.permissive && !is_ours(policy))
        .map(|policy| shown(&quote_identifier(policy.name)))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::new(CODE, format!("{} has other permissive policies", shown(&table.name)))
        .detail(format!("What one of them lets through stays visible: {}.", others.join(", ")))
        .hint("Drop them, or make them restrictive."))
}

/// How row-level security stands on a locked table, and its policies where it is on.
fn row_security(table: &Table) -> (RowSecurity, Vec<Policy>) {
    OpenRelation::unlocked(table.oid).map(|open| open.row_security()).unwrap_or_default()
}

/// `ALTER TABLE … ROW LEVEL SECURITY`
fn switch(table: &Table, what: &'static str) -> Result<()> {
    run(&format!("ALTER TABLE {} {what} ROW LEVEL SECURITY", table.name))
}

fn drop_policies(table: &Table) -> Result<()> {
    [ACCESS, OPEN].iter().try_for_each(|policy| drop_if_exists("POLICY", policy, &table.name))
}
