//! Keys under which two records are the same molecule.

/// Names of a molecule that do not depend on how it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// RDKit's canonical isomeric SMILES; always there, so it is the key to fall back on.
    pub canonical_smiles: String,
    /// The standard InChI; missing where InChI has no name (dummy atoms, unusual bonds, time-out).
    pub inchi: Option<String>,
    /// The 27 letters of the standard InChIKey; missing where the InChI is.
    pub inchikey: Option<String>,
}

impl Identity {
    /// First 14 letters of the InChIKey: the same for stereoisomers and isotopologues.
    pub fn inchikey_block(&self) -> Option<&str> {
        self.inchikey.as_deref().and_then(|key| key.get(..14))
    }
}
