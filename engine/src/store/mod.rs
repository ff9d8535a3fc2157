//! The truth: everything that survives the process. It is the only room that names RocksDB.
//!
//! It promises that a batch is written whole or not at all, as durably as asked, and that what is read was written. What
//! the values mean to a search is the business of others.

mod batch;
mod frame;
pub(crate) mod key;
mod posting;
mod value;
mod view;

use std::path::Path;

pub(crate) use batch::{Batch, SideValue};
pub(crate) use key::CollectionId;
pub(crate) use posting::{End, FieldValue, KeyRange};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Options, Range, WriteOptions,
};
pub(crate) use value::{encode_levels, encode_record};
pub(crate) use view::View;

use self::{
    frame::FrameError,
    key::{FORMAT, FORMAT_VERSION, Family},
};
use crate::{
    Durability,
    error::{EngineError, Result},
};

/// Memory for writes that are not in files yet, over all families.
const WRITE_BUFFER_BYTES: usize = 128 << 20;
/// Level vectors of at least this size stay where they were written when files are merged.
const BLOB_BYTES: u64 = 1024;
/// Longest log that an open after a crash has to read; families that write little are flushed to keep it.
const LOG_BYTES: u64 = 256 << 20;
const BLOCK_BYTES: usize = 16 << 10;
const BLOOM_BITS: f64 = 10.0;

/// An open data directory.
pub(crate) struct Store {
    db: DB,
}

impl Store {
    /// Opens the directory, making it if need be; fails while another process has it open.
    pub(crate) fn open(dir: &Path, cache_bytes: usize) -> Result<Self> {
        check_directory(dir)?;
        std::fs::create_dir_all(dir)
            .map_err(|source| EngineError::Io { path: dir.to_owned(), source })?;
        let cache = Cache::new_lru_cache(cache_bytes);
        let families = Family::ALL.map(|family| {
            ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache))
        });
        let db = DB::open_cf_descriptors(&database_options(), dir, families)
            .map_err(|error| open_error(dir, &error))?;
        let store = Self { db };
        store.check_format()?;
        Ok(store)
    }

    /// Reads that all see the same moment.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(self)
    }

    /// Rough bytes of a collection in files.
    pub(crate) fn disk_bytes(&self, collection: CollectionId) -> u64 {
        let (start, end) = (collection.start(), collection.end());
        let sizes = Family::DATA.map(|family| {
            let range = Range::new(&start, &end);
            let cf = self.family(family).ok();
            let sizes = cf.map(|cf| self.db.get_approximate_sizes_cf(cf, &[range]));
            sizes.map_or(0, |sizes| sizes.iter().sum())
        });
        sizes.iter().sum()
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily> {
        let missing = || EngineError::corrupt("store", format!("no family {:?}", family.name()));
        self.db.cf_handle(family.name()).ok_or_else(missing)
    }

    /// A new store is given this program's format; an old one must have it.
    fn check_format(&self) -> Result<()> {
        match self.db.get(FORMAT).map_err(store_error)? {
            None => {
                let version = FORMAT_VERSION.to_be_bytes();
                let options = write_options(Durability::Fsync);
                self.db.put_opt(FORMAT, version, &options).map_err(store_error)
            }
            Some(bytes) => match <[u8; 4]>::try_from(bytes.as_slice()).map(u32::from_be_bytes) {
                Ok(FORMAT_VERSION) => Ok(()),
                Ok(found) => {
                    Err(EngineError::UnsupportedFormat { found, supported: FORMAT_VERSION })
                }
                Err(_) => Err(EngineError::corrupt("format version", "it is not four bytes")),
            },
        }
    }
}

