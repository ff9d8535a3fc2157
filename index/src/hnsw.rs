//! Approximate search: a frozen graph, beside it a young one of what came since, and the vectors that came last, which are
//! compared one by one.
//!
//! Graphs are caches. A vector can be searched as soon as it is inserted; a thread in the background takes what came last
//! into the young graph, and now and then everything into one. Where graphs do not lead to k live results that pass the
//! filter, exact search does. Where memory has a bound, a graph is built when there is room for it.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{
    FlatIndex, Gauge,
    config::HnswConfig,
    error::{IndexError, Result},
    file,
    frozen::Frozen,
    meter::{Charge, Meter},
    rebuild::{self, Step},
};

/// Vectors under identifiers, searched through a graph.
///
/// Insertions, removals and searches may run at the same time and never wait for the graph.
///
/// ```
/// use moiety_index::{GoOn, HnswConfig, HnswIndex, Metric, SearchParams};
///
/// let index = HnswIndex::new(HnswConfig::new(Metric::Cosine, 2))?;
/// index.insert(1, &[1.0, 0.0])?;
/// index.insert(2, &[0.0, 1.0])?;
/// let params = SearchParams { k: 1, ef: 64, exact: false, accept: None, go_on: GoOn::ALWAYS };
/// assert_eq!(index.search(&[0.9, 0.1], params)?.neighbors[0].id, 1);
/// # Ok::<(), moiety_index::IndexError>(())
/// ```
pub struct HnswIndex {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: HnswConfig,
    meter: Meter,
    state: RwLock<Arc<State>>,
    /// Held by whoever inserts, removes or replaces the state.
    writer: Mutex<()>,
    /// Whether a thread is building.
    building: AtomicBool,
    /// Held by whoever builds.
    builder: Mutex<()>,
    stop: AtomicBool,
}

/// What one search sees.
pub(crate) struct State {
    /// The main graph, and the young one, if any.
    pub(crate) graphs: Vec<Arc<Frozen>>,
    /// What came after them.
    pub(crate) tail: FlatIndex,
    /// The memory of the tail.
    charge: Charge,
}

impl State {
    pub(crate) fn new(graphs: Vec<Arc<Frozen>>, tail: FlatIndex, meter: &Meter) -> Self {
        let charge = meter.charge(tail.points().len() * tail_row_bytes(tail.dim()));
        Self { graphs, tail, charge }
    }

    fn len(&self) -> usize {
        self.points() - self.tombstones()
    }

    fn tombstones(&self) -> usize {
        self.deaths() + self.tail.tombstones()
    }

    /// Points that take memory.
    pub(crate) fn points(&self) -> usize {
        self.nodes_from(0) + self.tail.points().len()
    }

    /// Nodes of this graph and those after it.
    pub(crate) fn nodes_from(&self, graph: usize) -> usize {
        self.graphs.iter().skip(graph).map(|graph| graph.nodes()).sum()
    }

    /// Dead nodes.
    pub(crate) fn deaths(&self) -> usize {
        self.graphs.iter().map(|graph| graph.deaths()).sum()
    }

    fn is_linked(&self, id: u64) -> bool {
        self.graphs.iter().any(|graph| graph.find(id).is_some())
    }

    fn remove(&self, id: u64) -> bool {
        self.tail.remove(id) || self.graphs.iter().any(|graph| graph.remove(id))
    }
}

/// Memory of a vector outside the graph: its numbers, its slot, and its place in the map of identifiers.
fn tail_row_bytes(dim: usize) -> usize {
    dim * size_of::<f32>() + 96
}

impl HnswIndex {
    /// An empty index, of as much memory as there is.
    pub fn new(config: HnswConfig) -> Result<Self> {
        Self::metered(config, &Meter::default())
    }

    /// An empty index whose memory is counted together with that of others.
    pub fn metered(config: HnswConfig, meter: &Meter) -> Result<Self> {
        config.check()?;
        Self::with_graphs(config, Vec::new(), meter)
    }

    /// Reads a graph that [`HnswIndex::save`] wrote with the same label. What the caller's store holds is the truth: let
    /// [`HnswIndex::reconcile`] bring the index to it.
    ///
    /// A file that is missing, damaged, or of another index gives an error; build the index from the store then. One that
    /// the meter has no room for is not read.
    pub fn open(config: HnswConfig, meter: &Meter, path: &Path, label: &[u8]) -> Result<Self> {
        config.check()?;
        let bytes = fs::metadata(path).map_or(0, |file| file.len()) as usize;
        let Some(_lent) = meter.try_charge(bytes) else {
            let (path, used, bound) = (path.to_path_buf(), meter.used(), meter.bound());
            return Err(IndexError::NoRoom { path, bytes, used, bound });
        };
        let image = file::read(path, label)?;
        let shape = image.shape();
        if (shape.metric, shape.dim, shape.m) != (config.metric, config.dim, config.m) {
            let reason = format!(
                "it has {:?}, {} dimensions and m {}; wanted are {:?}, {} and {}",
                shape.metric, shape.dim, shape.m, config.metric, config.dim, config.m
            );
            return Err(IndexError::ForeignGraph { path: path.to_path_buf(), reason });
        }
        Self::with_graphs(config, vec![Arc::new(Frozen::new(image, meter))], meter)
    }

