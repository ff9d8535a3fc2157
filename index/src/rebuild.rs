//! Making one graph of a graph and its tail, while others insert, remove and search.
//!
//! It takes what lives when it begins, builds without any lock, and then catches up with what was removed and inserted
//! meanwhile. Deaths are reclaimed here and nowhere else.

use rayon::ThreadPoolBuilder;

use crate::{
    Builder, FlatIndex, HnswConfig,
    error::Result,
    freeze::{Parts, freeze},
    frozen::Frozen,
    graph::{self, Rows},
    grow::grow,
    hnsw::State,
    image::{Section, Shape},
    layers::Layers,
    meter::Meter,
    repair,
};

/// Asked now and then whether to give up.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// A tail is merged when it is longer than this, and than this share of the graph.
const TAIL: usize = 2_048;
const TAIL_SHARE: usize = 32;
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

/// How many slots of the tail a new graph should take, where enough came or went since the last was frozen. The number
/// depends on what was inserted and not on when, so that the same insertions lead to the same graph.
pub(crate) fn due(config: &HnswConfig, state: &State) -> Option<usize> {
    let slots = state.tail.points().len();
    let Some(frozen) = &state.frozen else {
        let first = config.exact_below.max(1);
        return (slots >= first).then_some(first);
    };
    let take = TAIL.max(frozen.nodes() / TAIL_SHARE);
    let many_died = frozen.deaths() > TAIL.max(frozen.nodes() / DEAD_SHARE);
    (slots >= take || many_died).then_some(take)
}

/// Memory that a graph of so many points takes while it is built, beside the one it takes the place of: a copy of the vectors,
/// their codes and links while these grow, and the image.
pub(crate) fn work_bytes(config: &HnswConfig, points: usize) -> usize {
    let HnswConfig { metric, dim, m, .. } = *config;
    // One node in m is on layer 1, one in m² on layer 2, and so on.
    let upper_rows = points / (m - 1) + 1;
    let (layers, [residual, code_norm, norm]) = (1, [0.0; 3]);
    let shape =
        Shape { metric, dim, m, nodes: points, layers, upper_rows, residual, code_norm, norm };
    let length = |section| shape.section_len(section).unwrap_or(usize::MAX);
    let grown = [Section::Vectors, Section::Codes, Section::Lowest, Section::Upper, Section::Ids];
    let image = shape.places().map_or(usize::MAX, |(_, length)| length);
    grown.into_iter().map(length).fold(image, usize::saturating_add)
}

/// Builds a graph of what lives, of so many slots of the tail; `None` when it was told to stop, or failed.
pub(crate) fn build(
    config: &HnswConfig,
    state: &State,
    take: usize,
    stop: Stop<'_>,
) -> Option<Built> {
    let dead = state.frozen.as_ref().map_or(Vec::new(), Frozen::dead_words);
    let points = state.tail.points();
    let taken = points.len().min(take);
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
    if ids.is_empty() {
        return Some(Built { frozen: None, dead, taken, lived });
    }
    let HnswConfig { metric, dim, .. } = *config;
    let rows = Rows { metric, dim, numbers: &numbers };
    let survivors = ids.len() - lived.len();
    let work = || match &state.frozen {
        // With most of it gone, a new graph is better than a repaired one, and made as soon.
        Some(frozen) if config.builder == Builder::Batches && 2 * survivors > frozen.nodes() => {
            let base = Rows { numbers: &numbers[..survivors * dim], ..rows };
            let is_live = |node: usize| dead[node / 64] >> (node % 64) & 1 == 0;
            let layers = repair::without_dead(&frozen.tables(), &is_live, base, config.m);
            grow(layers, rows, config.ef_construction, stop)
        }
        _ => new_graph(config, rows, stop),
    };
    let pool = ThreadPoolBuilder::new().num_threads(config.threads).build().ok()?;
    let layers = pool.install(work)?;
    let image = freeze(&Parts { metric, dim, layers: &layers, rows: &numbers, ids: &ids }).ok()?;
    Some(Built { frozen: Some(Frozen::new(image)), dead, taken, lived })
}

fn new_graph(config: &HnswConfig, rows: Rows<'_>, stop: Stop<'_>) -> Option<Layers> {
    match config.builder {
        Builder::Batches => grow(Layers::new(config.m), rows, config.ef_construction, stop),
        Builder::HnswRs => graph::build(rows, config.m, config.ef_construction, stop),
    }
}

impl Built {
    /// Applies what happened since, in a writer's turn.
    pub(crate) fn catch_up(self, config: &HnswConfig, old: &State, meter: &Meter) -> Result<State> {
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
        Ok(State::new(self.frozen, tail, meter))
    }
}
