//! The engine: an encoder and a directory of collections.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use moiety_encoder::{Encoder, property::Heads};
use moiety_index::Meter;

use crate::{
    Access, Acknowledged, CollectionConfig, CollectionInfo, CollectionStats, Damage, Durability,
    EngineOptions, IndexInfo, IndexSpec, Migrated, Patience, Readiness, Record, RecordError, Start,
    StoreUse,
    background::{Background, Stop},
    bulk::BulkThreads,
    delete,
    error::{EngineError, Result},
    graphs, index_field, keeper,
    limits::MAX_COLLECTIONS,
    live::{Indexing, LiveCollection},
    live_prints,
    memory::{Budget, Collections},
    rebuild::{self, Manner, Work},
    schema::Schema,
    snapshot,
    store::{self, Batch, CollectionId, Store, key::FORMAT_VERSION},
    upsert,
};

/// Reads what of a collection is kept in memory, where there is room for it: its vectors, then its fingerprints.
pub(crate) fn load(live: &LiveCollection, work: &Work<'_>) -> Result<()> {
    match rebuild::rebuild(live, Manner::Instead, work) {
        Err(EngineError::MemoryFull { .. }) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => live_prints::load(live, work),
    }
}

/// A directory of collections, open in this process alone.
///
/// All methods may be called from many threads at once. Writers of one collection take turns; searches wait for nobody.
pub struct Engine {
    // Stopped first: its threads use the store.
    background: Background,
    pub(crate) store: Arc<Store>,
    encoder: Arc<dyn Encoder>,
    pub(crate) bulk: BulkThreads,
    /// What predicts properties; none unless given.
    pub(crate) heads: Heads,
    pub(crate) options: EngineOptions,
    collections: Collections,
    pub(crate) budget: Budget,
    /// Held while the set of collections or of snapshots changes.
    schema: Mutex<()>,
    /// Whether a thread rebuilds an index; one at a time does.
    rebuilding: Arc<AtomicBool>,
}

impl Engine {
    /// Opens the directory, making it if need be, and reads all vectors into memory, or begins to: see
    /// [`EngineOptions::start`]. Graphs are built in the background; until they are, search is exact.
    ///
    /// Fails when another process has it open, when it was written in another format, or when a collection was written
    /// with another model. A damaged file is named; with [`Access::ReadOnly`] the rest opens all the same.
    pub fn open(dir: &Path, encoder: Arc<dyn Encoder>, options: EngineOptions) -> Result<Engine> {
        let opened = Self::open_store(Store::open(dir, &options), &encoder, &options);
        match opened {
            Err(EngineError::Corrupt { .. }) if options.access == Access::ReadOnly => {
                Self::open_store(Store::open_damaged(dir, &options), &encoder, &options)
            }
            opened => opened,
        }
    }

    fn open_store(
        store: Result<Store>,
        encoder: &Arc<dyn Encoder>,
        options: &EngineOptions,
    ) -> Result<Engine> {
        let store = Arc::new(store?);
        let meter = Meter::bounded(options.index_bytes);
        let indexing = Indexing { exact_below: options.exact_below, meter: meter.clone() };
        let mut collections = BTreeMap::new();
        let view = store.view();
        for description in view.collections()? {
            let live = LiveCollection::described(&description, &indexing, &store)?;
            live.check_model(encoder.info())?;
            if options.access == Access::ReadWrite {
                index_field::resume(&store, &live)?;
            }
            collections.insert(live.info.config.name.clone(), Arc::new(live));
        }
        drop(view);
        if options.access == Access::ReadWrite {
            let named: Vec<CollectionId> = collections.values().map(|live| live.number).collect();
            store.remove_unnamed(&named)?;
            graphs::remove_others(store.dir(), &named);
            snapshot::remove_leftovers(store.dir());
        }
        let collections = Arc::new(RwLock::new(collections));
        let engine = Engine {
            background: Background::default(),
            store,
            encoder: Arc::clone(encoder),
            bulk: BulkThreads::start(options.write_threads)?,
            heads: Heads::default(),
            options: options.clone(),
            budget: Budget::new(meter, Arc::clone(&collections)),
            collections,
            schema: Mutex::default(),
            rebuilding: Arc::default(),
        };
        engine.load()?;
        engine.keep_house();
        Ok(engine)
    }

    /// In the background: brings to memory what room has come for, and writes graphs to the disk for the next open.
    fn keep_house(&self) {
        let (store, budget) = (Arc::clone(&self.store), self.budget.clone());
        let saves = self.options.access == Access::ReadWrite;
        self.background.spawn("moiety-keeper", move |stop| {
            keeper::keep(&Work::new(&store, &budget, stop), saves);
        });
    }

    /// How the indexes of all collections are made.
    pub(crate) fn indexing(&self) -> Indexing {
        Indexing { exact_below: self.options.exact_below, meter: self.budget.meter().clone() }
    }

