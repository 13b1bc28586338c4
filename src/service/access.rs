//! Access levels: granting and revoking EXECUTE on our functions, USAGE on the types that they return, and SELECT on
//! our views.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::{Spi, spi};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::catalog::table::role_name;
use crate::pg::roles::{AsOwner, granted_to};
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::level::Level;
use crate::service::required;
use crate::service::setup::configuration;
use crate::session::Problem;
use crate::tables::access_limits::{self, Limit};
use crate::tables::products;

const CODE: Code = Code::DefineFailed;

/// A function of the extension, as declared in `api/`.
pub struct Function {
    /// Its C symbol, by which the catalogue knows it (`pg_proc.prosrc`) whatever other functions share its name.
    pub symbol: &'static str,
    /// The levels that may call it, without those that include one of them; none for what only the extension calls,
    /// and for the markers.
    pub levels: &'static [Level],
    /// The lines of its documentation. The first paragraph is its comment in SQL.
    pub documentation: &'static [&'static str],
}

impl Function {
    fn comment(&self) -> String {
        let lines = self.documentation.iter().map(|line| line.trim());
        lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The functions of the extension, a list a chapter.
pub type Functions = [&'static [Function]];

/// The views, with the level that may read them.
const VIEWS: &[(Level, &[&str])] = &[
    (Level::Admin, &["active_sessions", "signing_key_status", "refresh_reuse", "api_key_usage"]),
    (Level::Monitor, &["stat_sessions", "stat_keys", "stat_api_keys", "stat_maintenance"]),
];

/// GRANT takes no parameters, so the catalogue writes the statement: it quotes names as it must.
/// `$1`: C symbols; `$2`: the role; `$3`: the marker's name; `$4`: names of views.
static GRANT: Statement = Statement::new(
    "SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', \
                        string_agg(p.oid::regprocedure::text, ', '), $2::regrole) \
            FROM pg_catalog.pg_proc p \
           WHERE p.pronamespace = 'dialstack'::regnamespace \
             AND (p.prosrc = ANY ($1) OR p.proname = $3) \
          UNION ALL \
          SELECT format('GRANT SELECT ON %s TO %s', \
                        string_agg(c.oid::regclass::text, ', '), $2::regrole) \
            FROM pg_catalog.pg_class c \
           WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v' \
             AND c.relname = ANY ($4) \
          HAVING count(*) > 0 \
          UNION ALL \
          SELECT format('GRANT USAGE ON TYPE %s TO %s', \
                        string_agg(DISTINCT t.oid::regtype::text, ', '), $2::regrole) \
            FROM pg_catalog.pg_proc p \
            JOIN pg_catalog.pg_type t ON t.oid = p.prorettype \
           WHERE p.pronamespace = 'dialstack'::regnamespace AND p.prosrc = ANY ($1) \
             AND t.typnamespace = 'dialstack'::regnamespace \
          HAVING count(*) > 0 \
          UNION ALL \
          SELECT format('GRANT USAGE ON SCHEMA dialstack TO %s', $2::regrole)",
);

static REVOKE: Statement = Statement::new(
    "SELECT format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dialstack FROM %s', $1::regrole) \
          UNION ALL \
          SELECT format('REVOKE ALL ON %s FROM %s', c.oid::regclass, $1::regrole) \
            FROM pg_catalog.pg_class c \
           WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v' \
          UNION ALL \
          SELECT DISTINCT format('REVOKE ALL ON TYPE %s FROM %s', t.oid::regtype, $1::regrole) \
            FROM pg_catalog.pg_type t, LATERAL aclexplode(t.typacl) a \
           WHERE t.typnamespace = 'dialstack'::regnamespace AND a.grantee = $1 \
          UNION ALL \
          SELECT format('REVOKE ALL ON SCHEMA dialstack FROM %s', $1::regrole)",
);

/// `$1`: the role; `$2`: name of a marker.
static UNMARK: Statement =
    Statement::new("SELECT format('REVOKE ALL ON FUNCTION dialstack.%I() FROM %s', $2, $1::regrole)");

/// One change at a time: the catalogue's rows of our functions are updated by each.
static LOCK: Statement =
    Statement::new("LOCK TABLE dialstack.verdict_invalidation IN SHARE ROW EXCLUSIVE MODE");

static ROLE_OF_NAME: Statement = Statement::new("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1");

/// `$1`, `$2`, `$3`: C symbols, levels and comments, in one order. Inside the owner's search path a signature
/// always begins with the schema, quoted or not, which is left out.
static LIST: Statement = Statement::new(
    "SELECT substr(s.signature, strpos(s.signature, '.') + 1), f.access, f.comment \
            FROM unnest($1, $2, $3) WITH ORDINALITY f (symbol, access, comment, position) \
            JOIN pg_catalog.pg_proc p ON p.prosrc = f.symbol \
           CROSS JOIN LATERAL (SELECT p.oid::regprocedure::text) AS s (signature) \
           WHERE p.pronamespace = 'dialstack'::regnamespace \
           ORDER BY f.position, p.proname",
);

/// Grants an access level, and with it those that it includes. Without a product it is unlimited, whatever limits it had.
/// With one it reaches that product, or the environment of it that is named, beside what it is limited to already; where
/// it was unlimited, that alone.
///
/// # Errors
/// `DEFINE_FAILED` for an unknown level or role, a level that can't be limited, and an environment without its product;
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; `CONFLICT` where the transaction's snapshot is too old to show what is named,
/// or a limit that goes.
pub fn grant(
    role: Option<pg_sys::Oid>,
    access: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    functions: &Functions,
) -> Result<()> {
    let (owner, role, role_name, level) = begin(role, access)?;
    let marker = match product.or(env) {
        None => level.marker(),
        Some(_) => level.limited_marker().ok_or_else(|| {
            Error::new(CODE, format!("access of level {} can't be limited", level.as_str()))
                .hint("Leave product and env out, or grant the level server or client.")
        })?,
    };
    let limit = limit(&owner, product, env)?;
    if limit.is_none() || !markers(role).contains(&marker) {
        delete_limits(&owner, &role_name, level)?;
    }
    if let Some(limit) = limit {
        access_limits::insert(&owner, &role_name, level.as_str(), limit)?;
    }
    for other in level.markers().filter(|other| *other != marker) {
        run(&owner, &UNMARK, &[bind(role), bind(&*other.to_string_lossy())])?;
    }
    grant_level(&owner, role, level, marker, functions)
}

/// Takes an access level back, with its limits. The role keeps what other levels that were granted to it give.
///
/// # Errors
/// `DEFINE_FAILED` for an unknown level or role; `CONFLICT` where the transaction's snapshot is too old to show a limit.
pub fn revoke(role: Option<pg_sys::Oid>, access: Option<&str>, functions: &Functions) -> Result<()> {
    let (owner, role, role_name, level) = begin(role, access)?;
    let held = markers(role);
    delete_limits(&owner, &role_name, level)?;
    let granted = |marker: &&CStr| held.contains(marker);
    if !level.markers().any(|marker| granted(&marker)) {
        return Ok(());
    }
    run(&owner, &REVOKE, &[bind(role)])?;
    for kept in Level::ALL.iter().copied().filter(|kept| *kept != level) {
        for marker in kept.markers().filter(granted) {
            grant_level(&owner, role, kept, marker, functions)?;
        }
    }
    Ok(())
}

fn delete_limits(owner: &AsOwner, role_name: &str, level: Level) -> Result<()> {
    access_limits::delete(owner, role_name, Some(level.as_str()))?;
    let is_left = |(of, at, _): &(String, String, Limit)| of == role_name && at == level.as_str();
    if access_limits::all()?.iter().any(is_left) {
        return Err(Error::new(Code::Conflict, "access was granted after this transaction began")
            .hint("Retry the transaction."));
    }
    Ok(())
}

/// Deletes the limits that are stored for a name which no role has, and returns how many there were.
///
/// # Errors
/// `DEFINE_FAILED` for the name of a role, and for NULL.
pub fn forget(role_name: Option<&str>) -> Result<i64> {
    let role_name = required(role_name, "role_name", CODE)?;
    // No role has a longer name, which is not even copied.
    if role_name.len() >= pg_sys::NAMEDATALEN as usize {
        return Ok(0);
    }
    let owner = AsOwner::enter()?;
    LOCK.execute(&owner, &[])?;
    if !ROLE_OF_NAME.read(&owner, &[bind(role_name)], |_| Ok(()))?.is_empty() {
        return Err(Error::new(CODE, "there is a role of that name")
            .hint("Take its access and its limits back with dialstack.revoke_access()."));
    }
    let forgotten = access_limits::delete(&owner, role_name, None)?;
    Ok(i64::try_from(forgotten).unwrap_or(i64::MAX))
}

/// What is named as the limit of a grant, which nobody deletes until the transaction ends.
fn limit(owner: &AsOwner, product: Option<&str>, env: Option<&str>) -> Result<Option<Limit>> {
    let limit = match (product, env) {
        (None, None) => return Ok(None),
        (Some(product), None) => Limit::Product(configuration::kept_product(owner, product)?),
        (Some(product), Some(env)) => Limit::Env(configuration::kept(
            || Ok(configuration::env(product, env)?.env_id),
            |found| products::keep_env(owner, *found),
        )?),
        (None, Some(_)) => {
            return Err(Error::new(CODE, "product is needed where env is given")
                .hint("Name the product of the environment."));
        }
    };
    Ok(Some(limit))
}

/// The markers that the role holds now, whatever the transaction's snapshot shows: itself, not through another role.
fn markers(role: pg_sys::Oid) -> Vec<&'static CStr> {
    let all = Level::ALL.iter().flat_map(|level| level.markers());
    all.filter(|marker| granted_to(marker).contains(&role)).collect()
}

/// All functions, in the order of their declaration: signature without schema, levels that may call it but for those
/// that include one of them, and comment.
pub fn list<R: FromRow>(functions: &Functions) -> Result<Vec<R>> {
    let all = || functions.iter().copied().flatten();
    let symbols: Vec<&str> = all().map(|function| function.symbol).collect();
    let levels: Vec<Option<String>> = all().map(|function| names(function.levels)).collect();
    let comments: Vec<String> = all().map(Function::comment).collect();
    let arguments = [bind(symbols), bind(levels), bind(comments)];
    LIST.read(&AsOwner::enter()?, &arguments, R::from_row)
}

fn names(levels: &[Level]) -> Option<String> {
    let names: Vec<&str> = levels.iter().copied().map(Level::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Checks what was asked for, and keeps other changes of access out until the transaction ends.
fn begin(role: Option<pg_sys::Oid>, access: Option<&str>) -> Result<(AsOwner, pg_sys::Oid, String, Level)> {
    let role = required(role, "role", CODE)?;
    let access = required(access, "access", CODE)?;
    let level =
        Level::parse(access).ok_or_else(|| Problem::not_one_of("access", Level::TEXTS)).coded(CODE)?;
    let owner = AsOwner::enter()?;
    LOCK.execute(&owner, &[])?;
    let role_name = role_name(role).ok_or_else(|| {
        Error::new(CODE, "there is no such role").hint("Create the role first, or check the spelling.")
    })?;
    Ok((owner, role, role_name, level))
}

/// Grants the functions and views of the level and of those that it includes, and a marker of the level itself.
fn grant_level(
    owner: &AsOwner,
    role: pg_sys::Oid,
    level: Level,
    marker: &CStr,
    functions: &Functions,
) -> Result<()> {
    let symbols: Vec<&str> = functions
        .iter()
        .copied()
        .flatten()
        .filter(|function| function.levels.iter().any(|allowed| level.includes(*allowed)))
        .map(|function| function.symbol)
        .collect();
    let views: Vec<&str> = VIEWS
        .iter()
        .filter(|(allowed, _)| level.includes(*allowed))
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    let marker = marker.to_string_lossy();
    run(owner, &GRANT, &[bind(symbols), bind(role), bind(&*marker), bind(views)])
}

/// Runs the statements that a statement returns.
fn run(owner: &AsOwner, text: &Statement, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Result<()> {
    for statement in text.read(owner, arguments, |row| row.required::<String>(1))? {
        Spi::connect_mut(|client| client.update(statement.as_str(), None, &[]).map(|_| ()))
            .map_err(failed)?;
    }
    Ok(())
}

fn failed(error: spi::Error) -> Error {
    Error::new(Code::PermissionDenied, "access can't be granted or revoked")
        .detail(error.to_string())
        .hint("Check that the role exists.")
}

/// `$1`, `$2`, `$3`: markers, their levels and whether they mark a limited grant, in one order. A limit belongs to the
/// limited grant of the level to the role of that name.
static LIST_OF_ROLES: Statement = Statement::new(
    "WITH granted AS ( \
            SELECT coalesce(r.rolname, 'PUBLIC')::text AS role_name, m.level, m.limited, m.position \
              FROM unnest($1, $2, $3) WITH ORDINALITY m (marker, level, limited, position) \
              JOIN pg_catalog.pg_proc p ON p.proname = m.marker \
                                       AND p.pronamespace = 'dialstack'::regnamespace \
             CROSS JOIN LATERAL aclexplode(p.proacl) a \
              LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
             WHERE a.grantee <> p.proowner), \
          listed AS ( \
            SELECT coalesce(g.role_name, l.role_name) AS role_name, coalesce(g.level, l.level) AS level, \
                   coalesce(g.limited, true) AS limited, p.product, e.env, \
                   CASE WHEN g.role_name IS NOT NULL AND g.limited AND l.role_name IS NULL \
                        THEN 'reaches nothing: no limit is left' \
                        WHEN g.role_name IS NOT NULL THEN NULL \
                        WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = l.role_name) \
                        THEN 'the role does not have the level' \
                        ELSE 'there is no such role' END AS finding \
              FROM granted g \
              FULL JOIN dialstack.access_limits l \
                     ON g.limited AND l.role_name = g.role_name AND l.level = g.level \
              LEFT JOIN dialstack.environments e ON e.env_id = l.env_id \
              LEFT JOIN dialstack.products p ON p.product_id = coalesce(l.product_id, e.product_id)) \
          SELECT role_name, level, limited, product, env, finding FROM listed \
           ORDER BY role_name COLLATE \"C\", array_position($2, level), product, env",
);

/// The grants of access levels, with the limits of each, and limits without a grant: the role, the level, whether it is
/// limited, product and environment of the limit, and what is wrong with it. The owner of the extension and superusers,
/// who have every level, are not listed.
pub fn of_roles<R: FromRow>() -> Result<Vec<R>> {
    let (mut names, mut levels, mut limited) = (Vec::new(), Vec::new(), Vec::new());
    for level in Level::ALL {
        for marker in level.markers() {
            names.push(marker.to_string_lossy().into_owned());
            levels.push(level.as_str());
            limited.push(marker != level.marker());
        }
    }
    LIST_OF_ROLES.read(&AsOwner::enter()?, &[bind(names), bind(levels), bind(limited)], R::from_row)
}
