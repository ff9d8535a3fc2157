//! What every search promises, whatever was inserted and removed before.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::sync::atomic::{AtomicBool, Ordering};

use moiety_index::{
    FlatIndex, GoOn, HnswConfig, HnswIndex, IndexError, Metric, Neighbor, SearchParams,
};
use proptest::prelude::*;

mod random;
use random::Random;

fn graph_index(metric: Metric, dim: usize) -> HnswIndex {
    HnswIndex::new(HnswConfig { exact_below: 0, ..HnswConfig::new(metric, dim) }).unwrap()
}

fn params(k: usize, ef: usize) -> SearchParams<'static> {
    SearchParams { k, ef, exact: false, accept: None, go_on: GoOn::ALWAYS }
}

fn ids(neighbors: &[Neighbor]) -> Vec<u64> {
    neighbors.iter().map(|neighbor| neighbor.id).collect()
}

#[test]
fn parameters_that_would_end_the_process_are_refused() {
    let config = HnswConfig::new(Metric::Cosine, 4);
    for (m, ok) in [(0, false), (1, false), (2, true), (255, true), (256, false), (257, false)] {
        assert_eq!(HnswIndex::new(HnswConfig { m, ..config }).is_ok(), ok, "m = {m}");
    }
    assert!(HnswIndex::new(HnswConfig { ef_construction: 0, ..config }).is_err());
    assert!(HnswIndex::new(HnswConfig { dim: 0, ..config }).is_err());
    assert!(HnswIndex::new(HnswConfig { capacity: 0, ..config }).is_err());
}

#[test]
fn vectors_that_would_panic_the_library_are_refused() {
    let index = graph_index(Metric::Cosine, 2);
    assert!(matches!(index.insert(1, &[1.0]), Err(IndexError::Dimension { .. })));
    assert!(matches!(
        index.insert(1, &[1.0, f32::NAN]),
        Err(IndexError::NotFinite { position: 1 })
    ));
    assert_eq!(index.insert(1, &[0.0, 0.0]), Err(IndexError::ZeroNorm));
    assert!(index.search(&[f32::INFINITY, 0.0], params(1, 1)).is_err());
    index.insert(1, &[1.0, 0.0]).unwrap();
    assert_eq!(index.insert(1, &[1.0, 0.0]), Err(IndexError::IdTaken { id: 1 }));
}

#[test]
fn an_empty_index_and_k_of_zero_find_nothing() {
    let index = graph_index(Metric::Dot, 3);
    assert!(index.search(&[1.0, 0.0, 0.0], params(5, 10)).unwrap().neighbors.is_empty());
    index.insert(1, &[1.0, 2.0, 3.0]).unwrap();
    assert!(index.search(&[1.0, 0.0, 0.0], params(0, 10)).unwrap().neighbors.is_empty());
    assert_eq!(index.search(&[1.0, 0.0, 0.0], params(9, 10)).unwrap().neighbors.len(), 1);
}

#[test]
fn equal_distances_come_in_the_order_of_ids() {
    let index = graph_index(Metric::Cosine, 2);
    for id in [9, 3, 7, 1] {
        index.insert(id, &[1.0, 1.0]).unwrap();
    }
    let found = index.search(&[1.0, 1.0], params(3, 10)).unwrap();
    assert_eq!(ids(&found.neighbors), [1, 3, 7]);
}

#[test]
fn scores_are_cosines_and_dot_products() {
    let index = graph_index(Metric::Dot, 2);
    index.insert(1, &[3.0, 4.0]).unwrap();
    let found = index.search(&[1.0, 1.0], params(1, 1)).unwrap();
    assert_eq!(Metric::Dot.score(found.neighbors[0].distance), 7.0);
    let index = graph_index(Metric::Cosine, 2);
    index.insert(1, &[3.0, 4.0]).unwrap();
    let found = index.search(&[30.0, 40.0], params(1, 1)).unwrap();
    assert!((Metric::Cosine.score(found.neighbors[0].distance) - 1.0).abs() < 1e-6);
}

