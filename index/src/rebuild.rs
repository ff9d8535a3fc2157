//! Making one graph of a graph and its tail, while others insert, remove and search.
//!
//! It takes what lives when it begins, builds without any lock, and then catches up with what was removed and inserted
//! meanwhile. Deaths are reclaimed here and nowhere else.

use crate::{
    FlatIndex, HnswConfig,
    error::Result,
    freeze::{Parts, freeze},
    frozen::Frozen,
    graph::{self, Rows},
    hnsw::State,
};

/// A tail is merged when it is longer than this, and than this share of the graph.
const TAIL: usize = 4_096;
const TAIL_SHARE: usize = 8;
/// Tombstones are reclaimed when more than one in so many points is dead.
const DEAD_SHARE: usize = 4;

/// A graph that has not caught up.
pub(crate) struct Built {
    frozen: Option<Frozen>,
    /// The nodes of the old graph that were dead when it began, a bit each.
    dead: Vec<u64>,
    /// Slots of the old tail that were looked at, and those of them that lived.
    taken: usize,
    lived: Vec<usize>,
}

pub(crate) fn empty_tail(config: &HnswConfig) -> Result<FlatIndex> {
    FlatIndex::with_capacity(config.metric, config.dim, config.capacity)
}

/// Whether enough came or went since the graph was frozen.
pub(crate) fn is_due(config: &HnswConfig, state: &State) -> bool {
    let (tail, tail_dead) = (state.tail.len(), state.tail.tombstones());
    let Some(frozen) = &state.frozen else {
        return tail + tail_dead >= config.exact_below.max(1) && tail > 0;
    };
    let (nodes, deaths) = (frozen.nodes(), frozen.deaths());
    let slots = tail + tail_dead;
    slots > TAIL.max(nodes / TAIL_SHARE) || deaths > TAIL.max(nodes / DEAD_SHARE)
}

/// Builds a graph of all that lives; `None` when it was told to stop, or failed.
pub(crate) fn build(config: &HnswConfig, state: &State, stop: &dyn Fn() -> bool) -> Option<Built> {
    let dead = state.frozen.as_ref().map_or(Vec::new(), Frozen::dead_words);
    let points = state.tail.points();
    let taken = points.len();
    let (mut ids, mut numbers, mut lived) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(frozen) = &state.frozen {
        for node in (0..frozen.nodes()).filter(|node| dead[node / 64] >> (node % 64) & 1 == 0) {
            ids.push(frozen.image().ids()[node]);
            numbers.extend_from_slice(frozen.image().vector(node));
        }
    }
    for (slot, point) in (0..taken).filter_map(|slot| Some((slot, points.live(slot)?))) {
        ids.push(point.id);
        numbers.extend_from_slice(&point.vector);
        lived.push(slot);
    }
    let frozen = if ids.is_empty() { None } else { Some(graph_of(config, &ids, &numbers, stop)?) };
    Some(Built { frozen, dead, taken, lived })
}

fn graph_of(
    config: &HnswConfig,
    ids: &[u64],
    numbers: &[f32],
    stop: &dyn Fn() -> bool,
) -> Option<Frozen> {
    let HnswConfig { metric, dim, m, ef_construction, .. } = *config;
    let layers = graph::build(Rows { metric, dim, numbers }, m, ef_construction, stop)?;
    let image = freeze(&Parts { metric, dim, layers: &layers, rows: numbers, ids }).ok()?;
    Some(Frozen::new(image))
}

impl Built {
    /// Applies what happened since, in a writer's turn.
    pub(crate) fn catch_up(self, config: &HnswConfig, old: &State) -> Result<State> {
        let points = old.tail.points();
        if let Some(new) = &self.frozen {
            if let Some(frozen) = &old.frozen {
                for id in frozen.died_since(&self.dead) {
                    new.remove(id);
                }
            }
            let died = self.lived.iter().filter(|&&slot| points.live(slot).is_none());
            for id in died.filter_map(|&slot| points.id(slot)) {
                new.remove(id);
            }
        }
        let tail = empty_tail(config)?;
        for point in (self.taken..points.len()).filter_map(|slot| points.live(slot)) {
            tail.points().append(point.id, point.vector.clone())?;
        }
        Ok(State { frozen: self.frozen, tail })
    }
}
