//! A copy of the whole store as it is at one moment, by hard links where the file system has them.

use std::{fs, path::Path};

use rocksdb::checkpoint::Checkpoint;

use super::{Store, lock::LOCK_FILE, settings::store_error};
use crate::error::{EngineError, Result};

impl Store {
    /// Makes a copy in a directory that does not exist yet; writers go on meanwhile.
    pub(crate) fn checkpoint(&self, dir: &Path) -> Result<()> {
        let checkpoint = Checkpoint::new(&self.db).map_err(store_error)?;
        checkpoint.create_checkpoint(dir).map_err(store_error)
    }
}

/// Whether a file of a store's directory says nothing of what is stored: a log for people, a lock.
pub(crate) fn is_incidental(name: &str) -> bool {
    name == LOCK_FILE || name == "LOCK" || name == "LOG" || name.starts_with("LOG.old")
}

/// Removes what an open for reading leaves behind.
pub(crate) fn remove_incidental(dir: &Path) -> Result<()> {
    let at = |source| EngineError::Io { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(at)? {
        let entry = entry.map_err(at)?;
        if entry.file_name().to_str().is_some_and(is_incidental) {
            fs::remove_file(entry.path()).map_err(at)?;
        }
    }
    Ok(())
}
