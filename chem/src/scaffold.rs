//! The scaffold of a molecule: what is left when its side chains are taken off (Bemis and Murcko, J. Med. Chem. 1996).

/// Whether a scaffold keeps the stereo and the isotopes of its molecule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaffoldStereo {
    /// Stereoisomers have scaffolds of their own.
    Kept,
    /// Stereoisomers share a scaffold, as in the scaffold splits of MoleculeNet.
    Ignored,
}
