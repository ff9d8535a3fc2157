//! What a store takes of disk and memory, by component.

use std::fs;

use super::Store;

/// Bytes by component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUse {
    /// Sorted tables.
    pub table_bytes: u64,
    /// Blobs: large level vectors.
    pub blob_bytes: u64,
    /// The write-ahead log.
    pub log_bytes: u64,
    /// All other files of the store.
    pub other_bytes: u64,
    /// Memory: writes that are not in files yet.
    pub write_buffer_bytes: u64,
    /// Memory: cached blocks and what is counted with them.
    pub block_cache_bytes: u64,
}

impl StoreUse {
    /// All that is on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.table_bytes + self.blob_bytes + self.log_bytes + self.other_bytes
    }
}

impl Store {
    /// Measures it now. Files that go away meanwhile are not counted.
    pub(crate) fn usage(&self) -> StoreUse {
        let mut found = StoreUse {
            write_buffer_bytes: self.memory.writes.get_usage() as u64,
            block_cache_bytes: self.memory.cache.get_usage() as u64,
            ..StoreUse::default()
        };
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() {
                continue;
            }
            let path = entry.path();
            let component = match path.extension().and_then(|end| end.to_str()) {
                Some("sst") => &mut found.table_bytes,
                Some("blob") => &mut found.blob_bytes,
                Some("log") => &mut found.log_bytes,
                _ => &mut found.other_bytes,
            };
            *component += meta.len();
        }
        found
    }
}
