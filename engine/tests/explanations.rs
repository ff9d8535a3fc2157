//! Would a chemist accept the explanation? The shipped model, twenty-four molecules, and the group that each question names.
//!
//! For every case the question is explained against the molecule. The phrase of the question that names the group points at a
//! fragment, and its words at atoms; right is what touches a match of the group's SMARTS. Beside each rate stands what a
//! fragment or an atom drawn at random would reach.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::{path::Path, sync::Arc};

use moiety_chem::{Molecule, Pattern, PatternStereo};
use moiety_encoder::{Extent, Model};
use moiety_engine::{
    CollectionConfig, Direction, Durability, Engine, EngineOptions, ExplainRequest, LevelName,
    LevelWeights, MatchedPair, Query, Record, Side, Structure,
};

/// A molecule, the question, the words of it that name the group, and the group.
const CASES: [(&str, &str, &str, &str); 24] = [
    ("CC(=O)Oc1ccccc1C(=O)O", "aspirin, a carboxylic acid", "carboxylic acid", "C(=O)[OX2H1]"),
    ("CC(C)Cc1ccc(cc1)C(C)C(=O)O", "a monocarboxylic acid", "monocarboxylic acid", "C(=O)[OX2H1]"),
    ("CC(=O)Nc1ccc(O)cc1", "it is a member of phenols", "phenols", "c[OX2H1]"),
    ("Oc1ccccc1O", "a benzenediol with two hydroxy groups", "hydroxy groups", "[OX2H1]"),
    ("Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1", "a sulfonamide antibiotic", "sulfonamide", "S(=O)(=O)N"),
    (
        "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@@]34C)[C@@H]1CC[C@@H]2O",
        "a steroid",
        "steroid",
        "C1~C~C~C~C2~C~1~C~C~C1~C~2~C~C~C2~C~1~C~C~C~2",
    ),
    (
        "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@@]34C)[C@@H]1CC[C@@H]2O",
        "a steroid with a hydroxy group at position 17",
        "hydroxy group",
        "[OX2H1]",
    ),
    (
        "OC[C@H]1O[C@@H](Oc2ccc(O)cc2)[C@H](O)[C@@H](O)[C@@H]1O",
        "a beta-D-glucoside",
        "glucoside",
        "OCC1OC(O)C(O)C(O)C1O",
    ),
    ("CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "a purine alkaloid", "purine", "c1ncc2ncnc2n1"),
    ("O=C(O)c1cccnc1", "a pyridinemonocarboxylic acid", "pyridinemonocarboxylic acid", "c1ccncc1"),
    ("NCCc1c[nH]c2ccccc12", "an indole alkaloid", "indole", "c1ccc2[nH]ccc2c1"),
    (
        "Clc1ccc(cc1)C(c1ccc(Cl)cc1)C(Cl)(Cl)Cl",
        "a chlorophenylethane, an organochlorine insecticide",
        "organochlorine",
        "Cl",
    ),
    ("OC(=O)CCCCCCC/C=C\\CCCCCCCC", "a long-chain fatty acid", "fatty acid", "C(=O)[OX2H1]"),
    ("CCOC(=O)c1ccc(N)cc1", "a benzoate ester", "benzoate ester", "cC(=O)O"),
    ("O=[N+]([O-])c1ccc(O)cc1", "a nitro compound", "nitro", "[N+](=O)[O-]"),
    (
        "O=c1cc(-c2ccc(O)cc2)oc2cc(O)cc(O)c12",
        "a trihydroxyflavone",
        "trihydroxyflavone",
        "O=c1cc(-c2ccccc2)oc2ccccc12",
    ),
    (
        "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
        "a penicillin with a beta-lactam",
        "beta-lactam",
        "O=C1CCN1",
    ),
    ("C[N+](C)(C)CCO", "a quaternary ammonium ion", "quaternary ammonium ion", "[N+](C)(C)C"),
    (
        "OP(=O)(O)OC[C@H]1O[C@@H](n2cnc3c(N)ncnc32)[C@H](O)[C@@H]1O",
        "an adenosine with a phosphate group",
        "phosphate",
        "P(=O)O",
    ),
    (
        "OP(=O)(O)OC[C@H]1O[C@@H](n2cnc3c(N)ncnc32)[C@H](O)[C@@H]1O",
        "a purine ribonucleotide",
        "purine",
        "c1ncc2ncnc2n1",
    ),
    ("N#Cc1ccccc1", "a nitrile", "nitrile", "C#N"),
    ("CN(C)CCc1ccc(O)cc1", "a tertiary amino compound", "amino", "[NX3]"),
    ("O=C1CCCCCN1", "a lactam, caprolactam", "lactam", "C(=O)N"),
    (
        "FC(F)(F)c1ccccc1NC(=O)C",
        "a member of (trifluoromethyl)benzenes",
        "trifluoromethyl",
        "C(F)(F)F",
    ),
];

/// Rates that the shipped model reached when this was written, less two cases.
const FLOOR: Rates = Rates { fragments: 20, atoms: 17 };

#[derive(Default, Debug)]
struct Rates {
    fragments: usize,
    atoms: usize,
}

#[test]
fn the_phrase_that_names_a_group_points_at_the_group() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/moiety-mini");
    let encoder = Arc::new(Model::load(&model, 1).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), encoder, EngineOptions::default()).unwrap();
    let config =
        CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named("cases") };
    engine.create_collection(config).unwrap();
    let records = CASES.iter().enumerate().map(|(i, (smiles, ..))| Record {
        id: i.to_string(),
        molecule: Some(Structure::Smiles((*smiles).into())),
        ..Record::default()
    });
    engine
        .upsert("cases", records.collect())
        .unwrap()
        .into_iter()
        .for_each(|one| drop(one.unwrap()));

    let (mut right, mut chance) = (Rates::default(), [0.0; 2]);
    for (i, (smiles, question, named, smarts)) in CASES.iter().enumerate() {
        let molecule = Molecule::from_smiles(smiles).unwrap();
        let group = Pattern::from_smarts(smarts).unwrap();
        let group = group.matches(&molecule, PatternStereo::Ignored).unwrap().concat();
        assert!(!group.is_empty(), "{smarts} is not in {smiles}");
        let explained = engine.explain("cases", &request(i, question)).unwrap();
        let touches = |level: LevelName| {
            let level = explained.levels.iter().find(|l| l.level == level).unwrap();
            let pairs = level.pairs.iter().filter(|p| p.direction == Direction::QueryToTarget);
            let best = pairs.filter(|pair| speaks_of(pair, question, named));
            let best = best.max_by(|a, b| a.contribution.total_cmp(&b.contribution)).unwrap();
            atoms(best).iter().any(|atom| group.contains(atom))
        };
        let (fragment, atom) = (touches(LevelName::Fragment), touches(LevelName::Token));
        right.fragments += usize::from(fragment);
        right.atoms += usize::from(atom);
        let fragments = molecule.fragments();
        let with = fragments.iter().filter(|f| f.iter().any(|atom| group.contains(atom))).count();
        let distinct: std::collections::BTreeSet<_> = group.iter().collect();
        chance[0] += with as f64 / fragments.len() as f64;
        chance[1] += distinct.len() as f64 / molecule.atoms() as f64;
        eprintln!("{named} in {smiles}: fragment {fragment}, atom {atom}");
    }
    eprintln!("of {}: {right:?}, by chance {:.1} and {:.1}", CASES.len(), chance[0], chance[1]);
    assert!(right.fragments >= FLOOR.fragments && right.atoms >= FLOOR.atoms, "{right:?}");
}

fn request(id: usize, question: &str) -> ExplainRequest {
    ExplainRequest {
        query: Query::Text(question.into()),
        id: id.to_string(),
        target: Side::Molecule,
        weights: LevelWeights { global: 1.0, fragment: 1.0, token: 1.0 },
        filter: None,
    }
}

/// Whether a pair starts from the words that name the group.
fn speaks_of(pair: &MatchedPair, question: &str, named: &str) -> bool {
    let at = question.find(named).unwrap();
    match pair.query {
        Some(Extent::Span { start, end }) => {
            (start as usize) < at + named.len() && at < end as usize
        }
        _ => false,
    }
}

fn atoms(pair: &MatchedPair) -> Vec<u32> {
    match &pair.target {
        Some(Extent::Atoms(atoms)) => atoms.clone(),
        _ => Vec::new(),
    }
}
