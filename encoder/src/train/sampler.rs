//! Which pairs a step sees: a function of the seed and the step alone, so that a resumed run goes on as it would have.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::neighbours::Neighbours;

/// Draws batches of one kind; each kind is gone through in a new order per epoch, pairs of like structure together.
pub(super) struct Sampler {
    rng: StdRng,
    kinds: Vec<Kind>,
    batch_size: usize,
    /// By kind; none where order is left to chance.
    neighbours: BTreeMap<String, Neighbours>,
    group: usize,
}

struct Kind {
    name: String,
    share: f64,
    order: Vec<usize>,
    next: usize,
}

impl Sampler {
    /// `counts` are the pairs of each kind, `shares` their relative frequencies.
    pub(super) fn new(
        counts: &BTreeMap<&str, usize>,
        shares: &BTreeMap<String, f64>,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        let total: f64 = shares.values().sum();
        let kind = |(name, share): (&String, &f64)| Kind {
            name: name.clone(),
            share: share / total,
            order: (0..counts.get(name.as_str()).copied().unwrap_or(0)).collect(),
            next: usize::MAX,
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            kinds: shares.iter().map(kind).collect(),
            batch_size,
            neighbours: BTreeMap::new(),
            group: 1,
        }
    }

    /// Lets up to `group` pairs of like structure stand together.
    pub(super) fn with_neighbours(
        self,
        neighbours: BTreeMap<String, Neighbours>,
        group: usize,
    ) -> Self {
        Self { neighbours, group, ..self }
    }

    /// The kind and the pairs of the next step.
    pub(super) fn next_batch(&mut self) -> (&str, Vec<usize>) {
        let mut left: f64 = self.rng.random();
        let last = self.kinds.len() - 1;
        let chosen = self.kinds.iter().position(|kind| {
            left -= kind.share;
            left < 0.0
        });
        let kind = &mut self.kinds[chosen.unwrap_or(last)];
        if kind.next.saturating_add(self.batch_size) > kind.order.len() {
            kind.order.shuffle(&mut self.rng);
            if let Some(neighbours) = self.neighbours.get(&kind.name) {
                kind.order = neighbours.grouped(&kind.order, self.group);
            }
            kind.next = 0;
        }
        let batch: Vec<usize> =
            kind.order.iter().skip(kind.next).take(self.batch_size).copied().collect();
        kind.next += batch.len();
        (&kind.name, batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler() -> Sampler {
        let shares = BTreeMap::from([("a".to_owned(), 1.0), ("b".to_owned(), 1.0)]);
        Sampler::new(&BTreeMap::from([("a", 10), ("b", 7)]), &shares, 3, 5)
    }

    #[test]
    fn the_same_seed_gives_the_same_batches() {
        let (mut one, mut two) = (sampler(), sampler());
        for _ in 0..50 {
            assert_eq!(one.next_batch(), two.next_batch());
        }
    }

    #[test]
    fn a_batch_holds_each_pair_once_and_both_kinds_come_up() {
        let mut sampler = sampler();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let (kind, mut batch) = sampler.next_batch();
            seen.insert(kind.to_owned());
            batch.sort_unstable();
            batch.dedup();
            assert_eq!(batch.len(), 3);
        }
        assert_eq!(seen.len(), 2);
    }
}