    /// Writes the main graph under this name, in the place of what is there: to a temporary name first, synced, then
    /// renamed. The label, of up to [`MAX_LABEL`](crate::MAX_LABEL) bytes, says whose graph it is.
    ///
    /// Gives the number of vectors in it, zero when there is no graph yet and nothing was written. Vectors that came after
    /// the graph was built are not in the file, and removed ones are.
    pub fn save(&self, path: &Path, label: &[u8]) -> Result<usize> {
        let state = self.inner.state();
        let Some(main) = state.graphs.first() else { return Ok(0) };
        file::write(path, label, main.image())?;
        Ok(main.nodes())
    }

    /// Removes all vectors that are not among these identifiers, which ascend, and gives those that are not in the index.
    pub fn reconcile(&self, stored: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let _turn = self.inner.turn();
        let state = self.inner.state();
        let mut held: Vec<u64> = state.tail.sample(usize::MAX);
        held.extend(state.graphs.iter().flat_map(|graph| graph.live_ids()));
        held.sort_unstable();
        let mut held = held.into_iter().peekable();
        let mut missing = Vec::new();
        for id in stored {
            while let Some(gone) = held.next_if(|held| *held < id) {
                state.remove(gone);
            }
            if held.next_if_eq(&id).is_none() {
                missing.push(id);
            }
        }
        for gone in held {
            state.remove(gone);
        }
        missing
    }

    fn with_graphs(config: HnswConfig, graphs: Vec<Arc<Frozen>>, meter: &Meter) -> Result<Self> {
        let state = State::new(graphs, rebuild::empty_tail(&config)?, meter);
        let inner = Inner {
            state: RwLock::new(Arc::new(state)),
            config,
            meter: meter.clone(),
            writer: Mutex::new(()),
            building: AtomicBool::new(false),
            builder: Mutex::new(()),
            stop: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its shape and limits.
    pub fn config(&self) -> &HnswConfig {
        &self.inner.config
    }

    /// Number of live vectors.
    pub fn len(&self) -> usize {
        self.inner.state().len()
    }

    /// True when no vector is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of deleted vectors that still take memory.
    pub fn tombstones(&self) -> usize {
        self.inner.state().tombstones()
    }

    /// Number of vectors that graphs lead to, tombstones included.
    pub fn linked(&self) -> usize {
        self.inner.state().nodes_from(0)
    }

    /// Number of vectors that [`HnswIndex::save`] would write now.
    pub fn savable(&self) -> usize {
        self.inner.state().graphs.first().map_or(0, |main| main.nodes())
    }

    /// Memory of vectors and graphs, in bytes, without what a graph takes while it is built.
    pub fn memory_bytes(&self) -> usize {
        let state = self.inner.state();
        let graphs = state.graphs.iter().map(|graph| graph.memory_bytes());
        graphs.sum::<usize>() + state.charge.bytes()
    }

    /// Memory that so many vectors more take, in bytes, until they are in the graph.
    pub fn insertion_bytes(&self, vectors: usize) -> usize {
        vectors.saturating_mul(tail_row_bytes(self.inner.config.dim))
    }

    /// Memory that a graph of all vectors and so many more takes while it is built beside what is there, in bytes; zero for
    /// so few that there is none.
    pub fn build_bytes(&self, more: usize) -> usize {
        let state = self.inner.state();
        let points = state.points() + more;
        let few = state.graphs.is_empty() && points < self.inner.config.exact_below;
        if few { 0 } else { rebuild::work_bytes(&self.inner.config, points) }
    }

    /// Whether a graph is due that there is no room for.
    pub fn lacks_room(&self) -> bool {
        let inner = &self.inner;
        !inner.building.load(Ordering::Acquire) && inner.due_fits() == Some(false)
    }

    /// Builds in the background if a graph is due: worth a call when room for it may have come.
    pub fn build_when_due(&self) {
        Inner::build_in_background(&self.inner);
    }

    /// Says why this vector could not be inserted, if it could not; nothing is changed.
    pub fn check(&self, vector: &[f32]) -> Result<()> {
        self.inner.prepare(vector).map(drop)
    }

    /// How many more vectors it takes.
    pub fn room(&self) -> usize {
        self.inner.config.capacity.saturating_sub(self.inner.state().points())
    }

    /// Whether a live vector has this identifier.
    pub fn contains(&self, id: u64) -> bool {
        let state = self.inner.state();
        state.tail.contains(id) || state.is_linked(id)
    }

    /// The score that a search with this query gives to this vector.
    pub fn score(&self, query: &[f32], vector: &[f32]) -> Result<f32> {
        Ok(self.inner.config.metric.score(self.gauge(query)?.distance(vector)?))
    }

    /// Finds the distances that a search with this query finds, of vectors that need not be in the index.
    pub fn gauge(&self, query: &[f32]) -> Result<Gauge> {
        Gauge::new(self.inner.config.metric, query, self.inner.config.dim)
    }

    /// Up to `n` identifiers of live vectors, evenly spread.
    pub fn sample(&self, n: usize) -> Vec<u64> {
        let state = self.inner.state();
        let points = state.points().max(1);
        let of_graph = |graph: &Arc<Frozen>| graph.sample((n * graph.nodes()).div_ceil(points));
        let mut ids: Vec<u64> = state.graphs.iter().flat_map(of_graph).take(n).collect();
        ids.extend(state.tail.sample(n - ids.len()));
        ids
    }

    /// Adds a vector under an identifier that no live vector has; searches that begin later see it.
    pub fn insert(&self, id: u64, vector: &[f32]) -> Result<()> {
        let prepared = self.inner.prepare(vector)?;
        let turn = self.inner.turn();
        let state = self.inner.state();
        if state.is_linked(id) {
            return Err(IndexError::IdTaken { id });
        }
        if state.points() >= self.inner.config.capacity {
            return Err(IndexError::Full { capacity: self.inner.config.capacity });
        }
        state.tail.points().append(id, Arc::from(prepared))?;
        state.charge.add(tail_row_bytes(self.inner.config.dim));
        drop(turn);
        Inner::build_in_background(&self.inner);
        Ok(())
    }

    /// Hides a vector from all searches that begin later; false when there is none.
    pub fn remove(&self, id: u64) -> bool {
        let turn = self.inner.turn();
        let state = self.inner.state();
        let removed = state.remove(id);
        drop(turn);
        if removed {
            Inner::build_in_background(&self.inner);
        }
        removed
    }

    /// Waits until one graph leads to everything inserted so far, however few points there are; where there is no room for
    /// such a graph, until there are those before it.
    pub fn finish_graph(&self) {
        let inner = &self.inner;
        let _builder = inner.builder.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let state = inner.state();
            // The same steps as in the background, so that the graph is the same whoever was faster.
            let step = rebuild::due(&inner.config, &state).unwrap_or(Step::LAST);
            let is_one = state.tail.points().is_empty() && state.graphs.len() <= 1;
            if is_one || !inner.rebuild(&state, step) {
                return;
            }
        }
    }
}

impl Drop for HnswIndex {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Release);
    }
}

