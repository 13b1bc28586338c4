//! What the catalogue says of a table of the application's, as it is now and not as the transaction's
//! snapshot shows it; and the lock under which it stays so.

use std::ffi::{CStr, c_char};

use pgrx::list::List;
use pgrx::spi::{quote_identifier, quote_qualified_identifier};
use pgrx::{PgList, memcx, pg_sys};

use crate::error::{Code, Error, Result};
use crate::pg::server;
use crate::pg::statements::must_be_able_to_write;
use crate::session::problem::shown;

/// Object ids below this one are the server's own.
const FIRST_OF_USERS: u32 = pg_sys::FirstNormalObjectId;

/// A table that the caller owns, locked against everybody else until the transaction ends.
pub struct Table {
    /// Its object id.
    pub oid: pg_sys::Oid,
    /// Its schema and name, quoted as SQL needs them.
    pub name: String,
}

/// The type of a column that sessions can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`, and `varchar`, which compares like it.
    Text,
    /// `uuid`
    Uuid,
    /// `bigint`
    Bigint,
    /// `integer`
    Integer,
}

impl ColumnType {
    /// The name of the type in SQL.
    pub const fn as_sql(self) -> &'static str {
        match self {
            ColumnType::Text => "pg_catalog.text",
            ColumnType::Uuid => "pg_catalog.uuid",
            ColumnType::Bigint => "pg_catalog.int8",
            ColumnType::Integer => "pg_catalog.int4",
        }
    }

    fn of(base: pg_sys::Oid) -> Option<Self> {
        match base {
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Some(ColumnType::Text),
            pg_sys::UUIDOID => Some(ColumnType::Uuid),
            pg_sys::INT8OID => Some(ColumnType::Bigint),
            pg_sys::INT4OID => Some(ColumnType::Integer),
            _ => None,
        }
    }
}

/// A column of a table.
pub struct Column {
    /// Its name, quoted as SQL needs it.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether its type is that very type: neither a domain over it, nor `varchar`.
    pub exact: bool,
}

/// A policy of a table.
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whether it lets rows through, where a restrictive one only keeps them back.
    pub permissive: bool,
}

/// How row-level security stands on a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSecurity {
    /// Whether it is on.
    pub enabled: bool,
    /// Whether it binds the owner too.
    pub forced: bool,
}

fn refused(message: String) -> Error {
    Error::new(Code::ProtectFailed, message)
}

/// A C string of the server's, which is encoded in UTF-8 like the database; `None` for NULL.
///
/// # Safety
/// `text` is NULL or ends with a NUL.
unsafe fn owned(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by this function's own contract.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

fn owns(relation: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up for a relation that was found just before, which raises an ordinary
    // error if it is gone.
    unsafe {
        #[cfg(feature = "pg15")]
        let owns = pg_sys::pg_class_ownercheck(relation, pg_sys::GetUserId());
        #[cfg(not(feature = "pg15"))]
        let owns =
            pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, pg_sys::GetUserId());
        owns
    }
}

/// Whether the relation is still there.
pub fn exists(relation: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up, which answers NUL for what is not there.
    unsafe { pg_sys::get_rel_relkind(relation) != 0 }
}

/// A table of the application's that the caller owns.
fn checked(relation: pg_sys::Oid) -> Result<Table> {
    // SAFETY: syscache look-ups, which answer NULL or InvalidOid for what is not there; the strings are
    // copies in the current memory context.
    let (schema, name) = unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        (owned(schema), owned(pg_sys::get_rel_name(relation)))
    };
    let (Some(schema), Some(name)) = (schema, name) else {
        return Err(refused("there is no such table".to_owned())
            .hint("Check the spelling, and whether it was dropped."));
    };
    // SAFETY: syscache look-ups for what was found just before.
    let (kind, persistence) = unsafe {
        (
            pg_sys::get_rel_relkind(relation) as u8,
            pg_sys::get_rel_persistence(relation) as u8,
        )
    };
    let table = Table {
        oid: relation,
        name: quote_qualified_identifier(&schema, &name),
    };
    let label = shown(&table.name);
    if relation.to_u32() < FIRST_OF_USERS || schema == "pg_catalog" {
        return Err(
            refused(format!("{label} belongs to the system")).hint("Protect tables of your own.")
        );
    }
    if schema == "dialstack" {
        return Err(refused(format!("{label} belongs to the extension"))
            .hint("Protect tables of your own."));
    }
    let what = match kind {
        b'r' | b'p' => None,
        b'v' => Some("a view"),
        b'm' => Some("a materialized view"),
        b'f' => Some("a foreign table"),
        _ => Some("no table"),
    };
    if let Some(what) = what {
        return Err(
            refused(format!("{label} is {what}, which can't have policies"))
                .hint("Protect the tables that hold the rows."),
        );
    }
    if persistence == b't' {
        return Err(refused(format!("{label} is a temporary table"))
            .hint("Nobody but its own connection reads it; protect permanent tables."));
    }
    if !owns(relation) {
        return Err(refused(format!("{label} belongs to another role"))
            .hint("Call this as the table's owner, or as a member of the role that owns it."));
    }
    Ok(table)
}

/// A table with its partitions and the tables that inherit from it.
pub struct Family {
    /// The table itself.
    pub table: Table,
    /// Its parts, and theirs.
    pub parts: Vec<Table>,
}

