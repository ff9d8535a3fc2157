//! Substructure search against RDKit's answers, and the screen in front of it.

use flate2::read::GzDecoder;
use moiety_chem::{ChemError, Molecule, Pattern, PatternStereo, Place};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Lines per pattern that may differ from RDKit's answer: the four molecules that only RDKit reads.
const UNREAD: usize = 4;

fn read(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines
        .map(|line| serde_json::from_str(&line.expect("golden file is text")).expect("JSON"))
        .collect()
}

#[test]
fn matches_agree_with_rdkit_and_the_screen_never_hides_one() {
    let lines = read("chem.jsonl.gz");
    let molecules: Vec<Option<Molecule>> = lines
        .iter()
        .map(|line| Molecule::from_smiles(line["smiles"].as_str().unwrap_or("")).ok())
        .collect();
    let screens: Vec<_> = molecules.iter().map(|m| m.as_ref().map(Molecule::screen)).collect();
    let (mut screened, mut passed, mut matched) = (0usize, 0usize, 0usize);
    for line in read("substructure.jsonl.gz") {
        let smarts = line["smarts"].as_str().expect("a SMARTS");
        let pattern = Pattern::from_smarts(smarts).unwrap_or_else(|e| panic!("{smarts}: {e}"));
        let stereo = match line["use_chirality"].as_bool() {
            Some(true) => PatternStereo::Respected,
            _ => PatternStereo::Ignored,
        };
        let mut expected: BTreeSet<usize> = line["lines"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_u64().map(|n| n as usize))
            .collect();
        expected.retain(|&at| lines[at]["ok"] == true && molecules[at].is_some());
        assert!(line["lines"].as_array().map_or(0, Vec::len) - expected.len() <= UNREAD);
        let mut found = BTreeSet::new();
        for (at, molecule) in molecules.iter().enumerate() {
            let (Some(molecule), true) = (molecule, lines[at]["ok"] == true) else { continue };
            screened += 1;
            let pass = screens[at].as_ref().is_some_and(|s| s.may_contain(pattern.screen()));
            passed += usize::from(pass);
            if pattern.is_in(molecule, stereo).expect("within the budget") {
                matched += 1;
                found.insert(at);
                assert!(pass, "{smarts} is in {} but the screen hides it", lines[at]["smiles"]);
            }
        }
        assert_eq!(found, expected, "{smarts}");
        for counted in line["unique_matches_first40"].as_array().into_iter().flatten() {
            let (at, count) = (counted[0].as_u64(), counted[1].as_u64());
            let Some(molecule) = at.and_then(|at| molecules[at as usize].as_ref()) else {
                continue;
            };
            let matches = pattern.matches(molecule, stereo).expect("within the budget");
            assert_eq!(Some(matches.len() as u64), count, "{smarts} in line {at:?}");
        }
    }
    // What the screen is for: of the pairs without a match it leaves out most.
    let without = screened - matched;
    let left = passed - matched;
    eprintln!("{screened} pairs, {matched} matches, {left} of {without} others pass the screen");
    assert!(left * 5 < without * 2, "{left} of {without}");
}

#[test]
fn wrong_patterns_are_refused_with_the_place() {
    let cases = [
        ("", None),
        ("C C", Some(2)),
        ("C(=O", None),
        ("[CX3](=O)[O", None),
        ("C1CC", None),
        ("[Q]", Some(2)),
        ("C)O", Some(2)),
        ("Cé", Some(2)),
    ];
    for (smarts, expected) in cases {
        let error = Pattern::from_smarts(smarts).expect_err(smarts);
        let ChemError::Syntax { notation, place, .. } = &error else { panic!("{smarts}: {error}") };
        assert_eq!(*notation, "SMARTS");
        if let Some(expected) = expected {
            assert_eq!(*place, Place::Character(expected), "{smarts}: {error}");
        }
    }
    let bounded =
        ["C".repeat(1_001), "C".repeat(201), format!("{}C{}", "C(".repeat(33), ")".repeat(33))];
    for smarts in bounded {
        let error = Pattern::from_smarts(&smarts).expect_err("too large");
        assert!(matches!(error, ChemError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn a_match_without_end_is_given_up() {
    // Rings of any atoms and bonds in a cage: the last atom never fits, so every walk is tried.
    let cage = "C12C3C4C1C5C2C3C45";
    let fullerene = "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8c4c4c9c5c1c1c6c2c3c41";
    let molecule = Molecule::from_smiles(fullerene).expect("buckminsterfullerene");
    let endless = Pattern::from_smarts(&format!("{}[#9]", "*~".repeat(24))).expect("a SMARTS");
    let error = endless.is_in(&molecule, PatternStereo::Ignored).expect_err("too hard");
    assert!(matches!(error, ChemError::TooHard { .. }), "{error}");
    let cubane = Molecule::from_smiles(cage).expect("cubane");
    assert!(!endless.is_in(&cubane, PatternStereo::Ignored).expect("a small cage ends"));
    // The screen answers at once: there is no fluorine.
    assert!(!molecule.screen().may_contain(endless.screen()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_patterns_are_read_or_refused_and_end(
        text in "[CNOcnosHR#=:~()\\[\\];,&!$@/+*1-3xXDrv.%-]{1,40}",
    ) {
        let aspirin = Molecule::from_smiles("CC(=O)Oc1ccccc1C(=O)O").expect("aspirin");
        match Pattern::from_smarts(&text) {
            Ok(pattern) => {
                let found = pattern.is_in(&aspirin, PatternStereo::Respected);
                prop_assert!(!matches!(found, Err(ChemError::Internal { .. })), "{text}: {found:?}");
                if let Ok(true) = found {
                    prop_assert!(aspirin.screen().may_contain(pattern.screen()), "{text}");
                }
            }
            Err(error) => {
                prop_assert!(!matches!(error, ChemError::Internal { .. }), "{text}: {error}");
            }
        }
    }
}
