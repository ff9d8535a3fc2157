//! What a search finds, in an order that never depends on chance.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A point found, with its distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// The identifier it was inserted under.
    pub id: u64,
    /// Small is near; `Metric::score` makes a score of it.
    pub distance: f32,
}

impl Eq for Neighbor {}

/// Nearest first; equal distances in the order of identifiers.
impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The k nearest of all that it was shown.
#[derive(Clone, Debug)]
pub struct Nearest {
    k: usize,
    heap: BinaryHeap<Neighbor>,
}

impl Nearest {
    /// Nothing yet.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(1 << 16)) }
    }

    /// Whether this one would be kept.
    pub fn admits(&self, candidate: &Neighbor) -> bool {
        self.heap.len() < self.k || self.heap.peek().is_some_and(|worst| candidate < worst)
    }

    /// The greatest distance that is kept, once k are.
    pub(crate) fn worst(&self) -> Option<f32> {
        if self.heap.len() < self.k {
            return None;
        }
        self.heap.peek().map(|worst| worst.distance)
    }

    /// Shows it one more.
    pub fn push(&mut self, candidate: Neighbor) {
        if self.admits(&candidate) {
            self.heap.push(candidate);
            if self.heap.len() > self.k {
                self.heap.pop();
            }
        }
    }

    /// The k nearest of all that either was shown.
    pub fn merge(mut self, other: Self) -> Self {
        self.extend(other.heap);
        self
    }

    /// Nearest first.
    pub fn into_sorted(self) -> Vec<Neighbor> {
        self.heap.into_sorted_vec()
    }
}

/// Shows it many.
impl Extend<Neighbor> for Nearest {
    fn extend<I: IntoIterator<Item = Neighbor>>(&mut self, candidates: I) {
        candidates.into_iter().for_each(|candidate| self.push(candidate));
    }
}
