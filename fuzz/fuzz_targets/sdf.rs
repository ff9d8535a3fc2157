//! SD files and the mol blocks in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moiety_chem::{Molecule, SdfReader};

fuzz_target!(|bytes: &[u8]| {
    for record in SdfReader::new(bytes).take(64).flatten() {
        let _ = Molecule::from_mol_block(&record.mol_block);
    }
});
