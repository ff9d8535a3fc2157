//! The engine from end to end: the demo library eight times over, searched by words in each way there is, and where the
//! time goes.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use moiety_benches::{
    corpus::{DemoMolecule, demo_library, encoder},
    stages::stage_table,
};
use moiety_chem::Structure;
use moiety_engine::{
    Accuracy, CollectionConfig, Durability, Engine, EngineOptions, Filter, LevelWeights, Query,
    Record, Rerank, SearchRequest, Side,
};
use serde_json::Map;

const COPIES: usize = 8;
const COLLECTION: &str = "library";

fn search(criterion: &mut Criterion) {
    let library = demo_library().expect("the demo library");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let encoder = encoder(0).expect("a model");
    let options = EngineOptions { exact_below: 1_000, ..EngineOptions::default() };
    let engine = Engine::open(folder.path(), encoder, options).expect("an engine");
    fill(&engine, &library);
    let mut group = criterion.benchmark_group("search");
    for (name, shape) in shapes() {
        let ask = |text: &str| {
            let request = SearchRequest { query: Query::Text(text.to_owned()), ..shape.clone() };
            engine.search(COLLECTION, &request).expect("a search")
        };
        let mut turn = library.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(ask(&turn.next().expect("a cycle has no end").text)));
        });
        let timings: Vec<_> = library.iter().map(|molecule| ask(&molecule.text).timings).collect();
        println!("{name}, {} queries:\n{}", timings.len(), stage_table(&timings));
    }
    group.finish();
}

fn fill(engine: &Engine, library: &[DemoMolecule]) {
    let config =
        CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named(COLLECTION) };
    engine.create_collection(config).expect("a collection");
    for copy in 0..COPIES {
        let record = |molecule: &DemoMolecule| Record {
            id: format!("{}-{copy}", molecule.id),
            molecule: Some(Structure::Smiles(molecule.smiles.clone())),
            text: Some(molecule.text.clone()),
            payload: Map::from_iter([("copy".to_owned(), copy.into())]),
        };
        let outcomes =
            engine.upsert(COLLECTION, library.iter().map(record).collect()).expect("an upsert");
        assert!(outcomes.iter().all(Result::is_ok), "every record of the demo library is taken");
    }
}

fn shapes() -> [(&'static str, SearchRequest); 4] {
    let plain = SearchRequest::new(Query::Text(String::new()), Side::Molecule, 10);
    let weights = LevelWeights { global: 1.0, fragment: 0.5, token: 0.5 };
    let rerank = Some(Rerank { candidates: 100, weights });
    let filter = Some(Filter::Equals { field: "copy".into(), value: 3.into() });
    [
        ("global", plain.clone()),
        ("global exact", SearchRequest { accuracy: Accuracy::Exact, ..plain.clone() }),
        ("global, one in eight by filter", SearchRequest { filter, ..plain.clone() }),
        ("rerank 100", SearchRequest { rerank, ..plain }),
    ]
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = search
}
criterion_main!(benches);
