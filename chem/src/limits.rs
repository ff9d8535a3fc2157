//! Bounds on what is read, so that no input can make this room slow or deep.

/// Longest SMILES or InChI, in bytes.
pub const MAX_LINE_NOTATION_BYTES: usize = 10_000;
/// Largest mol block, in bytes.
pub const MAX_MOL_BLOCK_BYTES: usize = 1_000_000;
/// Largest record of an SD file (mol block and data fields), in bytes.
pub const MAX_SDF_RECORD_BYTES: usize = 4_000_000;
/// Longest line of an SD file, in bytes.
pub const MAX_SDF_LINE_BYTES: usize = 1_000_000;
/// Most atoms other than hydrogens and dummies.
pub const MAX_HEAVY_ATOMS: usize = 1_000;
/// Most atoms of any kind, before explicit hydrogens are folded.
pub const MAX_ATOMS: usize = 3_000;
/// Deepest nesting of branches in a SMILES.
pub const MAX_BRANCH_DEPTH: usize = 100;
/// Most independent rings (bonds - atoms + parts).
pub const MAX_RINGS: usize = 300;
/// Longest time given to one InChI, in seconds; beyond it the InChIKey is missing.
pub const MAX_INCHI_TIME_S: u32 = 5;
/// Longest SMARTS, in bytes.
pub const MAX_SMARTS_BYTES: usize = 1_000;
/// Most atoms of a SMARTS, those of recursive patterns not counted.
pub const MAX_SMARTS_ATOMS: usize = 200;
/// Deepest nesting of parentheses in a SMARTS.
pub const MAX_SMARTS_DEPTH: usize = 32;
/// Most pairs of atoms that one match of a SMARTS tries.
pub const MAX_MATCH_STEPS: usize = 200_000;

/// Matches of a SMARTS pattern that are listed for one molecule.
pub const MAX_MATCHES: usize = 1_000;
/// Most connected sets of bonds of one molecule that a path fingerprint hashes.
pub const MAX_BOND_SETS: usize = 1_000_000;
