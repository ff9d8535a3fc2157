//! The errors of this room.

use std::{io::ErrorKind, path::PathBuf};

/// Why an index could not be made, or refused what it was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IndexError {
    /// A parameter of the index is out of its range.
    #[error("{name} = {value} is out of range: allowed is {allowed}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: usize,
        /// What is allowed.
        allowed: String,
    },
    /// A vector has another length than the index.
    #[error("the vector has {found} numbers, this index takes {expected}")]
    Dimension {
        /// Length of the index's vectors.
        expected: usize,
        /// Length of the vector given.
        found: usize,
    },
    /// A vector holds NaN or an infinity.
    #[error("number {position} of the vector is not finite")]
    NotFinite {
        /// First such position.
        position: usize,
    },
    /// A vector of length zero has no direction, so no cosine.
    #[error("the vector is all zeros, so it has no direction to compare")]
    ZeroNorm,
    /// Dot products of such vectors would overflow.
    #[error("the vector has length {norm:e}, above the bound of {bound:e}; scale it down")]
    TooLong {
        /// Its Euclidean length.
        norm: f64,
        /// The largest allowed.
        bound: f64,
    },
    /// A live vector has this identifier.
    #[error("id {id} is in the index; remove it first, or insert the new version under a new id")]
    IdTaken {
        /// The identifier.
        id: u64,
    },
    /// The index holds as many points as it may, tombstones included.
    #[error(
        "the index is full: {capacity} points, tombstones included; rebuild it or raise its capacity"
    )]
    Full {
        /// Its capacity.
        capacity: usize,
    },
    /// Whoever asked says that the answer is not wanted any more.
    #[error("the search was stopped before its end, as its caller asked")]
    Stopped,
    /// Reading a graph would take more memory than there may be.
    #[error("{path} takes {bytes} bytes of memory, of {used} in use and {bound} allowed")]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// Bytes in use, of all indexes that share the bound.
        used: usize,
        /// The bound.
        bound: usize,
    },
    /// The file of a graph could not be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What kind of failure.
        kind: ErrorKind,
        /// What the system said.
        reason: String,
    },
    /// The file of a graph is damaged.
    #[error("{path} is damaged: {reason}; remove it, and the graph is built again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is of another index, or of another version of the format.
    #[error("{path} does not fit this index: {reason}; remove it, and the graph is built again")]
    ForeignGraph {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

impl IndexError {
    /// Whether another argument would have been taken.
    pub fn is_callers_fault(&self) -> bool {
        match self {
            Self::Parameter { .. }
            | Self::Dimension { .. }
            | Self::NotFinite { .. }
            | Self::ZeroNorm
            | Self::TooLong { .. } => true,
            Self::Stopped
            | Self::IdTaken { .. }
            | Self::Full { .. }
            | Self::NoRoom { .. }
            | Self::File { .. }
            | Self::Corrupt { .. }
            | Self::ForeignGraph { .. } => false,
        }
    }
}

/// Short for this room's results.
pub(crate) type Result<T> = std::result::Result<T, IndexError>;
