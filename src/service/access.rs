//! Granting and revoking EXECUTE on our functions and SELECT on our views.

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid as T;
use pgrx::{Spi, spi};

use crate::error::{Code, Error, Result};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::service::caller::Level;

/// GRANT takes no parameters, so the catalogue writes the statement: it quotes names as it must.
/// `$1`: names of functions, with the number of arguments where it matters; `$2`: role; `$3`: names of
/// views.
static GRANT: Statement = Statement {
    sql: "SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', \
                        string_agg(p.oid::regprocedure::text, ', '), $2::regrole) \
            FROM pg_catalog.pg_proc p \
           WHERE p.pronamespace = 'dialstack'::regnamespace \
             AND (p.proname = ANY ($1) OR concat(p.proname, '/', p.pronargs) = ANY ($1)) \
          UNION ALL \
          SELECT format('GRANT SELECT ON %s TO %s', \
                        string_agg(c.oid::regclass::text, ', '), $2::regrole) \
            FROM pg_catalog.pg_class c \
           WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v' \
             AND c.relname = ANY ($3) \
          HAVING count(*) > 0 \
          UNION ALL \
          SELECT format('GRANT USAGE ON SCHEMA dialstack TO %s', $2::regrole)",
    parameters: &[T::TEXTARRAYOID, T::OIDOID, T::TEXTARRAYOID],
};

static REVOKE: Statement = Statement {
    sql: "SELECT format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dialstack FROM %s', $1::regrole) \
          UNION ALL \
          SELECT format('REVOKE ALL ON %s FROM %s', c.oid::regclass, $1::regrole) \
            FROM pg_catalog.pg_class c \
           WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v' \
          UNION ALL \
          SELECT format('REVOKE ALL ON SCHEMA dialstack FROM %s', $1::regrole)",
    parameters: &[T::OIDOID],
};

/// The markers that the role holds itself, not through another role.
static MARKERS: Statement = Statement {
    sql: "SELECT p.proname::text \
            FROM pg_catalog.pg_proc p, LATERAL aclexplode(p.proacl) a \
           WHERE p.pronamespace = 'dialstack'::regnamespace AND a.grantee = $1 \
             AND p.proname = ANY (ARRAY['access_client', 'access_server', 'access_admin'])",
    parameters: &[T::OIDOID],
};

fn run(
    owner: &AsOwner,
    text: &Statement,
    arguments: &[pgrx::datum::DatumWithOid<'_>],
) -> Result<()> {
    for statement in text.read(owner, arguments, |row| row.required::<String>(1))? {
        Spi::connect_mut(|client| client.update(statement.as_str(), None, &[]).map(|_| ()))
            .map_err(failed)?;
    }
    Ok(())
}

/// One change at a time: the catalogue's rows of our functions are updated by each.
static LOCK: Statement = Statement {
    sql: "LOCK TABLE dialstack.verdict_invalidation IN SHARE ROW EXCLUSIVE MODE",
    parameters: &[],
};

static ROLE: Statement = Statement {
    sql: "SELECT 1 FROM pg_catalog.pg_roles WHERE oid = $1",
    parameters: &[T::OIDOID],
};

/// Keeps other changes out until the transaction ends.
///
/// # Errors
/// `DEFINE_FAILED` where there is no such role.
pub fn begin(owner: &AsOwner, role: pg_sys::Oid) -> Result<()> {
    LOCK.execute(owner, &[])?;
    if ROLE.read(owner, &[bind(role)], |_| Ok(()))?.is_empty() {
        return Err(Error::new(Code::DefineFailed, "there is no such role")
            .hint("Create the role first, or check the spelling."));
    }
    Ok(())
}

fn failed(error: spi::Error) -> Error {
    Error::new(Code::PermissionDenied, "access can't be granted or revoked")
        .detail(error.to_string())
        .hint("Check that the role exists.")
}

/// The levels that were granted to this very role.
pub fn granted(owner: &AsOwner, role: pg_sys::Oid) -> Result<Vec<Level>> {
    let markers = MARKERS.read(owner, &[bind(role)], |row| row.required::<String>(1))?;
    let is = |level: &Level| {
        markers
            .iter()
            .any(|marker| level.marker().to_str() == Ok(marker.as_str()))
    };
    Ok(Level::ALL.iter().copied().filter(is).collect())
}

/// Grants EXECUTE on these functions and SELECT on these views.
pub fn grant(
    owner: &AsOwner,
    role: pg_sys::Oid,
    functions: Vec<String>,
    views: Vec<String>,
) -> Result<()> {
    run(owner, &GRANT, &[bind(functions), bind(role), bind(views)])
}

/// Takes everything of ours away from the role.
pub fn revoke(owner: &AsOwner, role: pg_sys::Oid) -> Result<()> {
    run(owner, &REVOKE, &[bind(role)])
}
