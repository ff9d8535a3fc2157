//! A collection in memory: its indexes, and the turn of its writers.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use moiety_encoder::ModelInfo;
use moiety_index::{HnswConfig, HnswIndex, Meter};

use crate::{
    CollectionInfo, CollectionStats, HnswParams, Metric, Readiness, Side, SideStats,
    background::Stop,
    error::{EngineError, Result},
    fields::Fields,
    graphs,
    live_prints::LivePrints,
    schema::Schema,
    store::{CollectionId, Store},
};

/// How long, and how often, one reading of all vectors gives way to searches.
const NAP: Duration = Duration::from_millis(1);
const MOST_NAPS: usize = 2_000;

/// What the indexes of all collections have in common.
#[derive(Clone, Debug)]
pub(crate) struct Indexing {
    /// Indexes with fewer vectors have no graph.
    pub(crate) exact_below: usize,
    /// Counts their memory.
    pub(crate) meter: Meter,
}

impl Indexing {
    fn config(&self, info: &CollectionInfo) -> HnswConfig {
        let metric = match info.config.metric {
            Metric::Cosine => moiety_index::Metric::Cosine,
            Metric::Dot => moiety_index::Metric::Dot,
        };
        let HnswParams { m, ef_construction, .. } = info.config.hnsw;
        let defaults = HnswConfig::new(metric, info.global_dim);
        HnswConfig { m, ef_construction, exact_below: self.exact_below, ..defaults }
    }

    fn empty(&self, info: &CollectionInfo) -> Result<HnswIndex> {
        Ok(HnswIndex::metered(self.config(info), &self.meter)?)
    }
}

/// An open collection.
pub(crate) struct LiveCollection {
    pub(crate) number: CollectionId,
    pub(crate) info: CollectionInfo,
    indexing: Indexing,
    molecules: RwLock<Arc<HnswIndex>>,
    texts: RwLock<Arc<HnswIndex>>,
    records: AtomicU64,
    /// Whether vectors are still to be read, so that searches must read the store.
    loading: AtomicBool,
    /// Bytes of memory that were free and too few for its vectors, where that kept them on the disk.
    too_few: Mutex<Option<usize>>,
    /// Searches that read the store at this moment.
    scans: AtomicUsize,
    /// Naps that the reading of vectors has taken for them.
    naps: AtomicUsize,
    /// How often the indexes were dropped to be read anew.
    loads: AtomicU64,
    /// Bytes written since it was opened.
    written_bytes: AtomicU64,
    pub(crate) fields: Fields,
    pub(crate) prints: LivePrints,
    /// Versions that were hidden since it was opened.
    changes: AtomicU64,
    writer: Mutex<Writer>,
    /// Vectors in the graphs that are on the disk, by side.
    saved: [AtomicUsize; 2],
    /// Why the last try to save one failed, by side.
    unsaved: [Mutex<Option<String>>; 2],
    /// Held by whoever rebuilds.
    rebuilding: Mutex<()>,
    /// Versions forgotten while someone rebuilds.
    forgotten: Mutex<Option<HashSet<u64>>>,
}

/// What only one writer at a time may have.
pub(crate) struct Writer {
    next_version: u64,
    dropped: bool,
}

/// What the store remembers of a collection.
#[derive(serde::Serialize, serde::Deserialize)]
struct Description {
    number: u32,
    info: CollectionInfo,
    #[serde(default)]
    schema: Schema,
}

impl LiveCollection {
    /// A collection without records.
    pub(crate) fn empty(
        number: CollectionId,
        info: CollectionInfo,
        schema: Schema,
        indexing: &Indexing,
    ) -> Result<Self> {
        let index = || indexing.empty(&info).map(Arc::new);
        Ok(Self {
            number,
            indexing: indexing.clone(),
            molecules: RwLock::new(index()?),
            texts: RwLock::new(index()?),
            records: AtomicU64::new(0),
            loading: AtomicBool::new(false),
            too_few: Mutex::new(None),
            scans: AtomicUsize::new(0),
            naps: AtomicUsize::new(0),
            loads: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            fields: Fields::new(schema),
            prints: LivePrints::empty()?,
            changes: AtomicU64::new(0),
            writer: Mutex::new(Writer { next_version: 0, dropped: false }),
            saved: Default::default(),
            unsaved: Default::default(),
            rebuilding: Mutex::new(()),
            forgotten: Mutex::new(None),
            info,
        })
    }

