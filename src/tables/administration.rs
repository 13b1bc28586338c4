//! The table `administration`: who did what as an administrator.

use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::session::Page;

static INSERT: Statement = Statement::new(
    "INSERT INTO dialstack.administration (at, session_role, acting_role, function, target, effect, client_addr) \
     VALUES (clock_timestamp(), session_user, pg_get_userbyid($1), $2, $3, $4, inet_client_addr())",
);

/// Notes a call. `acting` is the role that called.
pub fn insert(
    owner: &AsOwner,
    acting: pg_sys::Oid,
    function: &str,
    target: JsonText,
    effect: JsonText,
) -> Result<()> {
    let arguments = [bind(acting), bind(function), bind(target), bind(effect)];
    INSERT.execute(owner, &arguments).map(|_| ())
}

macro_rules! filtered {
    () => {
        " FROM dialstack.administration \
         WHERE at >= $1 AND at < $2 \
           AND ($3 IS NULL OR target ->> 'product' = $3 COLLATE \"C\") \
           AND ($4 IS NULL OR session_role = $4 OR acting_role = $4) \
           AND ($5 IS NULL OR function = $5) \
           AND ($6 OR function <> 'maintain')"
    };
}

static LIST: Statement = Statement::new(concat!(
    "SELECT administration_id, at, session_role, acting_role, function, target, effect, client_addr",
    filtered!(),
    " ORDER BY at DESC, administration_id DESC LIMIT $7 OFFSET $8"
));

static COUNT: Statement = Statement::new(concat!("SELECT count(*)", filtered!()));

/// Which calls are meant. What is left out is any.
pub struct Filter<'a> {
    /// The product that was named.
    pub product: Option<&'a str>,
    /// The role that logged in, or that called.
    pub actor: Option<&'a str>,
    pub function: Option<&'a str>,
    /// Then or later.
    pub start_at: Option<TimestampWithTimeZone>,
    /// Before then.
    pub end_at: Option<TimestampWithTimeZone>,
    /// Whether calls of `maintain` are meant too.
    pub maintenance: bool,
}

impl Filter<'_> {
    fn arguments(&self) -> Vec<DatumWithOid<'_>> {
        vec![
            bind(self.start_at.unwrap_or_else(TimestampWithTimeZone::negative_infinity)),
            bind(self.end_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity)),
            bind(self.product),
            bind(self.actor),
            bind(self.function),
            bind(self.maintenance),
        ]
    }
}

/// A page of calls, newest first.
pub fn list<R: FromRow>(owner: &AsOwner, filter: &Filter<'_>, page: &Page) -> Result<Vec<R>> {
    let mut arguments = filter.arguments();
    arguments.extend([bind(page.limit), bind(page.offset)]);
    let _by_index = Setting::custom_plans();
    LIST.read(owner, &arguments, R::from_row)
}

/// How many calls there are.
pub fn count(owner: &AsOwner, filter: &Filter<'_>) -> Result<i64> {
    let _by_index = Setting::custom_plans();
    Ok(COUNT.read(owner, &filter.arguments(), |row| row.required::<i64>(1))?.into_iter().sum())
}

static DELETE: Statement = Statement::new(
    "DELETE FROM dialstack.administration \
      WHERE administration_id = ANY (ARRAY( \
                SELECT administration_id FROM dialstack.administration \
                 WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))",
);

/// Deletes so many of the oldest rows, of those before then; returns how many.
pub fn delete(owner: &AsOwner, before: Micros, limit: i64) -> Result<u64> {
    DELETE.execute(owner, &[bind(timestamptz(before)), bind(limit)])
}