    /// Reads the vectors of all collections, and their fingerprints, here or in the background.
    fn load(&self) -> Result<()> {
        let collections: Vec<_> = self.read_collections().values().cloned().collect();
        match self.options.start {
            Start::Loaded => {
                let work = Work::new(&self.store, &self.budget, self.background.stop());
                for live in collections {
                    load(&live, &work)?;
                }
            }
            Start::AtOnce => {
                let (store, budget) = (Arc::clone(&self.store), self.budget.clone());
                self.background.spawn("moiety-load", move |stop| {
                    let work = Work::new(&store, &budget, stop);
                    for live in collections {
                        // What cannot be read goes on being read from the store, where each search says what is wrong.
                        let _ = load(&live, &work);
                    }
                });
            }
        }
        Ok(())
    }

    /// Brings a directory of an older release to this program's format; nobody else may have it open.
    pub fn migrate(dir: &Path) -> Result<Migrated> {
        store::migrate(dir, &EngineOptions::default())
    }

    /// What cannot be read, when the directory was opened for reading in spite of damage.
    pub fn damage(&self) -> Option<&Damage> {
        self.store.damage()
    }

    /// The encoder it was opened with.
    pub fn encoder(&self) -> &Arc<dyn Encoder> {
        &self.encoder
    }

    /// Makes an empty collection for vectors of the engine's model.
    pub fn create_collection(&self, config: CollectionConfig) -> Result<CollectionInfo> {
        config.check()?;
        self.store.check_room(0)?;
        let _turn = self.schema_turn();
        self.check_free(&config.name)?;
        let model = self.encoder.info();
        let schema = Schema::of(&config.indexes)?;
        let info = CollectionInfo {
            // The schema has them from now on.
            config: CollectionConfig { indexes: Vec::new(), ..config },
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
            global_dim: model.global_dim,
            part_dim: model.part_dim,
            format_version: FORMAT_VERSION,
            normalisation_rule: moiety_chem::NORMALISATION_RULE,
        };
        let number = self.store.view().next_collection()?;
        let next = CollectionId(number.0 + 1);
        let live = LiveCollection::empty(number, info, schema, &self.indexing())?;
        let info = live.current_info();
        let name = info.config.name.clone();
        let mut batch = Batch::new(&self.store);
        batch.put_collection(&name, &live.describe()?)?;
        batch.put_next_collection(next)?;
        batch.write(Durability::Fsync)?;
        self.write_collections().insert(name, Arc::new(live));
        Ok(info)
    }

    /// All collections, by name.
    pub fn list_collections(&self) -> Vec<CollectionInfo> {
        self.read_collections().values().map(|live| live.current_info()).collect()
    }

    /// One collection.
    pub fn collection(&self, name: &str) -> Result<CollectionInfo> {
        Ok(self.live(name)?.current_info())
    }

    /// Removes a collection with all its records.
    pub fn drop_collection(&self, name: &str) -> Result<()> {
        let _turn = self.schema_turn();
        let live = self.live(name)?;
        let mut writer = live.writer()?;
        let mut batch = Batch::new(&self.store);
        batch.remove_collection(name, live.number)?;
        batch.write(Durability::Fsync)?;
        writer.close();
        self.write_collections().remove(name);
        Ok(())
    }

    /// How large a collection is, and how ready.
    pub fn stats(&self, name: &str) -> Result<CollectionStats> {
        let live = self.live(name)?;
        let weight = |live: &LiveCollection| {
            self.store.table_bytes(live.number) + live.written_bytes() + live.records()
        };
        let all: u64 = self.read_collections().values().map(|live| weight(live)).sum();
        let disk = self.store.usage().disk_bytes() as f64;
        let share = weight(&live) as f64 / all.max(1) as f64;
        Ok(live.stats((disk * share) as u64))
    }

    /// What the searches of a collection go through; much cheaper than [`Engine::stats`].
    pub fn readiness(&self, name: &str) -> Result<Readiness> {
        Ok(self.live(name)?.readiness())
    }

    /// What the store takes of disk and memory, by component.
    pub fn usage(&self) -> StoreUse {
        self.store.usage()
    }

    /// Memory of all vectors, graphs and fingerprints, in bytes.
    pub fn index_bytes(&self) -> usize {
        self.budget.used()
    }

    /// Makes an index of a field, and comes back when filters use it; writes and searches go on meanwhile.
    ///
    /// Fails where a record has a value of another type there; records that come later are refused one by one. When the
    /// process ends before it is done, the next open finishes it.
    pub fn create_index(&self, collection: &str, spec: &IndexSpec) -> Result<IndexInfo> {
        index_field::create(&self.store, &*self.live(collection)?, spec)
    }

    /// Drops the index of a field; filters on it read records from now on.
    pub fn drop_index(&self, collection: &str, field: &str) -> Result<()> {
        index_field::drop_index(&self.store, &*self.live(collection)?, field)
    }

    /// The indexes of a collection, and how far those are that are being built.
    pub fn indexes(&self, collection: &str) -> Result<Vec<IndexInfo>> {
        Ok(self.live(collection)?.fields.indexes())
    }