    /// A collection that the store describes. Its vectors are still to be read, by a rebuild; searches read the store.
    pub(crate) fn described(description: &str, indexing: &Indexing, store: &Store) -> Result<Self> {
        let Description { number, info, schema } = parse(description)?;
        let mut schema = schema.restored()?;
        if store.damage().is_some() {
            // What an index has lost cannot be told: records say the same.
            schema = schema.unready();
        }
        let live = Self::empty(CollectionId(number), info, schema, indexing)?;
        let view = store.view();
        let mut records = 0;
        for entry in view.ids(live.number, None)? {
            live.fields.insert(entry?.1);
            records += 1;
        }
        // They follow the vectors.
        live.prints.let_go();
        let after_last = view.last_version(live.number)?.map_or(0, |last| last + 1);
        let next_version = after_last.max(graphs::first_free_version(store.dir(), live.number));
        Ok(Self {
            records: AtomicU64::new(records),
            loading: AtomicBool::new(true),
            writer: Mutex::new(Writer { next_version, dropped: false }),
            ..live
        })
    }

    /// What the store should remember of it.
    pub(crate) fn describe(&self) -> Result<String> {
        self.describe_with(&self.fields.schema())
    }

    /// The same with other indexes.
    pub(crate) fn describe_with(&self, schema: &Schema) -> Result<String> {
        let (number, info) = (self.number.0, self.info.clone());
        let description = Description { number, info, schema: schema.clone() };
        serde_json::to_string(&description).map_err(|error| EngineError::Store(error.to_string()))
    }

    /// Vectors of two models never mix.
    pub(crate) fn check_model(&self, model: &ModelInfo) -> Result<()> {
        if self.info.fingerprint == model.fingerprint {
            return Ok(());
        }
        Err(EngineError::ModelMismatch {
            collection: self.info.config.name.clone(),
            stored: self.info.fingerprint.as_str().into(),
            stored_name: self.info.model.as_str().into(),
            loaded: model.fingerprint.as_str().into(),
            loaded_name: model.name.as_str().into(),
        })
    }

