//! The budget of memory: for vectors and graphs, those included that are being built, and for fingerprints where there is
//! room for them too.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use moiety_index::Meter;

use crate::{
    Side,
    error::{EngineError, Result},
    live::LiveCollection,
    rebuild::Manner,
};

/// The open collections by name.
pub(crate) type Collections = Arc<RwLock<BTreeMap<String, Arc<LiveCollection>>>>;

/// What all collections together may take; clones watch the same collections.
#[derive(Clone)]
pub(crate) struct Budget {
    /// Counts vectors and graphs.
    meter: Meter,
    collections: Collections,
}

impl Budget {
    pub(crate) fn new(meter: Meter, collections: Collections) -> Self {
        Self { meter, collections }
    }

    /// What counts the vectors and graphs of every collection.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Bytes of vectors, graphs and fingerprints now.
    pub(crate) fn used(&self) -> usize {
        self.meter.used() + self.prints()
    }

    /// Whether there is room for so many bytes more.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.meter.has_room(bytes.saturating_add(self.prints()))
    }

    /// Makes room for records that are about to be written and for the graph that will lead to them, or refuses them.
    /// Fingerprints give way to vectors: without them in memory, filters on structures answer the same and take longer.
    pub(crate) fn make_room(&self, live: &LiveCollection, records: usize) -> Result<()> {
        let vectors = live.insertion_bytes(records).saturating_add(live.build_bytes(records));
        if live.is_on_disk() {
            return Err(self.full(vectors));
        }
        if self.has_room(vectors.saturating_add(live.prints.insertion_bytes(records))) {
            return Ok(());
        }
        self.make_room_for(live, vectors)
    }

    /// Makes room for bytes of vectors, or says that there is none. The fingerprints of this collection go first.
    pub(crate) fn make_room_for(&self, live: &LiveCollection, bytes: usize) -> Result<()> {
        if !self.meter.has_room(bytes) {
            return Err(self.full(bytes));
        }
        if !self.has_room(bytes) {
            live.prints.let_go();
        }
        for other in self.all() {
            if self.has_room(bytes) {
                break;
            }
            other.prints.let_go();
        }
        Ok(())
    }

    /// Bytes that vectors and graphs may take beyond what they take now.
    pub(crate) fn free(&self) -> usize {
        self.meter.bound().saturating_sub(self.meter.used())
    }

    fn full(&self, wanted: usize) -> EngineError {
        let (used, budget) = (self.meter.used(), self.meter.bound());
        EngineError::MemoryFull { used, wanted, budget }
    }

    /// New indexes beside the old where there is room for both, and for the graphs of the new.
    pub(crate) fn manner(&self, live: &LiveCollection) -> Manner {
        let indexes = Side::ALL.map(|side| live.index(side));
        let vectors = indexes.iter().map(|index| index.insertion_bytes(index.len()));
        let bytes = vectors.fold(live.build_bytes(0), usize::saturating_add);
        if self.has_room(bytes) { Manner::Beside } else { Manner::Instead }
    }

    /// Bytes of fingerprints.
    fn prints(&self) -> usize {
        self.all().iter().map(|live| live.prints.bytes()).sum()
    }

    /// The collections at this moment.
    pub(crate) fn all(&self) -> Vec<Arc<LiveCollection>> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        collections.values().cloned().collect()
    }
}
