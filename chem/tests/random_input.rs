//! Whatever a file holds, reading it ends, with molecules or with reasons. The long form is in `fuzz/`.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use moiety_chem::{Molecule, SdfReader};
use proptest::prelude::*;

const BLOCK: &str = "ethanol\n  Moiety\n\n  3  2  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 C   0  0  0  0  0  0\n    1.5000    0.0000    0.0000 C   0  0  0  0  0  0\n    2.2000    1.2000    0.0000 O   0  0  0  0  0  0\n  1  2  1  0\n  2  3  1  0\nM  END\n> <name>\nethanol\n\n$$$$\n";

/// Everything that is asked of a molecule that was read.
fn derive(molecule: &Molecule) {
    let atoms = molecule.atoms();
    if let Ok(identity) = molecule.identity() {
        assert!(!identity.canonical_smiles.is_empty() || atoms == 0);
    }
    let _ = molecule.properties();
    assert_eq!(molecule.graph().atoms.len(), atoms);
    let covered: usize = molecule.fragments().iter().map(Vec::len).sum();
    assert_eq!(covered, atoms);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn words_of_smiles_are_molecules_or_reasons(text in "[CNOPSFclnos()=#\\[\\]@+\\-0-9/\\\\.%]{0,40}") {
        if let Ok(molecule) = Molecule::from_smiles(&text) {
            derive(&molecule);
        }
    }

    #[test]
    fn an_sd_file_with_a_few_bytes_changed_is_read_to_its_end(
        changes in prop::collection::vec((0..BLOCK.len() * 2, any::<u8>()), 0..12),
        cut in 0..BLOCK.len() * 2,
    ) {
        let mut bytes = BLOCK.repeat(2).into_bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut / 4);
        let records: Vec<_> = SdfReader::new(bytes.as_slice()).take(100).collect();
        prop_assert!(records.len() < 100);
        for record in records.into_iter().flatten() {
            if let Ok(molecule) = Molecule::from_mol_block(&record.mol_block) {
                derive(&molecule);
            }
        }
    }

    #[test]
    fn a_symbol_of_any_letters_is_an_atom_a_dummy_or_a_reason(symbol in "[A-Za-z*]{1,3}") {
        let block = BLOCK.replacen(" O   0", &format!(" {symbol:<3} 0"), 1);
        if let Ok(molecule) = Molecule::from_mol_block(&block) {
            derive(&molecule);
        }
    }

    #[test]
    fn random_bytes_are_no_sd_file_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        for record in SdfReader::new(bytes.as_slice()).take(100).flatten() {
            let _ = Molecule::from_mol_block(&record.mol_block);
        }
    }
}
