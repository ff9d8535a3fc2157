//! A search that nobody waits for ends soon, wherever it is.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::sync::atomic::{AtomicUsize, Ordering};

use moiety_index::{FilteredParams, GoOn, HnswConfig, HnswIndex, IndexError, Metric, SearchParams};

mod random;
use random::Random;

const DIM: usize = 8;
const VECTORS: u64 = 9_000;

/// Searches of every kind, each of them long.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Exact,
    Graph,
    Filtered,
    Among,
}

fn search(index: &HnswIndex, kind: Kind, go_on: GoOn<'_>) -> Result<usize, IndexError> {
    let query = [0.3; DIM];
    let accept = |id: u64| id.is_multiple_of(2);
    let params = SearchParams { k: 10, ef: 1_500, exact: false, accept: None, go_on };
    let found = match kind {
        Kind::Exact => index.search(&query, SearchParams { exact: true, ..params })?.neighbors,
        Kind::Graph => index.search(&query, params)?.neighbors,
        Kind::Filtered => {
            let (k, ef, pass_rate, max_looks) = (10, 1_500, 0.5, 0);
            let params = FilteredParams { k, ef, accept: &accept, pass_rate, max_looks, go_on };
            index.search_filtered(&query, params)?.neighbors
        }
        Kind::Among => {
            let ids: Vec<u64> = (0..VECTORS).collect();
            index.search_among(&query, &ids, 10, go_on)?
        }
    };
    Ok(found.len())
}

/// How often a search asks that is let go on so often.
fn asked(index: &HnswIndex, kind: Kind, patience: usize) -> (Result<usize, IndexError>, usize) {
    let asked = AtomicUsize::new(0);
    let ask = || asked.fetch_add(1, Ordering::Relaxed) < patience;
    let found = search(index, kind, GoOn::while_true(&ask));
    (found, asked.into_inner())
}

fn filled(exact_below: usize) -> HnswIndex {
    let config = HnswConfig { exact_below, ..HnswConfig::new(Metric::Cosine, DIM) };
    let index = HnswIndex::new(config).unwrap();
    let mut random = Random::new(5);
    (0..VECTORS).for_each(|id| index.insert(id, &random.vector(DIM)).unwrap());
    index
}

#[test]
fn every_long_search_asks_on_its_way_and_ends_when_it_is_told_to() {
    let graph = filled(64);
    graph.finish_graph();
    let plain = filled(usize::MAX);
    for (index, kinds) in [
        (&graph, &[Kind::Exact, Kind::Graph, Kind::Filtered, Kind::Among][..]),
        (&plain, &[Kind::Exact, Kind::Among][..]),
    ] {
        for &kind in kinds {
            let (found, whole) = asked(index, kind, usize::MAX);
            assert_eq!(found, Ok(10), "{kind:?}");
            assert!(whole >= 5, "{kind:?} asked {whole} times");
            for patience in 0..whole {
                let (stopped, times) = asked(index, kind, patience);
                assert_eq!(stopped, Err(IndexError::Stopped), "{kind:?} {patience}");
                // What is nested asks once at each level on its way out.
                assert!(times <= patience + 8, "{kind:?} {patience}: {times}");
            }
        }
    }
}
