//! Recall of the graph against exact search, on seeded data: a change that costs recall fails here.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::HashSet;

use moiety_index::{Builder, GoOn, HnswConfig, HnswIndex, Metric, SearchParams};

mod random;
use random::Random;

const DIM: usize = 32;
const POINTS: u64 = 6_000;
const QUERIES: usize = 100;
const K: usize = 10;

/// Points around 60 centres, as embeddings are; `stretch` gives them different lengths.
fn data(random: &mut Random, n: u64, stretch: f32) -> Vec<Vec<f32>> {
    let centres: Vec<Vec<f32>> = (0..60).map(|_| random.vector(DIM)).collect();
    let point = |i: u64| {
        let noise = random.vector(DIM);
        let scale = 1.0 + stretch * (i % 7) as f32 / 7.0;
        let centre = &centres[(i % 60) as usize];
        centre.iter().zip(noise).map(|(c, x)| (c + 0.7 * x) * scale).collect()
    };
    (0..n).map(point).collect()
}

fn recall(metric: Metric, stretch: f32, churn: bool, builder: Builder) -> f64 {
    let mut random = Random::new(42);
    let points = data(&mut random, POINTS, stretch);
    let config = HnswConfig { exact_below: 0, builder, ..HnswConfig::new(metric, DIM) };
    let index = HnswIndex::new(config).unwrap();
    for (id, vector) in (0..).zip(&points) {
        index.insert(id, vector).unwrap();
    }
    index.finish_graph();
    if churn {
        (0..POINTS).step_by(2).for_each(|id| assert!(index.remove(id)));
    }
    let mut hits = 0;
    for query in data(&mut random, QUERIES as u64, 0.0) {
        let params =
            SearchParams { k: K, ef: 100, exact: false, accept: None, go_on: GoOn::ALWAYS };
        let found = index.search(&query, params).unwrap();
        assert!(!found.exact);
        assert_eq!(found.neighbors.len(), K);
        let exact = index.search(&query, SearchParams { exact: true, ..params }).unwrap();
        let truth: HashSet<u64> = exact.neighbors.iter().map(|neighbor| neighbor.id).collect();
        hits += found.neighbors.iter().filter(|neighbor| truth.contains(&neighbor.id)).count();
    }
    hits as f64 / (QUERIES * K) as f64
}

#[test]
fn cosine_recall_at_10_is_at_least_98_percent() {
    for builder in [Builder::Batches, Builder::HnswRs] {
        let recall = recall(Metric::Cosine, 0.0, false, builder);
        assert!(recall >= 0.98, "{builder:?}: recall {recall}");
    }
}

#[test]
fn cosine_recall_survives_the_deletion_of_half_the_points() {
    let recall = recall(Metric::Cosine, 0.0, true, Builder::Batches);
    assert!(recall >= 0.96, "recall {recall}");
}

#[test]
fn dot_recall_at_10_is_at_least_90_percent_with_lengths_that_differ() {
    for builder in [Builder::Batches, Builder::HnswRs] {
        let recall = recall(Metric::Dot, 0.5, false, builder);
        assert!(recall >= 0.90, "{builder:?}: recall {recall}");
    }
}

#[test]
fn the_same_insertions_give_the_same_answers_on_any_number_of_threads() {
    let answers = |threads: usize| {
        let mut random = Random::new(7);
        let config = HnswConfig { exact_below: 0, threads, ..HnswConfig::new(Metric::Cosine, DIM) };
        let index = HnswIndex::new(config).unwrap();
        for (id, vector) in (0..).zip(data(&mut random, 2_000, 0.0)) {
            index.insert(id, &vector).unwrap();
        }
        index.finish_graph();
        let params = SearchParams { k: K, ef: 20, exact: false, accept: None, go_on: GoOn::ALWAYS };
        let queries = data(&mut random, 50, 0.0);
        queries.iter().map(|q| index.search(q, params).unwrap().neighbors).collect::<Vec<_>>()
    };
    assert_eq!(answers(1), answers(1));
    assert_eq!(answers(1), answers(3));
}
