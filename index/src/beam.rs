//! What a walk keeps between its steps: the nodes it met, the best of them, and which it has been to. All of it belongs to
//! the thread and is used again, so that a search allocates nothing for them.

use std::cell::RefCell;

use crate::codes::QueryCode;

/// Memory of a thread's walks.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) query: QueryCode,
    pub(crate) beam: Beam,
    pub(crate) met: Met,
    /// Nodes to be compared, and what the comparison gave.
    pub(crate) fresh: Vec<u32>,
    pub(crate) products: Vec<i32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Lends the thread's scratch. A search inside a search, as from a filter, gets a new one.
    pub(crate) fn lend<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => work(&mut scratch),
            Err(_) => work(&mut Self::default()),
        })
    }
}

/// A node with its distance, in one integer: the distance above, then the node, then whether the walk has been there. Its
/// order is the order of distances, ties by node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    const BEEN: u64 = 1;

    /// A large product is near.
    pub(crate) fn new(product: i32, node: u32) -> Self {
        let distance = i32::MAX.abs_diff(product);
        Self(u64::from(distance) << 32 | u64::from(node) << 1)
    }

    pub(crate) fn node(self) -> u32 {
        (self.0 as u32) >> 1
    }

    fn has_been(self) -> bool {
        self.0 & Self::BEEN != 0
    }
}

/// The nearest nodes met, sorted; at most `width` of them.
///
/// Half of what a pair of heaps costs at the usual widths: an insertion is a binary search and a short copy.
#[derive(Default)]
pub(crate) struct Beam {
    keys: Vec<Key>,
    width: usize,
    /// Everything before has been visited.
    next: usize,
}

impl Beam {
    pub(crate) fn begin(&mut self, width: usize) {
        self.keys.clear();
        (self.width, self.next) = (width.max(1), 0);
    }

    /// Takes a node that it was not given before, if it is near enough.
    #[inline]
    pub(crate) fn offer(&mut self, key: Key) {
        if self.keys.len() == self.width {
            if self.keys.last().is_some_and(|worst| key >= *worst) {
                return;
            }
            self.keys.pop();
        }
        let at = self.keys.partition_point(|kept| *kept < key);
        self.keys.insert(at, key);
        self.next = self.next.min(at);
    }

    /// The nearest node that was not visited; it is now.
    #[inline]
    pub(crate) fn visit(&mut self) -> Option<u32> {
        let key = self.keys.get_mut(self.next)?;
        let node = key.node();
        key.0 |= Key::BEEN;
        self.next += 1;
        while self.keys.get(self.next).is_some_and(|key| key.has_been()) {
            self.next += 1;
        }
        Some(node)
    }

    /// What [`Beam::visit`] would give.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u32> {
        self.keys.get(self.next).map(|key| key.node())
    }

    pub(crate) fn nearest(&self) -> Option<Key> {
        self.keys.first().map(|key| Key(key.0 & !Key::BEEN))
    }

    /// Nearest first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.iter().map(|key| key.node())
    }
}

/// A set of nodes that is emptied by counting up.
#[derive(Default)]
pub(crate) struct Met {
    stamps: Vec<u8>,
    epoch: u8,
}

impl Met {
    /// Empties it for nodes below `nodes`.
    pub(crate) fn begin(&mut self, nodes: usize) {
        if self.stamps.len() < nodes {
            self.stamps.resize(nodes, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.stamps.fill(0);
            self.epoch = 1;
        }
    }

    /// True the first time.
    #[inline]
    pub(crate) fn insert(&mut self, node: u32) -> bool {
        let stamp = &mut self.stamps[node as usize];
        let new = *stamp != self.epoch;
        *stamp = self.epoch;
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_order_by_product_then_by_node() {
        let near = Key::new(i32::MAX, 3);
        let keys = [near, Key::new(5, 1), Key::new(5, 2), Key::new(-5, 0), Key::new(i32::MIN, 7)];
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(keys.map(Key::node), [3, 1, 2, 0, 7]);
        assert_eq!(Key::new(0, (1 << 31) - 1).node(), (1 << 31) - 1);
    }

    proptest! {
        #[test]
        fn a_beam_keeps_and_visits_what_a_sorted_list_does(
            steps in prop::collection::vec(prop::option::of(-20i32..20), 1..200),
            width in 1usize..12,
        ) {
            let mut beam = Beam::default();
            beam.begin(width);
            let mut model: Vec<(i32, u32, bool)> = Vec::new();
            for (node, step) in (0u32..).zip(steps) {
                match step {
                    Some(product) => {
                        beam.offer(Key::new(product, node));
                        model.push((-product, node, false));
                        model.sort_unstable();
                        model.truncate(width);
                    }
                    None => {
                        let next = model.iter_mut().find(|(.., been)| !been);
                        let expected = next.map(|entry| { entry.2 = true; entry.1 });
                        prop_assert_eq!(beam.peek(), expected);
                        prop_assert_eq!(beam.visit(), expected);
                    }
                }
                let kept: Vec<u32> = model.iter().map(|entry| entry.1).collect();
                prop_assert_eq!(beam.nodes().collect::<Vec<_>>(), kept);
            }
        }
    }

    #[test]
    fn a_set_forgets_between_walks_however_many() {
        let mut met = Met::default();
        for walk in 0..600 {
            met.begin(4);
            assert!(met.insert(walk % 4) && !met.insert(walk % 4));
        }
    }
}
