//! A table of fingerprints beside a map of them, whatever comes and goes.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use moiety_index::{GoOn, IndexError, PrintTable, PrintView};
use proptest::prelude::*;

mod random;
use random::Random;

type Rows = BTreeMap<u64, (Vec<u64>, Vec<u64>)>;

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids
}

/// `|a ∧ b| / |a ∨ b|` in 32 bits.
fn tanimoto(a: &[u64], b: &[u64]) -> f32 {
    let count = |bits: &mut dyn Iterator<Item = u64>| bits.map(u64::count_ones).sum::<u32>();
    let both = count(&mut a.iter().zip(b).map(|(a, b)| a & b));
    let either = count(&mut a.iter().zip(b).map(|(a, b)| a | b));
    if either == 0 { 1.0 } else { both as f32 / either as f32 }
}

fn above(rows: &Rows, query: &[u64], at_least: f32) -> Vec<u64> {
    let above = rows.iter().filter(|(_, (print, _))| tanimoto(print, query) >= at_least);
    above.map(|(id, _)| *id).collect()
}

fn containing(rows: &Rows, pattern: &[u64]) -> Vec<u64> {
    let has = |screen: &[u64]| screen.iter().zip(pattern).all(|(have, need)| need & !have == 0);
    rows.iter().filter(|(_, (_, screen))| has(screen)).map(|(id, _)| *id).collect()
}

fn compare(view: &PrintView, rows: &Rows, query: &[u64], at_least: f32) {
    let found = view.above(query, at_least, GoOn::ALWAYS).unwrap();
    assert_eq!(sorted(found), above(rows, query, at_least));
    let found = view.containing(query, GoOn::ALWAYS).unwrap();
    assert_eq!(sorted(found), containing(rows, query));
    assert_eq!(view.len(), rows.len());
    for (id, (print, screen)) in rows.iter().step_by(97) {
        assert_eq!(view.find(*id), Some((&print[..], &screen[..])));
    }
}

/// Few bits, so that many similarities are equal to simple fractions.
fn row(random: &mut Random, words: usize) -> Vec<u64> {
    (0..words).map(|_| random.next() & random.next() & random.next()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_found_is_what_a_look_at_each_row_finds(
        seed in any::<u64>(),
        steps in prop::collection::vec((0u32..3_000, 0u32..2_500), 1..5),
        words in 1usize..4,
        percent in 0u8..=100,
    ) {
        let mut random = Random::new(seed);
        let (table, mut rows, mut next) = (PrintTable::new(words * 64).unwrap(), Rows::new(), 0);
        for (pushed, removed) in steps {
            for _ in 0..pushed {
                next += 1 + random.next() % 3;
                let (print, screen) = (row(&mut random, words), row(&mut random, words));
                table.push(next, &print, &screen).unwrap();
                rows.insert(next, (print, screen));
            }
            for _ in 0..removed {
                let id = random.next() % (next + 2);
                prop_assert_eq!(table.remove(id), rows.remove(&id).is_some());
            }
            compare(&table.view(), &rows, &row(&mut random, words), f32::from(percent) / 100.0);
        }
        let most = rows.len() * 4 / 3 * PrintTable::row_bytes(words * 64);
        // The last segment grows by doubling.
        prop_assert!(table.memory_bytes() <= most + (1 << 18), "{} {most}", table.memory_bytes());
    }
}

#[test]
fn a_view_keeps_its_moment_beside_writers() {
    let table = PrintTable::new(128).unwrap();
    let mut random = Random::new(8);
    let mut rows = Rows::new();
    for id in 0..5_000 {
        let (print, screen) = (row(&mut random, 2), row(&mut random, 2));
        table.push(id, &print, &screen).unwrap();
        rows.insert(id, (print, screen));
    }
    let view = table.view();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 5_000..9_000 {
                table.push(id, &[id, id], &[id, id]).unwrap();
                assert!(table.remove(id - 5_000));
            }
            done.store(true, Ordering::Release);
        });
        let mut random = Random::new(9);
        while !done.load(Ordering::Acquire) {
            compare(&view, &rows, &row(&mut random, 2), 0.3);
            assert!(table.view().len().abs_diff(5_000) <= 1);
        }
    });
    assert_eq!(table.view().len(), 5_000);
    assert_eq!(table.view().find(3_999), None);
    assert_eq!(table.view().find(8_999), Some((&[8_999, 8_999][..], &[8_999, 8_999][..])));
}

#[test]
fn a_scan_that_is_not_wanted_any_more_ends() {
    let table = PrintTable::new(64).unwrap();
    (0..40_000).for_each(|id| table.push(id, &[id], &[id]).unwrap());
    let view = table.view();
    for patience in 0..10 {
        let asked = AtomicUsize::new(0);
        let ask = || asked.fetch_add(1, Ordering::Relaxed) < patience;
        let found = view.above(&[7], 0.0, GoOn::while_true(&ask));
        assert_eq!(found, Err(IndexError::Stopped));
    }
    assert_eq!(view.containing(&[0], GoOn::ALWAYS).map(|all| all.len()), Ok(40_000));
}

#[test]
fn rows_of_another_length_and_identifiers_out_of_order_are_refused() {
    let table = PrintTable::new(128).unwrap();
    assert!(PrintTable::new(0).is_err());
    assert!(matches!(table.push(1, &[1], &[1, 2]), Err(IndexError::Dimension { .. })));
    table.push(5, &[1, 2], &[1, 2]).unwrap();
    assert!(table.remove(5) && !table.remove(5));
    assert_eq!(table.push(5, &[1, 2], &[1, 2]), Err(IndexError::IdTaken { id: 5 }));
    let view = table.view();
    assert!(view.is_empty());
    assert!(matches!(view.above(&[1], 0.5, GoOn::ALWAYS), Err(IndexError::Dimension { .. })));
}
