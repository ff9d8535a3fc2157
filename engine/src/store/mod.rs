//! The truth: everything that survives the process. It is the only room that names RocksDB.
//!
//! It promises that a batch is written whole or not at all, as durably as asked, and that what is read was written. What
//! the values mean to a search is the business of others.

mod batch;
mod checkpoint;
mod files;
mod frame;
pub(crate) mod key;
mod level_value;
mod lock;
mod migrate;
mod posting;
mod salvage;
mod settings;
mod space;
mod sync;
mod value;
mod view;

use std::path::{Path, PathBuf};

pub(crate) use batch::{Batch, SideValue};
pub(crate) use checkpoint::{is_incidental, remove_incidental};
pub use files::StoreUse;
pub(crate) use key::CollectionId;
pub(crate) use level_value::encode_levels;
#[cfg(test)]
pub(crate) use level_value::read_levels;
pub use migrate::Migrated;
pub(crate) use migrate::migrate;
pub(crate) use posting::{End, FieldValue, KeyRange};
use rocksdb::{ColumnFamily, DB, Range};
pub use salvage::Damage;
pub(crate) use salvage::relist;
pub(crate) use space::Space;
pub(crate) use sync::Ticket;
pub(crate) use value::encode_record;
pub use value::read_any_value;
pub(crate) use view::View;

use self::{
    frame::FrameError,
    key::{FORMAT, FORMAT_VERSION, Family},
    lock::{DirectoryLock, unwritable},
    salvage::Salvage,
    settings::{Memory, open_error, store_error, write_options},
    sync::SharedSync,
};
use crate::{
    Access, Durability, EngineOptions, Patience,
    error::{EngineError, Result},
};

/// An open data directory.
pub(crate) struct Store {
    db: DB,
    dir: PathBuf,
    access: Access,
    memory: Memory,
    space: Space,
    sync: SharedSync,
    /// What can be read, where the directory is damaged.
    salvage: Option<Salvage>,
    // Let go last.
    _lock: DirectoryLock,
}

impl Store {
    /// Opens the directory, making it if need be and allowed; fails while another process has it open.
    pub(crate) fn open(dir: &Path, options: &EngineOptions) -> Result<Self> {
        let store = Self::open_any_format(dir, options)?;
        match store.format()? {
            FORMAT_VERSION => Ok(store),
            found => Err(EngineError::UnsupportedFormat { found, supported: FORMAT_VERSION }),
        }
    }

    fn open_any_format(dir: &Path, options: &EngineOptions) -> Result<Self> {
        let lock = prepare_directory(dir, options.access)?;
        let memory = Memory::new(options);
        let (settings, families) = (memory.database(), memory.families());
        let db = match options.access {
            Access::ReadWrite => DB::open_cf_descriptors(&settings, dir, families),
            Access::ReadOnly => DB::open_cf_descriptors_read_only(&settings, dir, families, false),
        };
        let db = db.map_err(|error| open_error(dir, error))?;
        let store = Self::assemble(db, dir, options, memory, lock);
        store.begin_format()?;
        Ok(store)
    }

    /// Opens what can be read of a damaged directory.
    pub(crate) fn open_damaged(dir: &Path, options: &EngineOptions) -> Result<Self> {
        let lock = prepare_directory(dir, Access::ReadOnly)?;
        let memory = Memory::new(options);
        let (settings, families) = (memory.salvaging(), memory.families());
        let db = DB::open_cf_descriptors_read_only(&settings, dir, families, false)
            .map_err(|error| open_error(dir, error))?;
        let options = EngineOptions { access: Access::ReadOnly, ..options.clone() };
        let mut store = Self::assemble(db, dir, &options, memory, lock);
        match store.format()? {
            FORMAT_VERSION => {}
            found => {
                return Err(EngineError::UnsupportedFormat { found, supported: FORMAT_VERSION });
            }
        }
        store.salvage = Some(Salvage::of(&store)?);
        Ok(store)
    }

    fn assemble(
        db: DB,
        dir: &Path,
        options: &EngineOptions,
        memory: Memory,
        lock: DirectoryLock,
    ) -> Self {
        let space = Space::new(dir.to_owned(), options.free_space.clone(), options.reserve_bytes);
        Self {
            db,
            dir: dir.to_owned(),
            access: options.access,
            memory,
            space,
            sync: SharedSync::default(),
            salvage: None,
            _lock: lock,
        }
    }

