//! The frozen graph beside exact search: in filters, under churn, and while it is rebuilt.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{collections::HashSet, sync::OnceLock};

use moiety_index::{
    FilteredParams, FlatIndex, Found, GoOn, HnswConfig, HnswIndex, Metric, Neighbor, SearchParams,
};

mod random;
use random::Random;

const DIM: usize = 24;
const POINTS: u64 = 8_000;
const K: usize = 10;

fn vectors(seed: u64, n: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    let centres: Vec<Vec<f32>> = (0..80).map(|_| random.vector(DIM)).collect();
    let near =
        |centre: &[f32], noise: Vec<f32>| centre.iter().zip(noise).map(|(c, x)| c + x).collect();
    (0..n).map(|i| near(&centres[(i * 7 % 80) as usize], random.vector(DIM))).collect()
}

fn filled(vectors: &[Vec<f32>]) -> HnswIndex {
    let config = HnswConfig { exact_below: 1, ..HnswConfig::new(Metric::Cosine, DIM) };
    let index = HnswIndex::new(config).unwrap();
    for (id, vector) in (0..).zip(vectors) {
        index.insert(id, vector).unwrap();
    }
    index.finish_graph();
    index
}

/// One index for all tests that only read.
fn shared() -> &'static HnswIndex {
    static INDEX: OnceLock<HnswIndex> = OnceLock::new();
    INDEX.get_or_init(|| filled(&vectors(1, POINTS)))
}

fn exact(
    index: &HnswIndex,
    query: &[f32],
    accept: Option<moiety_index::Accept<'_>>,
) -> Vec<Neighbor> {
    let params = SearchParams { k: K, ef: K, exact: true, accept, go_on: GoOn::ALWAYS };
    index.search(query, params).unwrap().neighbors
}

fn overlap(found: &Found, truth: &[Neighbor]) -> usize {
    let truth: HashSet<u64> = truth.iter().map(|neighbor| neighbor.id).collect();
    found.neighbors.iter().filter(|neighbor| truth.contains(&neighbor.id)).count()
}

/// Recall@10 of filtered walks, and how many of them the graph answered.
fn filtered(accept: &(dyn Fn(u64) -> bool + Sync), pass_rate: f32) -> (f64, usize) {
    let (mut hits, mut all, mut walked) = (0, 0, 0);
    for query in vectors(2, 60) {
        let params = FilteredParams {
            k: K,
            ef: 100,
            accept,
            pass_rate,
            max_looks: 1 << 20,
            go_on: GoOn::ALWAYS,
        };
        let found = shared().search_filtered(&query, params).unwrap();
        assert!(found.neighbors.iter().all(|neighbor| accept(neighbor.id)));
        let truth = exact(shared(), &query, Some(accept));
        assert_eq!(found.neighbors.len(), truth.len());
        hits += overlap(&found, &truth);
        all += truth.len();
        walked += usize::from(!found.exact);
    }
    (hits as f64 / all as f64, walked)
}

#[test]
fn exact_search_of_codes_and_floats_is_that_of_floats() {
    let all = vectors(1, POINTS);
    for metric in [Metric::Cosine, Metric::Dot] {
        let config = HnswConfig { exact_below: 1, ..HnswConfig::new(metric, DIM) };
        let index = HnswIndex::new(config).unwrap();
        let flat = FlatIndex::new(metric, DIM).unwrap();
        for (id, vector) in (0..).zip(&all[..1_500]) {
            index.insert(id, vector).unwrap();
            flat.insert(id, vector).unwrap();
        }
        index.finish_graph();
        let queries = vectors(3, 150);
        let many = index.search_exact_many(&queries, K).unwrap();
        for (query, many) in queries.iter().zip(many) {
            let truth = flat.search(query, K, None).unwrap();
            assert_eq!(exact(&index, query, None), truth);
            assert_eq!(many, truth);
        }
    }
}

#[test]
fn filtered_recall_is_at_least_95_percent_at_every_selectivity() {
    for (share, rate) in [(1_000, 0.001), (100, 0.01), (10, 0.1), (2, 0.5)] {
        let accept =
            move |id: u64| id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff < 65_536 / share;
        let (recall, walked) = filtered(&accept, rate);
        assert!(recall >= 0.95, "one in {share}: recall {recall}, {walked} walks");
        assert!(share > 10 || walked == 60, "one in {share}: {walked} walks");
    }
}

#[test]
fn a_filter_that_admits_only_one_group_of_neighbors_is_walked_to() {
    // Members of one cluster: the way there leads through nothing that passes.
    let accept = |id: u64| id * 7 % 80 < 4;
    let (recall, _) = filtered(&accept, 0.05);
    assert!(recall >= 0.95, "recall {recall}");
}

#[test]
fn a_wrong_pass_rate_costs_time_and_no_results() {
    let accept = |id: u64| id % 20 == 3;
    for rate in [0.0, 1.0, f32::NAN] {
        let (recall, _) = filtered(&accept, rate);
        assert!(recall >= 0.95, "rate {rate}: recall {recall}");
    }
}

#[test]
fn a_walk_that_its_bound_ends_says_so_and_exact_search_answers() {
    let accept = |id: u64| id % 500 == 1;
    let query = &vectors(5, 1)[0];
    let params = FilteredParams {
        k: K,
        ef: 50,
        accept: &accept,
        pass_rate: 0.002,
        max_looks: 40,
        go_on: GoOn::ALWAYS,
    };
    let found = shared().search_filtered(query, params).unwrap();
    assert!(found.stopped_early && found.exact);
    assert_eq!(found.neighbors, exact(shared(), query, Some(&accept)));
}

