//! Search of fingerprints beside comparing all of them one by one.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use moiety_index::{Fingerprints, IndexError, Similar};
use proptest::prelude::*;

mod random;
use random::Random;

/// All, the most similar first.
fn sorted(rows: &[Vec<u64>], ids: &[u64], query: &[u64]) -> Vec<Similar> {
    let count = |words: &mut dyn Iterator<Item = u64>| words.map(u64::count_ones).sum::<u32>();
    let similarity = |row: &[u64]| {
        let pairs = || row.iter().zip(query);
        let either = count(&mut pairs().map(|(a, b)| a | b));
        let both = count(&mut pairs().map(|(a, b)| a & b));
        if either == 0 { 1.0 } else { f64::from(both) / f64::from(either) }
    };
    let similar = |(row, &id): (&Vec<u64>, &u64)| Similar { id, similarity: similarity(row) };
    let mut all: Vec<Similar> = rows.iter().zip(ids).map(similar).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_best_and_all_above_are_those_of_a_full_comparison(
        seed in any::<u64>(),
        rows in 0usize..700,
        words in 1usize..5,
        sparse in 0u32..4,
        k in 0usize..30,
        threshold in 0f64..1.0,
    ) {
        let mut random = Random::new(seed);
        let mut word = || (0..=sparse).fold(u64::MAX, |word, _| word & random.next());
        let rows: Vec<Vec<u64>> = (0..rows).map(|_| (0..words).map(|_| word()).collect()).collect();
        let query: Vec<u64> = (0..words).map(|_| word()).collect();
        let ids: Vec<u64> = (0..rows.len() as u64).map(|id| id.wrapping_mul(77) % 1_000).collect();
        let fingerprints = Fingerprints::new(words * 64, &rows.concat(), &ids).unwrap();
        let all = sorted(&rows, &ids, &query);
        prop_assert_eq!(fingerprints.search(&query, k).unwrap(), &all[..k.min(all.len())]);
        let above: Vec<Similar> =
            all.into_iter().filter(|similar| similar.similarity >= threshold).collect();
        prop_assert_eq!(fingerprints.search_above(&query, threshold).unwrap(), above);
    }
}

#[test]
fn many_rows_of_one_length_are_compared_by_all_cores() {
    let mut random = Random::new(3);
    let row = |random: &mut Random| vec![random.next() & 0xffff, !random.next() & 0xffff];
    let rows: Vec<Vec<u64>> = (0..60_000).map(|_| row(&mut random)).collect();
    let ids: Vec<u64> = (0..60_000).rev().collect();
    let fingerprints = Fingerprints::new(128, &rows.concat(), &ids).unwrap();
    for _ in 0..5 {
        let query = row(&mut random);
        let all = sorted(&rows, &ids, &query);
        assert_eq!(fingerprints.search(&query, 20).unwrap(), all[..20]);
        let above = fingerprints.search_above(&query, 0.3).unwrap();
        assert_eq!(above, all[..above.len()]);
        assert!(all[above.len()].similarity < 0.3);
    }
}

#[test]
fn fingerprints_of_another_length_are_refused() {
    let fingerprints = Fingerprints::new(2_048, &[0; 64], &[1, 2]).unwrap();
    assert_eq!(fingerprints.search(&[0; 32], 5).unwrap()[0], Similar { id: 1, similarity: 1.0 });
    let refused = fingerprints.search(&[0; 16], 5);
    assert_eq!(refused, Err(IndexError::Dimension { expected: 32, found: 16 }));
    assert!(Fingerprints::new(2_048, &[0; 63], &[1, 2]).is_err());
    assert!(Fingerprints::new(0, &[], &[]).is_err());
}
