//! Making one graph of graphs and their tail, while others insert, remove and search.
//!
//! The tail goes into the young graph, which is small, so that few vectors are ever compared one by one; when the young graph
//! has its share of the main one, both become one. A build takes what lives when it begins, works without any lock, and then
//! catches up with what was removed and inserted meanwhile. Deaths are reclaimed here and nowhere else.

use std::sync::Arc;

use rayon::ThreadPoolBuilder;
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

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

/// The young graph goes into the main one when it has one in so many of its nodes.
const YOUNG_SHARE: usize = 16;
/// Tombstones are reclaimed when more than one in so many points is dead.
const DEAD_SHARE: usize = 4;

/// What becomes one graph.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The first of the graphs in it, up to the last.
    from: usize,
    /// Slots of the tail in it.
    take: usize,
}

impl Step {
    /// Everything.
    pub(crate) const LAST: Self = Self { from: 0, take: usize::MAX };

    /// Points in it, dead ones included.
    pub(crate) fn points(self, state: &State) -> usize {
        state.nodes_from(self.from) + state.tail.points().len().min(self.take)
    }
}

/// A graph that has not caught up.
pub(crate) struct Built {
    step: Step,
    graph: Option<Arc<Frozen>>,
    /// The nodes of each old graph in it that were dead when it began, a bit each.
    dead: Vec<Vec<u64>>,
    /// Slots of the old tail that were looked at, and those of them that lived.
    taken: usize,
    lived: Vec<usize>,
}

pub(crate) fn empty_tail(config: &HnswConfig) -> Result<FlatIndex> {
    FlatIndex::with_capacity(config.metric, config.dim, config.capacity)
}

/// The step to take, where enough came or went since the last. It depends on what was inserted and not on when, so that the
/// same insertions lead to the same graphs.
pub(crate) fn due(config: &HnswConfig, state: &State) -> Option<Step> {
    let slots = state.tail.points().len();
    let Some(main) = state.graphs.first().map(|main| main.nodes()) else {
        let first = config.exact_below.max(1);
        return (slots >= first).then_some(Step { from: 0, take: first });
    };
    let many_died = state.deaths() > config.tail.max(main / DEAD_SHARE);
    let many_came = state.nodes_from(1) + config.tail >= main / YOUNG_SHARE;
    let step = Step { from: usize::from(!many_died && !many_came), take: config.tail };
    (slots >= config.tail || many_died).then_some(step)
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

/// Builds a graph of what lives of a step's points; `None` when it was told to stop, or failed.
pub(crate) fn build(
    config: &HnswConfig,
    state: &State,
    step: Step,
    meter: &Meter,
    stop: Stop<'_>,
) -> Option<Built> {
    let graphs = &state.graphs[step.from..];
    let dead: Vec<Vec<u64>> = graphs.iter().map(|graph| graph.dead_words()).collect();
    let points = state.tail.points();
    let taken = points.len().min(step.take);
    let (mut ids, mut numbers, mut lived) = (Vec::new(), Vec::new(), Vec::new());
    for (graph, dead) in graphs.iter().zip(&dead) {
        for node in (0..graph.nodes()).filter(|&node| !is_set(dead, node)) {
            ids.push(graph.image().ids()[node]);
            numbers.extend_from_slice(graph.image().vector(node));
        }
    }
    for (slot, point) in (0..taken).filter_map(|slot| Some((slot, points.live(slot)?))) {
        ids.push(point.id);
        numbers.extend_from_slice(&point.vector);
        lived.push(slot);
    }
    if ids.is_empty() {
        return Some(Built { step, graph: None, dead, taken, lived });
    }
    let HnswConfig { metric, dim, .. } = *config;
    let rows = Rows { metric, dim, numbers: &numbers };
    let work = || {
        let base = graphs.first().zip(dead.first());
        if let Some((base, dead)) = base.filter(|_| config.builder == Builder::Batches) {
            let is_live = |node: usize| !is_set(dead, node);
            let survivors = (0..base.nodes()).filter(|&node| is_live(node)).count();
            // With most of it gone, a new graph is better than a repaired one, and made as soon.
            if 2 * survivors > base.nodes() {
                let kept = Rows { numbers: &numbers[..survivors * dim], ..rows };
                let layers = repair::without_dead(&base.tables(), &is_live, kept, config.m);
                return grow(layers, rows, config.ef_construction, stop);
            }
        }
        new_graph(config, rows, stop)
    };
    let threads = ThreadPoolBuilder::new().num_threads(config.threads);
    let pool = threads.start_handler(|_| lower_priority()).build().ok()?;
    let layers = pool.install(work)?;
    let image = freeze(&Parts { metric, dim, layers: &layers, rows: &numbers, ids: &ids }).ok()?;
    let graph = Some(Arc::new(Frozen::new(image, meter)));
    Some(Built { step, graph, dead, taken, lived })
}

/// Lowers the priority of the thread that calls it, so that the threads of searches run before it; it still has a quarter of a
/// core that they want whole: a niceness of 5, where the system knows such a thing.
pub fn lower_priority() {
    // A thread whose priority stays as it is works as well.
    let _ = ThreadPriorityValue::try_from(35u8)
        .map(|below| set_current_thread_priority(ThreadPriority::Crossplatform(below)));
}

fn is_set(words: &[u64], bit: usize) -> bool {
    words[bit / 64] >> (bit % 64) & 1 == 1
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
        let (kept, merged) = old.graphs.split_at(self.step.from);
        if let Some(new) = &self.graph {
            let since = merged.iter().zip(&self.dead);
            for id in since.flat_map(|(graph, dead)| graph.died_since(dead)) {
                new.remove(id);
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
        let graphs = kept.iter().cloned().chain(self.graph).collect();
        Ok(State::new(graphs, tail, meter))
    }
}
