//! The walk through a graph on the codes of the vectors: down the upper layers, then a beam over the lowest.

use crate::{
    GoOn,
    beam::{Beam, Key, Scratch},
    codes,
    layers::{Links, linked},
    simd::{Isa, prefetch},
};

/// Nodes visited between two looks at whether the answer is wanted.
pub(crate) const BETWEEN_LOOKS: usize = 128;

/// A graph with the codes of its nodes.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a, L> {
    pub(crate) links: &'a L,
    pub(crate) codes: &'a [u8],
    /// Length of vectors; it decides the length of a row of codes.
    pub(crate) dim: usize,
    pub(crate) isa: Isa,
    /// Whether the answer is still wanted; where it is not, a walk ends with whatever it has.
    pub(crate) go_on: GoOn<'a>,
}

impl<L: Links> Walk<'_, L> {
    pub(crate) fn nodes(&self) -> usize {
        self.codes.len() / codes::stride(self.dim)
    }

    /// Walks with the query and the width of the scratch's beam, and leaves in the beam the nearest nodes of the lowest layer.
    pub(crate) fn search(&self, width: usize, scratch: &mut Scratch) {
        scratch.beam.begin(width);
        let Some((entry, height)) = self.links.entry() else { return };
        let mut nearest = Key::new(self.product(entry, scratch), entry);
        for layer in (1..=height).rev() {
            nearest = self.descend(nearest, layer, scratch);
        }
        self.beam(nearest, 0, scratch);
    }

    /// The nearest node of a layer that steps to ever nearer neighbors lead to.
    pub(crate) fn descend(&self, mut nearest: Key, layer: usize, scratch: &mut Scratch) -> Key {
        loop {
            scratch.fresh.clear();
            scratch.fresh.extend(linked(self.links.row(nearest.node(), layer)));
            self.compare(scratch);
            let keys = scratch.products.iter().zip(&scratch.fresh);
            let best = keys.map(|(product, node)| Key::new(*product, *node)).min();
            match best {
                Some(best) if best < nearest => nearest = best,
                _ => return nearest,
            }
        }
    }

    /// Fills the beam, which is empty, with the nearest nodes of a layer.
    pub(crate) fn beam(&self, entry: Key, layer: usize, scratch: &mut Scratch) {
        scratch.met.begin(self.nodes());
        scratch.met.insert(entry.node());
        scratch.beam.offer(entry);
        let mut visits = 0;
        while let Some(node) = scratch.beam.visit() {
            visits += 1;
            if visits % BETWEEN_LOOKS == 0 && !self.go_on.is_wanted() {
                return;
            }
            // The next step most often goes to the node that is next now.
            prefetch_row(self.links, &scratch.beam, layer);
            scratch.fresh.clear();
            for link in linked(self.links.row(node, layer)) {
                if scratch.met.insert(link) {
                    scratch.fresh.push(link);
                }
            }
            self.compare(scratch);
            for (product, node) in scratch.products.iter().zip(&scratch.fresh) {
                scratch.beam.offer(Key::new(*product, *node));
            }
        }
    }

    /// Products of the query with the fresh nodes.
    pub(crate) fn compare(&self, scratch: &mut Scratch) {
        let Scratch { query, fresh, products, .. } = scratch;
        products.clear();
        products.resize(fresh.len(), 0);
        self.isa.dot_some(self.codes, &query.codes, fresh, products);
    }

    pub(crate) fn product(&self, node: u32, scratch: &Scratch) -> i32 {
        let mut product = [0];
        self.isa.dot_some(self.codes, &scratch.query.codes, &[node], &mut product);
        product[0]
    }
}

#[inline]
fn prefetch_row(links: &impl Links, beam: &Beam, layer: usize) {
    if let Some(next) = beam.peek() {
        prefetch(links.row(next, layer));
    }
}
