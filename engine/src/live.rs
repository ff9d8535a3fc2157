//! A collection in memory: its indexes, and the turn of its writers.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use moiety_encoder::ModelInfo;
use moiety_index::{HnswConfig, HnswIndex};

use crate::{
    CollectionInfo, CollectionStats, HnswParams, Metric, Side, SideStats,
    error::{EngineError, Result},
    fields::Fields,
    schema::Schema,
    store::{CollectionId, View},
};

/// An open collection.
pub(crate) struct LiveCollection {
    pub(crate) number: CollectionId,
    pub(crate) info: CollectionInfo,
    molecules: HnswIndex,
    texts: HnswIndex,
    pub(crate) fields: Fields,
    records: AtomicU64,
    /// Versions that were hidden since it was opened.
    changes: AtomicU64,
    writer: Mutex<Writer>,
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
        exact_below: usize,
    ) -> Result<Self> {
        let index = || HnswIndex::new(index_config(&info, exact_below));
        Ok(Self {
            number,
            molecules: index()?,
            texts: index()?,
            fields: Fields::new(schema),
            records: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            writer: Mutex::new(Writer { next_version: 0, dropped: false }),
            info,
        })
    }

    /// A collection that the store describes, without its records yet.
    pub(crate) fn described(description: &str, exact_below: usize) -> Result<Self> {
        let Description { number, info, schema } = serde_json::from_str(description)
            .map_err(|error| EngineError::corrupt("collection", error.to_string()))?;
        Self::empty(CollectionId(number), info, schema.restored()?, exact_below)
    }

    /// Reads its vectors from the store. The graphs are built in the background; until then search is exact.
    pub(crate) fn replay(mut self, view: &View<'_>) -> Result<Self> {
        for side in Side::ALL {
            for entry in view.all_vectors(self.number, side)? {
                let (version, vector) = entry?;
                let what = || format!("{} vector of version {version}", side.name());
                let inserted = self.index(side).insert(version, &vector);
                inserted.map_err(|error| EngineError::corrupt(what(), error.to_string()))?;
            }
        }
        let mut records = 0;
        for entry in view.ids(self.number, None)? {
            self.fields.insert(entry?.1);
            records += 1;
        }
        let next_version = view.last_version(self.number)?.map_or(0, |last| last + 1);
        self.records = AtomicU64::new(records);
        self.writer = Mutex::new(Writer { next_version, dropped: false });
        Ok(self)
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
            stored: self.info.fingerprint.clone(),
            stored_name: self.info.model.clone(),
            loaded: model.fingerprint.clone(),
            loaded_name: model.name.clone(),
        })
    }

    pub(crate) fn index(&self, side: Side) -> &HnswIndex {
        match side {
            Side::Molecule => &self.molecules,
            Side::Text => &self.texts,
        }
    }

    /// What it is at this moment, its indexes included.
    pub(crate) fn current_info(&self) -> CollectionInfo {
        let mut info = self.info.clone();
        let schema = self.fields.schema();
        info.config.indexes = schema.indexes().iter().map(|index| index.spec.clone()).collect();
        info
    }

    /// Hides a version from all searches that begin later.
    pub(crate) fn forget(&self, version: u64) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.fields.remove(version);
        self.molecules.remove(version);
        self.texts.remove(version);
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

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// To be called in a writer's turn.
    pub(crate) fn set_records(&self, records: u64) {
        self.records.store(records, Ordering::Release);
    }

    pub(crate) fn stats(&self, disk_bytes: u64) -> CollectionStats {
        CollectionStats {
            records: self.records(),
            molecules: side_stats(&self.molecules),
            texts: side_stats(&self.texts),
            disk_bytes,
        }
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

fn index_config(info: &CollectionInfo, exact_below: usize) -> HnswConfig {
    let metric = match info.config.metric {
        Metric::Cosine => moiety_index::Metric::Cosine,
        Metric::Dot => moiety_index::Metric::Dot,
    };
    let HnswParams { m, ef_construction, .. } = info.config.hnsw;
    let defaults = HnswConfig::new(metric, info.global_dim);
    HnswConfig { m, ef_construction, exact_below, ..defaults }
}

fn side_stats(index: &HnswIndex) -> SideStats {
    SideStats {
        vectors: index.len() as u64,
        tombstones: index.tombstones() as u64,
        linked: index.linked() as u64,
        memory_bytes: index.memory_bytes() as u64,
    }
}
