//! The root key, which wraps the key ring: in the row of `instance`, or in a file with one key a line, newest
//! first.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::tables::instance::{self, Instance};
use crate::token::root_key::{RootKey, fingerprint};
use crate::token::{InstanceId, KeyError};

/// The root key that wraps the ring of this instance, from the row or from the file.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where it is not there or is another one.
pub fn of(instance: &Instance) -> Result<RootKey> {
    let candidates = match (&instance.root, guc::root_key_file()) {
        (Some(root), _) => vec![root.clone()],
        (None, Some(path)) => read(&path)?,
        (None, None) => {
            return Err(Error::new(Code::JwtNotAvailable, "the root key is in a file, and no file is set")
                    .hint("Set dialstack_sessions.root_key_file to the file that holds the root key and reload the configuration."));
        }
    };
    let found = candidates.into_iter().find(|root| fingerprint(root).as_slice() == instance.fingerprint);
    found.ok_or_else(|| {
            Error::new(Code::JwtNotAvailable, "the root key does not open the key ring")
                .hint("Put the root key that wrapped the ring back into dialstack_sessions.root_key_file. If it is lost, dialstack.instance_reset() makes a new ring; every token of before is then dead.")
        })
}

/// A root key that is to wrap the ring from now on.
pub struct NewRoot {
    pub key: RootKey,
    /// Whether it is the first of the file that is set; else a fresh one, for the row.
    in_file: bool,
}

impl NewRoot {
    /// The first key of the file where one is set, else a fresh one.
    pub fn make() -> Result<Self> {
        let Some(path) = guc::root_key_file() else {
            return Ok(NewRoot { key: RootKey::from(random::bytes()?), in_file: false });
        };
        // The reader refuses a file without a key.
        let first = read(&path)?.into_iter().next();
        Ok(NewRoot { key: first.ok_or(KeyError::Unwrap)?, in_file: true })
    }

    /// Where it lies: `file` or `row`.
    pub fn place(&self) -> &'static str {
        if self.in_file { "file" } else { "row" }
    }

    /// Makes it the root key of this database.
    pub fn store(&self, owner: &AsOwner, id: InstanceId) -> Result<()> {
        let in_row = (!self.in_file).then_some(&self.key);
        instance::replace(owner, id, in_row, &fingerprint(&self.key))
    }
}

/// More than any sensible file of keys.
const MAX_BYTES: u64 = 16 * 1024;

/// The keys of the file, newest first; at least one.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the file can't be read, may be read by others than the server's user
/// and root, or holds something else than keys.
fn read(path: &Path) -> Result<Vec<RootKey>> {
    // Opening a named pipe would otherwise wait for a writer, deaf to every signal.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| unreadable(&error.to_string()))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file"));
    }
    // The rule of the server's own TLS key: ours and for us alone, or root's and for our group.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(unreadable("others than the server's user may read or write it")
            .hint("Make the file 0600 and owned by the server's user, or 0640 and owned by root."));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| unreadable(&error.to_string()))?;
    let keys: Vec<RootKey> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| RootKey::parse(line).map_err(|_| unreadable("a line is not a key")))
        .collect::<Result<_>>()?;
    if keys.is_empty() {
        return Err(unreadable("it holds no key"));
    }
    Ok(keys)
}

fn unreadable(why: &str) -> Error {
    Error::new(Code::JwtNotAvailable, "the root key file is of no use")
        .detail(format!("The file that dialstack_sessions.root_key_file names: {why}."))
        .hint("Put one 256-bit key a line into the file that dialstack_sessions.root_key_file names, as 64 hexadecimal digits or base64, newest first.")
}
