//! The molecule of this room: what was given, what was done to it, and its perceived graph.

use crate::brics;
use crate::description;
use crate::error::{ChemError, Place};
use crate::fingerprint::{Fingerprint, MorganCounts};
use crate::foreign::{self, Foreign};
use crate::graph::{self, GraphFeatures};
use crate::groups::{self, Group};
use crate::identity::Identity;
use crate::limits;
use crate::maccs::MaccsKeys;
use crate::mol_block;
use crate::morgan::{self, Chirality};
use crate::normalise;
use crate::paths;
use crate::properties::{self, Properties};
use crate::scaffold::ScaffoldStereo;
use crate::scan;
use crate::screen::Screen;
use crate::topology::{Cip, Stereo, Topology};
use crate::written::{self, WrittenSmiles};

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

impl Structure {
    /// Takes the text for what it looks like: `InChI=...`, lines with `M  END`, otherwise SMILES.
    pub fn detect(text: &str) -> Self {
        if text.trim_start().starts_with("InChI=") {
            Self::Inchi(text.into())
        } else if text.lines().any(|line| line.starts_with("M  END")) {
            Self::MolBlock(text.into())
        } else {
            Self::Smiles(text.into())
        }
    }
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
///
/// Its atoms are those of the input in the input's order, without the explicit hydrogens that
/// RDKit's `RemoveHs` folds into their neighbours.
#[derive(Clone)]
pub struct Molecule {
    original: Structure,
    steps: Vec<NormalisationStep>,
    foreign: Foreign,
    topology: Topology,
}

impl Molecule {
    /// Reads any structure; see the reader of its kind.
    pub fn parse(structure: &Structure) -> Result<Self, ChemError> {
        match structure {
            Structure::Smiles(text) => Self::from_smiles(text),
            Structure::Inchi(text) => Self::from_inchi(text),
            Structure::MolBlock(text) => Self::from_mol_block(text),
        }
    }

    /// Reads a SMILES as RDKit does: sanitised, explicit hydrogens folded into their atoms.
    ///
    /// Blanks around it, a name behind it and doubled backslashes are tidied with a step.
    pub fn from_smiles(text: &str) -> Result<Self, ChemError> {
        let mut scan = scan::scan(text)?;
        let foreign = foreign::from_smiles(&scan)?;
        let steps = std::mem::take(&mut scan.steps);
        let mut molecule = Self::new(Structure::Smiles(text.into()), steps, foreign)?;
        let kept = molecule.topology.atoms.iter().filter(|atom| atom.element == 1).count();
        molecule.record_folding(scan.hydrogens.saturating_sub(kept));
        Ok(molecule)
    }

    /// Reads a standard InChI; its hydrogens are implicit.
    pub fn from_inchi(text: &str) -> Result<Self, ChemError> {
        limit("InChI length in bytes", text.len(), limits::MAX_LINE_NOTATION_BYTES)?;
        let syntax = |reason: &str, place| ChemError::Syntax {
            notation: "InChI",
            reason: reason.into(),
            place,
        };
        let trimmed = text.trim();
        if !trimmed.starts_with("InChI=1") {
            return Err(syntax("it must start with 'InChI=1'", Place::Character(1)));
        }
        if let Some(at) = trimmed.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(syntax("only printable ASCII is allowed", Place::Character(at + 1)));
        }
        let foreign = foreign::from_inchi(trimmed)?;
        Self::new(Structure::Inchi(text.into()), Vec::new(), foreign)
    }

    /// Reads a V2000 or V3000 mol block; 3D coordinates are kept, see [`Self::coordinates`].
    pub fn from_mol_block(text: &str) -> Result<Self, ChemError> {
        let block = mol_block::check(text)?;
        let foreign = foreign::from_mol_block(&block)?;
        let mut molecule = Self::new(Structure::MolBlock(text.into()), Vec::new(), foreign)?;
        molecule.record_folding(block.atoms.saturating_sub(molecule.topology.atoms.len()));
        Ok(molecule)
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
        self.topology.heavy_atoms()
    }

    /// Number of atoms of the graph: heavy atoms, dummies, and hydrogens that could not be folded.
    pub fn atoms(&self) -> usize {
        self.topology.atoms.len()
    }

