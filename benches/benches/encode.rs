//! Molecules and texts per second, one by one and in batches, reading of SMILES included or not.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moiety_benches::corpus::{DemoMolecule, demo_library, encoder};
use moiety_chem::Molecule;
use moiety_encoder::Encoder;

const BATCH: usize = 128;

fn encode(criterion: &mut Criterion) {
    let library = demo_library().expect("the demo library");
    for (threads, name) in [(1, "one thread"), (0, "all cores")] {
        let encoder = encoder(threads).expect("a model");
        let group = format!("encode/{}/{name}", encoder.info().name);
        molecules(criterion, &group, encoder.as_ref(), &library);
        texts(criterion, &group, encoder.as_ref(), &library);
    }
}

fn molecules(
    criterion: &mut Criterion,
    name: &str,
    encoder: &dyn Encoder,
    library: &[DemoMolecule],
) {
    let parse =
        |molecule: &DemoMolecule| Molecule::from_smiles(&molecule.smiles).expect("a structure");
    let parsed: Vec<Molecule> = library.iter().map(parse).collect();
    let some: Vec<&Molecule> =
        parsed.iter().filter(|m| encoder.check_molecule(m).is_ok()).take(BATCH).collect();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one molecule", |bencher| {
        let mut turn = some.iter().cycle();
        bencher.iter(|| encoder.encode_molecules(&[turn.next().expect("a cycle has no end")]));
    });
    group.throughput(Throughput::Elements(some.len() as u64));
    group.bench_function("molecules in a batch", |bencher| {
        bencher.iter(|| black_box(encoder.encode_molecules(&some).expect("encodings")));
    });
    group.bench_function("reading SMILES alone", |bencher| {
        bencher.iter(|| {
            library.iter().take(some.len()).map(parse).map(|m| m.heavy_atoms()).sum::<usize>()
        });
    });
    group.finish();
}

fn texts(criterion: &mut Criterion, name: &str, encoder: &dyn Encoder, library: &[DemoMolecule]) {
    let some: Vec<&str> =
        library.iter().map(|molecule| molecule.text.as_str()).take(BATCH).collect();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one text", |bencher| {
        let mut turn = some.iter().cycle();
        bencher.iter(|| encoder.encode_texts(&[turn.next().expect("a cycle has no end")]));
    });
    group.throughput(Throughput::Elements(some.len() as u64));
    group.bench_function("texts in a batch", |bencher| {
        bencher.iter(|| black_box(encoder.encode_texts(&some).expect("encodings")));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = encode
}
criterion_main!(benches);