impl Inner {
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn prepare(&self, vector: &[f32]) -> Result<Vec<f32>> {
        self.config.metric.prepare(vector, self.config.dim)
    }

    fn build_in_background(inner: &Arc<Self>) {
        let stopped = inner.stop.load(Ordering::Acquire);
        if stopped || inner.due_fits() != Some(true) || inner.building.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let this = Arc::clone(inner);
        let work = move || {
            let builder = this.builder.lock().unwrap_or_else(PoisonError::into_inner);
            // Who held the turn before may have built it.
            let state = this.state();
            let step = rebuild::due(&this.config, &state);
            let built = step.is_none_or(|step| this.rebuild(&state, step));
            drop(state);
            drop(builder);
            this.building.store(false, Ordering::Release);
            // What came between the two lines above found a thread at work and left.
            if built {
                Self::build_in_background(&this);
            }
        };
        if thread::Builder::new().name("moiety-index".into()).spawn(work).is_err() {
            // Without a thread everything is still found, exactly; the next insertion tries again.
            inner.building.store(false, Ordering::Release);
        }
    }

    /// Whether there is room for the graph that is due; `None` when none is.
    fn due_fits(&self) -> Option<bool> {
        let state = self.state();
        let step = rebuild::due(&self.config, &state)?;
        Some(self.meter.has_room(rebuild::work_bytes(&self.config, step.points(&state))))
    }

    /// Takes a step; false when it gave up. Whoever holds the turn to build calls it with the state of now.
    fn rebuild(&self, old: &State, step: Step) -> bool {
        let bytes = rebuild::work_bytes(&self.config, step.points(old));
        let Some(_lent) = self.meter.try_charge(bytes) else { return false };
        let stop = || self.stop.load(Ordering::Acquire);
        let Some(built) = rebuild::build(&self.config, old, step, &self.meter, &stop) else {
            return false;
        };
        let _turn = self.turn();
        let Ok(new) = built.catch_up(&self.config, old, &self.meter) else { return false };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        true
    }
}
