//! The molecule of this room: what was given, what was done to it, and its perceived graph.

use crate::brics;
use crate::error::ChemError;
use crate::fingerprint::Fingerprint;
use crate::foreign::{self, Foreign};
use crate::graph::{self, GraphFeatures};
use crate::limits;
use crate::morgan::{self, Chirality};
use crate::topology::Topology;

/// A structure as a user gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Structure {
    /// Daylight-style line notation with RDKit's extensions.
    Smiles(String),
    /// A standard InChI.
    Inchi(String),
    /// A V2000 or V3000 mol block, title line first.
    MolBlock(String),
}

/// Something done to a structure on the way in, in the order done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalisationStep {
    /// A short stable name, for example `salt_stripped`.
    pub name: &'static str,
    /// What was changed, for a person.
    pub detail: String,
}

/// A molecule that passed valence, aromaticity and stereo perception.
#[derive(Clone)]
pub struct Molecule {
    original: Structure,
    steps: Vec<NormalisationStep>,
    foreign: Foreign,
    topology: Topology,
}

impl Molecule {
    /// Reads a SMILES as RDKit does: sanitised, explicit hydrogens folded into their atoms.
    pub fn from_smiles(text: &str) -> Result<Self, ChemError> {
        limit("SMILES length in bytes", text.len(), limits::MAX_LINE_NOTATION_BYTES)?;
        let foreign = foreign::from_smiles(text)?;
        let topology = foreign::topology(&foreign)?;
        Ok(Self { original: Structure::Smiles(text.into()), steps: Vec::new(), foreign, topology })
    }

    /// What was given, unchanged.
    pub fn original(&self) -> &Structure {
        &self.original
    }

    /// What was done to it, in order.
    pub fn steps(&self) -> &[NormalisationStep] {
        &self.steps
    }

    /// Number of atoms other than hydrogens and dummies.
    pub fn heavy_atoms(&self) -> usize {
        self.topology.atoms.iter().filter(|atom| atom.element > 1).count()
    }

    /// Features of the molecular graph for an encoder; see [`GraphFeatures`].
    pub fn graph(&self) -> GraphFeatures {
        graph::features(&self.topology)
    }

    /// Atom sets (ascending) left after all BRICS cuts: a partition of the atoms of [`Self::graph`].
    pub fn fragments(&self) -> Vec<Vec<u32>> {
        brics::fragments(&self.topology)
    }

    /// Morgan fingerprint, radius 2, 2048 bits, no chirality.
    pub fn morgan_fingerprint(&self) -> Fingerprint {
        let environments = morgan::environments(&self.topology, Chirality::Ignored);
        Fingerprint::of(&self.topology, &environments)
    }
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), ChemError> {
    if found > limit { Err(ChemError::TooLarge { what, found, limit }) } else { Ok(()) }
}