#[test]
fn what_comes_and_goes_after_the_freeze_is_seen_at_once() {
    let all = vectors(1, 4_000);
    let index = filled(&all[..3_000]);
    assert_eq!((index.linked(), index.len()), (3_000, 3_000));
    for (id, vector) in (3_000..).zip(&all[3_000..3_500]) {
        index.insert(id, vector).unwrap();
    }
    assert_eq!((index.linked(), index.len()), (3_000, 3_500));
    for id in [17, 2_999, 3_100] {
        let vector = &all[id as usize];
        let params = SearchParams { k: 1, ef: 64, exact: false, accept: None, go_on: GoOn::ALWAYS };
        assert_eq!(index.search(vector, params).unwrap().neighbors[0].id, id);
        assert!(index.remove(id) && !index.remove(id) && !index.contains(id));
        assert_ne!(index.search(vector, params).unwrap().neighbors[0].id, id);
        index.insert(id, vector).unwrap();
        assert_eq!(index.search(vector, params).unwrap().neighbors[0].id, id);
    }
    index.finish_graph();
    assert_eq!((index.linked(), index.len(), index.tombstones()), (3_500, 3_500, 0));
}

#[test]
fn recall_after_half_the_points_were_replaced_is_that_of_a_fresh_graph() {
    let all = vectors(1, 4_500);
    let index = filled(&all[..3_000]);
    for id in 0..1_500 {
        assert!(index.remove(2 * id));
        index.insert(3_000 + id, &all[3_000 + id as usize]).unwrap();
    }
    index.finish_graph();
    let kept: Vec<Vec<f32>> = all
        .iter()
        .zip(0..)
        .filter(|(_, id)| *id >= 3_000 || id % 2 == 1)
        .map(|(vector, _)| vector.clone())
        .collect();
    let fresh = filled(&kept);
    let recall = |index: &HnswIndex| {
        let params = SearchParams { k: K, ef: 40, exact: false, accept: None, go_on: GoOn::ALWAYS };
        let queries = vectors(4, 100);
        let hits = queries.iter().map(|query| {
            overlap(&index.search(query, params).unwrap(), &exact(index, query, None))
        });
        hits.sum::<usize>() as f64 / (100 * K) as f64
    };
    let (churned, fresh) = (recall(&index), recall(&fresh));
    assert!(churned >= fresh - 0.01 && churned > 0.95, "{churned} after churn, {fresh} fresh");
}

/// The main graph has 1,000 nodes and takes the young one in at 62, which takes in a tail of 8.
#[test]
fn a_young_graph_beside_the_main_one_hides_nothing() {
    let all = vectors(1, 2_000);
    let config = HnswConfig { exact_below: 1_000, tail: 8, ..HnswConfig::new(Metric::Cosine, DIM) };
    let index = HnswIndex::new(config).unwrap();
    let flat = FlatIndex::new(Metric::Cosine, DIM).unwrap();
    let insert = |id: u64, vector: &[f32]| {
        index.insert(id, vector).unwrap();
        flat.insert(id, vector).unwrap();
    };
    let (queries, mut young, mut hits) = (vectors(9, 1_000), 0, 0);
    let (mut hits_of_odd, mut odd_due) = (0, 0);
    for (id, vector) in (0..).zip(&all) {
        insert(id, vector);
        if id % 3 == 0 {
            // One of long ago, one of now and one that comes back.
            let gone = [id / 2, id.saturating_sub(7)];
            gone.iter().for_each(|&gone| assert_eq!(index.remove(gone), flat.remove(gone)));
            if index.remove(id) && flat.remove(id) {
                insert(id, vector);
            }
        }
        if id < 1_000 {
            continue;
        }
        while index.len() + index.tombstones() >= index.linked() + config.tail {
            std::thread::yield_now();
        }
        young += usize::from(index.linked() > index.savable());
        let query = &queries[id as usize - 1_000];
        let truth = flat.search(query, K, None).unwrap();
        assert_eq!(exact(&index, query, None), truth);
        let params = SearchParams { k: K, ef: 60, exact: false, accept: None, go_on: GoOn::ALWAYS };
        hits += overlap(&index.search(query, params).unwrap(), &truth);
        let accept = |id: u64| id % 2 == 1;
        // The wide search scans the young graph, the narrow one walks through it.
        let (k, ef) = if id % 2 == 0 { (K, 60) } else { (4, 7) };
        let odd = FilteredParams {
            k,
            ef,
            accept: &accept,
            pass_rate: 0.5,
            max_looks: 0,
            go_on: GoOn::ALWAYS,
        };
        let found = index.search_filtered(query, odd).unwrap();
        let truth = flat.search(query, k, Some(&accept)).unwrap();
        assert_eq!(found.neighbors.len(), k);
        (hits_of_odd, odd_due) = (hits_of_odd + overlap(&found, &truth), odd_due + k);
        assert_eq!((index.len(), index.contains(id)), (flat.len(), flat.contains(id)));
    }
    assert!(young > 500, "a young graph was there in {young} of 1,000 searches");
    assert!(hits >= 9_900, "recall {}", hits as f64 / 10_000.0);
    assert!(hits_of_odd * 20 >= odd_due * 19, "filtered {hits_of_odd} of {odd_due}");
    let mut missing = flat.sample(usize::MAX);
    missing.sort_unstable();
    assert_eq!(index.reconcile(missing), []);
    let mut sample = index.sample(100);
    sample.sort_unstable();
    sample.dedup();
    assert!(sample.len() > 90 && sample.iter().all(|&id| flat.contains(id)));
    index.finish_graph();
    assert_eq!((index.linked(), index.tombstones()), (flat.len(), 0));
    assert_eq!(index.savable(), index.linked());
}
