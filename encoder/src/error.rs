//! The errors of this room.

use std::path::PathBuf;

/// Why an encoder could not be loaded, trained or used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The caller's text cannot be encoded.
    #[error("text {index}: {reason}")]
    Text {
        /// Position in the batch.
        index: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The caller's molecule cannot be encoded.
    #[error("molecule {index}: {reason}")]
    Molecule {
        /// Position in the batch.
        index: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file of a model directory or of a training set is missing or unreadable.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model directory does not hold what its config promises.
    #[error("model {path}: {reason}")]
    Model {
        /// The file or directory.
        path: PathBuf,
        /// The name of what differs and what was expected.
        reason: String,
    },
    /// A property head was fitted on another encoder.
    #[error(
        "head {head:?} was fitted on encoder {fitted}, but {loaded} is loaded: its inputs mean something else there; \
         fit it again (scripts/heads.sh rebuilds those that ship)"
    )]
    ForeignHead {
        /// Name of the head.
        head: String,
        /// Fingerprint of the encoder it was fitted on.
        fitted: String,
        /// Fingerprint of the encoder that is loaded.
        loaded: String,
    },
    /// A configuration value is out of its range.
    #[error("config: {0}")]
    Config(String),
    /// What the caller asked for is out of its bounds.
    #[error("{0}")]
    Request(String),
    /// The caller stopped a generation before its end.
    #[error("generation was stopped after {steps} steps; allow more time or fewer tokens")]
    Stopped {
        /// Steps done.
        steps: usize,
    },
    /// The tensor library failed; a bug or a lack of memory.
    #[error("tensor computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// Short for this room's results.
pub(crate) type Result<T> = std::result::Result<T, EncoderError>;
