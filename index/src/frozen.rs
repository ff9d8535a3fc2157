//! A graph that only ever loses points: an image, and which of its nodes are dead.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{
    GoOn, Metric, Neighbor,
    beam::Scratch,
    codes::{Quantiser, QueryCode},
    image::Image,
    layers::{Links, MAX_HEIGHT},
    meter::{Charge, Meter},
    simd::{Isa, prefetch},
    walk::Walk,
};

/// Vectors that are asked for ahead of the one being compared.
const AHEAD: usize = 3;

/// Vectors under identifiers, with a graph over them, none of which changes. Removing a vector is a mark.
pub(crate) struct Frozen {
    image: Image,
    quantiser: Quantiser,
    dead: Box<[AtomicU64]>,
    deaths: AtomicUsize,
    charge: Charge,
}

/// The tables of links of an image.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    m: usize,
    layers: usize,
    nodes: usize,
    counts: &'a [u32],
    lowest: &'a [u32],
    upper: &'a [u32],
    /// First row of each upper layer.
    first: [usize; MAX_HEIGHT + 1],
}

impl Links for Tables<'_> {
    #[inline]
    fn lowest(&self, node: u32) -> &[u32] {
        &self.lowest[node as usize * 2 * self.m..][..2 * self.m]
    }

    #[inline]
    fn upper(&self, node: u32, layer: usize) -> &[u32] {
        &self.upper[(self.first[layer] + node as usize) * self.m..][..self.m]
    }

    /// Nodes of the greatest height stand first.
    fn entry(&self) -> Option<(u32, usize)> {
        (self.nodes > 0).then_some((0, self.layers))
    }
}

impl Tables<'_> {
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Highest layer of a node.
    pub(crate) fn height(&self, node: u32) -> usize {
        self.counts.partition_point(|&count| count > node)
    }
}

impl Frozen {
    /// Takes an image whose links lead to nodes and whose layers are at most [`MAX_HEIGHT`].
    pub(crate) fn new(image: Image, meter: &Meter) -> Self {
        let words = image.shape().nodes.div_ceil(64);
        Self {
            quantiser: image.quantiser(),
            charge: meter.charge(image.bytes().len() + words * size_of::<u64>()),
            image,
            dead: (0..words).map(|_| AtomicU64::new(0)).collect(),
            deaths: AtomicUsize::new(0),
        }
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Nodes, dead ones included.
    pub(crate) fn nodes(&self) -> usize {
        self.image.shape().nodes
    }

    pub(crate) fn deaths(&self) -> usize {
        self.deaths.load(Ordering::Acquire)
    }

    /// How wide a walk must be for so many of its nodes to live: dead ones take room in the beam.
    pub(crate) fn width_for(&self, live: usize) -> usize {
        live.saturating_mul(self.nodes()).div_ceil((self.nodes() - self.deaths()).max(1))
    }

    pub(crate) fn is_live(&self, node: usize) -> bool {
        self.dead[node / 64].load(Ordering::Acquire) >> (node % 64) & 1 == 0
    }

    /// The live node of an identifier.
    pub(crate) fn find(&self, id: u64) -> Option<usize> {
        self.image.node_of(id).filter(|&node| self.is_live(node))
    }

    /// Marks the vector dead; false when there is no such live one.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let Some(node) = self.image.node_of(id) else { return false };
        let bit = 1 << (node % 64);
        let was_live = self.dead[node / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0;
        self.deaths.fetch_add(usize::from(was_live), Ordering::AcqRel);
        was_live
    }

    /// Which nodes are dead, a bit each.
    pub(crate) fn dead_words(&self) -> Vec<u64> {
        self.dead.iter().map(|word| word.load(Ordering::Acquire)).collect()
    }

    /// Identifiers of nodes that are dead now and were not in these words.
    pub(crate) fn died_since(&self, before: &[u64]) -> impl Iterator<Item = u64> {
        let new =
            self.dead.iter().zip(before).map(|(now, then)| now.load(Ordering::Acquire) & !then);
        let nodes = (0..).zip(new).flat_map(|(word, new)| {
            (0..64).filter(move |bit| new >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        });
        nodes.map(|node: usize| self.image.ids()[node])
    }

    /// Up to `n` identifiers of live vectors, evenly spread over the nodes.
    pub(crate) fn sample(&self, n: usize) -> Vec<u64> {
        let step = self.nodes().div_ceil(n.max(1)).max(1);
        let live = (0..self.nodes()).step_by(step).filter(|&node| self.is_live(node));
        live.map(|node| self.image.ids()[node]).take(n).collect()
    }

    /// Identifiers of all live nodes, ascending.
    pub(crate) fn live_ids(&self) -> impl Iterator<Item = u64> {
        let nodes = self.image.by_id().iter().map(|&node| node as usize);
        nodes.filter(|&node| self.is_live(node)).map(|node| self.image.ids()[node])
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.charge.bytes()
    }

    pub(crate) fn metric(&self) -> Metric {
        self.image.shape().metric
    }

    pub(crate) fn neighbor(&self, query: &[f32], node: usize) -> Neighbor {
        let distance = self.metric().distance(query, self.image.vector(node));
        Neighbor { id: self.image.ids()[node], distance }
    }

    /// The graph with the codes, to be walked through.
    pub(crate) fn tables(&self) -> Tables<'_> {
        let shape = self.image.shape();
        let mut first = [0; MAX_HEIGHT + 1];
        for (layer, &count) in (1..).zip(self.image.counts()).take(MAX_HEIGHT - 1) {
            first[layer + 1] = first[layer] + count as usize;
        }
        Tables {
            m: shape.m,
            layers: shape.layers,
            nodes: shape.nodes,
            counts: self.image.counts(),
            lowest: self.image.lowest(),
            upper: self.image.upper(),
            first,
        }
    }

    pub(crate) fn walk<'a>(&'a self, links: &'a Tables<'a>) -> Walk<'a, Tables<'a>> {
        let (codes, dim) = (self.image.codes(), self.image.shape().dim);
        Walk { links, codes, dim, isa: Isa::best(), go_on: GoOn::ALWAYS }
    }

    pub(crate) fn encode(&self, query: &[f32], code: &mut QueryCode) {
        self.quantiser.encode(query, code);
    }

    /// Live vectors near a prepared query, nearest first, with their true distances: of a walk of this width, the first
    /// `most` by the distances of the codes. A walk that is not wanted any more ends with whatever it has.
    pub(crate) fn near(
        &self,
        query: &[f32],
        width: usize,
        most: usize,
        go_on: GoOn<'_>,
    ) -> Vec<Neighbor> {
        let links = self.tables();
        Scratch::lend(|scratch| {
            self.encode(query, &mut scratch.query);
            Walk { go_on, ..self.walk(&links) }.search(width, scratch);
            let Scratch { beam, fresh, .. } = scratch;
            fresh.clear();
            fresh.extend(beam.nodes().filter(|&node| self.is_live(node as usize)).take(most));
            self.rescore(query, fresh)
        })
    }

    /// The nodes by their true distances, nearest first.
    pub(crate) fn rescore(&self, query: &[f32], nodes: &[u32]) -> Vec<Neighbor> {
        nodes.iter().take(AHEAD).for_each(|&node| prefetch(self.image.vector(node as usize)));
        let mut found = Vec::with_capacity(nodes.len());
        for (at, &node) in nodes.iter().enumerate() {
            if let Some(&later) = nodes.get(at + AHEAD) {
                prefetch(self.image.vector(later as usize));
            }
            found.push(self.neighbor(query, node as usize));
        }
        found.sort_unstable();
        found
    }
}
