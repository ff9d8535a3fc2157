//! What a live collection knows of its records besides vectors: which versions live, and which fields are indexed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use roaring::RoaringTreemap;

use crate::{IndexInfo, IndexState, schema::Schema};

/// A set of versions.
pub(crate) type Versions = RoaringTreemap;

/// Live versions and indexes; both change in a writer's turn only, and readers never wait for one.
#[derive(Default)]
pub(crate) struct Fields {
    versions: RwLock<Versions>,
    schema: RwLock<Arc<Schema>>,
    /// Records read so far, of indexes that are being built.
    progress: Mutex<BTreeMap<u32, u64>>,
}

impl Fields {
    pub(crate) fn new(schema: Schema) -> Self {
        Self { schema: RwLock::new(Arc::new(schema)), ..Self::default() }
    }

    /// The versions that live at this moment.
    pub(crate) fn versions(&self) -> Versions {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Up to `n` live versions from `first` to before `end`, ascending.
    pub(crate) fn next_versions(&self, first: u64, end: u64, n: usize) -> Vec<u64> {
        let versions = self.versions.read().unwrap_or_else(PoisonError::into_inner);
        let mut iter = versions.iter();
        iter.advance_to(first);
        iter.take_while(|version| *version < end).take(n).collect()
    }

    pub(crate) fn insert(&self, version: u64) {
        self.versions.write().unwrap_or_else(PoisonError::into_inner).insert(version);
    }

    pub(crate) fn remove(&self, version: u64) {
        self.versions.write().unwrap_or_else(PoisonError::into_inner).remove(version);
    }

    /// The indexes at this moment.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// To be called in a writer's turn, when the store has the schema.
    pub(crate) fn set_schema(&self, schema: Schema) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schema);
    }

    /// Says how many records the building of an index has read; `None` when it is over.
    pub(crate) fn set_progress(&self, index: u32, records: Option<u64>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match records {
            Some(records) => progress.insert(index, records),
            None => progress.remove(&index),
        };
    }

    pub(crate) fn indexes(&self) -> Vec<IndexInfo> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = self.schema();
        let info = |index: &crate::schema::Index| {
            let records = progress.get(&index.number).copied().unwrap_or(0);
            let building = IndexState::Building { records };
            let state = if index.ready { IndexState::Ready } else { building };
            IndexInfo { spec: index.spec.clone(), state }
        };
        schema.indexes().iter().map(info).collect()
    }
}
