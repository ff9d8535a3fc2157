//! Batches that are hard to tell apart: molecules of like structure stand next to each other in an epoch.
//!
//! A negative that shares most of its structure with the positive teaches what a random one cannot: which substituent,
//! which position, which stereocentre (hard negatives; ANCE, arXiv 2007.00808, mines them with the model itself).

use moiety_chem::Fingerprint;
use rayon::prelude::*;

/// Neighbours kept for a molecule; some of them are taken already when its turn comes.
const KEPT: usize = 16;

/// The most similar other molecules of each, by Tanimoto similarity of Morgan fingerprints, best first.
pub(super) struct Neighbours(Vec<Vec<u32>>);

impl Neighbours {
    /// Compares every molecule with every other: `n * n` intersections of 2,048 bits.
    pub(super) fn of(fingerprints: &[Fingerprint]) -> Self {
        let nearest = |(i, own): (usize, &Fingerprint)| {
            let mut best: Vec<(f32, u32)> = Vec::with_capacity(KEPT + 1);
            for (j, other) in fingerprints.iter().enumerate().filter(|&(j, _)| j != i) {
                let similarity = own.tanimoto(other);
                if best.len() == KEPT && similarity <= best[KEPT - 1].0 {
                    continue;
                }
                let place = best.partition_point(|&(s, _)| s >= similarity);
                best.insert(place, (similarity, j as u32));
                best.truncate(KEPT);
            }
            best.into_iter().map(|(_, j)| j).collect()
        };
        Self(fingerprints.par_iter().enumerate().map(nearest).collect())
    }

    /// `order` again, with each molecule followed by up to `group - 1` of its neighbours that have not had their turn.
    pub(super) fn grouped(&self, order: &[usize], group: usize) -> Vec<usize> {
        let mut taken = vec![false; self.0.len()];
        let mut grouped = Vec::with_capacity(order.len());
        for &seed in order {
            if std::mem::replace(&mut taken[seed], true) {
                continue;
            }
            grouped.push(seed);
            let free = self.0[seed].iter().map(|&j| j as usize);
            let free: Vec<usize> = free.filter(|&j| !taken[j]).take(group - 1).collect();
            free.iter().for_each(|&j| taken[j] = true);
            grouped.extend(free);
        }
        grouped
    }
}

#[cfg(test)]
mod tests {
    use moiety_chem::Molecule;

    use super::*;

    #[test]
    fn each_molecule_comes_once_and_its_likes_come_with_it() {
        let smiles = ["CCCCO", "c1ccccc1O", "CCCCCO", "c1ccccc1N", "CCCCCCO", "O=C=O"];
        let prints: Vec<_> = smiles
            .iter()
            .map(|s| Molecule::from_smiles(s).expect("valid").morgan_fingerprint())
            .collect();
        let grouped = Neighbours::of(&prints).grouped(&[0, 1, 2, 3, 4, 5], 3);
        let alcohols: std::collections::BTreeSet<_> = grouped[..3].iter().collect();
        assert_eq!(alcohols, [0, 2, 4].iter().collect());
        let mut sorted = grouped;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    }
}