    /// Reads that all see the same moment.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(self)
    }

    /// Where it lies.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What cannot be read, when it was opened in spite of damage.
    pub(crate) fn damage(&self) -> Option<&Damage> {
        self.salvage.as_ref().map(|salvage| &salvage.damage)
    }

    /// Says whether anything may be written, deletions included.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match (self.access, self.sync.failure()) {
            (Access::ReadOnly, _) => Err(EngineError::ReadOnly { path: self.dir.clone() }),
            (_, Some(reason)) => Err(EngineError::Store(format!(
                "an earlier sync failed, so nothing more is written until the directory is opened again: {reason}"
            ))),
            _ => Ok(()),
        }
    }

    /// Says whether this many bytes of new records may be written.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        self.check_writable()?;
        self.space.check(bytes)
    }

    /// Comes back when what the ticket stands for is on the disk.
    pub(crate) fn wait_for_sync(&self, ticket: Option<Ticket>) -> Result<()> {
        let Some(ticket) = ticket else { return Ok(()) };
        let sync = || self.db.flush_wal(true).map_err(|error| error.to_string());
        self.sync.wait(ticket, sync).map_err(EngineError::Store)
    }

    /// Moves what is in the log alone to files.
    pub(crate) fn flush(&self) -> Result<()> {
        Family::ALL
            .into_iter()
            .try_for_each(|family| self.db.flush_cf(self.family(family)?).map_err(store_error))
    }

    /// Merges the files of a collection, so that what was deleted and replaced takes no space.
    pub(crate) fn compact(&self, collection: CollectionId, patience: &Patience) -> Result<()> {
        for family in Family::DATA {
            patience.check()?;
            let (start, end) = (collection.start(), collection.end());
            self.db.compact_range_cf(self.family(family)?, Some(start), Some(end));
        }
        Ok(())
    }

    /// Rough bytes of a collection in tables; what is in the log alone or in blobs is not in it.
    pub(crate) fn table_bytes(&self, collection: CollectionId) -> u64 {
        let (start, end) = (collection.start(), collection.end());
        let sizes = Family::DATA.map(|family| {
            let range = Range::new(&start, &end);
            let cf = self.family(family).ok();
            let sizes = cf.map(|cf| self.db.get_approximate_sizes_cf(cf, &[range]));
            sizes.map_or(0, |sizes| sizes.iter().sum())
        });
        sizes.iter().sum()
    }

    /// Removes what collections without a name have left: of a restore that was killed, or a drop.
    pub(crate) fn remove_unnamed(&self, named: &[CollectionId]) -> Result<()> {
        let next = self.view().next_collection()?;
        for number in (0..next.0).map(CollectionId).filter(|number| !named.contains(number)) {
            if self.view().holds(number)? {
                self.remove_contents(number)?;
            }
        }
        Ok(())
    }

    /// Removes all keys of a collection but its description.
    pub(crate) fn remove_contents(&self, collection: CollectionId) -> Result<()> {
        let mut batch = Batch::new(self);
        batch.remove_contents(collection)?;
        batch.write(Durability::Wal)
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily> {
        let missing = || EngineError::corrupt("store", format!("no family {:?}", family.name()));
        self.db.cf_handle(family.name()).ok_or_else(missing)
    }

    /// A new store is given this program's format.
    fn begin_format(&self) -> Result<()> {
        let there = self.db.get(FORMAT).map_err(store_error)?.is_some();
        if there || self.access == Access::ReadOnly {
            return Ok(());
        }
        self.put_format(FORMAT_VERSION)
    }

    fn put_format(&self, version: u32) -> Result<()> {
        self.db.put_opt(FORMAT, version.to_be_bytes(), &write_options(true)).map_err(store_error)
    }

    /// The format version of everything in it.
    fn format(&self) -> Result<u32> {
        let bytes = self.db.get(FORMAT).map_err(store_error)?;
        let Some(bytes) = bytes else {
            return Err(EngineError::corrupt("format version", "it is missing"));
        };
        let bytes = <[u8; 4]>::try_from(bytes.as_slice());
        bytes
            .map(u32::from_be_bytes)
            .map_err(|_| EngineError::corrupt("format version", "it is not four bytes"))
    }
}