impl Family {
    /// All of them, the table itself first.
    pub fn all(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.table).chain(&self.parts)
    }
}

/// Locks a table that the caller owns, with its parts, each of which the caller must own.
///
/// # Errors
/// `PROTECT_FAILED` for what is no table of the caller's, or is part of another table.
pub fn lock(relation: pg_sys::Oid) -> Result<Family> {
    // Nobody makes a table wait that is not theirs.
    checked(relation)?;
    must_be_able_to_write();
    // SAFETY: locking an object id is allowed whether or not it still exists; what happened to it
    // meanwhile is known once the lock is there.
    let (table, family) = unsafe {
        pg_sys::LockRelationOid(relation, pg_sys::AccessExclusiveLock as i32);
        let table = checked(relation)?;
        if server::has_superclass(relation) {
            return Err(
                refused(format!("{} is part of another table", shown(&table.name)))
                    .detail(
                        "Rows that are reached through the other table obey its policies alone.",
                    )
                    .hint("Name the table that it is a partition of, or inherits from."),
            );
        }
        let family = server::find_all_inheritors(relation, pg_sys::AccessExclusiveLock as i32);
        (table, family)
    };
    let family: Vec<pg_sys::Oid> = memcx::current_context(|context| {
        // SAFETY: a list of object ids, made in the current memory context.
        let list = unsafe { List::<pg_sys::Oid>::downcast_ptr_in_memcx(family, context) };
        list.map(|list| list.iter().copied().collect())
            .unwrap_or_default()
    });
    let parts = family.into_iter().filter(|part| *part != relation);
    Ok(Family {
        table,
        parts: parts.map(checked).collect::<Result<_>>()?,
    })
}

/// A column that sessions can be compared with.
///
/// # Errors
/// `PROTECT_FAILED` for one that is not there, or whose values don't compare one by one.
pub fn column(table: &Table, name: &CStr) -> Result<Column> {
    let label = || {
        let name = quote_identifier(name.to_string_lossy());
        format!("column {} of {}", shown(&name), shown(&table.name))
    };
    let (mut column_type, mut modifier, mut collation) =
        (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
    // SAFETY: syscache look-ups for a locked table; `name` ends with a NUL. The second one is for a
    // column that the first one found.
    let (base, deterministic) = unsafe {
        let number = pg_sys::get_attnum(table.oid, name.as_ptr());
        if number <= 0 {
            return Err(refused(format!("there is no {}", label()))
                .hint("Name a column that holds whose row it is."));
        }
        pg_sys::get_atttypetypmodcoll(
            table.oid,
            number,
            &mut column_type,
            &mut modifier,
            &mut collation,
        );
        let deterministic =
            collation == pg_sys::InvalidOid || pg_sys::get_collation_isdeterministic(collation);
        (pg_sys::getBaseType(column_type), deterministic)
    };
    let Some(known) = ColumnType::of(base) else {
        // SAFETY: describes a type that exists; the string is a copy in the current memory context.
        let name = unsafe { owned(pg_sys::format_type_be(column_type)) };
        return Err(refused(format!("{} has the wrong type", label()))
            .detail(format!("It is of type {}.", name.unwrap_or_default()))
            .hint("The column must be of type text, varchar, uuid, bigint or integer."));
    };
    if !deterministic {
        return Err(
            refused(format!("{} takes different texts for the same", label()))
                .detail("Its collation is not deterministic.")
                .hint("Give the column a deterministic collation: accounts and identifiers are compared byte by byte."),
        );
    }
    Ok(Column {
        name: quote_identifier(name.to_string_lossy()),
        column_type: known,
        exact: column_type == base && base != pg_sys::VARCHAROID,
    })
}

/// Whether a table has a policy of this name.
pub fn has_policy(table: &Table, policy: &CStr) -> bool {
    // SAFETY: the name ends with a NUL; a missing policy is answered with InvalidOid.
    unsafe { server::policy_oid(table.oid, policy.as_ptr()) != pg_sys::InvalidOid }
}

/// How row-level security stands on a table.
pub fn row_security(table: &Table) -> RowSecurity {
    // SAFETY: the table is locked, so it has a relation cache entry, which is pinned while it is read.
    unsafe {
        let relation = pg_sys::relation_open(table.oid, pg_sys::NoLock as i32);
        let form = (*relation).rd_rel;
        let row_security = RowSecurity {
            enabled: (*form).relrowsecurity,
            forced: (*form).relforcerowsecurity,
        };
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        row_security
    }
}

/// The policies of a table; `None` where row-level security is off.
pub fn policies(table: &Table) -> Option<Vec<Policy>> {
    // SAFETY: the table is locked, so its relation cache entry is there and stays as it is while it
    // is pinned; the list holds policies.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table.oid);
        if relation.is_null() {
            return None;
        }
        let description = (*relation).rd_rsdesc;
        let enabled = (*(*relation).rd_rel).relrowsecurity && !description.is_null();
        let policies = enabled.then(|| {
            let list = PgList::<pg_sys::RowSecurityPolicy>::from_pg((*description).policies);
            list.iter_ptr()
                .filter_map(|policy| {
                    Some(Policy {
                        name: owned((*policy).policy_name)?,
                        permissive: (*policy).permissive,
                    })
                })
                .collect()
        });
        pg_sys::RelationClose(relation);
        policies
    }
}
