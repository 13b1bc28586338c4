//! Where a role may act: what the limits of its access levels leave.
//!
//! A grant of level `server` or `client` is unlimited or limited. Which, the server's catalogue says, by the function
//! that marks it; to what, the table `access_limits`. So a limited grant of which no limit is left, because the
//! environment was deleted or the role renamed, reaches nothing. What a role has through others adds up, as
//! PostgreSQL's privileges do.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

use pgrx::pg_sys;

use crate::error::{Code, Error, Result};
use crate::pg::cache::{Remembered, read_stable};
use crate::pg::relcache;
use crate::pg::roles::{AsOwner, current_user, granted_to, inherited_from};
use crate::pg::statements::{Statement, bind};
use crate::service::access::Functions;
use crate::service::level::{Level, is_marked};
use crate::service::setup::configuration::{self, Env};
use crate::tables::access_limits::{self, Limit};
use crate::tables::products::ProductId;

/// Where a role may act.
pub enum Reach {
    Everywhere,
    /// Within the limits of what was granted.
    Within {
        /// The environments of these products, also those that are made later.
        products: Vec<ProductId>,
        envs: Vec<i32>,
    },
}

/// The functions of the extension, by which a role without a level may act.
static FUNCTIONS: OnceLock<&Functions> = OnceLock::new();

/// Says which functions there are. Called once, from `_PG_init`.
pub fn register(functions: &'static Functions) {
    // The library is loaded once; a second list would be the same.
    let _ = FUNCTIONS.set(functions);
}

thread_local! {
    static KNOWN: RefCell<Remembered<(u32, Level), Rc<Reach>>> = RefCell::default();
}

/// Where the current user may call functions of this level. Ask before the owner becomes the current user.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where this database lacks the extension's tables or the functions that mark the levels.
pub fn of_caller(level: Level) -> Result<Rc<Reach>> {
    of(current_user(), level)
}

/// Where a role may call functions of this level.
pub fn of(role: pg_sys::Oid, level: Level) -> Result<Rc<Reach>> {
    let key = (role.to_u32(), level);
    let epoch = relcache::access_epoch();
    if let Some(known) = KNOWN.with_borrow(|known| known.find(&key, epoch)) {
        return Ok(known);
    }
    let (epoch, reach) = read_stable(relcache::access_epoch, |_| read(role, level))?;
    let reach = Rc::new(reach);
    KNOWN.with_borrow_mut(|known| known.insert(key, reach.clone(), epoch));
    Ok(reach)
}

fn read(role: pg_sys::Oid, level: Level) -> Result<Reach> {
    // A role without the level is held to the limits of the next one that it has: the figures of level monitor are
    // for level server too, and a function may be granted by itself.
    let levels: &[Level] = match level {
        Level::Admin | Level::Monitor => &[level, Level::Server, Level::Client],
        Level::Server => &[Level::Server, Level::Client],
        Level::Client => &[Level::Client],
    };
    for wanted in levels {
        let mut limited = Vec::new();
        for granted in Level::ALL.iter().filter(|granted| granted.includes(*wanted)) {
            if is_marked(role, granted.marker())? {
                return Ok(Reach::Everywhere);
            }
            if let Some(marker) = granted.limited_marker()
                && is_marked(role, marker)?
            {
                limited.push((granted.as_str(), granted_to(marker)));
            }
        }
        if limited.is_empty() {
            continue;
        }
        let (mut products, mut envs) = (Vec::new(), Vec::new());
        for (role_name, level, limit) in access_limits::all()? {
            let granted = limited.iter().find(|(granted, _)| *granted == level);
            // A row counts as long as the grant that it belongs to.
            if let (Some((_, holders)), Some(holder)) = (granted, inherited_from(role, &role_name))
                && holders.contains(&holder)
            {
                match limit {
                    Limit::Product(product_id) => products.push(product_id),
                    Limit::Env(env_id) => envs.push(env_id),
                }
            }
        }
        return Ok(Reach::Within { products, envs });
    }
    // The server asks for the privilege when a statement begins, and may not know by then that a level was taken back.
    let nowhere = Reach::Within { products: Vec::new(), envs: Vec::new() };
    Ok(if may_execute_any(role, level)? { Reach::Everywhere } else { nowhere })
}

/// `$1`: the role; `$2`: C symbols. Privileges are those of now, whatever the transaction's snapshot shows.
static MAY_EXECUTE_ANY: Statement = Statement::new(
    "SELECT count(*) FROM pg_catalog.pg_proc p \
           WHERE p.pronamespace = 'dialstack'::regnamespace AND p.prosrc = ANY ($2) \
             AND has_function_privilege($1, p.oid, 'EXECUTE')",
);

/// Whether a function of this level was granted to a role by itself, if the role does not have the level.
fn may_execute_any(role: pg_sys::Oid, level: Level) -> Result<bool> {
    let functions = FUNCTIONS.get().into_iter().flat_map(|functions| functions.iter().copied().flatten());
    let of_level = functions.filter(|function| function.levels.contains(&level));
    let symbols: Vec<&str> = of_level.map(|function| function.symbol).collect();
    Ok(MAY_EXECUTE_ANY.count(&AsOwner::enter()?, &[bind(role), bind(symbols)])? > 0)
}

/// The error for an environment that is not within reach.
pub fn out_of_reach() -> Error {
    Error::new(Code::PermissionDenied, "the access of the role is limited to other products or environments")
        .hint("dialstack.access_of_roles() shows an administrator the limits; dialstack.grant_access() adds to them.")
}

impl Reach {
    /// Whether an environment of this product is within reach.
    pub fn holds(&self, env_id: i32, product_id: &ProductId) -> bool {
        match self {
            Reach::Everywhere => true,
            Reach::Within { products, envs } => products.contains(product_id) || envs.contains(&env_id),
        }
    }

    /// Whether the environment with this number is within reach; one that was deleted is only where all are.
    pub fn holds_id(&self, env_id: i32) -> Result<bool> {
        Ok(match self {
            Reach::Everywhere => true,
            Reach::Within { .. } => {
                configuration::env_by_id(env_id)?.is_some_and(|env| self.holds(env_id, &env.product_id))
            }
        })
    }

    /// Refuses an environment that is not within reach.
    pub fn check(&self, env: &Env) -> Result<()> {
        if self.holds(env.env_id, &env.product_id) { Ok(()) } else { Err(out_of_reach()) }
    }

    /// Refuses a product of which nothing is within reach.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`; `JWT_NOT_AVAILABLE` where the extension's tables can't be read.
    pub fn check_product(&self, product_id: &ProductId) -> Result<()> {
        let Reach::Within { products, envs } = self else {
            return Ok(());
        };
        if products.contains(product_id) {
            return Ok(());
        }
        for env_id in envs {
            if configuration::env_by_id(*env_id)?.is_some_and(|env| env.product_id == *product_id) {
                return Ok(());
            }
        }
        Err(out_of_reach())
    }
}
