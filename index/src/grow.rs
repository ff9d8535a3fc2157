//! Adding nodes to a graph, batch after batch, by all threads and always with the same result.
//!
//! The nodes of a batch are searched for in the graph as it was before the batch, so no lock is needed and no order of
//! threads shows; then their links and the links back are written, each row chosen by itself. A batch is a small part of the
//! graph, so what its nodes miss of each other does not show either (as in ParlayANN, arXiv 2305.04359). Searches run on
//! codes; links are chosen by true products.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    GoOn,
    beam::{Key, Scratch},
    codes::{self, Quantiser},
    graph::Rows,
    layers::{Layers, Links, linked},
    prune::{candidates, choose},
    simd::Isa,
    walk::Walk,
};

/// A batch is one in so many nodes of the graph, and at most this many.
const BATCH_SHARE: usize = 32;
const BATCH: usize = 8_192;

/// A new node's links on each of its layers, the lowest first.
type Chosen = Vec<Vec<u32>>;

/// A link from a node of the graph back to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Back {
    layer: usize,
    from: u32,
    to: u32,
}

/// The rows with their codes.
struct Grower<'a> {
    rows: Rows<'a>,
    codes: Vec<u8>,
    quantiser: Quantiser,
    ef_construction: usize,
    isa: Isa,
}

/// Adds to a graph over the first rows all rows that it does not have; `None` when it was told to stop.
pub(crate) fn grow(
    mut layers: Layers,
    rows: Rows<'_>,
    ef_construction: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Layers> {
    let mut codes = vec![0; rows.len() * codes::stride(rows.dim)];
    let quantiser = Quantiser::fit(rows.numbers, rows.dim, &mut codes);
    let grower = Grower { rows, codes, quantiser, ef_construction, isa: Isa::best() };
    while layers.len() < rows.len() {
        if stop() {
            return None;
        }
        let begin = layers.len();
        let batch = (begin / BATCH_SHARE).clamp(1, BATCH);
        grower.add(begin..(begin + batch).min(rows.len()), &mut layers);
    }
    Some(layers)
}

impl Grower<'_> {
    fn add(&self, batch: Range<usize>, layers: &mut Layers) {
        let base = &*layers;
        let search = |node: usize| self.search(node as u32, base);
        let chosen: Vec<Chosen> = batch.clone().into_par_iter().map(search).collect();
        let mut back = Vec::new();
        for (node, chosen) in batch.zip(chosen) {
            layers.push(height(node, layers.m()));
            for (layer, links) in chosen.into_iter().enumerate() {
                let node = node as u32;
                back.extend(links.iter().map(|&from| Back { layer, from, to: node }));
                layers.set(node, layer, links);
            }
        }
        back.par_sort_unstable();
        let groups: Vec<&[Back]> =
            back.chunk_by(|a, b| (a.layer, a.from) == (b.layer, b.from)).collect();
        let base = &*layers;
        let widened: Vec<Vec<u32>> =
            groups.par_iter().map(|group| self.widen(group, base)).collect();
        for (group, links) in groups.iter().zip(widened) {
            layers.set(group[0].from, group[0].layer, links);
        }
    }

    /// The links of a new node, of the graph as it is.
    fn search(&self, node: u32, layers: &Layers) -> Chosen {
        let Some((entry, top)) = layers.entry() else { return Chosen::new() };
        let own = height(node as usize, layers.m()).min(top);
        let known = layers.len() * codes::stride(self.rows.dim);
        let codes = &self.codes[..known];
        let walk =
            Walk { links: layers, codes, dim: self.rows.dim, isa: self.isa, go_on: GoOn::ALWAYS };
        let mut chosen = vec![Vec::new(); own + 1];
        Scratch::lend(|scratch| {
            self.quantiser.encode(self.rows.get(node), &mut scratch.query);
            let mut nearest = Key::new(walk.product(entry, scratch), entry);
            for layer in (own + 1..=top).rev() {
                nearest = walk.descend(nearest, layer, scratch);
            }
            for layer in (0..=own).rev() {
                scratch.beam.begin(self.ef_construction);
                walk.beam(nearest, layer, scratch);
                nearest = scratch.beam.nearest().unwrap_or(nearest);
                let near = candidates(self.rows, node, scratch.beam.nodes());
                chosen[layer] = choose(self.rows, &near, layers.degree(layer));
            }
        });
        chosen
    }

    /// The links of a node of the graph with those to new nodes.
    fn widen(&self, group: &[Back], layers: &Layers) -> Vec<u32> {
        let Back { layer, from, .. } = group[0];
        let new = group.iter().map(|back| back.to);
        let all: Vec<u32> = linked(layers.row(from, layer)).chain(new).collect();
        let degree = layers.degree(layer);
        if all.len() <= degree {
            return all;
        }
        choose(self.rows, &candidates(self.rows, from, all), degree)
    }
}

/// The highest layer of a node, the same in every run: one node in `m` goes one layer up.
fn height(node: usize, m: usize) -> usize {
    let mut z = (node as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // From above zero to one, in steps that a float has.
    let uniform = ((z >> 11) + 1) as f64 / (1u64 << 53) as f64;
    (-uniform.ln() / (m.max(2) as f64).ln()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_in_m_goes_one_layer_up() {
        let heights: Vec<usize> = (0..100_000).map(|node| height(node, 16)).collect();
        let at_least = |layer| heights.iter().filter(|&&height| height >= layer).count();
        assert!((6_000..6_500).contains(&at_least(1)), "{}", at_least(1));
        assert!((340..440).contains(&at_least(2)), "{}", at_least(2));
        assert!(heights.iter().max() < Some(&9));
    }
}