/// Refuses to scatter a store among the files of something else.
fn check_directory(dir: &Path) -> Result<()> {
    let refuse = |reason: &str| {
        Err(EngineError::invalid("data directory", format!("{} {reason}", dir.display())))
    };
    if dir.is_file() {
        return refuse("is a file, not a directory");
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_store = names.iter().any(|name| name == "CURRENT" || name == "LOCK");
    let foreign = |name: &std::ffi::OsString| name != "lost+found";
    if !is_store && names.iter().any(foreign) {
        return refuse("holds files that are not Moiety's; name an empty or a new directory");
    }
    Ok(())
}

fn write_options(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durability == Durability::Fsync);
    options
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as i32);
    options.set_max_background_jobs(cores.clamp(2, 8));
    options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_total_wal_size(LOG_BYTES);
    options.set_max_open_files(512);
    options.set_keep_log_file_num(4);
    options.set_bytes_per_sync(1 << 20);
    // A log cut off by a crash is expected; one that is damaged before its end is an error, not a loss in silence.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options
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
    }
    options
}

fn open_error(dir: &Path, error: &rocksdb::Error) -> EngineError {
    let text = error.to_string();
    if text.contains("LOCK") && text.contains("lock") {
        EngineError::Locked { path: dir.to_owned(), reason: text }
    } else {
        store_error(error.clone())
    }
}

fn store_error(error: rocksdb::Error) -> EngineError {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => EngineError::corrupt("store", error.to_string()),
        _ => EngineError::Store(error.to_string()),
    }
}

fn frame_error(what: impl FnOnce() -> String) -> impl FnOnce(FrameError) -> EngineError {
    |error| EngineError::corrupt(what(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Side};

    const COLLECTION: CollectionId = CollectionId(3);

    fn store(dir: &Path) -> Store {
        Store::open(dir, 1 << 20).unwrap()
    }

    fn put(store: &Store, family: Family, key: Vec<u8>, value: &[u8]) {
        store.db.put_cf(store.family(family).unwrap(), key, value).unwrap();
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        put(&store(dir.path()), Family::Meta, FORMAT.to_vec(), &99u32.to_be_bytes());
        let error = Store::open(dir.path(), 1 << 20).err().unwrap();
        assert!(matches!(error, EngineError::UnsupportedFormat { found: 99, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }

    #[test]
    fn damaged_values_are_errors_that_name_the_value() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let side = COLLECTION.side_key(Side::Text, 1);
        put(&store, Family::Ids, COLLECTION.id_key("a"), b"short");
        put(&store, Family::Records, COLLECTION.record_key(1), b"garbage");
        put(&store, Family::Vectors, side.clone(), &[1; 40]);
        put(&store, Family::Levels, side, &[]);
        put(&store, Family::Meta, key::collection_key("x"), b"{}");
        let view = store.view();
        let errors = [
            view.version(COLLECTION, "a").err(),
            view.records(COLLECTION, &[1]).err(),
            view.vector(COLLECTION, Side::Text, 1).err(),
            view.levels(COLLECTION, Side::Text, &[1]).err(),
            view.located_levels(COLLECTION, Side::Text, 1).err(),
            view.collections().err(),
        ];
        for error in errors {
            assert_eq!(error.unwrap().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn a_view_keeps_its_moment_and_a_removed_collection_leaves_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let write = |collection: CollectionId, id: &str, version| {
            let mut batch = Batch::new(&store);
            batch.put_record(collection, id, version, b"").unwrap();
            batch.write(Durability::Wal).unwrap();
        };
        let neighbour = CollectionId(4);
        write(COLLECTION, "a", 7);
        write(neighbour, "a", 9);
        let before = store.view();
        let mut batch = Batch::new(&store);
        batch.remove_collection("x", COLLECTION).unwrap();
        batch.write(Durability::Fsync).unwrap();
        let after = store.view();
        assert_eq!(before.version(COLLECTION, "a").unwrap(), Some(7));
        assert_eq!(before.last_version(COLLECTION).unwrap(), Some(7));
        assert_eq!(after.version(COLLECTION, "a").unwrap(), None);
        assert_eq!(after.last_version(COLLECTION).unwrap(), None);
        assert_eq!(after.version(neighbour, "a").unwrap(), Some(9));
    }
}
