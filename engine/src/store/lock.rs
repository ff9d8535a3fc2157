//! One process writes a directory, or any number read it.
//!
//! The store has a lock of its own against a second writer; this one also keeps readers and writers apart, and says who
//! holds the directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use crate::{
    Access,
    error::{EngineError, Result},
};

/// Name of the file that is locked.
pub(super) const LOCK_FILE: &str = "moiety.lock";

/// How often a lock is tried before its holder is taken to stay.
const ATTEMPTS: usize = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(30);

/// The right to a directory, for as long as it lives.
pub(super) struct DirectoryLock {
    /// Absent where nobody can write: on a read-only file system.
    _file: Option<File>,
}

impl DirectoryLock {
    pub(super) fn take(dir: &Path, access: Access) -> Result<Self> {
        let Some(mut file) = open(dir, access)? else { return Ok(Self { _file: None }) };
        match lock(&file, access) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (path, reason) = (dir.to_owned(), holder(&mut file));
                return Err(EngineError::Locked { path, reason });
            }
            // Some network file systems have no locks; the store's own stands.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => {
                return Err(EngineError::Io { path: dir.join(LOCK_FILE), source });
            }
        }
        if access == Access::ReadWrite {
            // Only for the message above: a lock without a name holds as well.
            let _ = sign(&mut file);
        }
        Ok(Self { _file: Some(file) })
    }
}

/// Tries for a moment: the lock of a program that is gone lives on in a child that it forked, until the child begins a program
/// of its own.
fn lock(file: &File, access: Access) -> std::result::Result<(), TryLockError> {
    let attempt = || match access {
        Access::ReadWrite => file.try_lock(),
        Access::ReadOnly => file.try_lock_shared(),
    };
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_ATTEMPTS),
            taken => return taken,
        }
    }
    attempt()
}

fn open(dir: &Path, access: Access) -> Result<Option<File>> {
    let path = dir.join(LOCK_FILE);
    let writable =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    match (writable, access) {
        (Ok(file), _) => Ok(Some(file)),
        (Err(_), Access::ReadOnly) => match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EngineError::Io { path, source }),
        },
        (Err(source), Access::ReadWrite) => Err(unwritable(dir, source)),
    }
}

/// What to do about a directory that cannot be written.
pub(super) fn unwritable(dir: &Path, source: io::Error) -> EngineError {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            EngineError::ReadOnly { path: dir.to_owned() }
        }
        _ => EngineError::Io { path: dir.to_owned(), source },
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id} wrote there last and it is still open"),
        _ => "it is open elsewhere".to_owned(),
    }
}
