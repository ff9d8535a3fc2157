//! How RocksDB is set up, and what its errors mean.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Options,
    WriteBufferManager, WriteOptions,
};

use super::key::Family;
use crate::{EngineOptions, error::EngineError};

/// Level vectors of at least this size stay where they were written when files are merged.
const BLOB_BYTES: u64 = 1024;
/// Longest log that an open after a crash has to read; families that write little are flushed to keep it.
const LOG_BYTES: u64 = 256 << 20;
/// Least memory of the store: below it every write would wait for a file.
const LEAST_CACHE_BYTES: usize = 16 << 20;
const BLOCK_BYTES: usize = 16 << 10;
const BLOOM_BITS: f64 = 10.0;

/// Memory that all families share: blocks that were read and writes that are not in files yet, in one budget.
pub(super) struct Memory {
    pub(super) cache: Cache,
    pub(super) writes: WriteBufferManager,
}

impl Memory {
    pub(super) fn new(options: &EngineOptions) -> Self {
        let capacity = options.cache_bytes.max(LEAST_CACHE_BYTES);
        let cache = Cache::new_lru_cache(capacity);
        let buffer = options.write_buffer_bytes.clamp(LEAST_CACHE_BYTES / 2, capacity);
        // Beyond the budget memtables are flushed. Writers do not wait for that: one batch larger than the budget would wait
        // for ever.
        let writes =
            WriteBufferManager::new_write_buffer_manager_with_cache(buffer, false, cache.clone());
        Self { cache, writes }
    }

    pub(super) fn families(&self) -> Vec<ColumnFamilyDescriptor> {
        let describe = |family: Family| {
            ColumnFamilyDescriptor::new(family.name(), family_options(family, &self.cache))
        };
        Family::ALL.into_iter().map(describe).collect()
    }

    pub(super) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as i32);
        options.set_max_background_jobs(cores.clamp(2, 8));
        options.set_write_buffer_manager(&self.writes);
        options.set_max_total_wal_size(LOG_BYTES);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        options.set_bytes_per_sync(1 << 20);
        options.set_paranoid_checks(true);
        // A log that should be there and is not is an error at open.
        options.set_track_and_verify_wals_in_manifest(true);
        // A log cut off by a crash is expected; one that is damaged before its end is an error, not a loss in silence.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        // Syncs are counted for a test; the counters would cost every read.
        #[cfg(test)]
        options.enable_statistics();
        options
    }

    /// Opens whatever can be opened; what cannot be read shows when it is read.
    pub(super) fn salvaging(&self) -> Options {
        let mut options = self.database();
        options.create_if_missing(false);
        options.set_paranoid_checks(false);
        options.set_track_and_verify_wals_in_manifest(false);
        options.set_wal_recovery_mode(DBRecoveryMode::SkipAnyCorruptedRecord);
        options
    }
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_cache_index_and_filter_blocks(true);
    if family == Family::Ids {
        blocks.set_bloom_filter(BLOOM_BITS, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    let compression = match family {
        Family::Records => DBCompressionType::Lz4,
        _ => DBCompressionType::None,
    };
    options.set_compression_type(compression);
    if family == Family::Levels {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_BYTES);
        options.set_enable_blob_gc(true);
        // A value that was read stays in memory and is compared there, within the budget of blocks.
        options.set_blob_cache(cache);
    }
    options
}

pub(super) fn write_options(sync: bool) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(sync);
    options
}

pub(super) fn open_error(dir: &Path, error: rocksdb::Error) -> EngineError {
    let text = error.to_string();
    if text.contains("LOCK") && text.contains("lock") {
        return EngineError::Locked { path: dir.to_owned(), reason: text };
    }
    match store_error(error) {
        // Of its log the store does not say which file it was reading.
        EngineError::Corrupt { what, reason } if what == "store" => {
            EngineError::Corrupt { what: logs_of(dir).unwrap_or(what), reason }
        }
        error => error,
    }
}

/// The files of the log.
fn logs_of(dir: &Path) -> Option<String> {
    let names = std::fs::read_dir(dir).ok()?.flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut logs: Vec<String> = names.filter(|name| name.ends_with(".log")).collect();
    logs.sort_unstable();
    (!logs.is_empty()).then(|| format!("log, one of the files {}", logs.join(", ")))
}

pub(super) fn store_error(error: rocksdb::Error) -> EngineError {
    let text = error.to_string();
    match error.kind() {
        rocksdb::ErrorKind::Corruption => {
            let what = file_in(&text).map_or("store".to_owned(), |file| format!("file {file}"));
            EngineError::corrupt(what, text)
        }
        // A file that is missing is as bad as one that is wrong.
        _ if text.contains("No such file") => match file_in(&text) {
            Some(file) => EngineError::corrupt(format!("file {file}"), text),
            None => EngineError::Store(text),
        },
        _ => EngineError::Store(text),
    }
}

/// The store's file that a message of RocksDB speaks of.
fn file_in(message: &str) -> Option<String> {
    let words = message.split(|c: char| c.is_whitespace() || "\"':;,()[]".contains(c));
    let names = words.filter_map(|word| word.rsplit('/').next());
    let is_file = |name: &&str| {
        let table = [".sst", ".blob", ".log"].iter().any(|end| {
            name.strip_suffix(end)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        });
        table || *name == "CURRENT" || name.starts_with("MANIFEST-")
    };
    names.map(|name| name.trim_end_matches('.')).find(is_file).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_at_fault_is_found_in_the_stores_messages() {
        let cases = [
            (
                "Corruption: block checksum mismatch: stored = 1, computed = 2 in /d/000012.sst offset 0",
                Some("000012.sst"),
            ),
            (
                "Corruption: Sst file size mismatch: /d/000009.sst. Size recorded in manifest 9, actual 8",
                Some("000009.sst"),
            ),
            (
                "IO error: No such file or directory: While open a file for random read: /d/000016.blob",
                Some("000016.blob"),
            ),
            ("Corruption: CURRENT file corrupted", Some("CURRENT")),
            ("Corruption: checksum mismatch in /d/MANIFEST-000005", Some("MANIFEST-000005")),
            ("Corruption: something else", None),
        ];
        for (message, file) in cases {
            assert_eq!(file_in(message).as_deref(), file, "{message}");
        }
    }
}