    /// Coordinates in ångström, one row per atom, where the input was a 3D mol block.
    pub fn coordinates(&self) -> Option<Vec<[f32; 3]>> {
        foreign::coordinates(&self.foreign).filter(|rows| rows.len() == self.topology.atoms.len())
    }

    /// Keeps the largest organic part and undoes charges; each change is a step. Metals that are more than counter-ions keep
    /// their structure whole; see [`NORMALISATION_RULE`](crate::NORMALISATION_RULE) for the rule's version.
    ///
    /// Stereo, isotopes and tautomers stay as they are.
    pub fn normalise(&self) -> Result<Self, ChemError> {
        let mut molecule = self.clone();
        molecule.strip_salt()?;
        molecule.neutralise()?;
        molecule.record_stereo();
        Ok(molecule)
    }

    /// Keys under which two records are the same molecule.
    pub fn identity(&self) -> Result<Identity, ChemError> {
        foreign::identity(&self.foreign)
    }

    /// The canonical SMILES without map numbers, with the atoms of every symbol as rows of
    /// [`Self::graph`].
    pub fn written(&self) -> Result<WrittenSmiles, ChemError> {
        written::write(&self.foreign)
    }

    /// Formula, masses, descriptors and stereo counts.
    pub fn properties(&self) -> Properties {
        let stereo = foreign::stereo(&self.foreign).ok();
        properties::properties(&self.topology, foreign::descriptors(&self.foreign), stereo)
    }

    /// Labelled stereocentres, ascending: the atom and `R`, `S`, or `r`, `s` where the centre is
    /// pseudo-asymmetric. A centre that the rules cannot label in time is left out.
    pub fn stereocentres(&self) -> Vec<(u32, char)> {
        let label = |cip| match cip {
            Cip::R => 'R',
            Cip::S => 'S',
            Cip::LowerR => 'r',
            Cip::LowerS => 's',
        };
        let atoms = (0u32..).zip(&self.topology.atoms);
        atoms.filter_map(|(index, atom)| Some((index, label(atom.cip?)))).collect()
    }

    /// Features of the molecular graph for an encoder; see [`GraphFeatures`].
    pub fn graph(&self) -> GraphFeatures {
        graph::features(&self.topology)
    }

    /// Atom sets (ascending) left after all BRICS cuts: a partition of the atoms of [`Self::graph`].
    pub fn fragments(&self) -> Vec<Vec<u32>> {
        brics::fragments(&self.topology)
    }

    /// Functional groups and ring systems that have a name, with their atoms; larger ones first. Nothing that lies wholly
    /// within one of them is listed again.
    ///
    /// ```
    /// use moiety_chem::Molecule;
    ///
    /// let groups = Molecule::from_smiles("OC(=O)CCS")?.groups();
    /// let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    /// assert_eq!(names, ["carboxylic acid", "thiol"]);
    /// # Ok::<(), moiety_chem::ChemError>(())
    /// ```
    pub fn groups(&self) -> Vec<Group> {
        groups::groups(self)
    }

    /// What the structure shows, in words as ChEBI's definitions have them: groups and rings, size, chains, charge, stereo.
    ///
    /// ```
    /// use moiety_chem::Molecule;
    ///
    /// let words = Molecule::from_smiles("OC(=O)CCS")?.description();
    /// assert!(words.starts_with("It contains one carboxylic acid and one thiol."));
    /// # Ok::<(), moiety_chem::ChemError>(())
    /// ```
    pub fn description(&self) -> String {
        description::description(self, &self.topology)
    }

    /// Canonical SMILES of the Bemis–Murcko scaffold: rings, the chains that link them, and atoms double-bonded to either,
    /// as RDKit's `MurckoScaffold` writes it. Empty where there is no ring; parts of a salt stay parts.
    pub fn scaffold(&self, stereo: ScaffoldStereo) -> Result<String, ChemError> {
        foreign::scaffold(&self.foreign, stereo)
    }

    /// Morgan fingerprint, radius 2, 2048 bits, no chirality.
    pub fn morgan_fingerprint(&self) -> Fingerprint {
        let environments = morgan::environments(&self.topology, Chirality::Ignored);
        Fingerprint::of(&self.topology, &environments)
    }

    /// The environments of that fingerprint, counted and not folded.
    pub fn morgan_counts(&self) -> MorganCounts {
        let environments = morgan::environments(&self.topology, Chirality::Ignored);
        MorganCounts::of(&self.topology, &environments)
    }

