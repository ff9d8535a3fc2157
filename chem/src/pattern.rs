//! Substructure patterns (SMARTS), matched as RDKit matches them, under a budget of steps.

use crate::error::{ChemError, Place};
use crate::foreign::{self, ForeignPattern};
use crate::limits::{
    MAX_MATCH_STEPS, MAX_MATCHES, MAX_SMARTS_ATOMS, MAX_SMARTS_BYTES, MAX_SMARTS_DEPTH,
};
use crate::molecule::{Molecule, limit};
use crate::screen::Screen;

/// A SMARTS pattern.
///
/// ```
/// use moiety_chem::{Molecule, Pattern, PatternStereo};
///
/// let acid = Pattern::from_smarts("C(=O)[OX2H1]")?;
/// let aspirin = Molecule::from_smiles("CC(=O)Oc1ccccc1C(=O)O")?;
/// assert!(aspirin.screen().may_contain(acid.screen()));
/// assert!(acid.is_in(&aspirin, PatternStereo::Ignored)?);
/// # Ok::<(), moiety_chem::ChemError>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    smarts: String,
    foreign: ForeignPattern,
    screen: Screen,
}

/// Whether stereo marks of a pattern must be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PatternStereo {
    /// Marks are ignored, as RDKit does unless told otherwise.
    #[default]
    Ignored,
    /// `@`, `@@`, `/` and `\` must be met.
    Respected,
}

impl Pattern {
    /// Reads a SMARTS; its length, atoms and nesting are bounded (`limits`).
    pub fn from_smarts(text: &str) -> Result<Self, ChemError> {
        limit("SMARTS length in bytes", text.len(), MAX_SMARTS_BYTES)?;
        let syntax = |reason: &str, place| ChemError::Syntax {
            notation: "SMARTS",
            reason: reason.into(),
            place,
        };
        if text.is_empty() {
            return Err(syntax("it is empty", Place::Unknown));
        }
        if let Some(at) = text.chars().position(|c| !c.is_ascii_graphic()) {
            let reason = "only printable ASCII without blanks is allowed";
            return Err(syntax(reason, Place::Character(at + 1)));
        }
        limit("SMARTS nesting", nesting(text), MAX_SMARTS_DEPTH)?;
        let foreign = foreign::read_pattern(text)?;
        limit("number of SMARTS atoms", foreign.atoms(), MAX_SMARTS_ATOMS)?;
        if foreign.atoms() == 0 {
            return Err(syntax("it has no atoms", Place::Unknown));
        }
        let screen = Screen::of_pattern(&foreign::certain(&foreign));
        Ok(Self { smarts: text.into(), foreign, screen })
    }

    /// The text it was read from.
    pub fn smarts(&self) -> &str {
        &self.smarts
    }

    /// The features that every molecule with this pattern has.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Whether the pattern is in the molecule.
    ///
    /// Fails with [`ChemError::TooHard`] after [`MAX_MATCH_STEPS`] steps, a step being a pair of atoms that fit.
    pub fn is_in(&self, molecule: &Molecule, stereo: PatternStereo) -> Result<bool, ChemError> {
        Ok(!self.first_matches(molecule, stereo, 1)?.is_empty())
    }

    /// Whether there are more than so many matches; matches of the same atoms count once. Stereo is ignored.
    pub(crate) fn has_more_than(
        &self,
        count: usize,
        molecule: &Molecule,
    ) -> Result<bool, ChemError> {
        Ok(self.first_matches(molecule, PatternStereo::Ignored, count + 1)?.len() > count)
    }

    /// Where the pattern is in the molecule: the atoms of each match, ascending; matches of the same atoms count once, and no
    /// more than [`MAX_MATCHES`] are given.
    ///
    /// Fails as [`Self::is_in`] does.
    pub fn matches(
        &self,
        molecule: &Molecule,
        stereo: PatternStereo,
    ) -> Result<Vec<Vec<u32>>, ChemError> {
        let mut matches = self.first_matches(molecule, stereo, MAX_MATCHES)?;
        matches.iter_mut().for_each(|atoms| atoms.sort_unstable());
        matches.sort_unstable();
        matches.dedup();
        Ok(matches)
    }

    fn first_matches(
        &self,
        molecule: &Molecule,
        stereo: PatternStereo,
        most: usize,
    ) -> Result<Vec<Vec<u32>>, ChemError> {
        let stereo = stereo == PatternStereo::Respected;
        foreign::matches(&self.foreign, molecule.foreign(), stereo, MAX_MATCH_STEPS, most)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.smarts == other.smarts
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pattern").field(&self.smarts).finish()
    }
}

/// Deepest nesting of parentheses, recursive patterns included.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
