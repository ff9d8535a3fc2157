//! Search of the exact index and of the graph, over seeded vectors of 256 numbers. Recall stands in the table of
//! `examples/recall_table.rs`; here is only time.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use moiety_benches::vectors::Clusters;
use moiety_index::{GoOn, HnswConfig, HnswIndex, Metric, SearchParams};

const DIM: usize = 256;
const K: usize = 10;
const QUERIES: usize = 256;

fn search(criterion: &mut Criterion) {
    for count in [10_000, 50_000] {
        let mut source = Clusters::new(11, DIM, 200);
        let index = filled(&source.vectors(count));
        let queries = source.vectors(QUERIES);
        let mut group = criterion.benchmark_group(format!("index/{count}"));
        group.throughput(Throughput::Elements(1));
        let exact = SearchParams { k: K, ef: K, exact: true, accept: None, go_on: GoOn::ALWAYS };
        let searches = [("flat".to_owned(), exact)].into_iter().chain(
            [64, 128, 256]
                .map(|ef| (format!("hnsw ef {ef}"), SearchParams { ef, exact: false, ..exact })),
        );
        for (name, params) in searches {
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                let mut turn = queries.iter().cycle();
                bencher.iter(|| {
                    let query = turn.next().expect("a cycle has no end");
                    black_box(index.search(query, params).expect("a search"))
                });
            });
        }
        group.finish();
    }
}

fn filled(vectors: &[Vec<f32>]) -> HnswIndex {
    let config = HnswConfig { exact_below: 1, ..HnswConfig::new(Metric::Cosine, DIM) };
    let index = HnswIndex::new(config).expect("an index");
    for (id, vector) in vectors.iter().enumerate() {
        index.insert(id as u64, vector).expect("an insertion");
    }
    index.finish_graph();
    index
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = search
}
criterion_main!(benches);