    /// Writes records durably and makes them searchable; one result per record, in order.
    ///
    /// A record that cannot be taken does not keep the others from being written. An error of the whole call means that
    /// none of them was acknowledged.
    pub fn upsert(
        &self,
        collection: &str,
        records: Vec<Record>,
    ) -> Result<Vec<std::result::Result<Acknowledged, RecordError>>> {
        self.upsert_within(collection, records, &Patience::endless())
    }

    /// As [`Engine::upsert`], unless the caller's patience ends before anything is written.
    pub fn upsert_within(
        &self,
        collection: &str,
        records: Vec<Record>,
        patience: &Patience,
    ) -> Result<Vec<std::result::Result<Acknowledged, RecordError>>> {
        let live = self.live(collection)?;
        self.budget.make_room(&live, records.len())?;
        let outcomes = upsert::upsert(self, &live, records, patience)?;
        self.reclaim(&live);
        Ok(outcomes)
    }

    /// Gives the memory of deleted vectors back, in the background, where there are many; one collection at a time.
    fn reclaim(&self, live: &Arc<LiveCollection>) {
        if !rebuild::pays(live) || self.rebuilding.swap(true, Ordering::AcqRel) {
            return;
        }
        let (store, live, budget) =
            (Arc::clone(&self.store), Arc::clone(live), self.budget.clone());
        let (busy, manner) = (Arc::clone(&self.rebuilding), self.budget.manner(&live));
        let begun = self.background.spawn("moiety-rebuild", move |stop| {
            // The old indexes, or the store, go on answering where it fails.
            let _ = rebuild::rebuild(&live, manner, &Work::new(&store, &budget, stop));
            busy.store(false, Ordering::Release);
        });
        if !begun {
            self.rebuilding.store(false, Ordering::Release);
        }
    }

    /// Rebuilds the indexes of a collection from the store, now; searches and writes go on meanwhile. Where the caller's
    /// patience ends before they are made, the old ones stay, unless they had to give way to the new: these are made all the
    /// same.
    pub fn rebuild(&self, collection: &str, patience: &Patience) -> Result<()> {
        let live = self.live(collection)?;
        patience.check()?;
        let (manner, patient) = (self.budget.manner(&live), self.stop_for(patience));
        let stop = match manner {
            Manner::Beside => &patient,
            Manner::Instead => self.background.stop(),
        };
        let work = Work::new(&self.store, &self.budget, &patient);
        rebuild::rebuild(&live, manner, &Work { stop, ..work })?;
        // Where there was no room for fingerprints, there may be now.
        live_prints::load(&live, &work)?;
        patience.check()
    }

    /// Set when the engine ends, or this caller waits no more.
    pub(crate) fn stop_for(&self, patience: &Patience) -> Stop {
        self.background.stop().or(patience)
    }

    /// Merges the files of a collection, so that what was deleted and replaced takes no space on the disk. The caller's
    /// patience is looked at between one kind of files and the next.
    pub fn compact(&self, collection: &str, patience: &Patience) -> Result<()> {
        let live = self.live(collection)?;
        self.store.check_room(0)?;
        self.store.compact(live.number, patience)
    }

    /// Moves all that is in the log alone to tables. Nothing is gained in safety; an open after it reads no log.
    pub fn flush(&self) -> Result<()> {
        self.store.check_writable()?;
        self.store.flush()
    }

    /// Deletes records durably and at once; says for each identifier whether there was one.
    pub fn delete(&self, collection: &str, ids: &[String]) -> Result<Vec<bool>> {
        let live = self.live(collection)?;
        let there = delete::delete(&self.store, &live, ids)?;
        self.reclaim(&live);
        Ok(there)
    }

    pub(crate) fn live(&self, name: &str) -> Result<Arc<LiveCollection>> {
        let live = self.read_collections().get(name).cloned();
        live.ok_or_else(|| EngineError::CollectionNotFound { name: name.to_owned() })
    }

    fn check_free(&self, name: &str) -> Result<()> {
        let collections = self.read_collections();
        if collections.contains_key(name) {
            return Err(EngineError::CollectionExists { name: name.to_owned() });
        }
        if collections.len() >= MAX_COLLECTIONS {
            let reason = format!("there are {MAX_COLLECTIONS} collections, which is the bound");
            return Err(EngineError::invalid("name", reason));
        }
        Ok(())
    }

    /// The turn to change the set of collections or of snapshots.
    pub(crate) fn schema_turn(&self) -> MutexGuard<'_, ()> {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts collections in place of those of the same names.
    pub(crate) fn install(&self, restored: Vec<LiveCollection>) {
        let mut collections = self.write_collections();
        for live in restored {
            collections.insert(live.info.config.name.clone(), Arc::new(live));
        }
    }

    fn read_collections(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<LiveCollection>>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_collections(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<LiveCollection>>> {
        self.collections.write().unwrap_or_else(PoisonError::into_inner)
    }
}