    /// RDKit's path fingerprint: sets of one to seven connected bonds, 2048 bits, two a set.
    ///
    /// Fails with [`ChemError::TooLarge`] above [`limits::MAX_BOND_SETS`] sets.
    pub fn path_fingerprint(&self) -> Result<Fingerprint, ChemError> {
        paths::fingerprint(&self.topology)
    }

    /// The 166 MACCS keys.
    ///
    /// Fails with [`ChemError::TooHard`] where a key takes too many steps.
    pub fn maccs_keys(&self) -> Result<MaccsKeys, ChemError> {
        MaccsKeys::of(self)
    }

    /// Features for the screen in front of substructure search.
    pub fn screen(&self) -> Screen {
        Screen::of_molecule(&self.topology)
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(crate) fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    fn new(
        original: Structure,
        steps: Vec<NormalisationStep>,
        foreign: Foreign,
    ) -> Result<Self, ChemError> {
        limit("number of atoms", foreign.size(), limits::MAX_ATOMS)?;
        let topology = foreign::topology(&foreign)?;
        limit("number of heavy atoms", topology.heavy_atoms(), limits::MAX_HEAVY_ATOMS)?;
        limit("number of rings", topology.rings as usize, limits::MAX_RINGS)?;
        if topology.atoms.is_empty() {
            let reason = "the structure has no atoms".into();
            return Err(ChemError::Chemistry { reason, place: Place::Unknown });
        }
        Ok(Self { original, steps, foreign, topology })
    }

    fn record(&mut self, name: &'static str, detail: String) {
        self.steps.push(NormalisationStep { name, detail });
    }

    fn record_folding(&mut self, folded: usize) {
        if folded > 0 {
            self.record("hydrogens_folded", format!("{folded} explicit hydrogens made implicit"));
        }
    }

    fn strip_salt(&mut self) -> Result<(), ChemError> {
        let parts = self.topology.parts(|_| false);
        let Some(kept) = normalise::main_part(&self.topology, &parts) else { return Ok(()) };
        self.foreign = foreign::keep_part(&self.foreign, kept)?;
        self.adopt(&parts[kept])?;
        let removed = parts.len() - 1;
        let atoms = parts[kept].len();
        self.record("salt_stripped", format!("kept the part of {atoms} atoms, removed {removed}"));
        Ok(())
    }

    fn neutralise(&mut self) -> Result<(), ChemError> {
        let atoms = normalise::removable_charges(&self.topology);
        if atoms.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = atoms.iter().map(u32::to_string).collect();
        let list = list.join(", ");
        let Ok(neutral) = foreign::set_charges(&self.foreign, &atoms) else {
            self.record("charge_kept", format!("charge at atoms {list} could not be undone"));
            return Ok(());
        };
        self.foreign = neutral;
        let same: Vec<u32> = (0..self.topology.atoms.len() as u32).collect();
        self.adopt(&same)?;
        self.record("charge_neutralised", format!("charge undone at atoms {list}"));
        Ok(())
    }

    /// Takes the edited molecule's graph; its atoms are `from` of the old one, whose stereo labels
    /// stay, since an edit keeps the handedness but not the labels.
    fn adopt(&mut self, from: &[u32]) -> Result<(), ChemError> {
        let mut topology = foreign::topology(&self.foreign)?;
        for (atom, &old) in topology.atoms.iter_mut().zip(from) {
            let label = self.topology.atoms[old as usize].cip;
            atom.cip = label.filter(|_| atom.chiral_tag != 0);
        }
        self.topology = topology;
        Ok(())
    }

    fn record_stereo(&mut self) {
        let atoms = self.topology.atoms.iter().filter(|atom| atom.cip.is_some()).count();
        let is_set = |stereo| !matches!(stereo, Stereo::None | Stereo::Any);
        let bonds = self.topology.bonds.iter().filter(|bond| is_set(bond.stereo)).count();
        if atoms + bonds > 0 {
            let detail = format!("{atoms} stereocentres and {bonds} double bonds kept as given");
            self.record("stereo_kept", detail);
        }
    }
}

impl std::fmt::Debug for Molecule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Molecule")
            .field("original", &self.original)
            .field("steps", &self.steps)
            .field("atoms", &self.topology.atoms.len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), ChemError> {
    if found > limit { Err(ChemError::TooLarge { what, found, limit }) } else { Ok(()) }
}