/// Checks that the directory is a store's or can become one, and takes its lock.
fn prepare_directory(dir: &Path, access: Access) -> Result<DirectoryLock> {
    let there = check_directory(dir)?;
    if access == Access::ReadWrite {
        std::fs::create_dir_all(dir).map_err(|source| unwritable(dir, source))?;
    } else if !there {
        let reason = format!("{} holds no database to read", dir.display());
        return Err(EngineError::invalid("data directory", reason));
    }
    DirectoryLock::take(dir, access)
}

/// Refuses to scatter a store among the files of something else; says whether a store is there.
fn check_directory(dir: &Path) -> Result<bool> {
    let refuse = |reason: &str| {
        Err(EngineError::invalid("data directory", format!("{} {reason}", dir.display())))
    };
    if dir.is_file() {
        return refuse("is a file, not a directory");
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(false) };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_store = names.iter().any(|name| name == "CURRENT" || name == "LOCK");
    // RocksDB writes its options last, and tables later still: a directory with either held a whole store once.
    let was_store = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with("OPTIONS-") || name.ends_with(".sst")
    };
    if !is_store && names.iter().any(was_store) {
        let missing = dir.join("CURRENT").display().to_string();
        return Err(EngineError::corrupt(missing, "it is missing; `moiety repair` saves the rest"));
    }
    let ours = ["lost+found", lock::LOCK_FILE, crate::snapshot::FOLDER, crate::graphs::FOLDER];
    let foreign = |name: &std::ffi::OsString| !ours.iter().any(|ours| name == ours);
    if !is_store && names.iter().any(foreign) {
        return refuse("holds files that are not Moiety's; name an empty or a new directory");
    }
    Ok(is_store)
}

fn frame_error(what: impl FnOnce() -> String) -> impl FnOnce(FrameError) -> EngineError {
    |error| EngineError::corrupt(what(), error.to_string())
}

#[cfg(test)]
mod tests {
    use rocksdb::properties;

    use super::*;
    use crate::{ErrorKind, Side};

    const COLLECTION: CollectionId = CollectionId(3);

    fn store(dir: &Path) -> Store {
        Store::open(dir, &EngineOptions::default()).unwrap()
    }

    fn put(store: &Store, family: Family, key: Vec<u8>, value: &[u8]) {
        store.db.put_cf(store.family(family).unwrap(), key, value).unwrap();
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        put(&store(dir.path()), Family::Meta, FORMAT.to_vec(), &99u32.to_be_bytes());
        let error = Store::open(dir.path(), &EngineOptions::default()).err().unwrap();
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
        put(&store, Family::Vectors, side.to_vec(), &[1; 40]);
        put(&store, Family::Levels, side.to_vec(), &[]);
        put(&store, Family::Meta, key::collection_key("x"), b"{}");
        let view = store.view();
        let errors = [
            view.version(COLLECTION, "a").err(),
            view.records(COLLECTION, &[1]).err(),
            view.vector(COLLECTION, Side::Text, 1).err(),
            view.each_levels(COLLECTION, Side::Text, &[1], |_| ()).err(),
            view.levels(COLLECTION, Side::Text, 1).err(),
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

    /// Times that the log was synced.
    fn syncs(store: &Store) -> u64 {
        let counters = store.db.property_value(properties::OPTIONS_STATISTICS).unwrap().unwrap();
        let line = counters.lines().find(|line| line.starts_with("rocksdb.wal.synced ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_write_is_synced_before_it_returns_where_that_is_promised_and_only_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let mut version = 0;
        for (durability, each) in
            [(Durability::Fsync, 1), (Durability::Grouped, 1), (Durability::Wal, 0)]
        {
            for _ in 0..3 {
                let before = syncs(&store);
                version += 1;
                let mut batch = Batch::new(&store);
                batch.put_record(COLLECTION, "a", version, b"").unwrap();
                batch.write(durability).unwrap();
                assert_eq!(syncs(&store) - before, each, "{durability:?}");
            }
        }
    }
}
