//! What the model that ships promises of structures: stereoisomers have vectors of their own, spellings of one molecule do not.

use std::{path::Path, sync::LazyLock};

use moiety_chem::Molecule;
use moiety_encoder::{Encoder, Model, retrieval::dot};

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/moiety-mini");
    Model::load(&dir, 1).expect("the shipped model")
});

/// Cosine of the global vectors of two structures.
fn cosine(one: &str, other: &str) -> f32 {
    let [one, other] = [one, other].map(|smiles| {
        let molecule = Molecule::from_smiles(smiles).expect("a molecule");
        let mut encodings = MODEL.encode_molecules(&[&molecule]).expect("an encoding");
        encodings.remove(0).global
    });
    dot(&one, &other) / (dot(&one, &one) * dot(&other, &other)).sqrt()
}

#[test]
fn stereoisomers_have_vectors_of_their_own() {
    for (one, other) in [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O", "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O"),
        ("OC(=O)/C=C/C(=O)O", "OC(=O)/C=C\\C(=O)O"),
        ("CCCCCCCC/C=C\\CCCCCCCC(=O)O", "CCCCCCCC/C=C/CCCCCCCC(=O)O"),
        (
            "OC[C@H]1O[C@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
            "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
        ),
        ("C[C@@H](O)[C@H](N)C(=O)O", "C[C@H](O)[C@H](N)C(=O)O"),
    ] {
        let cosine = cosine(one, other);
        assert!(cosine < 0.999, "{one} and {other}: {cosine}");
    }
}

#[test]
fn spellings_of_a_molecule_have_one_vector() {
    for (one, other) in [
        ("C[C@H](N)C(=O)O", "OC(=O)[C@H](C)N"),
        ("c1ccccc1O", "C1=CC=CC=C1O"),
        ("OC(=O)/C=C/C(=O)O", "C(=C/C(=O)O)\\C(O)=O"),
    ] {
        let cosine = cosine(one, other);
        assert!(cosine > 0.999_99, "{one} and {other}: {cosine}");
    }
}