    /// The index of a side as it is now; a rebuild may put another in its place.
    pub(crate) fn index(&self, side: Side) -> Arc<HnswIndex> {
        Arc::clone(&self.slot(side).read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An index of this collection's shape with nothing in it.
    pub(crate) fn empty_index(&self) -> Result<HnswIndex> {
        self.indexing.empty(&self.info)
    }

    /// An index of this collection's shape with what a file holds.
    pub(crate) fn open_index(&self, file: &Path, label: &[u8]) -> Result<HnswIndex> {
        let Indexing { meter, .. } = &self.indexing;
        Ok(HnswIndex::open(self.indexing.config(&self.info), meter, file, label)?)
    }

    /// Vectors in the graph that is on the disk.
    pub(crate) fn saved_nodes(&self, side: Side) -> usize {
        self.saved[side as usize].load(Ordering::Acquire)
    }

    pub(crate) fn set_saved_nodes(&self, side: Side, nodes: usize) {
        self.saved[side as usize].store(nodes, Ordering::Release);
    }

    /// Held by a search that reads the store.
    pub(crate) fn scan(&self) -> Scan<'_> {
        self.scans.fetch_add(1, Ordering::AcqRel);
        Scan(self)
    }

    /// Lets searches that read the store go first: they have a caller who waits. Where they never end, it does so for two
    /// seconds of a load and no longer, as what is read makes them fast.
    pub(crate) fn give_way(&self, stop: &Stop) {
        while self.scans.load(Ordering::Acquire) > 0
            && !stop.is_set()
            && self.naps.fetch_add(1, Ordering::AcqRel) < MOST_NAPS
        {
            thread::sleep(NAP);
        }
    }

    /// Remembers how the last try to save a graph ended.
    pub(crate) fn note_save(&self, side: Side, outcome: Result<bool>) {
        let problem = match outcome {
            Ok(true) => None,
            Ok(false) => return,
            Err(error) => Some(format!("graph of {}s: {error}", side.name())),
        };
        *self.unsaved[side as usize].lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Why a graph is not on the disk.
    fn unsaved(&self) -> Option<String> {
        let problem = |side: &Mutex<Option<String>>| {
            side.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        self.unsaved.iter().find_map(problem)
    }

    /// Puts new indexes in place of the old, in a writer's turn.
    pub(crate) fn exchange(&self, molecules: Arc<HnswIndex>, texts: Arc<HnswIndex>) {
        self.put(Side::Molecule, molecules);
        self.put(Side::Text, texts);
        self.loading.store(false, Ordering::Release);
        *self.too_few() = None;
    }

    /// Drops the indexes; until they are rebuilt, searches read the store.
    pub(crate) fn load_anew(&self) -> Result<()> {
        self.loads.fetch_add(1, Ordering::AcqRel);
        self.naps.store(0, Ordering::Release);
        self.loading.store(true, Ordering::Release);
        for side in Side::ALL {
            self.put(side, Arc::new(self.empty_index()?));
        }
        Ok(())
    }

    /// Whether searches must read the store, because the vectors are not in memory.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// From now on it is known that so many bytes are too few for its vectors: they stay on the disk.
    pub(crate) fn stay_on_disk(&self, too_few: usize) {
        *self.too_few() = Some(too_few);
    }

    /// Whether searches read the store because memory has no room for the vectors.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.too_few().is_some()
    }

    /// Whether the vectors are on the disk, and more memory is free than was too little for them.
    pub(crate) fn may_fit(&self, free: usize) -> bool {
        self.too_few().is_some_and(|too_few| free > too_few)
    }

    fn too_few(&self) -> MutexGuard<'_, Option<usize>> {
        self.too_few.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the indexes are dropped: a search that began with another number may have found too little.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Acquire)
    }

