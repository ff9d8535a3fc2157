//! What can be wrong with a structure, told so that its owner can mend it.

/// Why a structure was refused. All kinds but `Internal` are the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChemError {
    /// The text is larger or deeper than this room accepts.
    #[error("{what} is {found}, above the limit of {limit}; split or shorten the structure")]
    TooLarge {
        /// What was counted, for example `SMILES length in bytes`.
        what: &'static str,
        /// The count found.
        found: usize,
        /// The bound, one of the constants of [`crate::limits`].
        limit: usize,
    },
    /// The text does not follow its notation.
    #[error("cannot read {notation}: {reason}{place}")]
    Syntax {
        /// `SMILES`, `InChI`, `mol block` or `SDF`.
        notation: &'static str,
        /// What is wrong.
        reason: String,
        /// Where it is wrong.
        place: Place,
    },
    /// The text is well formed but no such molecule can exist.
    #[error("chemically impossible structure: {reason}{place}")]
    Chemistry {
        /// Which rule is broken.
        reason: String,
        /// The atom concerned, when it is known.
        place: Place,
    },
    /// The notation is known but this room does not handle the case.
    #[error("not supported: {reason}")]
    Unsupported {
        /// What is missing, and what to send instead.
        reason: String,
    },
    /// Matching a pattern was given up.
    #[error(
        "matching the SMARTS takes more than {steps} steps on this molecule; name elements, or use fewer recursive parts"
    )]
    TooHard {
        /// The bound, [`crate::limits::MAX_MATCH_STEPS`].
        steps: usize,
    },
    /// The input could not be read at all (a broken file or stream).
    #[error("cannot read the input{place}: {reason}")]
    Unreadable {
        /// What the system said.
        reason: String,
        /// The line reached.
        place: Place,
    },
    /// The chemistry library failed on input it should have handled.
    #[error("internal failure while {during}: {reason}")]
    Internal {
        /// The step that failed.
        during: &'static str,
        /// What the library said.
        reason: String,
    },
}

/// Where in the input something is wrong; characters and lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A character of a one-line notation.
    Character(usize),
    /// A line of a block or file.
    Line(usize),
    /// The reader could not say.
    Unknown,
}

/// Reads as the tail of a sentence: ` at character 5`, or nothing.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Character(n) => write!(f, " at character {n}"),
            Self::Line(n) => write!(f, " at line {n}"),
            Self::Unknown => Ok(()),
        }
    }
}
