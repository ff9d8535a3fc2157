//! SMILES, and what is derived of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moiety_chem::Molecule;

fuzz_target!(|text: &str| {
    if let Ok(molecule) = Molecule::from_smiles(text) {
        let _ = molecule.identity();
        let _ = molecule.properties();
        let _ = molecule.graph();
        let _ = molecule.fragments();
    }
});
