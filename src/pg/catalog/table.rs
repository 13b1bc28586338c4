//! What the catalogue says of a table of the application's, as it is now and not as the transaction's
//! snapshot shows it; and the lock under which it stays so.

use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_qualified_identifier};

use super::relation::{OpenRelation, copied};
use crate::error::{Code, Error, Result};
use crate::pg::roles::current_user;
use crate::pg::server::{self, lock_relation};
use crate::pg::statements::must_be_able_to_write;
use crate::session::problem::shown;

/// Object ids below this one are the server's own.
const FIRST_OF_USERS: u32 = pg_sys::FirstNormalObjectId;

/// A table that the caller owns, locked against everybody else until the transaction ends.
pub struct Table {
    pub oid: pg_sys::Oid,
    /// Its schema and name, quoted as SQL needs them.
    pub name: String,
}

/// The type of a column that sessions can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`, and `varchar`, which compares like it.
    Text,
    Uuid,
    Bigint,
    Integer,
}

impl ColumnType {
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

pub struct Column {
    /// Its name, quoted as SQL needs it.
    pub name: String,
    pub column_type: ColumnType,
    /// Whether its type is that very type: neither a domain over it, nor `varchar`.
    pub exact: bool,
}

/// What the catalogue says of a relation; `None` if it is gone.
struct Facts {
    schema: String,
    /// Its schema and name, quoted as SQL needs them.
    name: String,
    kind: u8,
    persistence: u8,
    is_callers: bool,
}

fn facts(relation: pg_sys::Oid) -> Option<Facts> {
    let open = OpenRelation::unlocked(relation)?;
    let class = open.class();
    // SAFETY: a syscache look-up that answers NULL for what is not there, as a copy; the name ends with a NUL.
    let (schema, name) = unsafe {
        (copied(pg_sys::get_namespace_name(class.relnamespace))?, copied(class.relname.data.as_ptr())?)
    };
    Some(Facts {
        name: quote_qualified_identifier(&schema, &name),
        schema,
        kind: class.relkind.cast_unsigned(),
        persistence: class.relpersistence.cast_unsigned(),
        // SAFETY: reads the server's caches.
        is_callers: unsafe { pg_sys::has_privs_of_role(current_user(), class.relowner) },
    })
}

/// The name of a relation with its schema, quoted as SQL needs them; `None` if it is gone.
pub fn relation_name(relation: pg_sys::Oid) -> Option<String> {
    facts(relation).map(|facts| facts.name)
}

/// Whether a type is one by which values of sessions are looked up, with an operator `=` in `pg_catalog`.
pub fn is_indexable(type_oid: pg_sys::Oid) -> bool {
    ColumnType::of(type_oid).is_some()
}

/// A table of the application's that the caller owns.
fn checked(relation: pg_sys::Oid, code: Code) -> Result<Table> {
    const OWN: &str = "Name a table of your own.";
    const ROWS: &str = "Name the tables that hold the rows.";
    let Some(facts) = facts(relation) else {
        return Err(Error::new(code, "there is no such table")
            .hint("Check the spelling, and whether it was dropped."));
    };
    let is_systems = relation.to_u32() < FIRST_OF_USERS || facts.schema == "pg_catalog";
    let (what, hint) = match facts.kind {
        _ if is_systems => ("belongs to the system", OWN),
        _ if facts.schema == "dialstack" => ("belongs to the extension", OWN),
        b'v' => ("is a view, which this does not serve", ROWS),
        b'm' => ("is a materialized view, which this does not serve", ROWS),
        b'f' => ("is a foreign table, which this does not serve", ROWS),
        kind if !b"rp".contains(&kind) => ("is no table, which this does not serve", ROWS),
        _ if facts.persistence == b't' => {
            let hint = "Nobody but its own connection reads it; name a permanent table.";
            ("is a temporary table", hint)
        }
        _ if !facts.is_callers => {
            let hint = "Call this as the table's owner, or as a member of the role that owns it.";
            ("belongs to another role", hint)
        }
        _ => return Ok(Table { oid: relation, name: facts.name }),
    };
    Err(Error::new(code, format!("{} {what}", shown(&facts.name))).hint(hint))
}

/// A table with its partitions and the tables that inherit from it.
pub struct Family {
    pub table: Table,
    /// Its parts, and theirs.
    pub parts: Vec<Table>,
    /// The names of those parts that are foreign tables, which can't have policies.
    pub foreign: Vec<String>,
    pub is_partitioned: bool,
}

impl Family {
    /// All that can have policies, the table itself first.
    pub fn all(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.table).chain(&self.parts)
    }
}

