//! Bounds on what is read, so that no input can make this room slow or deep.

/// Longest SMILES or InChI, in bytes.
pub const MAX_LINE_NOTATION_BYTES: usize = 10_000;
/// Most atoms other than hydrogen.
pub const MAX_HEAVY_ATOMS: usize = 1_000;
/// Most atoms of any kind, explicit hydrogens included, before they are folded.
pub const MAX_ATOMS: usize = 4_000;
/// Deepest nesting of branches in a SMILES.
pub const MAX_BRANCH_DEPTH: usize = 100;
/// Most independent rings (bonds - atoms + parts).
pub const MAX_RINGS: usize = 200;