#[test]
fn k_live_results_that_pass_the_filter_are_found_where_k_exist() {
    let mut random = Random::new(5);
    let index = graph_index(Metric::Cosine, 8);
    for id in 0..3_000 {
        index.insert(id, &random.vector(8)).unwrap();
    }
    index.finish_graph();
    (0..3_000).filter(|id| id % 3 == 0).for_each(|id| assert!(index.remove(id)));
    let query = random.vector(8);
    let accept = |id: u64| id % 100 == 1;
    let params =
        SearchParams { k: 20, ef: 20, exact: false, accept: Some(&accept), go_on: GoOn::ALWAYS };
    let found = index.search(&query, params).unwrap();
    let exact = index.search(&query, SearchParams { exact: true, ..params }).unwrap();
    assert_eq!(found.neighbors, exact.neighbors);
    assert_eq!(found.neighbors.len(), 20);
    assert!(found.exact, "one in a hundred is too few for the graph");
}

#[test]
fn what_the_graph_does_not_know_yet_is_found_exactly() {
    let mut random = Random::new(11);
    let index = graph_index(Metric::Cosine, 16);
    for id in 0..2_000 {
        index.insert(id, &random.vector(16)).unwrap();
    }
    index.finish_graph();
    for id in 2_000..2_200 {
        let vector = random.vector(16);
        index.insert(id, &vector).unwrap();
        let found = index.search(&vector, params(1, 32)).unwrap();
        assert_eq!(found.neighbors[0].id, id);
    }
}

#[test]
fn searches_run_beside_insertions_and_see_whole_points() {
    let index = graph_index(Metric::Cosine, 8);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2u64 {
            let (index, done) = (&index, &done);
            scope.spawn(move || {
                let mut random = Random::new(100 + seed);
                while !done.load(Ordering::Relaxed) {
                    let found = index.search(&random.vector(8), params(10, 50)).unwrap();
                    assert!(found.neighbors.windows(2).all(|pair| pair[0] < pair[1]));
                }
            });
        }
        let mut random = Random::new(1);
        for id in 0..4_000 {
            index.insert(id, &random.vector(8)).unwrap();
            if id % 5 == 4 {
                index.remove(id - 2);
            }
        }
        index.finish_graph();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(index.len(), 4_000 - 800);
    assert!(index.linked() >= 4_000 - 800);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, Vec<f32>),
    Remove(u64),
    Search(Vec<f32>, usize),
    Link,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vector =
        || prop::collection::vec(-2i8..3, 3).prop_map(|v| v.into_iter().map(f32::from).collect());
    let step = prop_oneof![
        4 => (0..40u64, vector()).prop_map(|(id, v)| Step::Insert(id, v)),
        2 => (0..40u64).prop_map(Step::Remove),
        3 => (vector(), 0..50usize).prop_map(|(v, k)| Step::Search(v, k)),
        1 => Just(Step::Link),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Small integers make many ties; the model is a map and a sort.
    #[test]
    fn any_sequence_gives_what_a_map_gives(steps in steps()) {
        let index = graph_index(Metric::Dot, 3);
        let mut model = std::collections::BTreeMap::<u64, Vec<f32>>::new();
        for step in steps {
            match step {
                Step::Insert(id, vector) => {
                    let taken = model.contains_key(&id);
                    prop_assert_eq!(index.insert(id, &vector).is_err(), taken);
                    model.entry(id).or_insert(vector);
                }
                Step::Remove(id) => prop_assert_eq!(index.remove(id), model.remove(&id).is_some()),
                Step::Link => index.finish_graph(),
                Step::Search(query, k) => {
                    let found = index.search(&query, params(k, 100)).unwrap();
                    let product = |v: &Vec<f32>| v.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>();
                    let mut expected: Vec<Neighbor> = model
                        .iter()
                        .map(|(&id, v)| Neighbor { id, distance: 0.0 - product(v) })
                        .collect();
                    expected.sort();
                    expected.truncate(k);
                    prop_assert_eq!(found.neighbors, expected);
                }
            }
        }
    }

    #[test]
    fn any_numbers_at_all_give_an_answer_or_an_error(
        vectors in prop::collection::vec(prop::collection::vec(any::<f32>(), 0..4), 1..30),
        cosine in any::<bool>(),
    ) {
        let index = graph_index(if cosine { Metric::Cosine } else { Metric::Dot }, 2);
        let flat = FlatIndex::new(Metric::Cosine, 2).unwrap();
        for (id, vector) in vectors.iter().enumerate() {
            let _ = index.insert(id as u64, vector);
            let _ = flat.insert(id as u64, vector);
        }
        index.finish_graph();
        for vector in &vectors {
            if let Ok(found) = index.search(vector, params(3, 3)) {
                prop_assert!(found.neighbors.iter().all(|n| !n.distance.is_nan()));
            }
        }
    }
}
