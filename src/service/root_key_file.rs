//! The root key file: one key a line, newest first.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::token::root_key::RootKey;

/// More than any sensible file of keys.
const MAX_BYTES: u64 = 16 * 1024;

/// The keys of the file, newest first; at least one.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the file can't be read, may be read by others than the server's user
/// and root, or holds something else than keys.
pub fn read(path: &Path) -> Result<Vec<RootKey>> {
    // Opening a named pipe would otherwise wait for a writer, deaf to every signal.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| unreadable(&error.to_string()))?;
    let metadata = file
        .metadata()
        .map_err(|error| unreadable(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file"));
    }
    // The rule of the server's own TLS key: ours and for us alone, or root's and for our group.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(
            unreadable("others than the server's user may read or write it").hint(
                "Make the file 0600 and owned by the server's user, or 0640 and owned by root.",
            ),
        );
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(&error.to_string()))?;
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
