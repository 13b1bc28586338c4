//! The table `instance`: the identity of this database and, unless it lies in a file, the root key.
//!
//! The root key never passes through an SQL statement, because what a statement binds can be in the server's log
//! (parameters, plans). The row is read by direct scan and written by direct write.

use pgrx::pg_sys;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::random;
use crate::pg::relcache::{self, Rel};
use crate::pg::roles::AsOwner;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::write;
use crate::service::root_key_file;
use crate::token::InstanceId;
use crate::token::root_key::{self, RootKey};

/// The row of `instance`.
pub struct Instance {
    /// The issuer of every token.
    pub id: InstanceId,
    /// The database that it was made in.
    pub database: pg_sys::Oid,
    /// When it was made.
    pub created_at: Micros,
    root: Option<RootKey>,
    fingerprint: Vec<u8>,
}

/// The row as it is now.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where there is none.
pub fn read() -> Result<Instance> {
    scan::first(Rel::Instance, None, &[], |row| {
        Some(Instance {
            id: InstanceId(*row.get::<pgrx::Uuid>(2)?.as_bytes()),
            database: row.get(3)?,
            root: row
                .get::<Vec<u8>>(4)
                .and_then(|bytes| root_from_bytes(Zeroizing::new(bytes))),
            fingerprint: row.get(5)?,
            created_at: clock::micros(row.get(6)?),
        })
    })?
    .ok_or_else(|| {
        Error::new(
            Code::JwtNotAvailable,
            "this database has no instance identity",
        )
        .hint(
            "Run SELECT * FROM dialstack.instance_reset() to make one; tokens of before are dead.",
        )
    })
}

fn root_from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<RootKey> {
    <[u8; 32]>::try_from(bytes.as_slice())
        .ok()
        .map(RootKey::from)
}

impl Instance {
    /// The root key that wraps the ring, from the row or from the file.
    pub fn root(&self) -> Result<RootKey> {
        let candidates = match (&self.root, guc::root_key_file()) {
            (Some(root), _) => vec![root.clone()],
            (None, Some(path)) => root_key_file::read(&path)?,
            (None, None) => {
                return Err(Error::new(Code::JwtNotAvailable, "the root key is in a file, and no file is set")
                    .hint("Set dialstack_sessions.root_key_file to the file that holds the root key and reload the configuration."));
            }
        };
        let found = candidates
            .into_iter()
            .find(|root| root_key::fingerprint(root).as_slice() == self.fingerprint);
        found.ok_or_else(|| {
            Error::new(Code::JwtNotAvailable, "the root key does not open the key ring")
                .hint("Put the root key that wrapped the ring back into dialstack_sessions.root_key_file. If it is lost, dialstack.instance_reset() makes a new ring; every token of before is then dead.")
        })
    }
}

/// A root key that is to wrap the ring from now on.
pub enum NewRoot {
    /// The first of the file that is set.
    File(RootKey),
    /// A fresh one, for the row.
    Row(RootKey),
}

impl NewRoot {
    /// The first key of the file where one is set, else a fresh one.
    pub fn make() -> Result<Self> {
        let Some(path) = guc::root_key_file() else {
            return Ok(NewRoot::Row(RootKey::from(random::bytes()?)));
        };
        let keys = root_key_file::read(&path)?;
        // The reader refuses a file without a key.
        let first = keys.into_iter().next();
        Ok(NewRoot::File(first.ok_or(crate::token::KeyError::Unwrap)?))
    }

    /// The key.
    pub fn key(&self) -> &RootKey {
        match self {
            NewRoot::File(key) | NewRoot::Row(key) => key,
        }
    }

    /// Where it lies: `file` or `row`.
    pub fn place(&self) -> &'static str {
        match self {
            NewRoot::File(_) => "file",
            NewRoot::Row(_) => "row",
        }
    }
}

static DELETE: Statement = Statement::new("DELETE FROM dialstack.instance");

/// Puts one row in the place of what is there. Needs the lock that key changes take.
pub fn replace(owner: &AsOwner, id: InstanceId, root: &NewRoot, created_at: Micros) -> Result<()> {
    DELETE.execute(owner, &[])?;
    let in_row = match root {
        NewRoot::Row(key) => Some(Zeroizing::new(key.expose().to_vec())),
        NewRoot::File(_) => None,
    };
    // SAFETY: a variable of the backend, set once at its start.
    let database = unsafe { pg_sys::MyDatabaseId };
    let fingerprint = root_key::fingerprint(root.key());
    let values = [
        bind(true),
        bind(pgrx::Uuid::from_bytes(id.0)),
        bind(database),
        bind(in_row.as_ref().map(|key| key.as_slice())),
        bind(fingerprint.as_slice()),
        bind(clock::timestamptz(created_at)),
    ];
    write::insert(Rel::Instance, &values)?;
    // No trigger has sent it.
    relcache::invalidate(relcache::oid(Rel::Instance)?)
}