/// Locks a table that the caller owns, with its parts, each of which the caller must own if it is no
/// foreign table.
///
/// # Errors
/// `code` for what is no table of the caller's, or is part of another table.
pub fn lock(relation: pg_sys::Oid, code: Code) -> Result<Family> {
    // Nobody makes a table wait that is not theirs.
    checked(relation, code)?;
    must_be_able_to_write();
    lock_relation(relation, pg_sys::AccessExclusiveLock);
    let table = checked(relation, code)?;
    let (mut parts, mut foreign) = (Vec::new(), Vec::new());
    for part in parts_of(&table, code)? {
        match facts(part) {
            Some(part) if part.kind == b'f' => foreign.push(part.name),
            _ => parts.push(checked(part, code)?),
        }
    }
    Ok(Family {
        is_partitioned: facts(relation).is_some_and(|facts| facts.kind == b'p'),
        table,
        parts,
        foreign,
    })
}

/// The parts of a locked table, and theirs, each locked too.
fn parts_of(table: &Table, code: Code) -> Result<Vec<pg_sys::Oid>> {
    if server::has_superclass(table.oid) {
        let message = format!("{} is part of another table", shown(&table.name));
        return Err(Error::new(code, message)
            .detail("What is made for the other table holds for its parts too.")
            .hint("Name the table that it is a partition of, or inherits from."));
    }
    let mut parts = server::find_all_inheritors(table.oid, pg_sys::AccessExclusiveLock);
    parts.retain(|part| *part != table.oid);
    Ok(parts)
}

/// The type and the collation of a column; `None` if there is none of that name.
fn type_of(table: &Table, column: &str) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
    let open = OpenRelation::unlocked(table.oid)?;
    let columns = open.columns();
    let named = columns.iter().find(|it| !it.attisdropped && it.name() == column)?;
    Some((named.atttypid, named.attcollation))
}

pub fn has_column(table: &Table, name: &str) -> bool {
    type_of(table, name).is_some()
}

/// A column that sessions can be compared with.
///
/// # Errors
/// `PROTECT_FAILED` for one that is not there, or whose values don't compare one by one.
pub fn column(table: &Table, name: &str) -> Result<Column> {
    let refused = |message: String| Error::new(Code::ProtectFailed, message);
    let quoted = quote_identifier(name);
    let label = format!("column {} of {}", shown(&quoted), shown(&table.name));
    let Some((type_oid, collation)) = type_of(table, name) else {
        return Err(refused(format!("there is no {label}")).hint("Name a column that holds whose row it is."));
    };
    // SAFETY: syscache look-ups of a column's own type and collation; the name is a copy in the current memory context.
    let (base, deterministic, type_name) = unsafe {
        let deterministic =
            collation == pg_sys::InvalidOid || pg_sys::get_collation_isdeterministic(collation);
        (pg_sys::getBaseType(type_oid), deterministic, copied(pg_sys::format_type_be(type_oid)))
    };
    let Some(column_type) = ColumnType::of(base) else {
        return Err(refused(format!("{label} has the wrong type"))
            .detail(format!("It is of type {}.", type_name.unwrap_or_default()))
            .hint("The column must be of type text, varchar, uuid, bigint or integer."));
    };
    if !deterministic {
        return Err(
            refused(format!("{label} takes different texts for the same"))
                .detail("Its collation is not deterministic.")
                .hint("Give the column a deterministic collation: accounts and identifiers are compared byte by byte."),
        );
    }
    let exact = type_oid == base && base != pg_sys::VARCHAROID;
    Ok(Column { name: quoted, column_type, exact })
}

/// The comment that a policy has now; `None` where there is no such policy.
pub fn policy_comment(table: &Table, policy: &str) -> Option<String> {
    let policy = server::policy_oid(table.oid, &CString::new(policy).ok()?);
    // SAFETY: a missing comment is answered with NULL; the comment is a copy in the current memory context.
    unsafe { copied(pg_sys::GetComment(policy, server::POLICY_RELATION, 0)) }
}

pub fn owner(table: &Table) -> Option<pg_sys::Oid> {
    OpenRelation::unlocked(table.oid).map(|open| open.class().relowner)
}

/// The name of a role; `None` if there is no such role.
pub fn role_name(role: pg_sys::Oid) -> Option<String> {
    if role == pg_sys::InvalidOid {
        return None;
    }
    // SAFETY: a syscache look-up that answers NULL for what is not there; the string is a copy.
    unsafe { copied(pg_sys::GetUserNameFromId(role, true)) }
}
