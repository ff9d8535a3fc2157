//! The 166 public MACCS keys, as RDKit computes them: small questions about a structure, each a bit.
//!
//! Durant et al., "Reoptimization of MDL keys for use in drug discovery" (J. Chem. Inf. Comput. Sci. 2002, 42, 1273), in the
//! SMARTS of RDKit. Key 1 (an isotope) is never set there, nor here.

mod table;

use std::sync::LazyLock;

use crate::bits::Bits;
use crate::error::ChemError;
use crate::molecule::Molecule;
use crate::pattern::Pattern;

/// Number of MACCS keys, counted from 1.
pub const MACCS_KEYS: usize = 166;

/// More than one ring whose bonds are all aromatic.
const AROMATIC_RINGS: usize = 125;
/// More than one part.
const PARTS: usize = 166;

/// Which MACCS keys a molecule has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaccsKeys(Bits<{ MACCS_KEYS / 64 + 1 }>);

struct Key {
    number: usize,
    pattern: Pattern,
    more_than: usize,
}

/// The keys that are matches of a pattern, read once.
static PATTERNS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let key = |&(number, smarts, more_than): &(usize, &str, usize)| {
        let pattern = Pattern::from_smarts(smarts).expect("a SMARTS of the table, read by a test");
        Key { number, pattern, more_than }
    };
    table::KEYS.iter().map(key).collect()
});

impl MaccsKeys {
    /// Asks every key of a molecule.
    ///
    /// # Errors
    /// [`ChemError::TooHard`] where one takes too many steps.
    pub(crate) fn of(molecule: &Molecule) -> Result<Self, ChemError> {
        let mut keys = Bits::none();
        let screen = molecule.screen();
        for Key { number, pattern, more_than } in PATTERNS.iter() {
            if screen.may_contain(pattern.screen())
                && pattern.has_more_than(*more_than, molecule)?
            {
                keys.set_folded(*number as u64);
            }
        }
        let topology = molecule.topology();
        if topology.aromatic_rings > 1 {
            keys.set_folded(AROMATIC_RINGS as u64);
        }
        if topology.parts(|_| false).len() > 1 {
            keys.set_folded(PARTS as u64);
        }
        Ok(Self(keys))
    }

    /// Whether the molecule has this key, counted from 1.
    pub fn has(&self, key: usize) -> bool {
        self.0.has(key)
    }

    /// The keys that the molecule has, ascending.
    pub fn keys(&self) -> impl Iterator<Item = usize> {
        (1..=MACCS_KEYS).filter(|&key| self.has(key))
    }

    /// Tanimoto similarity, |a ∩ b| / |a ∪ b| in 0..=1; two molecules without keys give 1.
    pub fn tanimoto(&self, other: &Self) -> f32 {
        self.0.tanimoto(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_smarts_of_the_table_is_read() {
        let numbers: Vec<usize> = PATTERNS.iter().map(|key| key.number).collect();
        let expected: Vec<usize> =
            (2..MACCS_KEYS).filter(|&number| number != AROMATIC_RINGS).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn keys_of_a_small_molecule_are_those_of_the_reference() {
        // RDKit's own documentation test.
        let keys = Molecule::from_smiles("CNO").unwrap().maccs_keys().unwrap();
        let found: Vec<usize> = keys.keys().collect();
        assert_eq!(found, [24, 68, 69, 71, 93, 94, 102, 124, 131, 139, 151, 158, 160, 161, 164]);
        assert!(!keys.has(0) && !keys.has(167) && !keys.has(usize::MAX));
    }
}
