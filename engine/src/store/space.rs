//! The edge of the disk: writes stop before it, so that the store never meets it.

use std::path::PathBuf;

use crate::{
    FreeSpace,
    error::{EngineError, Result},
};

/// A write is in the log and then in a file before the log is gone; a merge needs as much again.
const COPIES: u64 = 3;

/// Where the store lies, and how much it leaves free.
pub(crate) struct Space {
    dir: PathBuf,
    probe: FreeSpace,
    reserve: u64,
}

impl Space {
    pub(super) fn new(dir: PathBuf, probe: FreeSpace, reserve: u64) -> Self {
        Self { dir, probe, reserve }
    }

    /// Refuses to write this many bytes where they would go below the reserve.
    pub(crate) fn check(&self, bytes: u64) -> Result<()> {
        let path = self.dir.clone();
        let free = self
            .probe
            .at(&path)
            .map_err(|source| EngineError::Io { path: path.clone(), source })?;
        let needed = self.reserve.saturating_add(bytes.saturating_mul(COPIES));
        if free >= needed {
            return Ok(());
        }
        Err(EngineError::DiskFull { path, free, needed })
    }
}
