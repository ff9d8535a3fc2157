//! Search among the vectors that pass a filter, by a walk through the whole graph.
//!
//! Nodes that fail are stepping stones and never results. Where most pass, the walk is the usual one and failing nodes are
//! left out of its answer. Where few pass, as in ACORN-1 (arXiv 2403.04871), the neighbors of a neighbor that fails stand
//! in for it, so that the walk moves over the graph of passing nodes. Where there are none of these either, the failing
//! neighbors are kept in reserve and followed, nearest first, while too few results are known.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    Accept, GoOn, Neighbor,
    beam::{Key, Scratch},
    config::{FilteredParams, MAX_EF},
    frozen::{Frozen, Tables},
    layers::{Links, linked},
    walk::{BETWEEN_LOOKS, Walk},
};

/// With a smaller share passing than this, neighbors of failing neighbors are looked at.
const TWO_HOPS_BELOW: f32 = 0.4;
/// With so many times the links of a node to be compared, no more neighbors of neighbors are looked at. One would do for
/// the graph of passing nodes to be as dense as the whole, but the first of many are not the best of them.
const ENOUGH: usize = 2;
/// Looks at links that take about as long as comparing a vector.
const LOOKS: usize = 4;

/// What is let through, and how far the walk may go.
pub(crate) struct Admission<'a> {
    /// Passing nodes that are kept.
    pub(crate) ef: usize,
    pub(crate) accept: Accept<'a>,
    pub(crate) pass_rate: f32,
    /// How many links may be looked at.
    pub(crate) max_looks: usize,
    /// Whether the answer is still wanted.
    pub(crate) go_on: GoOn<'a>,
}

impl<'a> Admission<'a> {
    pub(crate) fn of(params: &FilteredParams<'a>, nodes: usize) -> Self {
        let FilteredParams { k, ef, accept, pass_rate, max_looks, go_on } = *params;
        let max_looks = if max_looks == 0 { LOOKS * nodes } else { max_looks };
        Self { ef: ef.clamp(1, MAX_EF).max(k), accept, pass_rate, max_looks, go_on }
    }
}

/// Passing live vectors near a prepared query, nearest first, with their true distances: `ef` of them, or `None`, as near
/// ones may be missing where the walk ended before it had so many.
pub(crate) fn search(
    frozen: &Frozen,
    query: &[f32],
    admission: &Admission<'_>,
) -> Option<Vec<Neighbor>> {
    let links = frozen.tables();
    Scratch::lend(|scratch| {
        frozen.encode(query, &mut scratch.query);
        let walk = frozen.walk(&links);
        let mut way = Way::new(frozen, &links, admission);
        let full = way.go(&walk, scratch);
        let nodes: Vec<u32> = way.results.into_iter().map(Key::node).collect();
        full.then(|| frozen.rescore(query, &nodes))
    })
}

/// A walk on its way.
struct Way<'a> {
    frozen: &'a Frozen,
    links: &'a Tables<'a>,
    admission: &'a Admission<'a>,
    two_hops: bool,
    /// Passing nodes, or all, that were compared and not visited.
    ahead: BinaryHeap<Reverse<Key>>,
    /// Failing nodes, compared and not visited.
    reserve: BinaryHeap<Reverse<Key>>,
    /// The nearest passing nodes, the farthest of them on top.
    results: BinaryHeap<Key>,
    looks: usize,
}

impl<'a> Way<'a> {
    fn new(frozen: &'a Frozen, links: &'a Tables<'a>, admission: &'a Admission<'a>) -> Self {
        Self {
            frozen,
            links,
            admission,
            two_hops: admission.pass_rate < TWO_HOPS_BELOW,
            ahead: BinaryHeap::new(),
            reserve: BinaryHeap::new(),
            results: BinaryHeap::with_capacity(admission.ef + 1),
            looks: 0,
        }
    }

    /// Whether it found as many as wanted, and nothing nearer can be ahead.
    fn go(&mut self, walk: &Walk<'_, Tables<'_>>, scratch: &mut Scratch) -> bool {
        let Some((entry, height)) = self.links.entry() else { return false };
        let mut start = Key::new(walk.product(entry, scratch), entry);
        for layer in (1..=height).rev() {
            start = walk.descend(start, layer, scratch);
        }
        scratch.met.begin(walk.nodes());
        scratch.met.insert(start.node());
        self.take(start);
        let mut visits = 0;
        while let Some(key) = self.next() {
            visits += 1;
            let wanted = visits % BETWEEN_LOOKS != 0 || self.admission.go_on.is_wanted();
            if !wanted || self.looks >= self.admission.max_looks {
                return false;
            }
            self.looks += self.gather(key.node(), scratch);
            walk.compare(scratch);
            for at in 0..scratch.fresh.len() {
                self.take(Key::new(scratch.products[at], scratch.fresh[at]));
            }
        }
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.results.len() >= self.admission.ef
    }

    /// Whether a node this far away may still lead to a result.
    fn is_near(&self, key: Key) -> bool {
        !self.is_full() || self.results.peek().is_some_and(|worst| key < *worst)
    }

    /// The node to visit: the nearest ahead, or from the reserve while too few results are known.
    fn next(&mut self) -> Option<Key> {
        if let Some(Reverse(key)) = self.ahead.pop() {
            return self.is_near(key).then_some(key);
        }
        if self.is_full() {
            return None;
        }
        self.reserve.pop().map(|Reverse(key)| key)
    }

    fn passes(&self, node: u32) -> bool {
        self.frozen.is_live(node as usize)
            && (self.admission.accept)(self.frozen.image().ids()[node as usize])
    }

    /// Sorts a node that was compared into its heap.
    fn take(&mut self, key: Key) {
        if !self.is_near(key) {
            return;
        }
        if self.passes(key.node()) {
            self.ahead.push(Reverse(key));
            self.results.push(key);
            if self.results.len() > self.admission.ef {
                self.results.pop();
            }
        } else if self.two_hops {
            self.reserve.push(Reverse(key));
        } else {
            self.ahead.push(Reverse(key));
        }
    }

    /// Collects the nodes to be compared: neighbors not met before; with two hops only those that pass, the passing
    /// neighbors of those that fail, and where there are none the failing neighbors themselves.
    /// Gives the number of links it looked at.
    fn gather(&self, node: u32, scratch: &mut Scratch) -> usize {
        let Scratch { met, fresh, .. } = scratch;
        fresh.clear();
        let row = self.links.lowest(node);
        let mut looks = row.len();
        if !self.two_hops {
            fresh.extend(linked(row).filter(|&link| met.insert(link)));
            return looks;
        }
        fresh.extend(linked(row).filter(|&link| self.passes(link) && met.insert(link)));
        for failing in linked(row).filter(|&link| !self.passes(link)) {
            if fresh.len() >= ENOUGH * row.len() {
                return looks;
            }
            let second = self.links.lowest(failing);
            looks += second.len();
            fresh.extend(linked(second).filter(|&link| self.passes(link) && met.insert(link)));
        }
        if fresh.is_empty() {
            fresh.extend(linked(row).filter(|&link| met.insert(link)));
        }
        looks
    }
}
