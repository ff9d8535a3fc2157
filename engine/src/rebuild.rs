//! New indexes from the store, in place of those in memory: at open, and to give back the memory of deleted vectors.
//!
//! Writers and searches go on meanwhile. What is written while it works is caught up with from the store; only the last of
//! it, and the exchange, take a writer's turn.

use std::{ops::ControlFlow, sync::Arc, thread, time::Duration};

use moiety_index::HnswIndex;

use crate::{
    Side,
    background::Stop,
    error::{EngineError, Result},
    graphs,
    live::LiveCollection,
    memory::Budget,
    store::{Store, View},
};

/// Versions that may be left for the writer's turn.
const LAST_VERSIONS: u64 = 256;
/// How often it catches up before it takes the turn all the same.
const CATCH_UPS: usize = 8;
/// Vectors between two looks at the stop sign and at the room that is left.
const BETWEEN_LOOKS: usize = 128;
const LINK_PAUSE: Duration = Duration::from_millis(5);
/// Fewer deleted vectors than this are not worth the work.
const LEAST_TOMBSTONES: usize = 4096;
/// One deleted vector in so many begins a rebuild.
const TOMBSTONE_SHARE: usize = 4;

/// How a rebuild goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The old indexes answer until the new ones have their graph: memory for both is needed.
    Beside,
    /// The old indexes go first, and the store answers meanwhile.
    Instead,
}

/// What a rebuild works with.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) store: &'a Store,
    pub(crate) budget: &'a Budget,
    pub(crate) stop: &'a Stop,
    /// Whether searches that read the store go first; not where writers wait.
    pub(crate) gives_way: bool,
}

impl<'a> Work<'a> {
    /// Work in the background, which lets searches go first.
    pub(crate) fn new(store: &'a Store, budget: &'a Budget, stop: &'a Stop) -> Self {
        Self { store, budget, stop, gives_way: true }
    }

    /// Between two looks: lets searches go first, and says whether to go on.
    pub(crate) fn goes_on(&self, live: &LiveCollection) -> bool {
        if self.gives_way {
            live.give_way(self.stop);
        }
        !self.stop.is_set()
    }
}

/// Whether so much is deleted that a rebuild pays. An index with a graph reclaims by itself.
pub(crate) fn pays(live: &LiveCollection) -> bool {
    Side::ALL.into_iter().any(|side| {
        let index = live.index(side);
        let (dead, alive) = (index.tombstones(), index.len());
        let share = dead >= LEAST_TOMBSTONES && dead * TOMBSTONE_SHARE >= dead + alive;
        share && index.linked() == 0
    })
}

/// Rebuilds both indexes of a collection; false when it was stopped, which leaves the old ones, or the store, in use. So
/// does an error; where it is that there is no room, and the old ones are gone, the vectors are known to stay on the disk.
pub(crate) fn rebuild(live: &LiveCollection, manner: Manner, work: &Work<'_>) -> Result<bool> {
    let _alone = live.rebuild_turn();
    let free = work.budget.free();
    let rebuilt = rebuild_in_turn(live, manner, work);
    if matches!(rebuilt, Err(EngineError::MemoryFull { .. })) && live.is_loading() {
        live.stay_on_disk(free);
    }
    rebuilt
}

fn rebuild_in_turn(live: &LiveCollection, manner: Manner, work: &Work<'_>) -> Result<bool> {
    let Work { store, stop, .. } = *work;
    let turn = live.writer()?;
    let recording = live.record_forgotten();
    // Files of graphs are for an open: later the graph in memory is the newer one.
    let (first, mut next) = (live.is_loading(), turn.next_version());
    let view = store.view();
    drop(turn);
    if manner == Manner::Instead {
        live.load_anew()?;
    }
    let indexes = match first {
        true => graphs::load(&view, live, work)?,
        false => fresh(&view, live, work)?,
    };
    let Some(indexes) = indexes else { return Ok(false) };
    drop(view);
    for _ in 0..CATCH_UPS {
        let turn = live.writer()?;
        let (view, reached) = (store.view(), turn.next_version());
        drop(turn);
        if reached - next <= LAST_VERSIONS {
            break;
        }
        if !fill(&view, live, (&indexes, next), work)? {
            return Ok(false);
        }
        next = reached;
    }
    if manner == Manner::Beside && !wait_for_graphs(&indexes, stop) {
        return Ok(false);
    }
    let turn = live.writer()?;
    let hurried = Work { gives_way: false, ..*work };
    if !fill(&store.view(), live, (&indexes, next), &hurried)? {
        return Ok(false);
    }
    for version in recording.forgotten() {
        for (_, index) in &indexes {
            index.remove(version);
        }
    }
    let [(_, molecules), (_, texts)] = indexes;
    live.exchange(molecules, texts);
    drop(turn);
    Ok(true)
}

/// Both indexes of a collection.
pub(crate) type Indexes = [(Side, Arc<HnswIndex>); 2];

/// New indexes of all vectors of a view; `None` when it was stopped.
pub(crate) fn fresh(
    view: &View<'_>,
    live: &LiveCollection,
    work: &Work<'_>,
) -> Result<Option<Indexes>> {
    let empty = || live.empty_index().map(Arc::new);
    let indexes = [(Side::Molecule, empty()?), (Side::Text, empty()?)];
    Ok(fill(view, live, (&indexes, 0), work)?.then_some(indexes))
}

/// Inserts all vectors of a view from a version on, as far as there is room; false when it was stopped.
pub(crate) fn fill(
    view: &View<'_>,
    live: &LiveCollection,
    (indexes, first): (&[(Side, Arc<HnswIndex>)], u64),
    work: &Work<'_>,
) -> Result<bool> {
    for (side, index) in indexes {
        let mut count = 0;
        view.each_vector(live.number, *side, first..u64::MAX, |version, vector| {
            if count % BETWEEN_LOOKS == 0 {
                if !work.goes_on(live) {
                    return Ok(ControlFlow::Break(()));
                }
                work.budget.make_room_for(live, index.insertion_bytes(BETWEEN_LOOKS))?;
            }
            count += 1;
            index.insert(version, vector).map_err(|error| {
                let what = format!("{} vector of version {version}", side.name());
                EngineError::corrupt(what, error.to_string())
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(!work.stop.is_set())
}

/// Waits until there are graphs, where there are enough vectors and memory for one; false when it was stopped.
fn wait_for_graphs(indexes: &[(Side, Arc<HnswIndex>)], stop: &Stop) -> bool {
    for (_, index) in indexes {
        let awaits = || index.len() >= index.config().exact_below.max(1) && index.linked() == 0;
        while awaits() && !index.lacks_room() {
            if stop.is_set() {
                return false;
            }
            thread::sleep(LINK_PAUSE);
        }
    }
    true
}