    /// Waits until nobody else rebuilds.
    pub(crate) fn rebuild_turn(&self) -> MutexGuard<'_, ()> {
        self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, and until the recording is dropped, what is forgotten is written down.
    pub(crate) fn record_forgotten(&self) -> Recording<'_> {
        *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
        Recording(self)
    }

    /// Hides a version from all searches that begin later.
    pub(crate) fn forget(&self, version: u64) {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forgotten) = forgotten.as_mut() {
            forgotten.insert(version);
        }
        drop(forgotten);
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.fields.remove(version);
        self.prints.remove(version);
        for side in Side::ALL {
            self.index(side).remove(version);
        }
    }

    fn slot(&self, side: Side) -> &RwLock<Arc<HnswIndex>> {
        match side {
            Side::Molecule => &self.molecules,
            Side::Text => &self.texts,
        }
    }

    fn put(&self, side: Side, index: Arc<HnswIndex>) {
        *self.slot(side).write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    /// What it is at this moment, its indexes included.
    pub(crate) fn current_info(&self) -> CollectionInfo {
        let mut info = self.info.clone();
        let schema = self.fields.schema();
        info.config.indexes = schema.indexes().iter().map(|index| index.spec.clone()).collect();
        info
    }

    /// Waits for the turn to write; searches never do.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.dropped {
            let name = self.info.config.name.clone();
            return Err(EngineError::CollectionNotFound { name });
        }
        Ok(writer)
    }

    /// Grows with every version that is hidden.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Records now.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    pub(crate) fn add_records(&self, records: u64) {
        self.records.fetch_add(records, Ordering::AcqRel);
    }

    pub(crate) fn subtract_records(&self, records: u64) {
        self.records.fetch_sub(records, Ordering::AcqRel);
    }

    /// Adds to the bytes written since it was opened.
    pub(crate) fn add_written(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Memory that the vectors of so many records more take, both sides given.
    pub(crate) fn insertion_bytes(&self, records: usize) -> usize {
        Side::ALL.into_iter().map(|side| self.index(side).insertion_bytes(records)).sum()
    }

    /// Memory that the larger of its graphs takes while it is built with so many records more; they take turns where there
    /// is room for one.
    pub(crate) fn build_bytes(&self, records: usize) -> usize {
        let sides = Side::ALL.into_iter();
        sides.map(|side| self.index(side).build_bytes(records)).max().unwrap_or(0)
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.is_loading() {
            return if self.is_on_disk() { Readiness::OnDisk } else { Readiness::Loading };
        }
        let linked = |side| {
            let index = self.index(side);
            let points = index.len() + index.tombstones();
            points < index.config().exact_below || index.linked() > 0
        };
        if Side::ALL.into_iter().all(linked) { Readiness::Ready } else { Readiness::Linking }
    }

    pub(crate) fn stats(&self, disk_bytes: u64) -> CollectionStats {
        CollectionStats {
            records: self.records(),
            molecules: side_stats(&self.index(Side::Molecule)),
            texts: side_stats(&self.index(Side::Text)),
            fingerprint_bytes: self.prints.bytes() as u64,
            disk_bytes,
            readiness: self.readiness(),
            unsaved: self.unsaved(),
        }
    }
}

/// A search that reads the store.
pub(crate) struct Scan<'a>(&'a LiveCollection);

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.0.scans.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Versions forgotten since it began.
pub(crate) struct Recording<'a>(&'a LiveCollection);

impl Recording<'_> {
    pub(crate) fn forgotten(&self) -> Vec<u64> {
        let forgotten = self.0.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        forgotten.iter().flatten().copied().collect()
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        *self.0.forgotten.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Writer {
    /// A version that no record of the collection had since it was opened, and none has now.
    pub(crate) fn take_version(&mut self) -> u64 {
        let version = self.next_version;
        self.next_version += 1;
        version
    }

    /// The version that the next record gets.
    pub(crate) fn next_version(&self) -> u64 {
        self.next_version
    }

    /// Later writers are told that the collection does not exist.
    pub(crate) fn close(&mut self) {
        self.dropped = true;
    }
}

/// The number of the collection that the store describes.
pub(crate) fn number_of(description: &str) -> Result<CollectionId> {
    Ok(CollectionId(parse(description)?.number))
}

/// Number and settings of the collection that the store describes.
pub(crate) fn parse_description(description: &str) -> Result<(CollectionId, CollectionInfo)> {
    let Description { number, info, .. } = parse(description)?;
    Ok((CollectionId(number), info))
}

/// The description of the same collection under another number and name.
pub(crate) fn renamed(description: &str, number: CollectionId, name: &str) -> Result<String> {
    let mut described = parse(description)?;
    described.number = number.0;
    name.clone_into(&mut described.info.config.name);
    serde_json::to_string(&described).map_err(|error| EngineError::Store(error.to_string()))
}

fn parse(description: &str) -> Result<Description> {
    serde_json::from_str(description)
        .map_err(|error| EngineError::corrupt("collection", error.to_string()))
}

fn side_stats(index: &HnswIndex) -> SideStats {
    let points = index.len() + index.tombstones();
    let vector_bytes = points * index.config().dim * size_of::<f32>();
    SideStats {
        vector_bytes: vector_bytes as u64,
        vectors: index.len() as u64,
        tombstones: index.tombstones() as u64,
        linked: index.linked() as u64,
        memory_bytes: index.memory_bytes() as u64,
    }
}
