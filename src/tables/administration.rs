//! The table `administration`: who did what as an administrator.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::session::Page;
use crate::tables::paging::List;

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

static PAGE: Statement = Statement::new(concat!(
    "SELECT administration_id, at, session_role, acting_role, function, target, effect, client_addr",
    filtered!(),
    " ORDER BY at DESC, administration_id DESC LIMIT $7 OFFSET $8"
));

static TOTAL: Statement = Statement::new(concat!("SELECT count(*)", filtered!()));

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
    /// Whether calls of `maintain`, which come by the clock, are meant too where no function is named.
    pub maintenance: bool,
}

/// A page of calls, newest first, and how many there are if that is asked for.
pub fn list<R: FromRow>(
    owner: &AsOwner,
    filter: &Filter<'_>,
    page: &Page,
    with_total: bool,
) -> Result<(Vec<R>, Option<i64>)> {
    let arguments = vec![
        bind(filter.start_at.unwrap_or_else(TimestampWithTimeZone::negative_infinity)),
        bind(filter.end_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity)),
        bind(filter.product),
        bind(filter.actor),
        bind(filter.function),
        bind(filter.maintenance || filter.function == Some("maintain")),
    ];
    let _by_index = Setting::custom_plans();
    List { page: &PAGE, total: &TOTAL }.read(owner, arguments, page, with_total, R::from_row)
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
