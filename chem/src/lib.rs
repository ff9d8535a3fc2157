//! Structures in, facts out: the only room that knows what a molecule is.
//!
//! It is a reader of SMILES, InChI and mol blocks that answers with identity, properties, graph
//! features, fragments and fingerprints, agreeing with RDKit as stated in `RDKIT.md`. It is not a
//! drawing or a modelling tool, and it stores and searches nothing.
//!
//! ```
//! use moiety_chem::Molecule;
//!
//! let aspirin = Molecule::from_smiles("CC(=O)Oc1ccccc1C(=O)O")?;
//! assert_eq!(aspirin.heavy_atoms(), 13);
//! assert_eq!(aspirin.graph().bonds.len(), 13);
//! # Ok::<(), moiety_chem::ChemError>(())
//! ```

mod bits;
mod brics;
mod description;
mod error;
mod fingerprint;
mod foreign;
mod formula;
mod graph;
mod groups;
mod identity;
mod isomers;
pub mod limits;
mod line;
mod maccs;
mod mol_block;
mod molecule;
mod morgan;
mod normalise;
mod paths;
mod pattern;
mod properties;
mod scaffold;
mod scan;
mod screen;
mod sdf;
mod topology;
mod written;

pub use error::{ChemError, Place};
pub use fingerprint::{FINGERPRINT_BITS, Fingerprint, MorganCounts};
pub use formula::{element_count, is_element};
pub use graph::{GraphBond, GraphFeatures, UNREACHABLE};
pub use groups::Group;
pub use identity::Identity;
pub use line::{ReadLine, read_line};
pub use maccs::{MACCS_KEYS, MaccsKeys};
pub use molecule::{Molecule, NormalisationStep, Structure};
pub use normalise::NORMALISATION_RULE;
pub use pattern::{Pattern, PatternStereo};
pub use properties::{Properties, StereoCounts};
pub use scaffold::ScaffoldStereo;
pub use screen::{SCREEN_BITS, Screen};
pub use sdf::{SdfReader, SdfRecord};
pub use written::{SmilesSymbol, WrittenSmiles};
