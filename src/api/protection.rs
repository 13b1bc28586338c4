//! Row-level security for the application's own tables, and revoking sessions with their cause.

use pgrx::prelude::*;
use pgrx::spi::quote_identifier;

use super::{Result, functions, required};
use crate::error::{self, Code, Error};
use crate::pg::catalog::relation::RowSecurity;
use crate::pg::catalog::table::role_name;
use crate::pg::datum::sql_type::{Name, Names, Regclass, Regroles, Trigger};
use crate::pg::roles::AsOwner;
use crate::rls::lint;
use crate::rls::protect;
use crate::rls::protected;
use crate::rls::registry::{ACCESS, By, Registration};
use crate::rls::revoke_sessions::{self, Revocation};
use crate::service::caller::{only_env, without_key};
use crate::service::reach::Reach;
use crate::service::revocation::revoke_on_change;

const CODE: Code = Code::ProtectFailed;

functions! { FUNCTIONS;
    /// Lets sessions see and change only those rows of a table whose column names what they are of.
    ///
    /// Called again, it replaces what it made before.
    #[level(Admin; audit(relation, column_name, product, env, by, tag, scope, device, open_to, force))]
    fn protect_table(
        relation: Option<Regclass>,
        column_name: Option<Name<'_>>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        by: default!(Option<&str>, "'account'"),
        tag: default!(Option<&str>, "NULL"),
        scope: default!(Option<&str>, "NULL"),
        device: default!(Option<bool>, "false"),
        open_to: default!(Option<Regroles<'_>>, "'{}'"),
        force: default!(Option<bool>, "false"),
    ) -> Result<()> {
        let relation = required(relation, "relation", CODE)?;
        let column = required(column_name, "column_name", CODE)?;
        let env = only_env(&Reach::Everywhere, product, env, CODE)?;
        let wanted = Registration {
            column: column.0.to_string_lossy().into_owned(),
            by: parse_by(required(by, "by", CODE)?)?,
            product: env.product.clone(),
            env: env.env.clone(),
            tag: tag.map(str::to_owned),
            scope: scope.map(str::to_owned),
            open_to: roles(&required(open_to.as_ref(), "open_to", CODE)?.0)?,
            force: required(force, "force", CODE)?,
            before: RowSecurity::default(),
            force_added: false,
        };
        let device = required(device, "device", CODE)?;
        Ok(protect::protect_table(relation.0, &wanted, device)?)
    }

    /// Takes the policies of protect_table away again.
    ///
    /// Row-level security is left as it was before. A table that has none of our policies is left alone.
    #[level(Admin; audit(relation))]
    fn unprotect_table(relation: Option<Regclass>) -> Result<()> {
        let relation = required(relation, "relation", CODE)?;
        Ok(protect::unprotect_table(relation.0)?)
    }

    /// The protected tables, with the arguments that protect_table was called with.
    ///
    /// A table whose policy has lost its comment shows none; policy_lint() reports it.
    #[level(Admin; unrecorded)]
    fn protected_table_list() => table {
        relation: Regclass,
        policy: &'static str,
        column_name: Option<String>,
        product: Option<String>,
        env: Option<String>,
        by: Option<&'static str>,
        tag: Option<String>,
        scope: Option<String>,
        device: bool,
        open_to: Option<Vec<String>>,
        force: Option<bool>,
    } {
        without_key()?;
        let row = |it: protected::Protected| {
            let Some(of) = it.registration() else {
                return (it.table.oid.into(), ACCESS, None, None, None, None, None, None, it.device, None, None);
            };
            let open_to = of.open_to.iter().map(quote_identifier).collect();
            let (product, env) = (Some(of.product), Some(of.env));
            let by = Some(of.by.as_str());
            (
                it.table.oid.into(), ACCESS, Some(of.column), product, env, by, of.tag, of.scope, it.device,
                Some(open_to), Some(of.force),
            )
        };
        let tables = protected::tables(&AsOwner::enter()?)?.into_iter();
        tables.filter(|it| it.is_whole).map(row).collect()
    }

    /// Trigger function that never runs: its triggers, which protect_table makes, mark tables of devices.
    ///
    /// Creating one takes EXECUTE on it, so that no table is counted that no administrator chose.
    #[level(Admin; unrecorded)]
    fn device_table(_call: pg_sys::FunctionCallInfo) -> Result<Trigger> {
        let error = Error::new(CODE, "device_table() only marks tables of devices");
        let hint = "Drop the trigger and call dialstack.protect_table() with device => true.";
        Err(error.hint(hint).into())
    }

    /// Makes triggers that revoke a user's sessions when a named column of the user's row changes, or the row goes.
    ///
    /// Without columns any change counts, without a tag the sessions of every definition are revoked. Called again, it
    /// replaces what it made before.
    #[level(Admin; audit(relation, identifier_column, product, env, tag, on_delete))]
    fn revoke_sessions_on(
        relation: Option<Regclass>,
        identifier_column: Option<Name<'_>>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        columns: default!(Option<Names<'_>>, "NULL"),
        on_delete: default!(Option<bool>, "true"),
    ) -> Result<()> {
        const CODE: Code = Code::RevokeFailed;
        let relation = required(relation, "relation", CODE)?;
        let identifier = required(identifier_column, "identifier_column", CODE)?;
        let env = only_env(&Reach::Everywhere, product, env, CODE)?;
        let columns = columns.map(|columns| {
            let columns = columns.0;
            if columns.len() > MAX_COLUMNS {
                return Err(Error::new(CODE, "columns names too many columns").hint("Name each column once."));
            }
            let names = columns.iter().map(|name| required(name, "columns", CODE));
            let names = names.map(|name| Ok(name?.to_string_lossy().into_owned()));
            names.collect::<error::Result<Vec<_>>>()
        });
        let wanted = Revocation {
            identifier: &identifier.0.to_string_lossy(),
            env: &env,
            tag,
            columns: columns.transpose()?.filter(|columns| !columns.is_empty()),
            on_delete: required(on_delete, "on_delete", CODE)?,
        };
        Ok(revoke_sessions::on(relation.0, &wanted)?)
    }

    /// Drops the triggers of revoke_sessions_on again.
    ///
    /// A table that has none is left alone.
    #[level(Admin; audit(relation))]
    fn revoke_sessions_off(relation: Option<Regclass>) -> Result<()> {
        let relation = required(relation, "relation", Code::RevokeFailed)?;
        Ok(revoke_sessions::off(relation.0)?)
    }

    /// Trigger function (product, env, tag, identifier column): revokes the sessions of a user whose row is changed or
    /// deleted.
    ///
    /// For TRUNCATE those of every user. The role that makes the change need not be allowed to revoke.
    #[level(Server)]
    fn revoke_on_change(call: pg_sys::FunctionCallInfo) -> Result<Trigger> {
        revoke_on_change::revoke_on_change(call)?;
        Ok(Trigger::done())
    }

    /// Weaknesses of the policies that call the helpers, the worst first; one row each.
    #[level(Admin; unrecorded)]
    #[pg_extern(stable, parallel_unsafe)]
    fn policy_lint() => table {
        relation: Regclass,
        policy: Option<String>,
        severity: &'static str,
        weakness: &'static str,
        detail: String,
        hint: &'static str,
    } {
        let row = |finding: lint::Finding| {
            let weakness = finding.weakness;
            let severity = weakness.severity.as_str();
            (finding.relation.into(), finding.policy, severity, weakness.name, finding.detail, weakness.hint)
        };
        lint::findings(&AsOwner::enter()?)?.into_iter().map(row).collect()
    }
}

fn parse_by(by: &str) -> error::Result<By> {
    By::parse(by).ok_or_else(|| {
        Error::new(CODE, "by is not known").hint(format!("by is one of {}.", By::TEXTS.join(", ")))
    })
}

/// Most columns that a table has; a trigger that is given more arguments than 32,767 loses all.
const MAX_COLUMNS: usize = 1600;

/// Most roles that a table is open to.
const MAX_OPEN_TO: usize = 100;

/// The names of the roles that see every row, each once.
fn roles(given: &Array<'_, pg_sys::Oid>) -> error::Result<Vec<String>> {
    if given.len() > MAX_OPEN_TO {
        return Err(Error::new(CODE, "open_to names too many roles")
            .hint(format!("Name at most {MAX_OPEN_TO}; members of a role are let through with it.")));
    }
    let mut roles = Vec::with_capacity(given.len());
    for role in given.iter() {
        let role = role.and_then(role_name).ok_or_else(|| {
            Error::new(CODE, "open_to names a role that is not there")
                .hint("Name roles; everybody (PUBLIC) is none.")
        })?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}
