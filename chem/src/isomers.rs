//! Stereoisomers of a molecule: its mirror image, and the same chain with another double-bond geometry.
//!
//! Both are written by editing the stereo marks of the canonical SMILES (`@` and `@@`; `/` and `\`) and read back, so that what
//! comes out is a molecule like any other.

use crate::{ChemError, Molecule};

impl Molecule {
    /// The enantiomer: every stereocentre inverted, double bonds as they are. Nothing for an achiral or meso molecule, and for
    /// centres other than tetrahedral ones.
    ///
    /// # Errors
    /// Where the molecule cannot be written as SMILES.
    pub fn mirror_image(&self) -> Result<Option<Self>, ChemError> {
        let own = self.identity()?.canonical_smiles;
        Ok(inverted_centres(&own).and_then(|smiles| self.isomer(&own, &smiles)))
    }

    /// The isomer whose first stereo double bond in the canonical SMILES is turned from E to Z or back. Nothing where no double
    /// bond has a geometry.
    ///
    /// # Errors
    /// Where the molecule cannot be written as SMILES.
    pub fn other_geometry(&self) -> Result<Option<Self>, ChemError> {
        let own = self.identity()?.canonical_smiles;
        let turned = own.char_indices().filter(|(_, c)| "/\\".contains(*c)).map(|(at, c)| {
            let other = if c == '/' { "\\" } else { "/" };
            [&own[..at], other, &own[at + 1..]].concat()
        });
        Ok(turned.into_iter().find_map(|smiles| self.isomer(&own, &smiles)))
    }

    /// The molecule of an edited SMILES, if it is another one with as many stereo elements.
    fn isomer(&self, own: &str, smiles: &str) -> Option<Self> {
        let other = Self::from_smiles(smiles).ok()?;
        let differs = other.identity().ok()?.canonical_smiles != own;
        (differs && other.properties().stereo == self.properties().stereo).then_some(other)
    }
}

/// The SMILES with `@` and `@@` exchanged; nothing when there is none or a centre is of another class (`@SP1`).
fn inverted_centres(smiles: &str) -> Option<String> {
    if ["@SP", "@TB", "@OH", "@AL", "@TH"].iter().any(|class| smiles.contains(class)) {
        return None;
    }
    let inverted = smiles.replace("@@", "\0").replace('@', "@@").replace('\0', "@");
    (inverted != smiles).then_some(inverted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(molecule: &Molecule) -> String {
        molecule.identity().expect("identity").canonical_smiles
    }

    fn read(smiles: &str) -> Molecule {
        Molecule::from_smiles(smiles).expect("valid SMILES")
    }

    #[test]
    fn mirror_image_of_l_alanine_is_d_alanine() {
        let mirrored = read("C[C@H](N)C(=O)O").mirror_image().expect("smiles").expect("chiral");
        assert_eq!(canonical(&mirrored), canonical(&read("C[C@@H](N)C(=O)O")));
        assert_eq!(mirrored.stereocentres(), [(1, 'R')]);
    }

    #[test]
    fn achiral_and_meso_molecules_are_their_own_mirror_image() {
        for smiles in ["CCO", "OC(=O)[C@H](O)[C@H](O)C(=O)O"] {
            assert!(read(smiles).mirror_image().expect("smiles").is_none(), "{smiles}");
        }
    }

    #[test]
    fn one_double_bond_is_turned_and_nothing_else() {
        let turned = read("OC(=O)/C=C/C(=O)O").other_geometry().expect("smiles").expect("fumaric");
        assert_eq!(canonical(&turned), canonical(&read(r"OC(=O)/C=C\C(=O)O")));
        let diene =
            read("C/C=C/C=C/C(=O)O").other_geometry().expect("smiles").expect("sorbic acid");
        let stereo = diene.properties().stereo.expect("stereo");
        assert_eq!(stereo.bonds_assigned, 2);
        assert!(read("C=CC").other_geometry().expect("smiles").is_none());
    }
}
