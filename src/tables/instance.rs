//! The table `instance`: the identity of this database and, unless it lies in a file, the root key.
//!
//! The root key never passes through an SQL statement: whatever a statement binds, some setting or other writes
//! into the log (plans, parameters). The row is read and written directly.

use pgrx::pg_sys;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::pg::table::{Table, table};
use crate::pg::{relcache, scan, server, write};
use crate::token::InstanceId;
use crate::token::root_key::RootKey;

table! {
    /// The table `instance`: one row.
    Instances: Configuration = c"instance" {
        singleton: Bool,
        instance_id: Uuid,
        database_oid: Oid,
        root_key: Bytea null,
        root_fingerprint: Bytea,
    }
}

/// The row of `instance`.
pub struct Instance {
    /// The issuer of every token.
    pub id: InstanceId,
    /// The database that it was made in.
    pub database: pg_sys::Oid,
    /// The root key, unless it lies in a file.
    pub root: Option<RootKey>,
    /// Which root key wraps the ring.
    pub fingerprint: Vec<u8>,
}

/// The row as it is now.
pub fn read() -> Result<Option<Instance>> {
    let rows = scan::all(|row| {
        let root = row.get(Instances::root_key)?.map(Zeroizing::new);
        let root = root.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        Ok(Instance {
            id: InstanceId(*row.get(Instances::instance_id)?.as_bytes()),
            database: row.get(Instances::database_oid)?,
            root: root.map(RootKey::from),
            fingerprint: row.get(Instances::root_fingerprint)?,
        })
    })?;
    Ok(rows.into_iter().next())
}

static DELETE: Statement = Statement::new("DELETE FROM dialstack.instance");

/// Puts a row of this database in the place of what is there. Needs the lock that key changes take.
pub fn replace(owner: &AsOwner, id: InstanceId, root: Option<&RootKey>, fingerprint: &[u8]) -> Result<()> {
    DELETE.execute(owner, &[])?;
    write::insert::<Instances>(&[
        bind(true),
        bind(pgrx::Uuid::from_bytes(id.0)),
        bind(server::current_database()),
        bind(root.map(|key| key.expose().as_slice())),
        bind(fingerprint),
    ])?;
    // A direct write fires no trigger.
    relcache::invalidate(Some(Instances::relation().oid()?))
}
