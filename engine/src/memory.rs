//! The budget of memory: for vectors and graphs, and for fingerprints where there is room for them too.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    error::{EngineError, Result},
    live::LiveCollection,
    rebuild::Manner,
};

/// The open collections by name.
pub(crate) type Collections = Arc<RwLock<BTreeMap<String, Arc<LiveCollection>>>>;

/// What all collections together may take; clones watch the same collections.
#[derive(Clone)]
pub(crate) struct Budget {
    bytes: usize,
    collections: Collections,
}

impl Budget {
    pub(crate) fn new(bytes: usize, collections: Collections) -> Self {
        Self { bytes, collections }
    }

    /// Bytes of vectors, graphs and fingerprints now.
    pub(crate) fn used(&self) -> usize {
        self.all().iter().map(|live| live.memory_bytes() + live.prints.bytes()).sum()
    }

    /// Whether there is room for so many bytes more.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bytes == usize::MAX || self.used().saturating_add(bytes) <= self.bytes
    }

    /// Makes room for records that are about to be written, or refuses them. Fingerprints give way to vectors: without them
    /// in memory, filters on structures answer the same and take longer.
    pub(crate) fn make_room(&self, live: &LiveCollection, records: usize) -> Result<()> {
        if self.has_room(records * live.bytes_per_record()) {
            return Ok(());
        }
        let all = self.all();
        let prints: usize = all.iter().map(|live| live.prints.bytes()).sum();
        let used = self.used().saturating_sub(prints) + records * live.bytes_of_vectors();
        if used > self.bytes {
            return Err(EngineError::MemoryFull { used, budget: self.bytes });
        }
        live.prints.let_go();
        for other in all {
            if self.has_room(records * live.bytes_per_record()) {
                break;
            }
            other.prints.let_go();
        }
        Ok(())
    }

    /// New indexes beside the old where there is room for both.
    pub(crate) fn manner(&self, live: &LiveCollection) -> Manner {
        if self.has_room(live.memory_bytes()) { Manner::Beside } else { Manner::Instead }
    }

    fn all(&self) -> Vec<Arc<LiveCollection>> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        collections.values().cloned().collect()
    }
}
