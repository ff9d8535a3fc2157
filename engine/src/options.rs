//! How an engine uses the machine: memory, disk, and whether it may write at all.

use std::{fmt, io, path::Path, sync::Arc};

/// How an engine uses the machine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Memory for the store's cache of blocks and for writes that are not in files yet, in bytes.
    pub cache_bytes: usize,
    /// The part of `cache_bytes` that writes may fill before they are moved to files, in bytes. Writers do not wait for that.
    pub write_buffer_bytes: usize,
    /// Memory for vectors and graphs of all collections, in bytes, that of a graph while it is built included. Writes beyond
    /// it are refused, nothing else is: a collection that there is no room for at an open is searched on the disk. Where
    /// there is room beside them, fingerprints are in memory too.
    pub index_bytes: usize,
    /// Indexes with fewer vectors than this have no graph and are always searched exactly.
    pub exact_below: usize,
    /// Whether records may be written.
    pub access: Access,
    /// Free space that writes leave on the disk, in bytes, so that files can still be merged and records deleted.
    pub reserve_bytes: u64,
    /// How free space is measured.
    pub free_space: FreeSpace,
    /// What an open waits for.
    pub start: Start,
    /// Threads that read and encode what is written, below the priority of searches; 0 takes one per core.
    pub write_threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            write_buffer_bytes: 128 << 20,
            index_bytes: usize::MAX,
            exact_below: moiety_index::EXACT_BELOW,
            access: Access::ReadWrite,
            reserve_bytes: 512 << 20,
            free_space: FreeSpace::of_the_disk(),
            start: Start::Loaded,
            write_threads: 0,
        }
    }
}

impl EngineOptions {
    /// Divides a budget of memory: a quarter for the store (half of it for writes), the rest for vectors, graphs and fingerprints.
    ///
    /// The model and the requests at work are not in it.
    pub fn within_memory(bytes: usize) -> Self {
        let cache_bytes = (bytes / 4).max(8 << 20);
        Self {
            cache_bytes,
            write_buffer_bytes: cache_bytes / 2,
            index_bytes: bytes.saturating_sub(cache_bytes),
            ..Self::default()
        }
    }
}

/// Whether records may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// This process alone has the directory.
    #[default]
    ReadWrite,
    /// Nothing is written; other readers may have the directory open too. A directory with damaged files opens as well:
    /// what can be read is served, and [`Engine::damage`](crate::Engine::damage) names the rest.
    ReadOnly,
}

/// What an open waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// All vectors that there is room for are in memory when the open comes back.
    #[default]
    Loaded,
    /// Vectors are read in the background. Until they are, searches read them from the store: exact, and slow.
    AtOnce,
}

/// Measures the bytes that are free for this process where a path lies.
#[derive(Clone)]
pub struct FreeSpace(Arc<Probe>);

type Probe = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

impl FreeSpace {
    /// Asks the file system.
    pub fn of_the_disk() -> Self {
        Self::measured_by(|path| {
            let found = rustix::fs::statvfs(path)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        })
    }

    /// Asks this function.
    pub fn measured_by(probe: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(probe))
    }

    /// Bytes free at this path.
    pub fn at(&self, path: &Path) -> io::Result<u64> {
        (self.0)(path)
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace")
    }
}
